"""`nnc compile --emit`: what a model is at each level, as text or object code."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.dialects.builtin import ModuleOp, SymbolRefAttr
from xdsl.dialects.func import FuncOp

from ..core.walk import erase
from ..dialects.sched import ScheduleOp
from ..dialects.te import CallOp, KernelOp
from ..lowering.llvm_to_object import assembly, merge_modules
from ..lowering.llvm_to_object import compile as to_object
from ..lowering.program import plan_program
from .host import host_function
from .kernels import KernelCompiler
from .options import Options
from .pipelines import GRAPH, run_passes, verify
from .program import entry_text, lower_to_te
from .signature import input_specs, output_specs
from .timing import Timings, without_collector


def emit_graph(module: ModuleOp, options: Options, timings: Timings) -> str:
    """The optimised graph."""
    del options
    verify(module, timings)
    run_passes(GRAPH, module, timings)
    return _text(module)


def emit_te(module: ModuleOp, options: Options, timings: Timings) -> str:
    """Main and the te.kernels that it calls."""
    emit_graph(module, options, timings)
    lower_to_te(module, options, timings)
    return _text(module)


def emit_sched(module: ModuleOp, options: Options, timings: Timings) -> str:
    """As `emit_te`, with the schedule of every kernel after it."""
    emit_te(module, options, timings)
    with KernelCompiler(options, timings, make_objects=False) as compiler:
        compiler.add_all(module)
    ops = list(module.ops)
    given = {op.kernel.string_value() for op in ops if isinstance(op, ScheduleOp)}
    for kernel in ops:
        if isinstance(kernel, KernelOp) and kernel.sym_name.data not in given:
            name = kernel.sym_name.data
            schedule = compiler.kernels.schedules[compiler.kernels.symbols[name]].clone()
            schedule.kernel = SymbolRefAttr(name)
            module.body.block.insert_op_after(schedule, kernel)
    return _text(module)


def emit_loop(module: ModuleOp, options: Options, timings: Timings) -> str:
    """Main and the distinct kernels in tile form."""
    emit_te(module, options, timings)
    with KernelCompiler(options, timings, make_objects=False) as compiler:
        compiler.add_all(module)
    for op in list(module.ops):
        if isinstance(op, FuncOp):
            for call in [inner for inner in op.walk() if isinstance(inner, CallOp)]:
                name = call.callee.string_value()
                call.callee = SymbolRefAttr(compiler.kernels.symbols[name])
        else:
            erase(op)
    for kernel in reversed(compiler.kernels.lowered.values()):
        kernel.detach()
        first = module.body.block.first_op
        assert first is not None, "main stands in the module"
        module.body.block.insert_op_before(kernel, first)
    return _text(module)


def emit_llvm(module: ModuleOp, options: Options, timings: Timings) -> str:
    """One module of LLVM IR: all kernels and the entry functions."""
    verify(module, timings)
    inputs = input_specs(module)
    run_passes(GRAPH, module, timings)
    outputs = output_specs(module)
    lower_to_te(module, options, timings)
    with KernelCompiler(options, timings, make_objects=False) as compiler:
        compiler.add_all(module)
    kernels = compiler.kernels
    with timings.stage("plan"):
        plan = plan_program(module, kernels.code, host_function, inputs, outputs)
    texts = [emitted.llvm_text for emitted in kernels.emitted.values()]
    target = f'target triple = "{options.target.triple}"'
    return merge_modules([target, *texts, entry_text(plan, options)])


def emit_asm(module: ModuleOp, options: Options, timings: Timings) -> str:
    """Assembly of all that `emit_llvm` gives."""
    text = emit_llvm(module, options, timings)
    with timings.stage("LLVM"):
        return assembly(text, options.target)


def emit_obj(module: ModuleOp, options: Options, timings: Timings) -> bytes:
    """Object code of all that `emit_llvm` gives."""
    text = emit_llvm(module, options, timings)
    with timings.stage("LLVM"):
        return to_object(text, options.target)


LEVELS: dict[str, Callable[[ModuleOp, Options, Timings], str | bytes]] = {
    "graph": emit_graph,
    "te": emit_te,
    "sched": emit_sched,
    "loop": emit_loop,
    "llvm": emit_llvm,
    "asm": emit_asm,
    "obj": emit_obj,
}
"""What `--emit` takes, from the highest level to the lowest."""


def emit(module: ModuleOp, level: str, options: Options, timings: Timings) -> str | bytes:
    """A module with known shapes, taken down to a level; it is changed.

    The time of each stage is added to `timings`.
    Raises: NncError: as compiling it would.
    """
    with without_collector():
        return LEVELS[level](module, options, timings)


def _text(module: ModuleOp) -> str:
    from ..textir import print_module

    return print_module(module)
