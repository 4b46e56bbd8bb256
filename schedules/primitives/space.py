"""What is known of a statement's space: loops around it, their ranges, the role of each."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap

from ...core.affine import Range, Ranges, bounds, dim, substitute, sym, used
from ...core.injective import follows, is_injective
from ...core.walk import ancestors
from ...dialects.loop import ForOp, ReadOp, StmtOp

PARALLEL = "parallel"
REDUCE = "reduce"
FREE = "free"
MIXED = "mixed"


def loops_around(op: Operation) -> list[ForOp]:
    """The loops around `op`, outermost first."""
    return [around for around in ancestors(op) if isinstance(around, ForOp)][::-1]


def loop_of(variable: SSAValue) -> ForOp:
    """The loop whose variable this is."""
    loop = variable.owner.parent_op()
    assert isinstance(loop, ForOp), "an iv is the variable of a loop"
    return loop


def loop_range(loop: ForOp) -> Range:
    """A half-open interval that holds every value of the loop's variable."""
    low = max(_ends(loop.lower.data, loop.lower_args)[0])
    high = min(_ends(loop.upper.data, loop.upper_args)[1])
    return low, high


def _ends(map_: AffineMap, args: Sequence[SSAValue]) -> tuple[list[int], list[int]]:
    ranges = Ranges(tuple(loop_range(loop_of(arg)) for arg in args))
    found = [bounds(expr, ranges) for expr in map_.results]
    return [b[0] for b in found if b is not None], [b[1] - 1 for b in found if b is not None]


def iv_ranges(stmt: StmtOp) -> tuple[Range, ...]:
    """The range of each iv of a statement."""
    return tuple(loop_range(loop_of(iv)) for iv in stmt.ivs)


def axis_ranges(stmt: StmtOp) -> tuple[Range, ...]:
    """The positions along each axis at which the statement may run."""
    ranges = Ranges(iv_ranges(stmt))
    result: list[Range] = []
    for expr, axis in zip(stmt.bind.data.results, stmt.axes, strict=True):
        interval = bounds(expr, ranges) or (0, axis.size)
        result.append((max(0, interval[0]), min(axis.size, interval[1])))
    return tuple(result)


def reads_in(stmt: StmtOp) -> list[ReadOp]:
    """The reads of a statement's body."""
    return [op for op in stmt.body.block.ops if isinstance(op, ReadOp)]


def through_bind(stmt: StmtOp, expr: AffineExpr, num_opaque: int = 0) -> AffineExpr:
    """An expression of a map of the statement, over its ivs as dimensions.

    Opaque symbols stay as they are.
    """
    symbols = [sym(i) for i in range(num_opaque)] + [dim(i) for i in range(len(stmt.ivs))]
    return substitute(expr, stmt.bind.data.results, symbols)


def role(stmt: StmtOp, loop: ForOp) -> str:
    """What a loop is to a statement: it drives parallel axes, reduce axes, both or none."""
    position = next((i for i, iv in enumerate(stmt.ivs) if iv is loop.variable), None)
    if position is None:
        return FREE
    drives = {
        axis.is_reduce
        for axis, expr in zip(stmt.axes, stmt.bind.data.results, strict=True)
        if position in used(expr)[0]
    }
    if not drives:
        return FREE
    return MIXED if len(drives) == 2 else REDUCE if drives == {True} else PARALLEL


def accumulates_once(stmt: StmtOp, order: Sequence[ForOp]) -> bool:
    """Whether each point of a reduction is combined once when its loops stand in this order.

    A loop inside the first reduce loop must not visit a point again: neither a loop that the
    statement does not depend on, nor one with overlapping tiles (a split with tail `shift`).
    """
    roles = [role(stmt, loop) for loop in order]
    if REDUCE not in roles:
        return True
    first = roles.index(REDUCE)
    inner = [o for o, r in zip(order[first:], roles[first:], strict=True) if r != REDUCE]
    return is_disjoint(stmt, inner)


def is_disjoint(stmt: StmtOp, loops: Sequence[ForOp]) -> bool:
    """Whether iterations of these loops meet different points, all other loops standing still."""
    return is_injective(_places(stmt, loops), [loop_range(loop) for loop in loops]) is True


def tells(stmt: StmtOp, loop: ForOp, loops: Sequence[ForOp]) -> bool:
    """Whether the point that a statement is at tells the iteration of `loop`, one of `loops`.

    Iterations of the others may overlap; loops that are not named stand still.
    """
    ranges = [loop_range(each) for each in loops]
    position = next(i for i, each in enumerate(loops) if each is loop)
    return follows(position, _places(stmt, loops), ranges)


def _places(stmt: StmtOp, loops: Sequence[ForOp]) -> list[AffineExpr]:
    """The parallel axes of a statement over loops as dimensions; other ivs are symbols."""
    variables = [loop.variable for loop in loops]
    mapping: list[AffineExpr] = []
    for position, iv in enumerate(stmt.ivs):
        at = next((i for i, v in enumerate(variables) if v is iv), None)
        mapping.append(sym(position) if at is None else dim(at))
    return [
        substitute(expr, mapping)
        for axis, expr in zip(stmt.axes, stmt.bind.data.results, strict=True)
        if not axis.is_reduce
    ]
