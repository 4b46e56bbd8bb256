"""Lifting a statement's scalar body to tiles: one tile op for each scalar op.

A value has the tile axes it depends on, by name; what lacks an axis broadcasts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, cast

from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, IndexType, IntegerAttr, TensorType, i1
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstraintExpr,
    AffineConstraintKind,
    AffineExpr,
    AffineMap,
    AffineSet,
    AffineSymExpr,
)

from ...core.affine import bounds, const, dim, substitute, used
from ...core.errors import PassError
from ...core.locations import describe
from ...dialects.loop import (
    ELEMENTWISE,
    CoeffOp,
    ConstantOp,
    IndexOp,
    IotaOp,
    LoadOp,
    MaskOp,
    PickOp,
    ReadOp,
    StmtOp,
    StoreOp,
    TableOp,
    TileType,
    buffer_type,
    tile_type,
)
from .tile_space import LoopSpace, Statement, read_guards

Emit = Callable[[Operation], Operation]


@dataclass
class RegisterTile:
    """What a register buffer holds: a tile, and where each of its dimensions came from."""

    tile: SSAValue
    exprs: list[AffineExpr]


@dataclass
class TileWriter:
    """Writes tile ops for statements of one kernel.

    Attributes:
        emit: appends an op at the current place.
        at: says which op of the nest the next ones come from.
        registers: contents of register buffers, by buffer.
        buffers: the new value of each buffer of the nest.
    """

    space: LoopSpace
    emit: Emit
    at: Callable[[Operation], None]
    registers: dict[SSAValue, RegisterTile] = field(default_factory=dict[SSAValue, RegisterTile])
    buffers: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])

    def add(self, op: Operation) -> SSAValue:
        """Emit an op with one result."""
        return self.emit(op).results[0]

    def tile(self, numbers: Sequence[int], element: Attribute) -> TileType:
        """The tile type over these axes, in their order."""
        return TileType.get([self.space.axes[n] for n in self.space.in_order(numbers)], element)

    def numbers_of(self, *values: SSAValue) -> list[int]:
        """The axes that tiles have together."""
        by_label = {axis.label: n for n, axis in self.space.axes.items()}
        return self.space.in_order(by_label[label] for v in values for label in tile_type(v).labels)

    def constant(
        self, value: Attribute, element: Attribute, numbers: Sequence[int] = ()
    ) -> SSAValue:
        """The same value everywhere."""
        return self.add(ConstantOp(value, self.tile(numbers, element)))

    def elementwise(self, name: str, args: Sequence[SSAValue], element: Attribute) -> SSAValue:
        """A tile op by the name of the scalar one (`arith.addf`)."""
        type_ = self.tile(self.numbers_of(*args), element)
        return self.add(ELEMENTWISE[name](args, type_))

    def mask(self, guards: Sequence[AffineExpr], equal: bool = False) -> SSAValue | None:
        """Where all guards are >= 0 (or, with `equal`, are 0); `None` for no guards."""
        if not guards:
            return None
        kind = AffineConstraintKind.eq if equal else AffineConstraintKind.ge
        numbers = self.space.axis_numbers(guards)
        operands, exprs = self.space.project(guards, numbers)
        constraints = tuple(AffineConstraintExpr(kind, expr, const(0)) for expr in exprs)
        condition = AffineSet(len(operands) + len(numbers), 0, constraints)
        return self.add(MaskOp(condition, operands, self.tile(numbers, i1)))

    def mask_with_opaque(
        self, guards: Sequence[AffineExpr], indices: Sequence[SSAValue]
    ) -> SSAValue | None:
        """As `mask`, where guards may also mention opaque indices (symbols)."""
        affine = [guard for guard in guards if not used(guard)[1]]
        mask = self.mask(affine)
        for guard in guards:
            if guard not in affine:
                zero = self.constant(IntegerAttr.from_index_int_value(0), IndexType())
                value = self.index_tile(guard, indices)
                type_ = self.tile(self.numbers_of(value), i1)
                at_least = IntegerAttr(5, 64)  # arith.cmpi's sge
                holds = self.add(ELEMENTWISE["arith.cmpi"]([value, zero], type_, at_least))
                both = [mask, holds] if mask is not None else [holds]
                mask = self.elementwise("arith.andi", both, i1) if len(both) > 1 else holds
        return mask

    def index_tile(self, expr: AffineExpr, indices: Sequence[SSAValue]) -> SSAValue:
        """The value of an index expression with opaque indices in it."""
        if isinstance(expr, AffineSymExpr):
            return indices[expr.position]
        if not used(expr)[1]:
            return self.iota(expr)
        assert isinstance(expr, AffineBinaryOpExpr)
        lhs = self.index_tile(expr.lhs, indices)
        rhs = self.index_tile(expr.rhs, indices)
        ops = {
            AffineBinaryOpKind.Add: "arith.addi",
            AffineBinaryOpKind.Mul: "arith.muli",
            AffineBinaryOpKind.FloorDiv: "arith.floordivsi",
            AffineBinaryOpKind.CeilDiv: "arith.ceildivsi",
        }
        if expr.kind in ops:
            return self.elementwise(ops[expr.kind], [lhs, rhs], IndexType())
        quotient = self.elementwise("arith.floordivsi", [lhs, rhs], IndexType())
        multiple = self.elementwise("arith.muli", [quotient, rhs], IndexType())
        return self.elementwise("arith.subi", [lhs, multiple], IndexType())

    def broadcast(self, value: SSAValue, numbers: Sequence[int]) -> SSAValue:
        """`value` with exactly these axes, some of which it lacks."""
        have = self.numbers_of(value)
        want = self.space.in_order(numbers)
        if have == want:
            return value
        position = {n: i for i, n in enumerate(want)}
        map_ = AffineMap(len(want), 0, tuple(dim(position[n]) for n in have))
        return self.add(PickOp(value, map_, self.tile(want, tile_type(value).element_type)))

    def relabel_all(
        self, values: Sequence[SSAValue], have: Sequence[int], want: Sequence[int]
    ) -> list[SSAValue]:
        """Tiles with the axes `want` in the places of `have`."""
        if list(have) == list(want):
            return list(values)
        identity = AffineMap.identity(len(have))
        return [
            self.add(PickOp(value, identity, self.tile(want, tile_type(value).element_type)))
            for value in values
        ]

    # Statements.

    def body(self, statement: Statement, block: Block, masks: Masks) -> list[SSAValue]:
        """Tiles that the body of a statement yields."""
        values: dict[SSAValue, SSAValue] = {}
        for op in block.ops:
            if op is block.last_op:
                self.at(op)
                return [values[operand] for operand in op.operands]
            for result in op.results:
                values[result] = self.scalar_op(statement, op, values, masks)
        raise AssertionError("a body ends with a yield")

    def inline(self, block: Block, args: Sequence[SSAValue]) -> list[SSAValue]:
        """Tiles that a combine region yields for these arguments."""
        values: dict[SSAValue, SSAValue] = dict(zip(block.args, args, strict=True))
        for op in block.ops:
            if op is block.last_op:
                return [values[operand] for operand in op.operands]
            values[op.results[0]] = self.pure_op(op, values)
        raise AssertionError("a combine region ends with a yield")

    def scalar_op(
        self,
        statement: Statement,
        op: Operation,
        values: dict[SSAValue, SSAValue],
        masks: Masks,
    ) -> SSAValue:
        """The tile of one scalar op."""
        self.at(op)
        if isinstance(op, ReadOp):
            return self.read(statement, op, [values[s] for s in op.symbols], masks)
        if isinstance(op, IndexOp):
            position = [axis.label for axis in statement.op.axes].index(op.axis.data)
            return self.iota(statement.axis_exprs[position])
        if isinstance(op, CoeffOp):
            return self.table(statement, op)
        return self.pure_op(op, values)

    def pure_op(self, op: Operation, values: dict[SSAValue, SSAValue]) -> SSAValue:
        """The tile of an arith or math op."""
        if op.name == "arith.constant":
            return self.constant(op.properties["value"], op.results[0].type)
        if op.name not in ELEMENTWISE:
            raise PassError(
                f"'{op.name}' in a statement's body has no tile form",
                where=describe(op),
                hint="bodies are straight lines of arith and math ops",
            )
        args = [values[operand] for operand in op.operands]
        type_ = self.tile(self.numbers_of(*args), op.results[0].type)
        predicate = cast("IntegerAttr[Any] | None", op.properties.get("predicate"))
        return self.add(ELEMENTWISE[op.name](args, type_, predicate))

    def iota(self, expr: AffineExpr) -> SSAValue:
        """The value of an index expression."""
        numbers = self.space.axis_numbers([expr])
        operands, exprs = self.space.project([expr], numbers)
        map_ = AffineMap(len(operands) + len(numbers), 0, tuple(exprs))
        return self.add(IotaOp(map_, operands, self.tile(numbers, IndexType())))

    def table(self, statement: Statement, op: CoeffOp) -> SSAValue:
        """A literal matrix read at constant or tile positions."""
        exprs = statement.access(op.map.data.results, 0, self.space)
        numbers = self.space.axis_numbers(exprs)
        if self.space.loop_numbers(exprs) or any(self.space.axes[n].is_lanes for n in numbers):
            raise PassError(
                "a literal matrix is indexed by a loop that stays",
                where=describe(op),
                hint="unroll the loops that index it",
            )
        shape = [self.space.axes[n].extent for n in numbers]
        source = list(op.values.get_values())
        extents = op.values.get_shape()
        entries: list[Any] = []
        for point in product(*(range(extent) for extent in shape)):
            dims = [const(0)] * len(self.space.ranges.dims)
            for n, position in zip(numbers, point, strict=True):
                dims[n] = const(position)
            flat = 0
            for expr, extent in zip(exprs, extents, strict=True):
                flat = flat * extent + substitute(expr, dims).eval([], [])
            entries.append(source[flat])
        element = op.res.type
        type_ = cast("TensorType[Any]", TensorType(element, shape))
        values = DenseIntOrFPElementsAttr.from_list(type_, entries)
        return self.add(TableOp(values, self.tile(numbers, element)))

    # Memory.

    def read(
        self, statement: Statement, op: ReadOp, indices: Sequence[SSAValue], masks: Masks
    ) -> SSAValue:
        """The tile that a read gives: a load, or registers."""
        exprs = statement.access(op.map.data.results, len(indices), self.space)
        guards: list[AffineExpr] = []
        if op.fill is not None:
            guards = [g for g in read_guards(exprs, op, self.space) if g not in masks.discharged]
        elif op.source not in self.registers:  # a guarded read is masked anyway
            guards = masks.for_access(op.source, op.map.data, exprs, self.space)
        if op.source in self.registers:
            result = self.pick(op, self.registers[op.source], exprs)
            mask = self.mask(guards)
            if mask is None or op.fill is None:
                return result
            fill = self.constant(op.fill, op.res.type)
            return self.elementwise("arith.select", [mask, result, fill], op.res.type)
        numbers = self.space.axis_numbers([*exprs, *guards])
        numbers = self.space.in_order([*numbers, *self.numbers_of(*indices)])
        mask = self.mask_with_opaque(guards, indices)
        operands, dims = self.space.project(exprs, numbers)
        map_ = AffineMap(len(operands) + len(numbers), len(indices), tuple(dims))
        type_ = self.tile(numbers, op.res.type)
        source = self.buffers.get(op.source, op.source)
        load = LoadOp(source, map_, type_, ivs=operands, indices=indices, mask=mask, fill=op.fill)
        return self.add(load)

    def pick(self, op: Operation, held: RegisterTile, exprs: Sequence[AffineExpr]) -> SSAValue:
        """What `op` sees of a register buffer: registers of the tile that was written."""
        position = self._positions(op, held, exprs)
        numbers = self.space.axis_numbers(position.values())
        _, dims = self.space.project(list(position.values()), numbers)
        if dims == [dim(i) for i in range(len(dims))] and numbers == list(position):
            return held.tile
        map_ = AffineMap(len(numbers), 0, tuple(dims))
        type_ = self.tile(numbers, tile_type(held.tile).element_type)
        return self.add(PickOp(held.tile, map_, type_))

    def _positions(
        self, op: Operation, held: RegisterTile, exprs: Sequence[AffineExpr]
    ) -> dict[int, AffineExpr]:
        """Where `op` reads on each axis of a register buffer's tile, by the axis's number.

        Raises: PassError: at no place that is known now, or outside of the tile.
        """
        position: dict[int, AffineExpr] = {n: dim(n) for n in self.numbers_of(held.tile)}
        for written, wanted in zip(held.exprs, exprs, strict=True):
            axes = [n for n in self.space.axis_numbers([written]) if n in position]
            offset = self._offset(op, written, wanted, axes)
            if axes:
                position[axes[0]] = offset
        for n, expr in position.items():
            span = bounds(expr, self.space.ranges)
            if span is None or span[0] < 0 or span[1] > self.space.axes[n].extent:
                raise PassError(
                    "a guarded read of a register buffer reaches outside it",
                    where=describe(op),
                    hint="keep the buffer in scratch",
                )
        return position

    def _offset(
        self, op: Operation, written: AffineExpr, wanted: AffineExpr, axes: Sequence[int]
    ) -> AffineExpr:
        """How far along the one axis that indexes a dimension of a register buffer `op` reads.

        Raises: PassError: at no place that is known now, or along lanes where there are none.
        """
        space = self.space
        dims = [const(0) if n in axes else dim(n) for n in range(len(space.ranges.dims))]
        offset = space.simplify(wanted - substitute(written, dims))
        if len(axes) > 1 or space.loop_numbers([offset]) or (not axes and offset != const(0)):
            raise PassError(
                "a register buffer is read at an index that is not constant",
                where=describe(op),
                hint="unroll or vectorize the loops that index it, or keep it in scratch",
            )
        across = [n for n in space.axis_numbers([offset]) if space.axes[n].is_lanes]
        if axes and across and not space.axes[axes[0]].is_lanes:
            raise PassError(
                "a register buffer is read along lanes, and was written register by register",
                where=describe(op),
                hint="vectorize the loop that writes it, or keep it in scratch",
            )
        return offset

    def write(self, statement: Statement, index: int, value: SSAValue, masks: Masks) -> None:
        """Put a tile where result `index` of a statement goes."""
        op = statement.op
        dest = op.outs[index]
        exprs = statement.access(op.out_maps.data[index].data.results, 0, self.space)
        kept = masks.guards if _has_other_writer(op, dest) else []
        around = [guard for guard in kept if not used(guard)[0] & statement.reduce_numbers]
        if buffer_type(dest).space.data == "register":
            mask = self.mask(around)
            if mask is not None and dest in self.registers:
                before = self.pick(op, self.registers[dest], exprs)
                element = tile_type(value).element_type
                value = self.elementwise("arith.select", [mask, value, before], element)
            numbers = {*self.space.axis_numbers(exprs), *self.numbers_of(value)}
            tile = self.broadcast(value, self.space.in_order(numbers))
            self.registers[dest] = RegisterTile(tile, exprs)
            return
        numbers = self.space.axis_numbers(exprs)
        extra = [n for n in self.numbers_of(value) if n not in numbers]
        if extra:
            raise PassError(
                f"axis '{self.space.axes[extra[0]].label}' is not an axis of what is written",
                where=describe(op),
                hint="compute this inside the loop that is not vectorized or unrolled",
            )
        mask = self.mask(
            around or masks.for_access(dest, op.out_maps.data[index].data, exprs, self.space)
        )
        operands, dims = self.space.project(exprs, numbers)
        map_ = AffineMap(len(operands) + len(numbers), 0, tuple(dims))
        source = self.broadcast(value, numbers)
        target = self.buffers.get(dest, dest)
        self.emit(StoreOp(source, target, map_, ivs=operands, mask=mask))

    def load_out(self, statement: Statement, index: int, masks: Masks) -> SSAValue:
        """What result `index` of a statement holds so far."""
        op = statement.op
        dest = op.outs[index]
        exprs = statement.access(op.out_maps.data[index].data.results, 0, self.space)
        if buffer_type(dest).space.data == "register":
            if dest not in self.registers:
                raise PassError(
                    "a register buffer is added to in a loop that does not carry it",
                    where=describe(op),
                    hint="keep the buffer in scratch, or reorder the reduce loops inside",
                )
            return self.pick(op, self.registers[dest], exprs)
        numbers = self.space.axis_numbers(exprs)
        operands, dims = self.space.project(exprs, numbers)
        map_ = AffineMap(len(operands) + len(numbers), 0, tuple(dims))
        type_ = self.tile(numbers, buffer_type(dest).element_type)
        mask = self.mask(masks.for_access(dest, op.out_maps.data[index].data, exprs, self.space))
        source = self.buffers.get(dest, dest)
        return self.add(LoadOp(source, map_, type_, ivs=operands, mask=mask))


def _has_other_writer(stmt: StmtOp, buffer: SSAValue) -> bool:
    """Whether another compute writes the buffer too: the guard's value around a part of it."""
    return any(
        isinstance(use.operation, StmtOp)
        and use.operation.sym_name != stmt.sym_name
        and buffer in tuple(use.operation.outs)
        for use in buffer.uses
    )


