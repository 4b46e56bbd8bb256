"""Tile form: n-D vectors as values, made by form-tiles. `__init__.py` shows an example."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    AffineMapAttr,
    AffineSetAttr,
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    IndexType,
    StringAttr,
    i1,
)
from xdsl.ir import Attribute, Region, SSAValue
from xdsl.ir.affine import AffineMap, AffineSet
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    opt_region_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import (
    MemoryReadEffect,
    MemoryWriteEffect,
    NoTerminator,
    Pure,
    RecursiveMemoryEffect,
)
from xdsl.utils.exceptions import VerifyException

from ...core.affine import Ranges, bounds
from ..intrinsics import INTRINSICS
from .types import BufferType, TileType, buffer_type, tile_type


@irdl_op_definition
class IfOp(IRDLOperation):
    """Runs a region where an affine condition over loop variables holds.

        loop.if (97 - 8 * %io >= 0) { ... } else { ... }

    With results, both regions end with `loop.yield`.
    """

    name = "loop.if"
    condition = prop_def(AffineSetAttr)
    ivs = var_operand_def(IndexType)
    res = var_result_def()
    then = region_def("single_block")
    otherwise = opt_region_def("single_block")
    traits = traits_def(RecursiveMemoryEffect(), NoTerminator())

    def __init__(
        self,
        condition: AffineSet,
        ivs: Sequence[SSAValue],
        then: Region,
        otherwise: Region | None = None,
        result_types: Sequence[Attribute] = (),
    ):
        super().__init__(
            operands=[list(ivs)],
            properties={"condition": AffineSetAttr(condition)},
            result_types=[list(result_types)],
            regions=[then, [otherwise] if otherwise else []],
        )

    def verify_(self) -> None:
        if self.condition.data.num_dims != len(self.ivs):
            raise VerifyException("the condition's dimensions differ from its operands")
        if self.results and self.otherwise is None:
            raise VerifyException("a conditional with results needs an else region")


@irdl_op_definition
class LoadOp(IRDLOperation):
    """A tile from memory.

        %l = loop.load %x[8 * %io + i, %k] : tile<i: 8, f32>
        %g = loop.load %t[$0, j](%id) : tile<i: 8, j: 16 lanes, f32>       opaque index tile %id
        %m = loop.load %x[%io + l] mask %ok else 0.0 : tile<l: 16 lanes, f32>

    The map's dimensions are `ivs`, then the result's axes; its symbols are `indices` (tiles of
    index). Where `mask` is false no memory is touched and the element is `fill` (default zero).
    """

    name = "loop.load"
    source = operand_def(BufferType)
    ivs = var_operand_def(IndexType)
    indices = var_operand_def(TileType)
    mask = opt_operand_def(TileType)
    map = prop_def(AffineMapAttr)
    fill = opt_prop_def(Attribute)
    res = result_def(TileType)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(MemoryReadEffect())

    def __init__(
        self,
        source: SSAValue,
        map_: AffineMap,
        type_: TileType,
        *,
        ivs: Sequence[SSAValue] = (),
        indices: Sequence[SSAValue] = (),
        mask: SSAValue | None = None,
        fill: Attribute | None = None,
    ):
        super().__init__(
            operands=[source, list(ivs), list(indices), mask],
            properties={"map": AffineMapAttr(map_), "fill": fill},
            result_types=[type_],
        )

    def verify_(self) -> None:
        _verify_access(self, self.source, self.res)


@irdl_op_definition
class StoreOp(IRDLOperation):
    """A tile to memory: `loop.store %m, %y[8 * %io + i, 48 * %jo + j] mask %ok`."""

    name = "loop.store"
    value = operand_def(TileType)
    dest = operand_def(BufferType)
    ivs = var_operand_def(IndexType)
    indices = var_operand_def(TileType)
    mask = opt_operand_def(TileType)
    map = prop_def(AffineMapAttr)
    irdl_options = (AttrSizedOperandSegments(as_property=True),)
    traits = traits_def(MemoryWriteEffect())

    def __init__(
        self,
        value: SSAValue,
        dest: SSAValue,
        map_: AffineMap,
        *,
        ivs: Sequence[SSAValue] = (),
        indices: Sequence[SSAValue] = (),
        mask: SSAValue | None = None,
    ):
        super().__init__(
            operands=[value, dest, list(ivs), list(indices), mask],
            properties={"map": AffineMapAttr(map_)},
        )

    def verify_(self) -> None:
        _verify_access(self, self.dest, self.value)


def _verify_access(op: LoadOp | StoreOp, memory: SSAValue, value: SSAValue) -> None:
    """Whether an op may read a tile from a buffer, or write it there."""
    buffer, tile, map_ = buffer_type(memory), tile_type(value), op.map.data
    if map_.num_dims != len(op.ivs) + len(tile.axes):
        raise VerifyException("the map's dimensions are the loop variables, then the tile's axes")
    if map_.num_symbols != len(op.indices):
        raise VerifyException("the map's symbols are the opaque indices")
    if len(map_.results) != len(buffer.extents):
        raise VerifyException("the map has one result for each dimension of the buffer")
    if tile.element_type != buffer.element_type:
        raise VerifyException("element types of the tile and the buffer differ")


@irdl_op_definition
class ConstantOp(IRDLOperation):
    """One value in every element: `loop.constant 0.0 : tile<i: 8, j: 48 lanes, f32>`."""

    name = "loop.constant"
    value = prop_def(Attribute)
    res = result_def(TileType)
    traits = traits_def(Pure())

    def __init__(self, value: Attribute, type_: TileType):
        super().__init__(properties={"value": value}, result_types=[type_])


@irdl_op_definition
class TableOp(IRDLOperation):
    """A tile of literals over register axes: the form of `te.coeff` when its indices are constant.

    `values` has one dimension for each axis of the result.
    """

    name = "loop.table"
    values = prop_def(DenseIntOrFPElementsAttr)
    res = result_def(TileType)
    traits = traits_def(Pure())

    def __init__(self, values: DenseIntOrFPElementsAttr, type_: TileType):
        super().__init__(properties={"values": values}, result_types=[type_])

    def verify_(self) -> None:
        assert isinstance(self.res.type, TileType)
        if self.values.get_shape() != tuple(axis.extent for axis in self.res.type.axes):
            raise VerifyException("the literal's shape differs from the tile's")


@irdl_op_definition
class IotaOp(IRDLOperation):
    """Positions: an affine expression of loop variables and the tile's axes, as indices."""

    name = "loop.iota"
    ivs = var_operand_def(IndexType)
    map = prop_def(AffineMapAttr)
    res = result_def(TileType)
    traits = traits_def(Pure())

    def __init__(self, map_: AffineMap, ivs: Sequence[SSAValue], type_: TileType):
        super().__init__(
            operands=[list(ivs)], properties={"map": AffineMapAttr(map_)}, result_types=[type_]
        )

    def verify_(self) -> None:
        assert isinstance(self.res.type, TileType)
        if self.map.data.num_dims != len(self.ivs) + len(self.res.type.axes):
            raise VerifyException("the map's dimensions are the loop variables, then the axes")


