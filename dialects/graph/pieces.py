"""Tensors put together and cut apart: graph.concat, graph.slice, graph.split, graph.pad, ...

%y = graph.slice(%x, %starts, %ends, %axes) : tensor<1x64x27x27xf32>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from xdsl.dialects.builtin import IntegerAttr, StringAttr
from xdsl.ir import Attribute
from xdsl.irdl import (
    AttrSizedOperandSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    var_operand_def,
    var_result_def,
)

from ...core.errors import ModelError
from ...core.irtypes import int_attr
from ...core.symbolic import Dim, ceildiv, less_equal, maximum, minimum
from .base import GraphOp, Pattern
from .checks import INDICES, common_element, expect, expect_rank, normal_axes, normal_axis
from .movement import ElementOp, known_product
from .types import Dims, MaybeDim, dims, info, merge_dim, show, tensor_type
from .values import as_value, extents, integers, length

if TYPE_CHECKING:
    from .base import ShapeValue, ValueReader


@irdl_op_definition
class ConcatOp(GraphOp):
    """The operands one after the other along `axis`; their other extents are equal."""

    name = "graph.concat"
    ONNX_NAME: ClassVar = "Concat"
    PATTERN: ClassVar = Pattern.INJECTIVE

    inputs = var_operand_def()
    axis = prop_def(IntegerAttr)
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        found = [expect(f"operand {i}", operand) for i, operand in enumerate(self.inputs)]
        if not found:
            raise ModelError("expected at least one operand")
        element = common_element(**{f"operand {i}": item for i, item in enumerate(found)})
        shapes = [item.dims for item in found if item.dims is not None]
        if not shapes:
            return [tensor_type(None, element)]
        result = concat_dims(shapes, self.axis.value.data, complete=len(shapes) == len(found))
        return [tensor_type(result, element)]

    def infer_operands(self) -> Sequence[Attribute | None]:
        return [tensor_type(None, info(self.res).element)] * len(self.operands)

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        """Operands of known length but unknown content leave their elements unknown."""
        import numpy as np

        parts: list[ShapeValue] = []
        for operand in self.inputs:
            value, count = values(operand), length(operand)
            if value is None and count is None:
                return [None]
            parts.append(as_value([None] * (count or 0)) if value is None else value)
        return [np.concatenate(parts, axis=self.axis.value.data)]


def concat_dims(shapes: Sequence[Dims], axis: int, *, complete: bool) -> Dims:
    """The shape of a concatenation; not `complete`: further operands have unknown shapes.

    Raises: ModelError: the shapes differ outside `axis`.
    """
    ranks = {len(shape) for shape in shapes}
    if len(ranks) > 1:
        raise ModelError(f"shapes {', '.join(map(show, shapes))} differ in rank")
    axis = normal_axis(axis, ranks.pop())
    result = list(shapes[0])
    for shape in shapes[1:]:
        for position, extent in enumerate(shape):
            if position != axis:
                result[position] = merge_dim(result[position], extent)
    total: MaybeDim = 0 if complete else None
    for shape in shapes:
        extent = shape[axis]
        total = None if total is None or extent is None else total + extent
    result[axis] = total
    return tuple(result)


@irdl_op_definition
class SliceOp(ElementOp):
    """Every `steps`-th element from `starts` up to `ends` along `axes`, as in NumPy.

    The bounds are 1-D operands; by default `axes` are the first ones, `steps` 1.
    """

    name = "graph.slice"
    ONNX_NAME: ClassVar = "Slice"

    data = operand_def()
    starts = operand_def()
    ends = operand_def()
    axes = opt_operand_def()
    steps = opt_operand_def()
    res = result_def()
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        for name in ("starts", "ends", "axes", "steps"):
            operand = getattr(self, name)
            if operand is not None:
                expect_rank(name, expect(name, operand, INDICES), 1)
        if data.dims is None:
            return [data.type]
        axes = self.sliced_axes(len(data.dims))
        if axes is None:
            return [data.with_dims((None,) * len(data.dims)).type]
        starts, ends, steps = self.bounds(len(axes))
        result = list(data.dims)
        for i, axis in enumerate(axes):
            result[axis] = slice_extent(result[axis], starts[i], ends[i], steps[i])
        return [data.with_dims(result).type]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        value = values(self.data)
        axes = None if value is None else self.sliced_axes(value.ndim)
        if value is None or axes is None:
            return [None]
        index = [slice(None)] * value.ndim
        for axis, *bounds in zip(axes, *self.bounds(len(axes)), strict=True):
            start, end, step = bounds
            if not isinstance(start, int) or not isinstance(end, int) or not isinstance(step, int):
                return [None]
            index[axis] = numpy_slice(start, end, step, value.shape[axis])
        return [value[tuple(index)]]

    def sliced_axes(self, rank: int) -> tuple[int, ...] | None:
        """The axes that are sliced, from the front; `None` if they are not constant.

        Raises: ModelError: an axis is out of range or named twice.
        """
        if self.axes is not None:
            axes = integers(self.axes)
            return None if axes is None else normal_axes(axes, rank)
        count = length(self.starts)
        return None if count is None else normal_axes(tuple(range(count)), rank)

    def bounds(self, count: int) -> tuple[Dims, Dims, Dims]:
        """Starts, ends and steps, one for each of `count` axes.

        Raises: ModelError: there are more or fewer, or a step is 0.
        """
        unknown = (None,) * count
        starts = extents(self.starts) or unknown
        ends = extents(self.ends) or unknown
        steps = (1,) * count if self.steps is None else extents(self.steps) or unknown
        if not len(starts) == len(ends) == len(steps) == count:
            raise ModelError(
                f"starts, ends and steps do not have one entry for each of {count} axes"
            )
        if 0 in steps:
            raise ModelError("a step is 0")
        return starts, ends, steps

    def first_along(self, axis: int) -> int | None:
        """The first index along an axis; `None` if it is not known or not every index follows."""
        extents_before = dims(self.data.type)
        axes = None if extents_before is None else self.sliced_axes(len(extents_before))
        if extents_before is None or axes is None:
            return None
        if axis not in axes:
            return 0
        start, end, step = (bound[axes.index(axis)] for bound in self.bounds(len(axes)))
        size = extents_before[axis]
        if not isinstance(start, int) or not isinstance(end, int) or not isinstance(size, int):
            return None
        return numpy_slice(start, end, 1, size).start if step == 1 else None


def numpy_slice(start: int, end: int, step: int, size: int) -> slice:
    """ONNX's bounds as a Python slice of a dimension of this size."""
    if step > 0:
        return slice(_clamp(start, size, 0, size), _clamp(end, size, 0, size), step)
    first, last = _clamp(start, size, -1, size - 1), _clamp(end, size, -1, size - 1)
    if first < 0:
        return slice(0, 0, 1)
    return slice(first, last if last >= 0 else None, step)


