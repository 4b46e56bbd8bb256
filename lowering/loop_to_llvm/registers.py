"""Tiles to registers: each tile op, written for one register when that register is asked for.

A chain of elementwise ops so runs through registers, one after the other, and not through arrays of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, cast

from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineExpr

from ...core.errors import PassError
from ...core.locations import describe
from ...dialects.combiners import combine_op
from ...dialects.loop import (
    ConstantOp,
    ContractOp,
    IntrinsicOp,
    IotaOp,
    LoadOp,
    MaskOp,
    PickOp,
    ReduceOp,
    StoreOp,
    TableOp,
    TileType,
    tile_type,
)
from ...dialects.loop.elementwise import ElementwiseOp
from ...targets import Target
from . import arithmetic, intrinsics
from .indices import LANE, Indices, Position, split_constant
from .lane_indices import LaneIndices
from .memory import Access, Memory
from .places import Places
from .text import FunctionWriter, register_value, scalar_type, splat, splat_literal, vector_type

MIN_TRANSPOSED = 4
"""Registers with fewer lanes are loaded element by element where these are not neighbours."""


class Register(NamedTuple):
    """LLVM type and name of one register."""

    type: str
    name: str


class Registers:
    """Registers of the tiles of one function, written on demand and remembered."""

    def __init__(self, writer: FunctionWriter, target: Target, buffers: dict[SSAValue, str]):
        self.writer = writer
        self.target = target
        self.buffers = buffers
        self.indices = Indices(writer)
        self.lanes = LaneIndices(writer, self.indices)
        self.memory = Memory(writer, self.lanes, self.register, target.has_masks)
        self.accesses: dict[Operation, Access] = {}
        self.places: dict[Operation, Places] = {}

    def positions(self, type_: TileType) -> Iterator[Position]:
        """Every register of a tile, the last axis fastest; lanes in parts of the vector width."""
        axes = [axis for axis in type_.axes if not axis.is_lanes]
        parts = lane_parts(type_.lanes.extent, self.target.lanes) if type_.lanes else [(0, 1)]
        for point in product(*(range(axis.extent) for axis in axes)):
            named = tuple(sorted((a.label, p) for a, p in zip(axes, point, strict=True)))
            for offset, width in parts:
                yield Position(named, offset, width)

    def own(self, type_: TileType, position: Position) -> Position:
        """A position cut down to the axes that a tile has."""
        labels = set(type_.labels)
        axes = tuple(item for item in position.axes if item[0] in labels)
        if type_.lanes is None:
            return Position(axes)
        return Position(axes, position.offset, position.width)

    def register(self, value: SSAValue, position: Position) -> str:
        """One register of a tile: a vector of the position's width, or a scalar without lanes."""
        position = self.own(tile_type(value), position)
        key = (value, position)
        name = self.writer.recall(key)
        if name is None:
            name = self.produce(value, position)
            self.writer.scope.memo[key] = name
        return name

    def vector(self, value: SSAValue, position: Position) -> str:
        """As `register`, but with the position's width even where the tile has no lanes."""
        type_ = tile_type(value)
        if isinstance(value.owner, MaskOp):
            return self.flags(self.register(value, position), position.width)
        if type_.lanes is not None or position.width == 1:
            return self.register(value, position)
        scalar = scalar_type(type_.element_type)
        if isinstance(value.owner, ConstantOp):
            number = register_value(_number(value.owner.value), type_.element_type)
            return splat_literal(number, scalar, position.width)
        own = self.own(type_, position)
        key = ("splat", value, own, position.width)
        name = self.writer.recall(key)
        if name is None:
            name = splat(self.writer, self.register(value, position), scalar, position.width)
            self.writer.scope.memo[key] = name
        return name

    def produce(self, value: SSAValue, position: Position) -> str:
        """Write what a register comes from."""
        op = value.owner
        assert isinstance(op, Operation), "a carried value has its registers from its loop"
        rule = _PRODUCE.get(ElementwiseOp if isinstance(op, ElementwiseOp) else type(op))
        if rule is None:
            raise PassError(f"'{op.name}' has no LLVM form", where=describe(op))
        outer, self.writer.source = self.writer.source, op
        name = rule(self, op, position)
        self.writer.source = outer
        return name

    def flags(self, mask: str, width: int) -> str:
        """A mask as a register of its own, also where it is the same for all lanes."""
        if width > 1 and mask in ("true", "false"):
            return splat_literal(mask == "true", "i1", width)
        return self.lanes.vector_mask(mask, width)

    def elementwise(self, op: ElementwiseOp, position: Position) -> str:
        if op.SOURCE_NAME == "arith.select" and isinstance(op.args[0].owner, MaskOp):
            known = {"true": op.args[1], "false": op.args[2]}
            chosen = known.get(self.mask_of(op.args[0], position))
            if chosen is not None:
                return self.vector(chosen, position)
        args = [self.vector(arg, position) for arg in op.args]
        predicate = cast("Any", op.predicate).value.data if op.predicate is not None else None
        source = tile_type(op.args[-1] if op.SOURCE_NAME == "arith.select" else op.args[0])
        spec = arithmetic.Operation(
            self.writer,
            args,
            source.element_type,
            tile_type(op.res).element_type,
            position.width,
            predicate,
        )
        return arithmetic.expand(op.SOURCE_NAME, spec)

    def constant(self, op: ConstantOp, position: Position) -> str:
        element = tile_type(op.res).element_type
        number = register_value(_number(op.value), element)
        return splat_literal(number, scalar_type(element), position.width)

    def table_entry(self, op: TableOp, position: Position) -> float | int:
        """One literal of a table."""
        flat = 0
        for axis in tile_type(op.res).axes:
            flat = flat * axis.extent + position.at(axis.label)
        return cast("float | int", op.values.get_values()[flat])

    def table(self, op: TableOp, position: Position) -> str:
        element = tile_type(op.res).element_type
        number = register_value(self.table_entry(op, position), element)
        return splat_literal(number, scalar_type(element), position.width)

    def placed(
        self, op: IotaOp | MaskOp | PickOp, exprs: Sequence[AffineExpr], position: Position
    ) -> list[AffineExpr]:
        """Expressions of an op for one of its registers."""
        if op not in self.places:
            ivs = [] if isinstance(op, PickOp) else list(op.ivs)
            self.places[op] = Places(exprs, self.indices.dims(ivs), tile_type(op.res))
        return self.places[op].at(position, self.indices.known(position.width))

    def iota(self, op: IotaOp, position: Position) -> str:
        exprs = self.placed(op, op.map.data.results, position)
        return self.lanes.index_vector(exprs[0], position.width)

    def mask(self, op: MaskOp, position: Position) -> str:
        """One of "true", "false", a scalar condition or a vector of i1."""
        result = "true"
        constraints = op.condition.data.constraints
        exprs = self.placed(op, [c.lhs for c in constraints], position)
        for constraint, expr in zip(constraints, exprs, strict=True):
            part = self.lanes.constraint(expr, constraint.kind, position.width)
            if part == "false":
                return part
            result = self.lanes.both(result, part, position.width)
        return result

    def mask_of(self, mask: SSAValue | None, position: Position) -> str:
        """The mask of a load or store for one register."""
        if mask is None:
            return "true"
        if isinstance(mask.owner, MaskOp):
            return self.register(mask, position)
        return self.vector(mask, position)

    def pick(self, op: PickOp, position: Position) -> str:
        value = tile_type(op.value)
        exprs = self.placed(op, op.map.data.results, position)
        axes: list[tuple[str, int]] = []
        offset, width = 0, 1
        lane: int | None = None
        for axis, expr in zip(value.axes, exprs, strict=True):
            if not axis.is_lanes:
                assert isinstance(expr, AffineConstantExpr), "picks of register axes are constant"
                axes.append((axis.label, expr.value))
            elif isinstance(expr, AffineConstantExpr):
                lane = expr.value
            else:
                terms, constant = split_constant(expr)
                assert terms == {LANE: 1}, "the lanes axis is picked whole"
                offset, width = constant, position.width
        named = tuple(sorted(axes))
        if value.lanes is None:
            return self.vector(op.value, Position(named, position.offset, position.width))
        if lane is None:
            return self.register(op.value, Position(named, offset, width))
        return self.lane_of(op.value, named, lane)

    def lane_of(self, value: SSAValue, axes: tuple[tuple[str, int], ...], lane: int) -> str:
        """One lane of a tile."""
        type_ = tile_type(value)
        assert type_.lanes is not None
        for offset, width in lane_parts(type_.lanes.extent, self.target.lanes):
            if offset <= lane < offset + width:
                vector = self.register(value, Position(axes, offset, width))
                if width == 1:
                    return vector
                llvm = vector_type(scalar_type(type_.element_type), width)
                return self.writer.define(f"extractelement {llvm} {vector}, i32 {lane - offset}")
        raise AssertionError("a lane lies in one of the parts")

    def load(self, op: LoadOp, position: Position) -> str:
        access = self.access(op)
        label = access.transposed_axis if position.width >= MIN_TRANSPOSED else None
        if label is not None and not op.indices:
            rows = self.rows_of(op, position, label)
            if len(rows) > 1:
                for at, name in zip(rows, self.memory.across(op, access, rows), strict=True):
                    self.writer.scope.memo[(op.res, at)] = name
                return self.register(op.res, position)
        mask = self.mask_of(op.mask, position)
        # neighbouring windows share most of what they read
        key = ("place", op, access.at(position), position.width, mask)
        name = self.writer.recall(key) if not op.indices else None
        if name is None:
            name = self.memory.load(op, access, position, mask)
            self.writer.scope.memo[key] = name
        return name

    def rows_of(self, op: LoadOp, position: Position, label: str) -> list[Position]:
        """Neighbouring registers along an axis that are loaded together, unless masked."""
        extent = next(a.extent for a in tile_type(op.res).axes if a.label == label)
        own = position.at(label)
        first, height = next(
            part for part in lane_parts(extent, position.width) if part[0] <= own < sum(part)
        )
        rows = [position.moved(label, row) for row in range(first, first + height)]
        masks = [self.mask_of(op.mask, row) for row in rows]
        return rows if all(mask == "true" for mask in masks) else [position]

    def access(self, op: LoadOp | StoreOp) -> Access:
        """The analysed address of a load or store."""
        if op not in self.accesses:
            buffer = op.source if isinstance(op, LoadOp) else op.dest
            tile = tile_type(op.res if isinstance(op, LoadOp) else op.value)
            self.accesses[op] = Access.of(op, tile, self.indices, self.buffers[buffer])
        return self.accesses[op]

    def contract(self, op: ContractOp, position: Position) -> str:
        """All registers at once, the summed points outermost: neighbours are independent."""
        for table, factor in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
            if isinstance(table.owner, TableOp):
                return self.linear(op, table.owner, factor, position)
        acc_type = tile_type(op.acc)
        positions = list(self.positions(acc_type))
        names = [self.register(op.acc, at) for at in positions]
        element = acc_type.element_type
        for point in self.summed(op):
            for i, at in enumerate(positions):
                full = Position(tuple(sorted([*at.axes, *point])), at.offset, at.width)
                if self.is_zero(op.lhs, full) or self.is_zero(op.rhs, full):
                    continue
                args = [self.vector(op.lhs, full), self.vector(op.rhs, full), names[i]]
                spec = arithmetic.Operation(self.writer, args, element, element, at.width)
                names[i] = arithmetic.expand("math.fma", spec)
        for at, name in zip(positions, names, strict=True):
            self.writer.scope.memo[(op.res, at)] = name
        return names[positions.index(position)]

    def linear(self, op: ContractOp, table: TableOp, factor: SSAValue, position: Position) -> str:
        """One register of a product with literals: a sum of a few registers, each when asked for.

        A literal 1 or -1 takes no multiplication, and nothing is added to a zero.
        """
        element = tile_type(op.acc).element_type
        start = op.acc.owner
        is_zero = isinstance(start, ConstantOp) and _number(start.value) == 0
        total = None if is_zero else self.vector(op.acc, position)
        for point in self.summed(op):
            full = Position(
                tuple(sorted([*position.axes, *point])), position.offset, position.width
            )
            if self.is_zero(table.res, full) or self.is_zero(factor, full):
                continue
            literal = self.table_entry(table, self.own(tile_type(table.res), full))
            term = self.vector(factor, full)
            if total is None and literal == 1:
                total = term
                continue
            if abs(literal) == 1 and total is not None:
                name, args = "arith.addf" if literal == 1 else "arith.subf", [total, term]
            else:
                scale = self.vector(table.res, full)
                name = "arith.mulf" if total is None else "math.fma"
                args = [scale, term] if total is None else [scale, term, total]
            spec = arithmetic.Operation(self.writer, args, element, element, position.width)
            total = arithmetic.expand(name, spec)
        return total if total is not None else self.vector(op.acc, position)

    def summed(self, op: ContractOp) -> list[tuple[tuple[str, int], ...]]:
        """Points of the axes that the factors have and the accumulator has not."""
        kept = set(tile_type(op.acc).labels)
        axes = {
            axis.label: axis
            for factor in (op.lhs, op.rhs)
            for axis in tile_type(factor).axes
            if axis.label not in kept
        }
        if any(axis.is_lanes for axis in axes.values()):
            raise PassError("a contraction sums over lanes", where=describe(op))
        ranges = [range(axis.extent) for axis in axes.values()]
        return [tuple(zip(axes, point, strict=True)) for point in product(*ranges)]

    def is_zero(self, value: SSAValue, position: Position) -> bool:
        """Whether a factor is absent: a structural zero, or a guarded read certainly outside."""
        op = value.owner
        position = self.own(tile_type(value), position)
        if isinstance(op, TableOp):
            return self.table_entry(op, position) == 0
        if isinstance(op, LoadOp) and op.mask is not None:
            return self.mask_of(op.mask, position) == "false" and _number(op.fill) == 0
        return False

    def reduce(self, op: ReduceOp, position: Position) -> str:
        type_ = tile_type(op.value)
        axis = next(axis for axis in type_.axes if axis.label == op.axis.data)
        acc = self.vector(op.acc, position)
        if not axis.is_lanes:
            for point in range(axis.extent):
                named = tuple(sorted([*position.axes, (axis.label, point)]))
                value = self.vector(op.value, Position(named, position.offset, position.width))
                acc = self.combine(op, acc, value, position.width)
            return acc
        parts = lane_parts(axis.extent, self.target.lanes)
        by_width: dict[int, str] = {}
        for offset, width in parts:
            value = self.register(op.value, Position(position.axes, offset, width))
            held = by_width.get(width)
            by_width[width] = value if held is None else self.combine(op, held, value, width)
        return self.combine(op, acc, self.across_lanes(op, by_width), 1)

    def across_lanes(self, op: ReduceOp, by_width: dict[int, str]) -> str:
        """Registers of falling widths to one scalar: halved until the next one fits, and on."""
        element = tile_type(op.acc).element_type
        name = combine_op(op.combiner.data, element)
        (width, total), *rest = by_width.items()
        for next_width, value in rest:
            while width > next_width:
                halves = arithmetic.Operation(self.writer, [total], element, element, width)
                total, width = arithmetic.halved(name, halves), width // 2
            total = self.combine(op, total, value, width)
        spec = arithmetic.Operation(self.writer, [total], element, element, width)
        return arithmetic.across_lanes(name, spec)

    def combine(self, op: ReduceOp, lhs: str, rhs: str, width: int) -> str:
        """Two registers by the combiner."""
        element = tile_type(op.acc).element_type
        spec = arithmetic.Operation(self.writer, [lhs, rhs], element, element, width)
        return arithmetic.expand(combine_op(op.combiner.data, element), spec)

    def all_of(self, values: Sequence[SSAValue]) -> list[Register]:
        """Every register of these tiles, in order."""
        result: list[Register] = []
        for value in values:
            type_ = tile_type(value)
            scalar = scalar_type(type_.element_type)
            for position in self.positions(type_):
                llvm = vector_type(scalar, position.width)
                result.append(Register(llvm, self.vector(value, position)))
        return result

    def force(self, value: SSAValue) -> None:
        """Write all registers of a tile, here."""
        op = value.owner
        if isinstance(op, ConstantOp | TableOp):
            return
        if isinstance(op, PickOp):
            self.force(op.value)
            return
        for position in self.positions(tile_type(value)):
            self.register(value, position)


_PRODUCE: dict[type[Operation], Callable[[Registers, Any, Position], str]] = {
    ElementwiseOp: Registers.elementwise,
    ConstantOp: Registers.constant,
    TableOp: Registers.table,
    IotaOp: Registers.iota,
    MaskOp: Registers.mask,
    PickOp: Registers.pick,
    LoadOp: Registers.load,
    ContractOp: Registers.contract,
    IntrinsicOp: intrinsics.expand,
    ReduceOp: Registers.reduce,
}


def lane_parts(extent: int, width: int) -> list[tuple[int, int]]:
    """A lanes axis in parts: full vectors, then the rest in powers of two.

    >>> lane_parts(22, 16)
    [(0, 16), (16, 4), (20, 2)]
    """
    parts: list[tuple[int, int]] = []
    offset = 0
    while offset < extent:
        while width > extent - offset:
            width //= 2
        parts.append((offset, width))
        offset += width
    return parts


def _number(value: object) -> float | int:
    """The number in a FloatAttr or IntegerAttr; 0 for none."""
    return getattr(getattr(value, "value", None), "data", 0)