@irdl_op_definition
class MaskOp(IRDLOperation):
    """Where an affine condition holds: `loop.mask (99 - 16 * %o - l >= 0) : tile<l: 16 lanes, i1>`.

    The set's dimensions are `ivs`, then the result's axes; all of its constraints must hold.
    """

    name = "loop.mask"
    ivs = var_operand_def(IndexType)
    condition = prop_def(AffineSetAttr)
    res = result_def(TileType)
    traits = traits_def(Pure())

    def __init__(self, condition: AffineSet, ivs: Sequence[SSAValue], type_: TileType):
        super().__init__(
            operands=[list(ivs)],
            properties={"condition": AffineSetAttr(condition)},
            result_types=[type_],
        )

    def verify_(self) -> None:
        assert isinstance(self.res.type, TileType)
        if self.res.type.element_type != i1:
            raise VerifyException("a mask is a tile of i1")
        if self.condition.data.num_dims != len(self.ivs) + len(self.res.type.axes):
            raise VerifyException("the set's dimensions are the loop variables, then the axes")


@irdl_op_definition
class ContractOp(IRDLOperation):
    """Multiply-accumulate: acc + sum of lhs * rhs over the axes that acc lacks.

        %n = loop.contract %l, %r, %a : tile<i: 8, j: 48 lanes, f32>

    Axes are matched by name. On a CPU it becomes fused multiply-adds, one for each register of the
    result and each point of the summed axes, in order; zeros of a `loop.table` add no term.
    """

    name = "loop.contract"
    lhs = operand_def(TileType)
    rhs = operand_def(TileType)
    acc = operand_def(TileType)
    res = result_def(TileType)
    traits = traits_def(Pure())

    def __init__(self, lhs: SSAValue, rhs: SSAValue, acc: SSAValue):
        super().__init__(operands=[lhs, rhs, acc], result_types=[acc.type])

    def verify_(self) -> None:
        if self.acc.type != self.res.type:
            raise VerifyException("the accumulator's and the result's types differ")