def _clamp(bound: int, size: int, low: int, high: int) -> int:
    return min(max(bound + size if bound < 0 else bound, low), high)


def slice_extent(size: MaybeDim, start: MaybeDim, end: MaybeDim, step: MaybeDim) -> MaybeDim:
    """How many elements a slice has.

    >>> from nnc.core.symbolic import symbol
    >>> str(slice_extent(symbol("n"), 1, -1, 1))
    'max(0, n - 2)'
    """
    if size is None or start is None or end is None or not isinstance(step, int):
        return None
    if isinstance(size, int) and isinstance(start, int) and isinstance(end, int):
        return len(range(size)[numpy_slice(start, end, step, size)])
    if step < 0:
        return size if start == -1 and step == -1 and is_below(end, size) else None
    first, last = _position(start, size), _position(end, size)
    if first is None or last is None:
        return None
    # Behind the end a start, and before the beginning an end, leave nothing: no need to clamp them.
    return maximum(0, ceildiv(minimum(last, size) - maximum(first, 0), step))


def is_below(end: Dim, size: Dim) -> bool:
    """Whether a bound, counted from the end, is provably before the first element."""
    return (isinstance(end, int) and end < 0 and less_equal(end + size, -1) is True) or (
        isinstance(end, int) and end <= -(2**31)
    )


def _position(bound: Dim, size: Dim) -> Dim | None:
    """A bound counted from the front, `None` if its sign is not known."""
    if isinstance(bound, int) and bound >= 2**31 - 1:  # an exporter's "to the end"
        return size
    if less_equal(0, bound) is True:
        return bound
    if less_equal(bound, -1) is True:
        return size + bound
    return None


