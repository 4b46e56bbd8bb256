"""Reads at data-dependent places, triangles, ranges and other tensors made of positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import i1, i64

from ...core.errors import UnsupportedError
from ...dialects.graph.base import ConstantOp, GraphOp
from ...dialects.graph.create import ConstantOfShapeOp, DropoutOp, EyeLikeOp, RangeOp
from ...dialects.graph.indexing import GatherElementsOp, GatherNDOp, GatherOp, OneHotOp, TriluOp
from ...dialects.te_build import Index, Scalar, Tensor, axis_names
from ...dialects.te_build import functions as fn
from ...dialects.te_build.ops import is_float
from ...dialects.te_build.tensor import IndexLike
from .site import Lowering, Site, wide


def position(index: Scalar, size: int) -> Scalar:
    """An index as it counts from the front: negative ones count from the end.

    One that is out of range means the nearest place: nothing outside of the tensor is read.
    """
    wide_index = index.cast(i64)
    return fn.clamp(fn.where(wide_index < 0, wide_index + size, wide_index), 0, size - 1)


def _gathered(op: GraphOp, at: Site, body: Callable[..., Scalar]) -> Sequence[Tensor]:
    """`body` at each point of the result; zeros where the data has no element to choose."""
    if 0 in at[op.operands[0]].shape:
        return [at.k.splat(0, at.dtype(), at.shape())]
    return [at.k.compute("gather", axis_names(at.shape()), body)]


def lower_gather(op: GatherOp, at: Site) -> Sequence[Tensor]:
    """y[..., indices..., ...] = data[..., indices[...], ...]."""
    data, indices = at[op.data], at[op.indices]
    axis = op.axis.value.data % data.rank
    end = axis + indices.rank

    def body(*i: Index) -> Scalar:
        place = position(indices[i[axis:end]], data.shape[axis])
        return data[(*i[:axis], place, *i[end:])]

    return _gathered(op, at, body)


def lower_gather_elements(op: GatherElementsOp, at: Site) -> Sequence[Tensor]:
    """y[i] = data[i with indices[i] on the axis]."""
    data, indices = at[op.data], at[op.indices]
    axis = op.axis.value.data % data.rank

    def body(*i: Index) -> Scalar:
        place: list[IndexLike] = list(i)
        place[axis] = position(indices[i], data.shape[axis])
        return data.read(place)

    return _gathered(op, at, body)


def lower_gather_nd(op: GatherNDOp, at: Site) -> Sequence[Tensor]:
    """y[batch, i, ...] = data[batch, indices[batch, i, :], ...]."""
    data, indices = at[op.data], at[op.indices]
    batch, count = op.batch_dims.value.data, indices.shape[-1]
    outer = indices.rank - 1

    def body(*i: Index) -> Scalar:
        place: list[IndexLike] = list(i[:batch])
        for n in range(count):
            index = indices.read([*i[:outer], n])
            place.append(position(index, data.shape[batch + n]))
        return data.read([*place, *i[outer:]])

    return _gathered(op, at, body)


def lower_one_hot(op: OneHotOp, at: Site) -> Sequence[Tensor]:
    """values[1] where the position along the new axis is the index, else values[0]."""
    indices, values = at[op.indices], at[op.values]
    shape = at.shape()
    axis = op.axis.value.data % len(shape)

    def body(*i: Index) -> Scalar:
        index = indices[(*i[:axis], *i[axis + 1 :])].cast(i64)
        place = fn.where(index < 0, index + shape[axis], index)
        return fn.where(place.eq(i[axis].cast(i64)), values[1], values[0])

    return [at.k.compute("one_hot", axis_names(shape), body)]


def lower_trilu(op: TriluOp, at: Site) -> Sequence[Tensor]:
    """X on one side of a diagonal, 0 on the other."""
    x, k = at[op.x], at.maybe(op.k)

    def body(*i: Index) -> Scalar:
        row, column = i[-2].cast(i64), i[-1].cast(i64)
        diagonal = row if k is None else row + k.read([0] * k.rank)
        kept = column >= diagonal if op.upper.value.data else column <= diagonal
        return fn.where(kept, x[i], 0)

    return [at.k.compute("trilu", at.axes(x), body)]


def lower_range(op: RangeOp, at: Site) -> Sequence[Tensor]:
    """Start + i * delta."""
    start, delta = at[op.start], at[op.delta]

    def body(i: Index) -> Scalar:
        dtype = wide(start.dtype)
        first = start.read([0] * start.rank).cast(dtype)
        step = delta.read([0] * delta.rank).cast(dtype)
        return (first + i.cast(dtype) * step).cast(start.dtype)

    return [at.k.compute("range", {"i": at.shape()[0]}, body)]


def lower_constant_of_shape(op: ConstantOfShapeOp, at: Site) -> Sequence[Tensor]:
    """One value everywhere."""
    if op.value is None:
        return [at.k.splat(0.0, at.dtype(), at.shape())]
    content = ConstantOp(op.value, op.value.type).array.reshape(-1)[0]
    number = float(content) if is_float(at.dtype()) else int(content)
    return [at.k.splat(number, at.dtype(), at.shape())]


def lower_eye_like(op: EyeLikeOp, at: Site) -> Sequence[Tensor]:
    """1 on diagonal k, else 0."""
    shift = op.k.value.data

    def body(i: Index, j: Index) -> Scalar:
        return (i + shift).eq(j).cast(at.dtype())

    return [at.k.compute("eye", axis_names(at.shape()), body)]


def lower_dropout(op: DropoutOp, at: Site) -> Sequence[Tensor]:
    """The data; the mask is all true."""
    if op.is_training is not False:
        raise UnsupportedError("dropout in training mode is random", hint="export for inference")
    data = at[op.data]
    return [data] if op.mask is None else [data, at.k.splat(True, i1, data.shape)]


LOWERINGS: dict[str, Lowering] = {
    "graph.gather": lower_gather,
    "graph.gather_elements": lower_gather_elements,
    "graph.gather_nd": lower_gather_nd,
    "graph.one_hot": lower_one_hot,
    "graph.trilu": lower_trilu,
    "graph.range": lower_range,
    "graph.constant_of_shape": lower_constant_of_shape,
    "graph.eye_like": lower_eye_like,
    "graph.dropout": lower_dropout,
}