@irdl_op_definition
class IntrinsicOp(IRDLOperation):
    """A machine instruction that `tensorize` has put in the place of a nest.

        %n = loop.intrinsic(%x, %w, %a) {intrinsic = "dot4_u8s8", labels = ["c.j.i", "c.k.i"]}
            : tile<c.i.i: 4, c.j.i: 16 lanes, i32>

    acc combined with what dialects/intrinsics.py says of the operands; `labels` are the tile axes
    that are the intrinsic's. It runs once for each position on other axes.
    """

    name = "loop.intrinsic"
    intrinsic = prop_def(StringAttr)
    labels = prop_def(ArrayAttr[StringAttr])
    args = var_operand_def(TileType)
    acc = operand_def(TileType)
    res = result_def(TileType)
    traits = traits_def(Pure())

    def __init__(
        self, intrinsic: str, labels: Sequence[str], args: Sequence[SSAValue], acc: SSAValue
    ):
        super().__init__(
            operands=[list(args), acc],
            properties={
                "intrinsic": StringAttr(intrinsic),
                "labels": ArrayAttr([StringAttr(label) for label in labels]),
            },
            result_types=[acc.type],
        )

    def verify_(self) -> None:
        if self.intrinsic.data not in INTRINSICS:
            raise VerifyException(f"unknown intrinsic '{self.intrinsic.data}'")
        if len(self.labels) != 2 or len(self.args) != 2:
            raise VerifyException("an intrinsic has two operands, lanes and terms")
        lanes, terms = (label.data for label in self.labels)
        last = tile_type(self.acc).lanes
        if last is None or last.label != lanes or terms in tile_type(self.acc).labels:
            raise VerifyException("the accumulator has the intrinsic's lanes and not its terms")
        count = INTRINSICS[self.intrinsic.data].terms
        if any(a.extent != count for t in self.args for a in tile_type(t).axes if a.label == terms):
            raise VerifyException(f"'{self.intrinsic.data}' has {count} terms")
        if self.acc.type != self.res.type:
            raise VerifyException("the accumulator's and the result's types differ")


@irdl_op_definition
class ReduceOp(IRDLOperation):
    """Combine a tile over one axis into an accumulator that lacks it.

        %m = loop.reduce max "j" %x, %a : tile<i: 8, f32>

    A register axis is combined in order; over lanes the order is free, and integer results are
    exact.
    """

    name = "loop.reduce"
    combiner = prop_def(StringAttr)
    axis = prop_def(StringAttr)
    value = operand_def(TileType)
    acc = operand_def(TileType)
    res = result_def(TileType)
    traits = traits_def(Pure())

    def __init__(self, combiner: str, axis: str, value: SSAValue, acc: SSAValue):
        super().__init__(
            operands=[value, acc],
            properties={"combiner": StringAttr(combiner), "axis": StringAttr(axis)},
            result_types=[acc.type],
        )

    def verify_(self) -> None:
        assert isinstance(self.value.type, TileType)
        assert isinstance(self.acc.type, TileType)
        if self.axis.data not in self.value.type.labels:
            raise VerifyException(f"the value has no axis '{self.axis.data}'")
        if self.axis.data in self.acc.type.labels:
            raise VerifyException(f"the accumulator has the reduced axis '{self.axis.data}'")


@irdl_op_definition
class PickOp(IRDLOperation):
    """Registers of a tile under other axes: slice, relabel, window, broadcast; free.

        %s = loop.pick %t[i + 2, j] : tile<i: 5, j: 48 lanes, f32>

    The map takes the result's axes to a position on each axis of the value. The value's lanes axis
    is taken whole (its result is the lanes axis of the pick) or at a constant position.
    """

    name = "loop.pick"
    value = operand_def(TileType)
    map = prop_def(AffineMapAttr)
    res = result_def(TileType)
    traits = traits_def(Pure())

    def __init__(self, value: SSAValue, map_: AffineMap, type_: TileType):
        super().__init__(
            operands=[value], properties={"map": AffineMapAttr(map_)}, result_types=[type_]
        )

    def verify_(self) -> None:
        value, result, map_ = tile_type(self.value), tile_type(self.res), self.map.data
        if map_.num_dims != len(result.axes) or len(map_.results) != len(value.axes):
            raise VerifyException("the map takes the result's axes to the value's")
        ranges = Ranges(tuple((0, axis.extent) for axis in result.axes))
        for axis, expr in zip(value.axes, map_.results, strict=True):
            interval = bounds(expr, ranges)
            if interval is None or interval[0] < 0 or interval[1] > axis.extent:
                raise VerifyException(f"the pick leaves axis '{axis.label}' of {axis.extent}")
        if value.element_type != result.element_type:
            raise VerifyException("a pick keeps the element type")
