"""A kernel of tensor expressions at each level, as text."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...core.errors import InputError
from ...lowering.llvm_to_object import assembly
from ...lowering.loop_to_llvm import emit_kernel
from ..kernels import lower_kernel
from ..options import Options
from ..timing import Timings
from .schedule import Schedule

LEVELS = ("te", "sched", "nest", "loop", "llvm", "asm")
"""te: what each element is. sched: and how to run it. nest: loops around statements, as scheduled.
loop: tiles. llvm, asm: code."""


def lower(schedule: Schedule, level: str = "nest", target: str = "cpu") -> str:
    """The kernel of a schedule at a level, as text; all but llvm and asm parse.

    Raises: NncError: an unknown level or target, or the kernel cannot be lowered.
    """
    if level not in LEVELS:
        raise InputError(f"unknown level '{level}'", hint=f"one of {', '.join(LEVELS)}")
    if not isinstance(schedule, Schedule):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"expected a schedule, got {schedule!r}", hint="te.create_schedule(...)")
    if level == "te":
        return schedule.source.ir()
    if level == "sched":
        return _text(schedule.source.op.clone(), schedule.to_ir())
    if level == "nest":
        return _text(schedule.kernel.clone())
    options = Options.of(target)
    source = schedule.source.op
    name = source.sym_name.data
    kernel, _ = lower_kernel(source, schedule.to_ir(), name, options, Timings())
    if level == "loop":
        return _text(kernel.clone())
    text = emit_kernel(kernel, options.target).llvm_text
    return text if level == "llvm" else assembly(text, options.target)


def _text(*ops: Operation) -> str:
    from ...textir import print_module

    return print_module(ModuleOp(list(ops)))
