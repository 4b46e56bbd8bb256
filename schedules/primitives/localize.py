"""Shrinking a buffer to the part that one iteration of a loop uses, and widening it again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import AffineMapAttr
from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineDimExpr, AffineExpr, AffineMap

from ...core.affine import const, dim, linear_terms, substitute, sym, used
from ...core.walk import erase
from ...dialects.loop import AllocOp, BufferType, ForOp, ReadOp, StmtOp, buffer_type
from .hull import Fixed, Interval
from .rewrite import add_ivs


@dataclass(frozen=True)
class Place:
    """Dimension of a buffer: it holds `axis` (a position), less an offset."""

    axis: int
    offset: AffineExpr


def places_of(stmt: StmtOp, position: int) -> list[Place] | None:
    """Which axis stands in each dimension of an out buffer, and its offset over the ivs.

    `None` where a dimension is not one axis plus what the loops give, or an axis stands twice.
    """
    places: list[Place] = []
    for expr in stmt.out_maps.data[position].data.results:
        terms = linear_terms(expr)
        axes = [t for t in terms if isinstance(t, AffineDimExpr) and terms[t] == 1]
        rest = expr + axes[0] * -1 if axes else expr
        if len(axes) != 1 or any(isinstance(node, AffineDimExpr) for node in _nodes(rest)):
            return None
        places.append(Place(axes[0].position, rest))
    found = [place.axis for place in places]
    return places if len(set(found)) == len(found) else None


def _nodes(expr: AffineExpr) -> list[AffineExpr]:
    return [node for term in linear_terms(expr) if term is not None for node in term.dfs()]


def shrink(buffer: SSAValue, box: Sequence[Interval], loop: ForOp) -> SSAValue:
    """Move the buffer into `loop`, holding only `box`; accesses become relative to its start.

    Every access must be inside `loop`. A global buffer becomes scratch: it is one iteration's own.
    A layout stays: it tells the places of the part apart, as those of the whole.
    """
    alloc = buffer.owner
    assert isinstance(alloc, AllocOp)
    old = buffer_type(buffer)
    space = "scratch" if old.space.data == "global" else old.space.data
    extents = [interval.extent for interval in box]
    layout = old.layout.data if isinstance(old.layout, AffineMapAttr) else None
    new = AllocOp(BufferType.get(extents, old.element_type, space, layout))
    new.location = alloc.location
    new.res.name_hint = buffer.name_hint
    block = loop.body.block
    assert block.first_op is not None
    block.insert_op_before(new, block.first_op)
    fixed = Fixed(loop)
    for user in {use.operation for use in buffer.uses}:
        stmt = user.parent_op() if isinstance(user, ReadOp) else user
        assert isinstance(user, StmtOp | ReadOp)
        assert isinstance(stmt, StmtOp)
        positions = add_ivs(stmt, fixed.variables)
        _rebase(user, buffer, box, positions)
    buffer.replace_all_uses_with(new.res)
    erase(alloc)
    return new.res


def widen(buffer: SSAValue, writer: StmtOp, places: Sequence[Place], before: Operation) -> SSAValue:
    """Undo `shrink`: the buffer holds all of what `writer` computes, is global, stands `before`."""
    alloc = buffer.owner
    assert isinstance(alloc, AllocOp)
    extents = [writer.axes.data[place.axis].size for place in places]
    old = buffer_type(buffer)
    layout = old.layout.data if isinstance(old.layout, AffineMapAttr) else None
    new = AllocOp(BufferType.get(extents, old.element_type, "global", layout))
    new.location = alloc.location
    new.res.name_hint = buffer.name_hint
    assert before.parent is not None
    before.parent.insert_op_before(new, before)
    ivs = list(writer.ivs)
    needed = sorted({position for place in places for position in used(place.offset)[1]})
    box: list[Interval] = []
    for place in places:
        symbols = [dim(needed.index(i)) if i in needed else dim(0) for i in range(len(ivs))]
        box.append(Interval(substitute(place.offset, [], symbols), 0, 1))
    for user in {use.operation for use in buffer.uses}:
        stmt = user.parent_op() if isinstance(user, ReadOp) else user
        assert isinstance(stmt, StmtOp)
        assert isinstance(user, StmtOp | ReadOp)
        _rebase(user, buffer, box, add_ivs(stmt, [ivs[position] for position in needed]))
    buffer.replace_all_uses_with(new.res)
    erase(alloc)
    return new.res


def _rebase(
    user: StmtOp | ReadOp, buffer: SSAValue, box: Sequence[Interval], positions: list[int]
) -> None:
    """Make the maps of one user into `buffer` relative to the start of `box`."""
    if isinstance(user, ReadOp):
        user.map = type(user.map)(_relative(user.map.data, box, positions, len(user.symbols)))
        return
    maps = [
        type(map_)(_relative(map_.data, box, positions, 0)) if out is buffer else map_
        for map_, out in zip(user.out_maps, user.outs, strict=True)
    ]
    user.out_maps = type(user.out_maps)(maps)


def _relative(
    map_: AffineMap, box: Sequence[Interval], positions: list[int], num_opaque: int
) -> AffineMap:
    symbols = [sym(num_opaque + p) for p in positions]
    results = tuple(
        expr + substitute(interval.start, symbols) * const(-1)
        for expr, interval in zip(map_.results, box, strict=True)
    )
    return AffineMap(map_.num_dims, map_.num_symbols, results)