@irdl_op_definition
class SplitOp(ElementOp):
    """The data cut along `axis` into pieces of the extents `split`, or `num_outputs` equal ones.

    With `num_outputs` the last piece may be smaller.
    """

    name = "graph.split"
    ONNX_NAME: ClassVar = "Split"

    data = operand_def()
    split = opt_operand_def()
    axis = opt_prop_def(IntegerAttr, int_attr(0))
    num_outputs = opt_prop_def(IntegerAttr)
    outputs = var_result_def()

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        count = len(self.results)
        if self.num_outputs is not None and self.num_outputs.value.data != count:
            raise ModelError(f"num_outputs is {self.num_outputs.value.data}, not {count}")
        if data.dims is None:
            return [data.type] * count
        axis = normal_axis(self.axis.value.data, len(data.dims))
        pieces = self._pieces(data.dims[axis], count)
        return [
            data.with_dims([*data.dims[:axis], piece, *data.dims[axis + 1 :]]).type
            for piece in pieces
        ]

    def _pieces(self, size: MaybeDim, count: int) -> Sequence[MaybeDim]:
        if self.split is not None:
            pieces = extents(self.split) or (None,) * (length(self.split) or count)
            if len(pieces) != count:
                raise ModelError(f"{len(pieces)} extents for {count} results")
            known = [piece for piece in pieces if isinstance(piece, int)]
            if isinstance(size, int) and len(known) == count and sum(known) != size:
                raise ModelError(f"the pieces {known} do not add up to {size}")
            return pieces
        if size is None:
            return (None,) * count
        piece = ceildiv(size, count)
        if isinstance(size, int) and isinstance(piece, int):
            return [max(0, min(piece, size - i * piece)) for i in range(count)]
        return [*[piece] * (count - 1), size - piece * (count - 1)]


@irdl_op_definition
class TileOp(ElementOp):
    """The data repeated `repeats[i]` times along dimension i."""

    name = "graph.tile"
    ONNX_NAME: ClassVar = "Tile"

    data = operand_def()
    repeats = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        expect_rank("repeats", expect("repeats", self.repeats, INDICES), 1)
        if data.dims is None:
            rank = length(self.repeats)
            return [data.with_dims(None if rank is None else (None,) * rank).type]
        repeats = extents(self.repeats) or (None,) * len(data.dims)
        if len(repeats) != len(data.dims):
            raise ModelError(f"{len(repeats)} repeats for shape {show(data.dims)}")
        pairs = zip(data.dims, repeats, strict=True)
        return [data.with_dims([known_product(pair) for pair in pairs]).type]


@irdl_op_definition
class PadOp(ElementOp):
    """The data with `pads` elements added (or cut off, if negative) at both ends of `axes`.

    `pads` has the beginnings, then the ends. `mode`: "constant" (`constant_value`, 0 if absent),
    "reflect", "edge" or "wrap".
    """

    name = "graph.pad"
    ONNX_NAME: ClassVar = "Pad"

    data = operand_def()
    pads = operand_def()
    constant_value = opt_operand_def()
    axes = opt_operand_def()
    mode = opt_prop_def(StringAttr, StringAttr("constant"))
    res = result_def()
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data)
        expect_rank("pads", expect("pads", self.pads, INDICES), 1)
        if self.mode.data not in ("constant", "reflect", "edge", "wrap"):
            raise ModelError(
                f"mode '{self.mode.data}', expected 'constant', 'reflect', 'edge' or 'wrap'"
            )
        fill = (
            None if self.constant_value is None else expect("constant_value", self.constant_value)
        )
        element = common_element(data=data, constant_value=fill)
        if data.dims is None:
            return [tensor_type(None, element)]
        axes = self.padded_axes(len(data.dims))
        pads = extents(self.pads)
        if axes is None or pads is None:
            return [tensor_type((None,) * len(data.dims), element)]
        if len(pads) != 2 * len(axes):
            raise ModelError(f"pads {show(pads)} for {len(axes)} axes")
        result = list(data.dims)
        for axis, begin, end in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
            result[axis] = _padded(result[axis], begin, end)
        return [tensor_type(result, element)]

    def padded_axes(self, rank: int) -> tuple[int, ...] | None:
        """The axes that are padded, from the front; `None` if they are not constant.

        Raises: ModelError: an axis is out of range or named twice.
        """
        if self.axes is None:
            return tuple(range(rank))
        axes = integers(self.axes)
        return None if axes is None else normal_axes(axes, rank)


def _padded(size: MaybeDim, begin: MaybeDim, end: MaybeDim) -> MaybeDim:
    if size is None or begin is None or end is None:
        return None
    padded = size + begin + end
    if less_equal(0, padded) is False:
        raise ModelError(f"pads {begin} and {end} cut more than the {size} elements")
    return padded


OPS = [ConcatOp, PadOp, SliceOp, SplitOp, TileOp]
