"""Rows: reductions and what reads them, computed row by row while a row is in the cache.

Softmax, the norms and the like are chains over the same *row axes*: the maximum of a row, the
exponentials, their sum, the quotient. One nest then does everything for a row, or for a few
neighbouring ones where rows lie across memory and lanes run over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ...core.affine import used
from ...core.errors import ScheduleError
from ...dialects.loop import ReadOp
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, Kernel
from .blocked import is_blocked
from .contraction import choose_tile
from .elementwise import lanes_of_elements, share, vector_factor
from .reduction import lanes_of_reduction, reads_along, slides_along


@dataclass(frozen=True)
class Rows:
    """A chain of computes that can run row by row.

    Attributes:
        last: the compute whose loops hold the others.
        others: in order of computation.
        axes: positions of the row axes among those of `last`.
    """

    last: Compute
    others: list[Compute]
    axes: list[int]


def schedule_rows(
    schedule: Schedule, facts: Kernel, last: Compute, target: Target, numerics: str
) -> set[str]:
    """Schedule `last` and the computes that it alone needs; the symbols of those done."""
    rows = find_rows(facts, last, target)
    if rows is None:
        return set()
    loops = [last.loop(axis) for axis in last.parallel]
    outer = [loops[position] for position in rows.axes]
    inner = [loop for position, loop in enumerate(loops) if position not in rows.axes]
    lane = last.last_long_axis
    across = lane is not None and lane in rows.axes and _lie_across(rows)
    if across and lane is not None:
        # Rows lie across memory: lanes run over neighbouring rows.
        part = outer.pop(rows.axes.index(lane))
        size = schedule.extent(part) or 1
        width = min(vector_factor(size, target.lanes), 2 * target.lanes)
        if size > width:
            whole, part = schedule.split(part, width)
            outer.append(whole)
        inner.append(part)
    if not outer:
        return set()
    schedule.reorder(*outer, *inner)
    moved = [c.symbol for c in reversed(rows.others) if _moved(schedule, c, outer[-1])]
    symbols = {last.symbol, *moved}
    chain = [c for c in Kernel.of(schedule.kernel).computes if c.symbol in symbols]
    if across:
        for compute in chain:
            own = _loops_in_row(schedule, compute, outer)
            reduced = [compute.loop(axis) for axis in compute.reduce]
            _lanes_over_rows(schedule, [loop for loop in own if loop not in reduced], reduced)
    else:
        _lanes_in_rows(schedule, chain, outer, target, numerics)
    share(schedule, outer, sum(compute.points for compute in [last, *rows.others]))
    return symbols


def _lie_across(rows: Rows) -> bool:
    """Whether neighbouring rows are neighbours in memory, for every reduction over them."""
    for compute in rows.others:
        lane = compute.last_long_axis
        if compute.reduce and (lane is None or not reads_along(compute, lane)):
            return False
    return True


def _lanes_in_rows(
    schedule: Schedule,
    chain: Sequence[Compute],
    outer: Sequence[str],
    target: Target,
    numerics: str,
) -> None:
    """Lanes along each row; statistics, and rows of a few registers, never go to memory."""
    short = True
    numbers: list[str] = []
    for compute in chain:
        reduced = [compute.loop(axis) for axis in compute.reduce]
        own = [loop for loop in _loops_in_row(schedule, compute, outer) if loop not in reduced]
        if reduced:
            short &= lanes_of_reduction(schedule, compute, target, numerics)
            short &= not own  # a loop that stays indexes the sums
        elif own:
            short &= not lanes_of_elements(schedule, compute, own, target, "peel")
        if not own:
            numbers.append(compute.symbol)
    for compute in chain[:-1]:
        if short or compute.symbol in numbers:
            schedule.set_scope(compute.symbol, "register")


def _loops_in_row(schedule: Schedule, compute: Compute, outer: Sequence[str]) -> list[str]:
    """Loops of a compute with more than one iteration in a row, outermost first."""
    inside = schedule.loops(compute.symbol)[len(outer) :]
    return [loop for loop in inside if schedule.extent(loop) != 1]


def find_rows(facts: Kernel, last: Compute, target: Target) -> Rows | None:
    """The chain that ends in a compute, if a reduction over rows is in it."""
    if last.reduce or any(axis.size == 0 for axis in last.axes):
        return None
    inside = [last]
    for compute in reversed(facts.computes[: facts.computes.index(last)]):
        readers = facts.readers(compute)
        is_own = facts.is_internal(compute) and all(reader in inside for reader in readers)
        if readers and is_own and not _has_own_schedule(facts, compute, target):
            inside.insert(0, compute)
    others = inside[:-1]
    reductions = [compute for compute in others if compute.reduce]
    if not reductions or is_blocked(last):
        return None
    axes = _row_axes(last, reductions, inside)
    # A row that a reduction would compute again for its neighbour is too short.
    while axes and any(_rows(last, axes) > _rows(r) for r in reductions):
        axes.pop()
    return Rows(last, others, axes) if axes else None


def _has_own_schedule(facts: Kernel, compute: Compute, target: Target) -> bool:
    """Whether it is a contraction, runs on blocks or slides windows: their classes know better."""
    is_product = compute.product() is not None and compute.points > 64
    if is_blocked(compute) or (is_product and choose_tile(facts, compute, target) is not None):
        return True
    lane = compute.last_long_axis
    return bool(compute.reduce) and lane is not None and slides_along(compute, lane)


def _rows(compute: Compute, axes: Sequence[int] | None = None) -> int:
    sizes = [axis.size for axis in compute.parallel]
    return prod(sizes if axes is None else [sizes[position] for position in axes])


def _row_axes(last: Compute, reductions: Sequence[Compute], chain: Sequence[Compute]) -> list[int]:
    """Axes of `last` that say, for every reduction of a chain, which elements of it are needed."""
    needed = {last.symbol: [{position} for position in range(len(last.parallel))]}
    for compute in reversed(chain[:-1]):
        found = [set(range(len(last.parallel))) for _ in compute.parallel]
        for reader in chain:
            if reader.symbol in needed:
                for read in reader.reads:
                    if read.source in compute.stmt.outs:
                        _narrow(found, read, needed[reader.symbol])
        needed[compute.symbol] = found
    common = set(range(len(last.parallel)))
    for reduction in reductions:
        common &= set[int]().union(*needed[reduction.symbol])
    return sorted(common)


def _narrow(found: list[set[int]], read: ReadOp, axes: Sequence[set[int]]) -> None:
    """Leave what an index of one more read depends on; over a reduced axis that is all rows."""
    for place, expr in enumerate(read.map.data.results):
        dims, _ = used(expr)
        found[place] &= set[int]().union(*(axes[d] for d in dims if d < len(axes)))


def _moved(schedule: Schedule, compute: Compute, loop: str) -> bool:
    """Bring a compute into the loop over rows, unless its accesses do not allow it."""
    try:
        schedule.compute_at(compute.symbol, loop)
    except ScheduleError:
        return False
    return True


def _lanes_over_rows(schedule: Schedule, loops: Sequence[str], reduced: Sequence[str]) -> None:
    """Lanes along the last parallel loop of what one round of the row loop computes."""
    if loops:
        schedule.reorder(*loops[:-1], *reduced, loops[-1])
        schedule.vectorize(loops[-1])