@dataclass
class Masks:
    """Guards of a statement that its memory accesses must still respect.

    Attributes:
        guards: of the statement's domain, not yet seen to by a loop's bounds or a condition.
        discharged: guards that are seen to.
        axes: the axes that a guard keeps in their extents.
    """

    guards: list[AffineExpr]
    discharged: list[AffineExpr]
    axes: Mapping[AffineExpr, set[int]]

    def for_access(
        self, buffer: SSAValue, map_: AffineMap, exprs: Sequence[AffineExpr], space: LoopSpace
    ) -> list[AffineExpr]:
        """The guards without which this access could leave its buffer's memory.

        Those of axes that `map_` does not mention are none of them, though they may share a fused
        loop with it. Lanes of padding are memory: what lies inside the physical extents may be
        touched.
        """
        type_ = buffer_type(buffer)
        physical = [
            space.simplify(substitute(expr, list(exprs))) for expr in type_.layout_map.results
        ]
        outside = False
        touched: set[int] = set()
        for expr, extent in zip(physical, type_.physical_shape, strict=True):
            if not (space.holds(expr) and space.holds(const(extent - 1) - expr)):
                outside, touched = True, touched | used(expr)[0]
        never = [g for g in self.guards if outside and not used(g)[0]]
        own = {axis for expr in map_.results for axis in used(expr)[0]}
        return never or [
            guard
            for guard in self.guards
            if used(guard)[0] & touched and self.axes.get(guard, own) & own
        ]
