"""parallel: threads share the iterations of an outermost loop.

for y.i.o in [0, 16)  ->  for y.i.o in [0, 16) parallel
"""

from __future__ import annotations

from ...core.affine import dim, linear_terms
from ...core.errors import ScheduleError
from ...dialects.loop import ForOp, KernelOp, StmtOp
from .hull import Fixed, Interval
from .localize import places_of
from .lookup import buffer_name, find_loop, stmts_in
from .mark import is_private, mark
from .space import PARALLEL, REDUCE, is_disjoint, loops_around, reads_in, role, tells


def parallel(kernel: KernelOp, loop: str) -> None:
    """Mark the outermost loop of a phase as shared by the threads.

    Raises: ScheduleError: not outermost, it reduces, iterations write the same place, or one reads
        what another writes.
    Source: Halide, TVM `parallel`.
    """
    op = find_loop(kernel, loop)
    if op.parent is not kernel.body.block:
        outer = loops_around(op)[0].loop_name.data
        raise ScheduleError(
            f"parallel: '{loop}' is inside '{outer}'",
            hint="reorder it outermost, or fuse the two",
        )
    stmts = stmts_in(op)
    for stmt in stmts:
        _require_parallel(kernel, stmt, op)
    _require_independent(kernel, stmts, op)
    mark(op, "parallel", "parallel")


def _require_parallel(kernel: KernelOp, stmt: StmtOp, loop: ForOp) -> None:
    name, symbol = loop.loop_name.data, stmt.sym_name.data
    shared = [i for i, out in enumerate(stmt.outs) if not is_private(out, loop)]
    if not shared:
        return
    kind = role(stmt, loop)
    if kind not in (PARALLEL,):
        reason = (
            f"reduces @{symbol}: its iterations combine into the same place"
            if kind != "free"
            else f"does not divide the work of @{symbol}: every iteration writes the same place"
        )
        raise ScheduleError(
            f"parallel: '{name}' {reason}",
            hint="parallel a loop over a parallel axis" if kind == REDUCE else None,
        )
    inside = [other for other in loops_around(stmt) if other is not loop]
    moving = [loop, *(other for other in inside if role(stmt, other) != REDUCE)]
    covered = all(
        (places := places_of(stmt, i)) is not None
        and len(places) == sum(not axis.is_reduce for axis in stmt.axes)
        for i in shared
    )
    if not covered or not (is_disjoint(stmt, moving) or tells(stmt, loop, moving)):
        raise ScheduleError(
            f"parallel: iterations of '{name}' may write the same place of "
            f"'{buffer_name(kernel, stmt.outs[shared[0]])}'",
            hint="split with the tail mask or peel, not shift",
        )


def _require_independent(kernel: KernelOp, stmts: list[StmtOp], loop: ForOp) -> None:
    """Raises: ScheduleError: an iteration reads what another one writes."""
    fixed = Fixed(loop)
    for writer in stmts:
        for number, out in enumerate(writer.outs):
            if is_private(out, loop):
                continue
            written = [
                fixed.of_stmt(writer, expr) for expr in writer.out_maps.data[number].data.results
            ]
            for reader in stmts:
                for read in reads_in(reader):
                    if read.source is not out:
                        continue
                    at = [fixed.of_read(reader, read, i) for i in range(len(written))]
                    if not any(map(_apart, written, at)):
                        raise ScheduleError(
                            f"parallel: in one iteration of '{loop.loop_name.data}' "
                            f"@{reader.sym_name.data} may read what another writes to "
                            f"'{buffer_name(kernel, out)}'"
                        )


def _apart(written: Interval | None, read: Interval | None) -> bool:
    """Whether different iterations cannot meet in this dimension.

    Both start at factor * iteration and stay within one window of `factor` places.
    """
    if written is None or read is None:
        return False
    if linear_terms(written.base) != linear_terms(read.base):
        return False
    factor = linear_terms(written.base).get(dim(0), 0)
    if len(linear_terms(written.base)) != 1 or factor <= 0:
        return False
    return max(written.high, read.high) - min(written.low, read.low) <= factor
