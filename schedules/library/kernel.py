"""Scheduling a whole kernel: inline what is cheap, then each compute by its class."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import Operation

from ...core.errors import ScheduleError
from ...dialects.loop import KernelOp
from ...dialects.sched import ScheduleOp
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, Kernel, epilogue_of
from .blocked import is_blocked, schedule_blocked
from .contraction import schedule_contraction
from .elementwise import schedule_elementwise
from .reduction import schedule_reduction
from .relayout import is_relayout, schedule_relayout
from .rows import schedule_rows
from .rules import Site, has_rules, try_users_rules
from .winograd import find_tiled_convolution, schedule_tiled_convolution


def schedule_kernel(
    kernel: KernelOp,
    target: Target,
    numerics: str = "fast",
    after: Callable[[Operation], None] | None = None,
) -> ScheduleOp:
    """Schedule a kernel in canonical nest form, in place; what was done.

    Args:
        kernel: as `convert-te-to-loop` leaves it.
        target: the machine.
        numerics: "strict" keeps the order of every float sum.
        after: called with each primitive that was run.
    """
    schedule = Schedule(kernel, after=after)
    inline_cheap(schedule)
    done = schedule_users_classes(schedule, target, numerics)
    facts = Kernel.of(kernel)
    if not done and (tiled := find_tiled_convolution(facts)) is not None:
        schedule_tiled_convolution(schedule, facts, tiled, target)
        done = tiled.symbols
    elif not done:
        done = schedule_rows(schedule, facts, facts.computes[-1], target, numerics)
    for compute in facts.computes:
        if compute.symbol in done or not _is_canonical(schedule, compute):
            continue
        epilogue = epilogue_of(facts, compute)
        if is_relayout(compute, target):
            schedule_relayout(schedule, compute, target)
            continue
        is_product = compute.product() is not None and compute.points > 64
        if (
            is_blocked(compute) and schedule_blocked(schedule, facts, compute, epilogue, target)
        ) or (is_product and schedule_contraction(schedule, facts, compute, epilogue, target)):
            done |= {compute.symbol, *([epilogue.symbol] if epilogue else [])}
            continue
        if compute.reduce:
            schedule_reduction(schedule, compute, target, numerics)
        else:
            schedule_elementwise(schedule, compute, target)
        done.add(compute.symbol)
    return schedule.to_ir()


def schedule_users_classes(schedule: Schedule, target: Target, numerics: str) -> set[str]:
    """Let the rules of users schedule what they know; the symbols of what they did."""
    done: set[str] = set()
    facts = Kernel.of(schedule.kernel)
    for compute in facts.computes if has_rules() else ():
        if compute.symbol not in done and _is_canonical(schedule, compute):
            done |= set(try_users_rules(Site(schedule, facts, compute, target, numerics)))
    return done


def inline_cheap(schedule: Schedule) -> None:
    """Inline computes that cost nothing to repeat, or are read point by point once."""
    for symbol in schedule.computes():
        facts = Kernel.of(schedule.kernel)
        compute = next((c for c in facts.computes if c.symbol == symbol), None)
        if compute is None or not facts.is_internal(compute) or compute.reduce:
            continue
        readers = facts.readers(compute)
        repeated = sum(reader.points for reader in readers) > compute.points
        if readers and not (compute.is_expensive and repeated):
            try:
                schedule.compute_inline(symbol)
            except ScheduleError:
                continue  # read through an opaque index, or by a combiner: it keeps its buffer


def _is_canonical(schedule: Schedule, compute: Compute) -> bool:
    """Whether a compute still has the loops of the canonical nest (a scan's body has more)."""
    return schedule.loops(compute.symbol) == [compute.loop(axis) for axis in compute.axes]
