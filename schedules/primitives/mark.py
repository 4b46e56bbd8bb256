"""What the three primitives that only mark a loop share."""

from __future__ import annotations

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import SSAValue
from xdsl.ir.affine import AffineConstantExpr

from ...core.errors import ScheduleError
from ...dialects.loop import ForOp
from .lookup import stmts_in
from .space import FREE, REDUCE, role
from .split import require_unmarked


def mark(loop: ForOp, kind: str, primitive: str) -> None:
    """Set the kind of a loop that has none yet."""
    require_unmarked(loop, primitive)
    loop.kind = StringAttr(kind)


def require_constant_extent(loop: ForOp, primitive: str) -> None:
    """Raises: ScheduleError: nothing constant bounds the number of iterations.

    A loop that other loops cut short is fine: what lies beyond the cut is masked.
    """
    lower, upper = loop.lower.data.results, loop.upper.data.results
    if not all(any(isinstance(e, AffineConstantExpr) for e in ends) for ends in (lower, upper)):
        raise ScheduleError(
            f"{primitive}: the number of iterations of '{loop.loop_name.data}' is not constant",
            hint="split by a factor that divides, or with the tail peel, shift or balanced",
        )


def is_private(buffer: SSAValue, loop: ForOp) -> bool:
    """Whether a buffer is made anew by each iteration."""
    owner = buffer.owner.parent_op()
    return owner is not None and loop.is_ancestor(owner)


def require_own_places(loop: ForOp, primitive: str) -> None:
    """Raises: ScheduleError: a statement does not depend on the loop, as in a scan's."""
    interval = loop.constant_range
    if interval is not None and interval[1] - interval[0] <= 1:
        return
    for stmt in stmts_in(loop):
        shared = [out for out in stmt.outs if not is_private(out, loop)]
        if shared and role(stmt, loop) == FREE:
            raise ScheduleError(
                f"{primitive}: every iteration of '{loop.loop_name.data}' computes all of "
                f"@{stmt.sym_name.data}, one after the other",
                hint="mark a loop over an axis of what is computed",
            )


def require_commuting(loop: ForOp, primitive: str) -> None:
    """Raises: ScheduleError: the loop reduces with a combiner that is not known to commute."""
    for stmt in stmts_in(loop):
        if role(stmt, loop) == REDUCE and stmt.combine is not None:
            raise ScheduleError(
                f"{primitive}: '{loop.loop_name.data}' reduces @{stmt.sym_name.data} with a "
                "combine region, which is not known to commute",
                hint="mark a parallel loop",
            )
