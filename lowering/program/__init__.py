"""The program above the kernels: memory plan, entry functions, threads, as LLVM IR text."""

from .entry import emit_entry
from .launch import KernelCode, Launch, Place
from .memory import ArenaPlan, Lifetime, align, plan_arena
from .packing import PackedConstants
from .plan import ProgramPlan, plan_program
from .threads import POOL_BARRIER, POOL_BYTES, WORKER_BYTES, barrier_text, pool_text

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
