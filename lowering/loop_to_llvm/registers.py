"""Tiles to registers: each tile op, written for one register when that register is asked for.

A chain of elementwise ops so runs through registers, one after the other, and not through arrays of
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import gcd
from typing import Any, NamedTuple, cast

from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineConstraintKind, AffineExpr

from ...core.affine import bounds, const, dim, simplify, substitute, used
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
from .indices import LANE, Indices, Position, Terms, place, split_constant
from .memory import Access, Memory, splat
from .text import (
    FunctionWriter,
    register_value,
    scalar_type,
    splat_literal,
    vector_literal,
    vector_type,
)


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
        self.memory = Memory(writer, self.indices, self.register)
        self.accesses: dict[Operation, Access] = {}

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
        if isinstance(op, ElementwiseOp):
            return self.elementwise(op, position)
        rule = _PRODUCE.get(type(op))
        if rule is None:
            raise PassError(f"'{op.name}' has no LLVM form", where=describe(op))
        return rule(self, op, position)

    def elementwise(self, op: ElementwiseOp, position: Position) -> str:
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
        self, exprs: Sequence[AffineExpr], ivs: Sequence[SSAValue], type_: TileType, at: Position
    ) -> list[AffineExpr]:
        """Expressions of an op for one of its registers."""
        labels = [(axis.label, axis.is_lanes) for axis in type_.axes]
        dims = self.indices.dims(ivs)
        return place(exprs, dims, labels, at, self.indices.known(at.width))

    def iota(self, op: IotaOp, position: Position) -> str:
        exprs = self.placed(op.map.data.results, list(op.ivs), tile_type(op.res), position)
        return self.index_vector(exprs[0], position.width)

    def index_vector(self, expr: AffineExpr, width: int) -> str:
        """An index expression as i64, lane by lane."""
        terms, constant = split_constant(expr)
        factor = terms.pop(LANE, 0)
        if any(0 in used(term)[0] for term in terms):
            return self.lanes_of_index(expr, width)
        name, constant = self.indices.value((terms, constant))
        if width == 1:
            if name is None:
                return str(constant)
            return self.writer.define(f"add i64 {name}, {constant}") if constant else name
        steps = vector_literal([constant + factor * lane for lane in range(width)], "i64")
        if name is None:
            return steps
        base = splat(self.writer, name, "i64", width)
        return self.writer.define(f"add <{width} x i64> {base}, {steps}")

    def lanes_of_index(self, expr: AffineExpr, width: int) -> str:
        """An index expression that is not linear in the lane."""
        result = "poison"
        for lane in range(width):
            at_lane = substitute(expr, [const(lane), *self._same_dims()])
            value = self.index_vector(simplify(at_lane, self.indices.known()), 1)
            result = self.writer.define(
                f"insertelement <{width} x i64> {result}, i64 {value}, i32 {lane}"
            )
        return result

    def _same_dims(self) -> list[AffineExpr]:
        return [dim(n) for n in range(1, len(self.indices.names))]

    def mask(self, op: MaskOp, position: Position) -> str:
        """One of "true", "false", a scalar condition or a vector of i1."""
        result = "true"
        constraints = op.condition.data.constraints
        exprs = self.placed([c.lhs for c in constraints], list(op.ivs), tile_type(op.res), position)
        for constraint, expr in zip(constraints, exprs, strict=True):
            part = self.constraint(expr, constraint.kind, position.width)
            if part == "false":
                return part
            result = self.both(result, part, position.width)
        return result

    def constraint(self, expr: AffineExpr, kind: AffineConstraintKind, width: int) -> str:
        """`expr >= 0` or `expr == 0` for one register."""
        interval = bounds(expr, self.indices.known(width))
        is_equal = kind is AffineConstraintKind.eq
        if interval is not None:
            low, high = interval
            if (not is_equal and low >= 0) or (is_equal and (low, high) == (0, 1)):
                return "true"
            if high <= 0 or (is_equal and low > 0):
                return "false"
        predicate = "eq" if is_equal else "sge"
        split = split_constant(expr)
        if not is_equal:
            split = self.for_all_lanes(split, width)
        if not any(0 in used(term)[0] for term in split[0]):
            return self.indices.condition(split, predicate)
        value = self.index_vector(expr, width)
        return self.writer.define(f"icmp {predicate} <{width} x i64> {value}, zeroinitializer")

    def for_all_lanes(self, split: tuple[Terms, int], width: int) -> tuple[Terms, int]:
        """`expr >= 0` without the lane, where the other terms decide it for all lanes alike.

        With terms in steps of 16, `16 * x + 15 - lane >= 0` is `16 * x >= 0`.
        """
        terms, constant = split
        lane = terms.get(LANE, 0)
        step = gcd(*(factor for term, factor in terms.items() if term != LANE))
        ends = (constant, constant + lane * (width - 1))
        if not lane or not step or ends[0] // step != ends[1] // step:
            return split
        rest = {term: factor for term, factor in terms.items() if term != LANE}
        return rest, ends[0] // step * step

    def both(self, first: str, second: str, width: int) -> str:
        """The conjunction of two masks."""
        if first == "true":
            return second
        if second == "true":
            return first
        if all(self.memory.is_scalar_mask(mask) for mask in (first, second)):
            return self.indices.conjunction(first, second)
        first = self.memory.vector_mask(first, width)
        second = self.memory.vector_mask(second, width)
        return self.writer.define(f"and <{width} x i1> {first}, {second}")

    def mask_of(self, mask: SSAValue | None, position: Position) -> str:
        """The mask of a load or store for one register."""
        if mask is None:
            return "true"
        if isinstance(mask.owner, MaskOp):
            return self.register(mask, position)
        return self.vector(mask, position)

    def pick(self, op: PickOp, position: Position) -> str:
        value = tile_type(op.value)
        exprs = self.placed(op.map.data.results, [], tile_type(op.res), position)
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
        mask = self.mask_of(op.mask, position)
        return self.memory.load(op, self.access(op), position, mask)

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
        for width, value in by_width.items():
            acc = self.combine(op, acc, self.horizontal(op, value, width), 1)
        return acc

    def combine(self, op: ReduceOp, lhs: str, rhs: str, width: int) -> str:
        """Two registers by the combiner."""
        element = tile_type(op.acc).element_type
        spec = arithmetic.Operation(self.writer, [lhs, rhs], element, element, width)
        return arithmetic.expand(combine_op(op.combiner.data, element), spec)

    def horizontal(self, op: ReduceOp, value: str, width: int) -> str:
        """The lanes of one register by the combiner."""
        element = tile_type(op.acc).element_type
        spec = arithmetic.Operation(self.writer, [value], element, element, width)
        return arithmetic.across_lanes(combine_op(op.combiner.data, element), spec)

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
