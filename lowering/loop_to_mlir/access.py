"""Loads and stores of tiles: vectors where elements are neighbours, else lane by lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects import memref, scf, vector
from xdsl.dialects.builtin import VectorType
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.ir.affine import AffineConstraintKind, AffineExpr

from ...core.affine import Ranges, const, dim, linear_terms, simplify, substitute, used
from ...dialects import loop
from ...dialects.loop import TileType, buffer_type, tile_type
from ..upstream.emit import Emitter, zero_of
from .values import Position, Values, lane_of, positions, splat, width_of

COMPARISONS = {
    AffineConstraintKind.ge: "sge",
    AffineConstraintKind.le: "sle",
    AffineConstraintKind.eq: "eq",
}


@dataclass
class Access:
    """One register of a tile in memory.

    Attributes:
        exprs: physical indices over the loop variables, and one more dimension for the lane.
        dims: what stands for the loop variables.
        symbols: opaque indices, scalars or vectors.
        mask: a scalar or a vector.
        width: lanes, `None` for a scalar.
    """

    memory: SSAValue
    exprs: Sequence[AffineExpr]
    dims: Sequence[SSAValue]
    symbols: Sequence[SSAValue]
    mask: SSAValue | None
    width: int | None
    emitter: Emitter

    @property
    def _lane(self) -> int:
        return len(self.dims)

    def _moves(self, expr: AffineExpr) -> bool:
        """Whether an index differs between lanes."""
        dims, symbols = used(expr)
        vectors = any(isinstance(self.symbols[s].type, VectorType) for s in symbols)
        return self._lane in dims or vectors

    @property
    def is_uniform(self) -> bool:
        """Whether all lanes are one element."""
        return not any(self._moves(expr) for expr in self.exprs)

    @property
    def is_contiguous(self) -> bool:
        """Whether the lanes are neighbours along the last dimension."""
        if self.width is None or not self.exprs:
            return False
        *outer, last = self.exprs
        terms = linear_terms(last)
        factor = terms.pop(dim(self._lane), 0)
        rest = [term for term in terms if term is not None]
        return factor == 1 and not any(self._moves(expr) for expr in (*outer, *rest))

    def indices(self, lane: int, emitter: Emitter) -> list[SSAValue]:
        """Indices of one lane."""
        symbols = [lane_of(symbol, lane, emitter) for symbol in self.symbols]
        dims = [dim(at) for at in range(self._lane)]
        exprs = [substitute(expr, [*dims, const(lane)]) for expr in self.exprs]
        return [emitter.affine(simplify(e, Ranges()), self.dims, symbols) for e in exprs]

    def lane_mask(self, lane: int) -> SSAValue | None:
        """The mask of one lane."""
        return None if self.mask is None else lane_of(self.mask, lane, self.emitter)

    def wide_mask(self) -> SSAValue | None:
        """The mask as a vector."""
        if self.mask is None or self.width is None or isinstance(self.mask.type, VectorType):
            return self.mask
        return splat(self.mask, self.width, self.emitter)


def _accesses(
    op: loop.LoadOp | loop.StoreOp, type_: TileType, emitter: Emitter, values: Values
) -> list[Access]:
    buffer = op.source if isinstance(op, loop.LoadOp) else op.dest
    return [
        Access(
            values.scalars[buffer],
            _physical(op, buffer_type(buffer), type_, position, values),
            values.indices(op.ivs),
            [values.tiles[index].at(position) for index in op.indices],
            None if op.mask is None else values.tiles[op.mask].at(position),
            width_of(type_),
            emitter,
        )
        for position in positions(type_)
    ]


def _physical(
    op: loop.LoadOp | loop.StoreOp,
    buffer: loop.BufferType,
    type_: TileType,
    position: Position,
    values: Values,
) -> list[AffineExpr]:
    lane = dim(len(op.ivs))
    axes = [lane if axis.is_lanes else const(position[axis.label]) for axis in type_.axes]
    dims = [*(dim(at) for at in range(len(op.ivs))), *axes]
    ranges = Ranges((*values.known(op.ivs).dims, (0, width_of(type_) or 1)))
    logical = [substitute(expr, dims) for expr in op.map.data.results]
    placed = [substitute(expr, logical) for expr in buffer.layout_map.results]
    return [simplify(expr, ranges) for expr in placed]


def load(op: loop.LoadOp, emitter: Emitter, values: Values) -> None:
    """`loop.load`."""
    element = tile_type(op.res).element_type
    fill = zero_of(element) if op.fill is None else op.fill
    accesses = _accesses(op, tile_type(op.res), emitter, values)
    values.define([op.res], [_load(access, element, fill) for access in accesses])


def _load(access: Access, element: Attribute, fill: Attribute) -> SSAValue:
    emitter, width = access.emitter, access.width
    if width is None:
        return _load_lane(access, 0, fill)
    mask = access.mask
    if access.is_uniform and (mask is None or not isinstance(mask.type, VectorType)):
        return splat(_load_lane(access, 0, fill), width, emitter)
    if access.is_contiguous:
        indices = access.indices(0, emitter)
        if (wide := access.wide_mask()) is None:
            type_ = VectorType(element, [width])
            return emitter.add(vector.LoadOp(access.memory, indices, type_))
        other = splat(emitter.constant(fill), width, emitter)
        return emitter.add(vector.MaskedLoadOp(access.memory, indices, wide, other))
    register = splat(emitter.constant(fill), width, emitter)
    for lane in range(width):
        loaded = _load_lane(access, lane, fill)
        register = emitter.add(vector.InsertOp(loaded, register, [lane]))
    return register


def _load_lane(access: Access, lane: int, fill: Attribute) -> SSAValue:
    emitter = access.emitter
    mask = access.lane_mask(lane)
    if mask is None:
        return emitter.add(memref.LoadOp.get(access.memory, access.indices(lane, emitter)))
    then, otherwise = emitter.inside(Block()), emitter.inside(Block())
    loaded = then.add(memref.LoadOp.get(access.memory, access.indices(lane, then)))
    then.append(scf.YieldOp(loaded))
    otherwise.append(scf.YieldOp(otherwise.constant(fill)))
    regions = (Region(then.block), Region(otherwise.block))
    return emitter.add(scf.IfOp(mask, [loaded.type], *regions))


def store(op: loop.StoreOp, emitter: Emitter, values: Values) -> None:
    """`loop.store`."""
    type_ = tile_type(op.value)
    accesses = _accesses(op, type_, emitter, values)
    for access, register in zip(accesses, values.tiles[op.value].registers, strict=True):
        _store(access, register)


def _store(access: Access, register: SSAValue) -> None:
    emitter, width = access.emitter, access.width
    if width is not None and access.is_contiguous:
        indices = access.indices(0, emitter)
        if (wide := access.wide_mask()) is None:
            emitter.append(vector.StoreOp(register, access.memory, indices))
        else:
            emitter.append(vector.MaskedStoreOp(access.memory, indices, wide, register))
        return
    for lane in range(width or 1):
        mask = access.lane_mask(lane)
        inner = emitter if mask is None else emitter.inside(Block())
        value = lane_of(register, lane, inner)
        indices = access.indices(lane, inner)
        inner.append(memref.StoreOp.get(value, access.memory, indices))
        if mask is not None:
            inner.append(scf.YieldOp())
            emitter.append(scf.IfOp(mask, [], Region(inner.block)))
