"""Tensors put together and cut apart."""

from __future__ import annotations

import numpy as np

from ...core.errors import InputError
from ...dialects.graph import pieces as ops
from .meaning import Array, meaning


def whole(array: Array) -> list[int]:
    """The elements as Python integers."""
    return [int(item) for item in array.reshape(-1)]


@meaning("graph.concat")
def concat(op: ops.ConcatOp, inputs: list[Array]) -> Array:
    """Along one axis."""
    return np.concatenate(inputs, axis=op.axis.value.data)


@meaning("graph.slice")
def slice_(
    op: ops.SliceOp,
    data: Array,
    starts: Array,
    ends: Array,
    axes: Array | None,
    steps: Array | None,
) -> Array:
    """As NumPy, with bounds clamped."""
    del op
    first, last = whole(starts), whole(ends)
    along = list(range(len(first))) if axes is None else whole(axes)
    step = [1] * len(first) if steps is None else whole(steps)
    index = [slice(None)] * data.ndim
    for axis, *bounds in zip(along, first, last, step, strict=True):
        index[axis] = ops.numpy_slice(bounds[0], bounds[1], bounds[2], data.shape[axis])
    return data[tuple(index)]


@meaning("graph.split")
def split(op: ops.SplitOp, data: Array, sizes: Array | None) -> list[Array]:
    """Into given extents, or equal ones of which the last may be smaller."""
    axis, count = op.axis.value.data, len(op.results)
    if sizes is not None:
        ends = np.cumsum(sizes)[:-1]
    else:
        piece = -(-data.shape[axis] // count)
        ends = np.minimum(np.arange(1, count) * piece, data.shape[axis])
    return np.split(data, ends.tolist(), axis=axis)


@meaning("graph.tile")
def tile(op: ops.TileOp, data: Array, repeats: Array) -> Array:
    """Repeats along each dimension."""
    del op
    return np.tile(data, whole(repeats))


@meaning("graph.pad")
def pad(
    op: ops.PadOp, data: Array, pads: Array, constant_value: Array | None, axes: Array | None
) -> Array:
    """First what is cut off, then what is added."""
    if data.ndim == 0:
        return data
    along = range(data.ndim) if axes is None else [axis % data.ndim for axis in whole(axes)]
    amounts = whole(pads)
    begin, end = [0] * data.ndim, [0] * data.ndim
    for i, axis in enumerate(along):
        begin[axis], end[axis] = amounts[i], amounts[i + len(along)]
    kept = tuple(
        slice(max(0, -low), size - max(0, -high))
        for low, high, size in zip(begin, end, data.shape, strict=True)
    )
    widths = [(max(0, low), max(0, high)) for low, high in zip(begin, end, strict=True)]
    if op.mode.data == "constant":
        fill = data.dtype.type(0) if constant_value is None else constant_value.reshape(-1)[0]
        return np.pad(data[kept], widths, mode="constant", constant_values=fill)
    if data.size == 0 and any(map(any, widths)):
        raise InputError(f"mode '{op.mode.data}' pads an empty tensor")
    if op.mode.data == "edge":
        return np.pad(data[kept], widths, mode="edge")
    if op.mode.data == "wrap":
        return np.pad(data[kept], widths, mode="wrap")
    return np.pad(data[kept], widths, mode="reflect")
