"""A module with static shapes to an executable: the levels in order, then link."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from xdsl.dialects.builtin import ModuleOp

from ..dialects import sched, te
from ..lowering.llvm_to_object import compile as to_object
from ..lowering.llvm_to_object import link
from ..lowering.program import (
    POOL_BARRIER,
    POOL_BYTES,
    WORKER_BYTES,
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
from .pipelines import FUSE, GRAPH, TE, run_passes, verify
from .signature import input_specs, output_specs
from .timing import Timings, without_collector


@dataclass
class Compiled:
    """Everything that compiling a module made.

    Attributes:
        executable: to be called.
        kernels: the compiled kernels.
        plan: the program with its entry functions as text.
        module: main and the te.kernels.
    """

    executable: Executable
    kernels: Kernels
    plan: ProgramPlan
    module: ModuleOp
    timings: Timings


def compile_kernels(module: ModuleOp, compiler: KernelCompiler) -> None:
    """Compile every te.kernel of a module, each with its schedule if it has one."""
    schedules = {
        op.kernel.root_reference.data: op for op in module.ops if isinstance(op, sched.ScheduleOp)
    }
    for op in module.ops:
        if isinstance(op, te.KernelOp):
            compiler.add(op, schedules.get(op.sym_name.data))
    compiler.flush()


def compile_module(module: ModuleOp, options: Options, timings: Timings) -> Compiled:
    """Compile a module whose shapes are all known; it is changed.

    Raises: NncError: with the place of what cannot be compiled.
    """
    with without_collector(), KernelCompiler(options, timings) as compiler:
        verify(module, timings)
        inputs = input_specs(module)
        run_passes(GRAPH, module, timings)
        outputs = output_specs(module)
        run_passes((*FUSE, *TE), module, timings)
        verify(module, timings)
        compile_kernels(module, compiler)
        with timings.stage("plan"):
            plan = plan_program(module, compiler.kernels.code, host_function, inputs, outputs)
        if plan.symbols:
            compiler.add_text(barrier_text(options.target.triple) + plan.llvm_text)
        with timings.stage("wait for LLVM"):
            objects = [future.result() for future in compiler.kernels.objects]
        with timings.stage("link"):
            executable = link_program(plan, objects, options)
    return Compiled(executable, compiler.kernels, plan, module, timings)


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
