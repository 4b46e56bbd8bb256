"""A module with static shapes to an executable: the levels in order, then link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from xdsl.dialects.builtin import ModuleOp, StringAttr

from ..dialects.graph.base import KernelOp
from ..lowering.llvm_to_object import compile as to_object
from ..lowering.llvm_to_object import link
from ..lowering.program import (
    POOL_BARRIER,
    POOL_BYTES,
    WORKER_BYTES,
    PackedConstants,
    ProgramPlan,
    barrier_text,
    plan_program,
    pool_text,
)
from ..runtime.executable import Executable
from ..runtime.threads import PoolCode
from ..targets import resolve
from .host import host_function
from .kernels import KernelCompiler, Kernels
from .options import Options
from .pipelines import FAST, FUSE, GRAPH, TE, run_passes, verify
from .signature import input_specs, output_specs
from .timing import Timings, without_collector


@dataclass
class Compiled:
    """Everything that compiling a module made.

    Attributes:
        executable: to be called.
        kernels: the compiled kernels.
        operators: the graph operators of each kernel, by its symbol.
        module: main and the te.kernels.
    """

    executable: Executable
    kernels: Kernels
    operators: dict[str, list[str]]
    module: ModuleOp
    timings: Timings


def lower_to_te(module: ModuleOp, options: Options, timings: Timings) -> dict[str, list[str]]:
    """Fuse and lower an optimised graph, in place: main then holds calls of te.kernels.

    Returns: the operators of each kernel, by its symbol.
    """
    module.attributes["nnc.target"] = StringAttr(options.target.name)
    if options.numerics == "fast":
        run_passes(FAST, module, timings)
    run_passes(FUSE, module, timings)
    operators = {
        op.sym_name.data: [inner.name.removeprefix("graph.") for inner in op.body.block.ops]
        for op in module.walk()
        if isinstance(op, KernelOp)
    }
    run_passes(TE, module, timings)
    return operators


def compile_module(
    module: ModuleOp, options: Options, timings: Timings, packed: PackedConstants | None = None
) -> Compiled:
    """Compile a module whose shapes are all known; it is changed.

    Constants in `packed` are shared with the other executables that were made with it.
    Raises: NncError: with the place of what cannot be compiled.
    """
    with without_collector(), KernelCompiler(options, timings) as compiler:
        verify(module, timings)
        inputs = input_specs(module)
        if options.interpret:
            outputs = output_specs(module)
            plan = plan_program(module, {}, host_function, inputs, outputs, packed)
            executable = link_program(plan, [], options)
            return Compiled(executable, compiler.kernels, {}, module, timings)
        run_passes(GRAPH, module, timings)
        outputs = output_specs(module)
        operators = lower_to_te(module, options, timings)
        verify(module, timings)
        compiler.add_all(module)
        with timings.stage("plan"):
            code = compiler.kernels.code
            plan = plan_program(module, code, host_function, inputs, outputs, packed)
        if plan.symbols:
            compiler.add_text(entry_text(plan, options))
        with timings.stage("wait for LLVM"):
            objects = [future.result() for future in compiler.kernels.objects]
        with timings.stage("link"):
            executable = link_program(plan, objects, options)
    return Compiled(executable, compiler.kernels, operators, module, timings)


def entry_text(plan: ProgramPlan, options: Options) -> str:
    """LLVM IR of the entry functions, with the barrier that they use."""
    return barrier_text(options.target.triple) + plan.llvm_text


def link_program(plan: ProgramPlan, objects: Sequence[bytes], options: Options) -> Executable:
    """Load the object code and bind the program to it."""
    library = link(objects, plan.symbols) if plan.symbols else None

    def address(symbol: str) -> int:
        assert library is not None
        return library.address(symbol)

    return Executable(plan.program(address, library), options.threads, pool_code)


@cache
def pool_code() -> PoolCode:
    """The thread pool's code, for this machine; compiled once."""
    host = resolve("cpu")
    functions = ("nnc.run", "nnc.worker")
    library = link([to_object(pool_text(host.triple), host)], functions)
    run, worker = (library.address(name) for name in functions)
    return PoolCode(run, worker, POOL_BYTES, WORKER_BYTES, POOL_BARRIER, library)
