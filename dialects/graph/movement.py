"""The same elements in another shape: graph.reshape, graph.transpose, graph.expand, ...

%s = graph.constant dense<[0, -1, 12, 32]> : tensor<4xi64>
%y = graph.reshape(%x, %s) : tensor<[batch]x[seq]x12x32xf32>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from xdsl.dialects.builtin import AffineMapAttr, ArrayAttr, IntegerAttr, StringAttr
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)

from ...core.errors import ModelError
from ...core.irtypes import int_attr, int_values
from ...core.symbolic import Dim, exact_div, is_divisible, product
from .base import GraphOp, Pattern
from .checks import ALL, INDICES, expect, expect_rank, normal_axes, normal_axis
from .types import Dims, MaybeDim, broadcast, info, show, tensor_type
from .values import as_value, extents, integers, length

if TYPE_CHECKING:
    from .base import ShapeValue, ValueReader


def known_product(dims: Sequence[MaybeDim]) -> Dim | None:
    """The product, `None` if a factor is not known."""
    known = [dim for dim in dims if dim is not None]
    return product(known) if len(known) == len(dims) else None


class ElementOp(GraphOp):
    """The result has the element type of the first operand."""

    PATTERN: ClassVar = Pattern.INJECTIVE

    def infer_operands(self) -> Sequence[Attribute | None]:
        first = tensor_type(None, info(self.results[0]).element)
        return [first, *[None] * (len(self.operands) - 1)]


@irdl_op_definition
class ReshapeOp(ElementOp):
    """The elements in order, in another shape: an operand of i64.

    In `shape`, -1 is what remains, and 0 the extent of the data (itself, with `allowzero` = 1).
    """

    name = "graph.reshape"
    ONNX_NAME: ClassVar = "Reshape"

    data = operand_def()
    shape = operand_def()
    allowzero = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        expect_rank("shape", expect("shape", self.shape, INDICES), 1)
        wanted = extents(self.shape)
        if wanted is not None:
            zero_copies = not self.allowzero.value.data
            return [data.with_dims(reshape_dims(data.dims, wanted, zero_copies)).type]
        rank = length(self.shape)
        return [data.with_dims(None if rank is None else (None,) * rank).type]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        return [_reshaped(values(self.data), info(self.res).dims)]


def _reshaped(value: ShapeValue | None, shape: Dims | None) -> ShapeValue | None:
    if value is None or shape is None:
        return None
    known = [dim for dim in shape if isinstance(dim, int)]
    return value.reshape(known) if len(known) == len(shape) else None


def reshape_dims(data: Dims | None, wanted: Dims, zero_copies: bool) -> Dims:
    """The shape that a reshape to `wanted` gives.

    Raises: ModelError: the numbers of elements differ, or `wanted` is malformed.
    """
    result: list[MaybeDim] = []
    for position, extent in enumerate(wanted):
        if isinstance(extent, int) and extent < -1:
            raise ModelError(f"shape {show(wanted)} has a negative extent")
        if extent == 0 and zero_copies:
            if data is not None and position >= len(data):
                raise ModelError(f"shape {show(wanted)} copies an extent that {show(data)} lacks")
            extent = None if data is None else data[position]
        result.append(extent)
    if wanted.count(-1) > 1:
        raise ModelError(f"shape {show(wanted)} has more than one -1")
    total = None if data is None else known_product(data)
    if -1 in wanted:
        position = wanted.index(-1)
        result[position] = _remaining(total, data, result, position)
    elif total is not None:
        _check_count(total, data or (), result)
        if result.count(None) == 1 and 0 not in result:  # what an unknown extent must be
            position = result.index(None)
            result[position] = _remaining(total, data, result, position)
    return tuple(result)


def _remaining(
    total: Dim | None, data: Dims | None, result: Sequence[MaybeDim], position: int
) -> MaybeDim:
    """The extent at `position`, given the others; common factors of both sides cancel."""
    others = [*result[:position], *result[position + 1 :]]
    if total is None:  # the same unknown extents may stand on both sides
        return None
    rest = known_product(others)
    if rest is None:
        return None
    if rest == 0:
        raise ModelError(f"an extent cannot be found beside an extent of 0 in {show(others)}")
    if isinstance(total, int) and isinstance(rest, int) and not is_divisible(total, rest):
        raise ModelError(f"shape {show(data or ())} does not divide into {show(others)}")
    return exact_div(total, rest)


def _check_count(total: Dim, data: Dims, result: Sequence[MaybeDim]) -> None:
    count = known_product(result)
    if isinstance(total, int) and isinstance(count, int) and total != count:
        raise ModelError(f"{show(data)} has {total} elements, {show(result)} has {count}")


@irdl_op_definition
class FlattenOp(ElementOp):
    """A matrix: the dimensions before `axis` become its rows, those from it on its columns."""

    name = "graph.flatten"
    ONNX_NAME: ClassVar = "Flatten"

    data = operand_def()
    axis = opt_prop_def(IntegerAttr, int_attr(1))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        if data.dims is None:
            return [data.with_dims((None, None)).type]
        rank = len(data.dims)
        axis = self.axis.value.data
        axis = rank if axis == rank else normal_axis(axis, rank)
        return [
            data.with_dims([known_product(data.dims[:axis]), known_product(data.dims[axis:])]).type
        ]


@irdl_op_definition
class SqueezeOp(ElementOp):
    """Without the dimensions `axes`, which are 1; without all that are 1, if absent."""

    name = "graph.squeeze"
    ONNX_NAME: ClassVar = "Squeeze"

    data = operand_def()
    axes = opt_operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        if data.dims is None:
            return [data.type]
        if self.axes is None:
            certain = all(isinstance(extent, int) for extent in data.dims)
            kept = tuple(extent for extent in data.dims if extent != 1)
            return [data.with_dims(kept if certain else None).type]
        axes = integers(self.axes)
        if axes is None:
            count = length(self.axes)
            return [
                data.with_dims(None if count is None else (None,) * (len(data.dims) - count)).type
            ]
        normal = normal_axes(axes, len(data.dims))
        for axis in normal:
            if isinstance(data.dims[axis], int) and data.dims[axis] != 1:
                raise ModelError(f"dimension {axis} of {show(data.dims)} is not 1")
        kept = [extent for axis, extent in enumerate(data.dims) if axis not in normal]
        return [data.with_dims(kept).type]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        value, axes = values(self.data), integers(self.axes)
        if value is None or (self.axes is not None and axes is None):
            return [None]
        return [as_value(value.squeeze(axes))]


@irdl_op_definition
class UnsqueezeOp(ElementOp):
    """With new dimensions of 1 at the positions `axes` of the result."""

    name = "graph.unsqueeze"
    ONNX_NAME: ClassVar = "Unsqueeze"

    data = operand_def()
    axes = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        axes, count = integers(self.axes), length(self.axes)
        if axes is None and count is None:
            return [data.with_dims(None).type]
        if data.dims is None:
            return [data.type]
        rank = len(data.dims) + (len(axes) if axes is not None else count or 0)
        if axes is None:
            return [data.with_dims((None,) * rank).type]
        normal = normal_axes(axes, rank)
        rest = iter(data.dims)
        return [data.with_dims([1 if axis in normal else next(rest) for axis in range(rank)]).type]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        import numpy as np

        value, axes = values(self.data), integers(self.axes)
        return [None if value is None or axes is None else as_value(np.expand_dims(value, axes))]


@irdl_op_definition
class TransposeOp(GraphOp):
    """Dimension i of the result is dimension `perm[i]` of the data; reversed if absent."""

    name = "graph.transpose"
    ONNX_NAME: ClassVar = "Transpose"
    PATTERN: ClassVar = Pattern.INJECTIVE

    data = operand_def()
    perm = opt_prop_def(ArrayAttr[IntegerAttr])
    res = result_def()

    def permutation(self, rank: int) -> tuple[int, ...]:
        """`perm`, or its default.

        Raises: ModelError: no permutation of `rank` dimensions.
        """
        perm = int_values(self.perm) if self.perm is not None else tuple(range(rank))[::-1]
        if sorted(perm) != list(range(rank)):
            raise ModelError(f"perm {list(perm)} is no permutation of {rank} dimensions")
        return perm

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        if data.dims is None:
            unknown = None if self.perm is None else (None,) * len(self.perm)
            return [data.with_dims(unknown).type]
        return [data.with_dims([data.dims[i] for i in self.permutation(len(data.dims))]).type]

    def infer_operands(self) -> Sequence[Attribute | None]:
        result = info(self.res)
        if result.dims is None:
            return [result.type]
        perm = self.permutation(len(result.dims))
        return [result.with_dims([result.dims[perm.index(i)] for i in range(len(perm))]).type]


@irdl_op_definition
class RelayoutOp(ElementOp):
    """The same tensor in the memory layout that its result type names; no element changes.

    %b = graph.relayout(%x) : tensor<1x64x8x8xf32, layout ...>

    `assign-layouts` puts it where an operator with a layout meets one without.
    """

    name = "graph.relayout"

    x = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        return [expect("x", self.x).type]

    @staticmethod
    def to(value: SSAValue, layout: AffineMapAttr | None) -> RelayoutOp:
        """`value` in `layout`; `None` is row major."""
        found = info(value)
        type_ = tensor_type(found.dims, found.element, layout)
        return RelayoutOp(operands=[value], result_types=[type_])


@irdl_op_definition
class ExpandOp(ElementOp):
    """Broadcast of the data and `shape` (an operand of i64): either may be the larger."""

    name = "graph.expand"
    ONNX_NAME: ClassVar = "Expand"
    PATTERN: ClassVar = Pattern.BROADCAST

    data = operand_def()
    shape = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        expect_rank("shape", expect("shape", self.shape, INDICES), 1)
        wanted, rank = extents(self.shape), length(self.shape)
        if wanted is None and rank is not None:
            wanted = (None,) * rank
        return [data.with_dims(broadcast(data.dims, wanted)).type]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        import numpy as np

        value, shape = values(self.data), info(self.res).dims
        if value is None or shape is None or not all(isinstance(dim, int) for dim in shape):
            return [None]
        wanted: Any = shape
        return [as_value(np.broadcast_to(value, wanted))]


class BlockOp(ElementOp):
    """Between channels and blocks of pixels; data `x`: [n, c, h, w]."""

    x = operand_def()
    blocksize = prop_def(IntegerAttr)
    mode = opt_prop_def(StringAttr, StringAttr("DCR"))
    res = result_def()

    def read(self) -> tuple[Dims | None, int]:
        """The data's shape and the block size.

        Raises: ModelError: an attribute or the rank does not fit.
        """
        x = expect("x", self.x, ALL)
        expect_rank("x", x, 4)
        if self.mode.data not in ("DCR", "CRD"):
            raise ModelError(f"mode '{self.mode.data}', expected 'DCR' or 'CRD'")
        if self.blocksize.value.data < 1:
            raise ModelError(f"blocksize {self.blocksize.value.data}, expected 1 or more")
        return x.dims, self.blocksize.value.data


def _divided(extent: MaybeDim, divisor: int, what: str) -> MaybeDim:
    if isinstance(extent, int) and extent % divisor:
        raise ModelError(f"{what} {extent} is not a multiple of {divisor}")
    return None if extent is None else exact_div(extent, divisor)


def _times(extent: MaybeDim, factor: int) -> MaybeDim:
    return None if extent is None else extent * factor


@irdl_op_definition
class DepthToSpaceOp(BlockOp):
    """Channels become blocks of pixels; `mode` is the order of depth, column and row in them."""

    name = "graph.depth_to_space"
    ONNX_NAME: ClassVar = "DepthToSpace"

    def infer(self) -> Sequence[Attribute]:
        dims, block = self.read()
        n, c, h, w = dims or (None,) * 4
        channels = _divided(c, block * block, "the number of channels")
        shape = (n, channels, _times(h, block), _times(w, block))
        return [info(self.x).with_dims(shape).type]


@irdl_op_definition
class SpaceToDepthOp(BlockOp):
    """Blocks of pixels become channels."""

    name = "graph.space_to_depth"
    ONNX_NAME: ClassVar = "SpaceToDepth"

    def infer(self) -> Sequence[Attribute]:
        dims, block = self.read()
        n, c, h, w = dims or (None,) * 4
        height, width = _divided(h, block, "the height"), _divided(w, block, "the width")
        return [info(self.x).with_dims((n, _times(c, block * block), height, width)).type]


OPS = [
    DepthToSpaceOp,
    ExpandOp,
    FlattenOp,
    RelayoutOp,
    ReshapeOp,
    SpaceToDepthOp,
    SqueezeOp,
    TransposeOp,
    UnsqueezeOp,
]
