"""Elements chosen by index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

from ...core.errors import InputError
from ...dialects.graph import indexing as ops
from .meaning import Array, meaning


def _positions(indices: Array, size: int) -> Array:
    """Indices counted from the front.

    Raises: InputError: one is out of range.
    """
    found = indices.astype(np.int64)
    if found.size and (found.min() < -size or found.max() >= size):
        raise InputError(f"an index is outside [{-size}, {size})")
    return np.where(found < 0, found + size, found)


@meaning("graph.gather")
def gather(op: ops.GatherOp, data: Array, indices: Array) -> Array:
    """Along one axis."""
    axis = op.axis.value.data % data.ndim
    chosen = _positions(indices, data.shape[axis])
    if data.shape[axis] == 0:
        return np.zeros((*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :]), data.dtype)
    return np.asarray(np.take(data, chosen, axis=axis))


@meaning("graph.gather_elements")
def gather_elements(op: ops.GatherElementsOp, data: Array, indices: Array) -> Array:
    """The other positions are the index's own."""
    axis = op.axis.value.data % data.ndim
    return data[_element_index(_positions(indices, data.shape[axis]), axis)]


def _element_index(positions: Array, axis: int) -> tuple[Array, ...]:
    grid = list(cast("Array", np.indices(positions.shape)))
    grid[axis] = positions
    return tuple(grid)


@meaning("graph.gather_nd")
def gather_nd(op: ops.GatherNDOp, data: Array, indices: Array) -> Array:
    """Index tuples, after common batch dimensions."""
    batch = op.batch_dims.value.data
    common, count = data.shape[:batch], indices.shape[-1]
    rest = data.shape[batch + count :]
    result = np.zeros((*indices.shape[:-1], *rest), data.dtype)
    for at in np.ndindex(*indices.shape[:-1]):
        tuple_ = [
            int(_positions(item, size))
            for item, size in zip(indices[at], data.shape[batch : batch + count], strict=True)
        ]
        result[at] = data[(*at[: len(common)], *tuple_)]
    return result


_COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "none": lambda old, new: new,
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


@meaning("graph.scatter_elements")
def scatter_elements(
    op: ops.ScatterElementsOp, data: Array, indices: Array, updates: Array
) -> Array:
    """One update after the other, in row-major order."""
    axis = op.axis.value.data % data.ndim
    positions = _positions(indices, data.shape[axis])
    combine = _COMBINE[op.reduction.data]
    result = data.copy()
    for at in np.ndindex(*indices.shape):
        to = (*at[:axis], int(positions[at]), *at[axis + 1 :])
        result[to] = combine(result[to], updates[at])
    return result


@meaning("graph.scatter_nd")
def scatter_nd(op: ops.ScatterNDOp, data: Array, indices: Array, updates: Array) -> Array:
    """One update slice after the other, in row-major order."""
    combine = _COMBINE[op.reduction.data]
    result = data.copy()
    for at in np.ndindex(*indices.shape[:-1]):
        to = tuple(
            int(_positions(item, size)) for item, size in zip(indices[at], data.shape, strict=False)
        )
        result[to] = combine(result[to], updates[at])
    return result


@meaning("graph.one_hot")
def one_hot(op: ops.OneHotOp, indices: Array, depth: Array, values: Array) -> Array:
    """Out of range: all off."""
    extent = int(depth.reshape(-1)[0])
    axis = op.axis.value.data % (indices.ndim + 1)
    whole = indices.astype(np.int64)
    whole = np.where(whole < 0, whole + extent, whole)
    shape = [1] * (indices.ndim + 1)
    shape[axis] = extent
    hit = np.expand_dims(whole, axis) == np.arange(extent).reshape(shape)
    found = cast("Array", np.where(hit, values[1], values[0]))
    return found.astype(values.dtype)


@meaning("graph.top_k")
def top_k(op: ops.TopKOp, x: Array, k: Array) -> tuple[Array, Array]:
    """A stable sort: of equals the lower position first; NaN counts as the largest."""
    axis, count = op.axis.value.data % x.ndim, int(k.reshape(-1)[0])
    if op.largest.value.data:
        backwards = np.flip(x, axis)
        order = x.shape[axis] - 1 - np.flip(np.argsort(backwards, axis, kind="stable"), axis)
    else:
        order = np.argsort(x, axis, kind="stable")
    chosen = np.take(order, np.arange(count), axis=axis).astype(np.int64)
    return np.take_along_axis(x, chosen, axis), chosen


@meaning("graph.non_zero")
def non_zero(op: ops.NonZeroOp, x: Array) -> Array:
    """One row for each dimension; of a scalar, one without rows."""
    del op
    if x.ndim == 0:
        return np.zeros((0, int(x != 0)), np.int64)
    return np.array(np.nonzero(x), np.int64)


@meaning("graph.trilu")
def trilu(op: ops.TriluOp, x: Array, k: Array | None) -> Array:
    """A triangle, by a mask: NaN outside it goes."""
    shift = 0 if k is None else int(k.reshape(-1)[0])
    rows, columns = x.shape[-2:]
    distance = cast("Array", np.arange(columns)[None, :] - np.arange(rows)[:, None])
    kept = distance >= shift if op.upper.value.data else distance <= shift
    return np.where(kept, x, np.zeros((), x.dtype))
