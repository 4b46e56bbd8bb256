"""Tile form to LLVM IR, register by register.

A tile op writes nothing by itself. When a store (or a loop that carries values) asks for a register
of a tile, the ops it comes from are written for that register alone, so that a chain of elementwise
ops runs through registers and not through arrays of them. What a loop needs from outside is written
before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple, cast

from xdsl.ir import Block, Operation, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineConstraintKind, AffineExpr

from ...core.affine import Range, bounds, const, dim, simplify, substitute, used
from ...core.errors import PassError
from ...core.locations import describe
from ...dialects.loop import (
    AllocOp,
    ConstantOp,
    ContractOp,
    ForOp,
    IfOp,
    IotaOp,
    LoadOp,
    MaskOp,
    PickOp,
    ReduceOp,
    StoreOp,
    TableOp,
    TileType,
    YieldOp,
    buffer_type,
    tile_type,
)
from ...dialects.loop.elementwise import ElementwiseOp
from ...targets import Target
from . import arithmetic
from .indices import LANE, Indices, Position, place, split_constant
from .memory import Access, Memory, splat
from .text import (
    FunctionWriter,
    mangled,
    register_value,
    scalar_type,
    splat_literal,
    vector_literal,
    vector_type,
)

_REDUCE_FLOAT = {"sum": "fadd", "prod": "fmul", "max": "fmaximum", "min": "fminimum"}
_REDUCE_INT = {
    **{"sum": "add", "prod": "mul", "max": "smax", "min": "smin"},
    **{"and": "and", "or": "or"},
}


class Register(NamedTuple):
    """LLVM type and name of one register."""

    type: str
    name: str


class BodyWriter:
    """Writes the ops of one function."""

    def __init__(self, writer: FunctionWriter, target: Target, buffers: dict[SSAValue, str]):
        self.writer = writer
        self.target = target
        self.buffers = buffers
        self.indices = Indices(writer)
        self.memory = Memory(writer, self.indices, self.register)
        self.pending: list[list[LoadOp]] = [[]]
        self.accesses: dict[Operation, Access] = {}

    # Registers of a tile.

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
        if any(bounds_depend_on_lane(term) for term in terms):
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
            value = self.index_vector(_simplified(at_lane, self.indices), 1)
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
        if not any(0 in _dims(term) for term in split[0]):
            return self.indices.condition(split, predicate)
        value = self.index_vector(expr, width)
        return self.writer.define(f"icmp {predicate} <{width} x i64> {value}, zeroinitializer")

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

    # Reductions.

    def contract(self, op: ContractOp, position: Position) -> str:
        """All registers at once, the summed points outermost: neighbours are independent."""
        acc_type = tile_type(op.acc)
        positions = list(self.positions(acc_type))
        names = [self.register(op.acc, at) for at in positions]
        element = scalar_type(acc_type.element_type)
        for point in self.summed(op):
            for i, at in enumerate(positions):
                full = Position(tuple(sorted([*at.axes, *point])), at.offset, at.width)
                if self.is_zero(op.lhs, full) or self.is_zero(op.rhs, full):
                    continue
                type_ = vector_type(element, at.width)
                args = [self.vector(op.lhs, full), self.vector(op.rhs, full), names[i]]
                names[i] = self.writer.call(
                    type_, f"llvm.fma.{mangled(type_)}", [(type_, arg) for arg in args]
                )
        for at, name in zip(positions, names, strict=True):
            self.writer.scope.memo[(op.res, at)] = name
        return names[positions.index(position)]

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
        from ...passes.loop.tile_body import combine_op

        element = tile_type(op.acc).element_type
        spec = arithmetic.Operation(self.writer, [lhs, rhs], element, element, width)
        return arithmetic.expand(combine_op(op.combiner.data, element), spec)

    def horizontal(self, op: ReduceOp, value: str, width: int) -> str:
        """The lanes of one register, combined in any order."""
        element = tile_type(op.acc).element_type
        scalar = scalar_type(element)
        if width == 1:
            return value
        type_ = vector_type(scalar, width)
        if scalar.startswith("i"):
            stem = f"llvm.vector.reduce.{_REDUCE_INT[op.combiner.data]}.{mangled(type_)}"
            return self.writer.call(scalar, stem, [(type_, value)])
        kind = _REDUCE_FLOAT[op.combiner.data]
        stem = f"llvm.vector.reduce.{kind}.{mangled(type_)}"
        if kind in ("fadd", "fmul"):
            start = splat_literal(-0.0 if kind == "fadd" else 1.0, scalar, 1)
            return self.writer.call(scalar, stem, [(scalar, start), (type_, value)], "reassoc ")
        return self.writer.call(scalar, stem, [(type_, value)])

    # Statements.

    def block(self, block: Block) -> None:
        """The ops of a block, up to its yield."""
        for op in block.ops:
            self.visit(op)

    def visit(self, op: Operation) -> None:
        """Write an op that has an effect; note a load; leave the rest until it is asked for."""
        if isinstance(op, LoadOp):
            self.pending[-1].append(op)
        elif isinstance(op, StoreOp):
            self.settle({op.dest})
            self.store(op)
        elif isinstance(op, ForOp):
            self.prepare(op)
            self.loop(op)
        elif isinstance(op, IfOp):
            self.prepare(op)
            self.branch(op)

    def settle(self, written: set[SSAValue]) -> None:
        """Write the loads that must come before a store to one of these buffers."""
        for loads in self.pending:
            for load in loads:
                if load.source in written:
                    self.force(load.res)

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

    def prepare(self, op: ForOp | IfOp) -> None:
        """Write what a region uses from outside, and loads that it would overtake."""
        written: set[SSAValue] = set()
        defined: set[SSAValue] = set()
        used: list[SSAValue] = []
        for inner in op.walk():
            if isinstance(inner, StoreOp):
                written.add(inner.dest)
            defined.update(inner.results)
            for region in inner.regions:
                for block in region.blocks:
                    defined.update(block.args)
            if inner is not op:
                used.extend(inner.operands)
        self.settle(written)
        for value in dict.fromkeys(used):
            if value not in defined and isinstance(value.type, TileType):
                self.force(value)

    def store(self, op: StoreOp) -> None:
        access = self.access(op)
        for position in self.positions(tile_type(op.value)):
            mask = self.mask_of(op.mask, position)
            if mask != "false":
                value = self.vector(op.value, position)
                self.memory.store(op, access, position, value, mask)

    def registers(self, values: Sequence[SSAValue]) -> list[Register]:
        """Every register of these tiles, in order."""
        result: list[Register] = []
        for value in values:
            type_ = tile_type(value)
            scalar = scalar_type(type_.element_type)
            for position in self.positions(type_):
                llvm = vector_type(scalar, position.width)
                result.append(Register(llvm, self.vector(value, position)))
        return result

    def bound(self, exprs: Sequence[AffineExpr], args: Sequence[SSAValue], stem: str) -> str:
        """The maximum or minimum of index expressions."""
        result: str | None = None
        for expr in exprs:
            over = substitute(expr, self.indices.dims(args))
            value = self.index_vector(over, 1)
            if result is None:
                result = value
            elif result != value:
                args_ = [("i64", result), ("i64", value)]
                result = self.writer.call("i64", f"llvm.{stem}.i64", args_)
        assert result is not None
        return result

    def interval(self, op: ForOp) -> Range | None:
        """What is known of a loop's variable."""
        known = self.indices.known()
        ends: list[int | None] = [None, None]
        for side, map_, args in ((0, op.lower, op.lower_args), (1, op.upper, op.upper_args)):
            for expr in map_.data.results:
                span = bounds(substitute(expr, self.indices.dims(list(args))), known)
                if span is not None:
                    end = span[0] if side == 0 else span[1] - 1
                    held = ends[side]
                    best = max if side == 0 else min
                    ends[side] = end if held is None else best(held, end)
        low, high = ends
        return None if low is None or high is None else (low, max(high, low + 1))

    def loop(self, op: ForOp, override: tuple[str, str] | None = None) -> None:
        """A loop with its test at the end, carried registers as phis."""
        lower = self.bound(op.lower.data.results, list(op.lower_args), "smax")
        upper = self.bound(op.upper.data.results, list(op.upper_args), "smin")
        interval = self.interval(op)
        if override is not None:
            lower, upper = override
        runs = override is None and lower.lstrip("-").isdigit() and upper.lstrip("-").isdigit()
        runs = runs and int(lower) < int(upper)
        inits = self.registers(list(op.inits))
        body, done = self.writer.fresh_label("loop"), self.writer.fresh_label("done")
        if runs:
            self.writer.line(f"br label %{body}")
        else:
            enter = self.writer.define(f"icmp slt i64 {lower}, {upper}")
            self.writer.line(f"br i1 {enter}, label %{body}, label %{done}")
        before = self.writer.label
        iv = self.writer.name("i")
        scope = self.writer.enter(body)
        self.pending.append([])
        self.indices.add(op.variable, iv, interval)
        phis = self._carry(op)
        self.block(op.body.block)
        yielded = self._yielded(op)
        step = self.writer.define(f"add nsw i64 {iv}, 1")
        again = self.writer.define(f"icmp slt i64 {step}, {upper}")
        latch = self.writer.label
        self.writer.line(f"br i1 {again}, label %{body}, label %{done}")
        scope.head.append(f"  {iv} = phi i64 [ {lower}, %{before} ], [ {step}, %{latch} ]")
        for phi, init, last in zip(phis, inits, yielded, strict=True):
            scope.head.append(
                f"  {phi} = phi {init.type} [ {init.name}, %{before} ], [ {last.name}, %{latch} ]"
            )
        self.pending.pop()
        self.writer.leave()
        self.writer.start_block(done)
        self._results(op, inits, yielded, None if runs else before, latch)

    def _carry(self, op: ForOp) -> list[str]:
        """Names of the carried registers inside the loop."""
        names: list[str] = []
        for argument in op.body.block.args[1:]:
            for position in self.positions(tile_type(argument)):
                name = self.writer.name("a")
                self.writer.scope.memo[(argument, position)] = name
                names.append(name)
        return names

    def _yielded(self, op: ForOp | IfOp) -> list[Register]:
        last = (op.body if isinstance(op, ForOp) else op.then).block.last_op
        return self.registers(list(last.operands)) if isinstance(last, YieldOp) else []

    def _results(
        self,
        op: ForOp,
        inits: Sequence[Register],
        yielded: Sequence[Register],
        before: str | None,
        latch: str,
    ) -> None:
        """Registers after the loop: the last ones, or the first where it may not have run."""
        places = [(res, at) for res in op.results for at in self.positions(tile_type(res))]
        for (result, position), init, last in zip(places, inits, yielded, strict=True):
            name = last.name
            if before is not None:
                name = self.writer.define(
                    f"phi {init.type} [ {init.name}, %{before} ], [ {name}, %{latch} ]"
                )
            self.writer.scope.memo[(result, position)] = name

    def branch(self, op: IfOp) -> None:
        """A conditional without results."""
        if op.results:
            raise PassError("a conditional with results has no LLVM form", where=describe(op))
        condition = "true"
        dims = self.indices.dims(list(op.ivs))
        for constraint in op.condition.data.constraints:
            expr = _simplified(substitute(constraint.lhs, dims), self.indices)
            part = self.constraint(expr, constraint.kind, 1)
            condition = "false" if "false" in (part, condition) else self.both(condition, part, 1)
        then, join = self.writer.fresh_label("then"), self.writer.fresh_label("join")
        otherwise = self.writer.fresh_label("else") if op.otherwise is not None else join
        self.writer.line(f"br i1 {condition}, label %{then}, label %{otherwise}")
        for label, region in ((then, op.then), (otherwise, op.otherwise)):
            if region is not None:
                self.writer.enter(label)
                self.pending.append([])
                self.block(region.block)
                self.writer.line(f"br label %{join}")
                self.pending.pop()
                self.writer.leave()
        self.writer.start_block(join)


_PRODUCE: dict[type[Operation], Callable[[BodyWriter, Any, Position], str]] = {
    ConstantOp: BodyWriter.constant,
    TableOp: BodyWriter.table,
    IotaOp: BodyWriter.iota,
    MaskOp: BodyWriter.mask,
    PickOp: BodyWriter.pick,
    LoadOp: BodyWriter.load,
    ContractOp: BodyWriter.contract,
    ReduceOp: BodyWriter.reduce,
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


def bounds_depend_on_lane(term: AffineExpr) -> bool:
    """Whether a quotient or remainder contains the lane."""
    return 0 in _dims(term)


def _dims(term: AffineExpr) -> set[int]:
    return used(term)[0]


def _simplified(expr: AffineExpr, indices: Indices) -> AffineExpr:
    return simplify(expr, indices.known())


def _number(value: object) -> float | int:
    """The number in a FloatAttr or IntegerAttr; 0 for none."""
    return getattr(getattr(value, "value", None), "data", 0)


def kernel_level_alloc(op: Operation) -> bool:
    """Whether an op is a temporary of a whole kernel."""
    return isinstance(op, AllocOp) and buffer_type(op.res).space.data == "global"
