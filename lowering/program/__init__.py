"""The program above the kernels: memory plan, entry functions, threads, as LLVM IR text."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .entry import emit_entry
    from .launch import KernelCode, Launch, Place
    from .memory import ArenaPlan, Lifetime, align, plan_arena
    from .packing import PackedConstants
    from .plan import ProgramPlan, plan_program
    from .threads import POOL_BARRIER, POOL_BYTES, WORKER_BYTES, barrier_text, pool_text

_HOME = {
    "emit_entry": "entry",
    **dict.fromkeys(("KernelCode", "Launch", "Place"), "launch"),
    **dict.fromkeys(("ArenaPlan", "Lifetime", "align", "plan_arena"), "memory"),
    "PackedConstants": "packing",
    **dict.fromkeys(("ProgramPlan", "plan_program"), "plan"),
    **dict.fromkeys(
        ("POOL_BARRIER", "POOL_BYTES", "WORKER_BYTES", "barrier_text", "pool_text"), "threads"
    ),
}

__all__ = [
    "POOL_BARRIER",
    "POOL_BYTES",
    "WORKER_BYTES",
    "ArenaPlan",
    "KernelCode",
    "Launch",
    "Lifetime",
    "PackedConstants",
    "Place",
    "ProgramPlan",
    "align",
    "barrier_text",
    "emit_entry",
    "plan_arena",
    "plan_program",
    "pool_text",
]


def __getattr__(name: str) -> Any:
    """Imported when first named: who needs the text of the threads alone does without xDSL."""
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)
