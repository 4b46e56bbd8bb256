"""Machine code against the reference: every kernel by itself, and main as a program.

    report = check_native(module)
    for outcome in report.outcomes: print(outcome)

Inputs and tolerances are those of `reference.semantics`: random but always the same. The code runs
in child processes, for it may write anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from ..core.errors import NncError
from ..dialects import loop, te
from ..passes.graph.bind_inputs import input_names, main_function
from ..reference.runnable import Runnable, runnables
from ..reference.scalar import Array
from ..reference.semantics import DIFFERS, Outcome, Report, check_runs
from .isolate import isolated
from .kernels import lower_kernel
from .native import NativeKernel
from .options import Options
from .program import compile_kernels
from .signature import output_specs
from .timing import Timings

Run = Callable[[Sequence[Array]], list[Array]]


def check_native(module: ModuleOp) -> Report:
    """Compile and run what a module has, and compare it with the reference.

    Raises: NncError: it cannot be compiled.
    """
    options = Options.of(threads=1)
    report = Report()
    for name, runnable in runnables(module).items():
        op = runnable.op
        if isinstance(op, te.KernelOp | loop.KernelOp):
            report.outcomes.append(_check(name, runnable, _kernel(op, options)))
        elif isinstance(op, FuncOp) and name == "main" and _is_program(op):
            report.outcomes.append(_check(name, runnable, _program(runnable, options)))
    return report


def _check(name: str, runnable: Runnable, run: Run) -> Outcome:
    try:
        return check_runs(name, runnable, lambda inputs: isolated(lambda: run(inputs)))
    except NncError as error:
        return Outcome(name, DIFFERS, error.message)


def _is_program(main: FuncOp) -> bool:
    return any(isinstance(op, te.CallOp) for op in main.body.block.ops)


def _kernel(op: te.KernelOp | loop.KernelOp, options: Options) -> Run:
    tiles, _ = lower_kernel(op, None, op.sym_name.data, options, Timings())
    native = NativeKernel(tiles, options.target)

    def run_native(inputs: Sequence[Array]) -> list[Array]:
        return native.guarded(*inputs)

    return run_native


def _program(runnable: Runnable, options: Options) -> Run:
    module = runnable.module.clone()
    names = input_names(main_function(module))
    outputs = [spec.name for spec in output_specs(module)]
    executable = compile_kernels(module, options, Timings()).executable

    def run_native(inputs: Sequence[Array]) -> list[Array]:
        found = executable.run(dict(zip(names, inputs, strict=True)))
        return [found[name] for name in outputs]

    return run_native
