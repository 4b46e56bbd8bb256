"""What the three primitives that only mark a loop share."""

from __future__ import annotations

from xdsl.dialects.builtin import StringAttr
from xdsl.ir.affine import AffineConstantExpr

from ...core.errors import ScheduleError
from ...dialects.loop import ForOp
from .lookup import stmts_in
from .space import REDUCE, role
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


def require_commuting(loop: ForOp, primitive: str) -> None:
    """Raises: ScheduleError: the loop reduces with a combiner that is not known to commute."""
    for stmt in stmts_in(loop):
        if role(stmt, loop) == REDUCE and stmt.combine is not None:
            raise ScheduleError(
                f"{primitive}: '{loop.loop_name.data}' reduces @{stmt.sym_name.data} with a "
                "combine region, which is not known to commute",
                hint="mark a parallel loop",
            )
