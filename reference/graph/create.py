"""Tensors from shapes and numbers."""

from __future__ import annotations

from typing import cast

import numpy as np

from ...core.dtypes import numpy_dtype
from ...core.errors import UnsupportedError
from ...dialects.graph import create as ops
from ...dialects.graph.base import ConstantOp
from .meaning import Array, meaning


@meaning("graph.shape")
def shape(op: ops.ShapeOp, data: Array) -> Array:
    """As i64."""
    return np.array(data.shape[op.part()], np.int64)


@meaning("graph.size")
def size(op: ops.SizeOp, data: Array) -> Array:
    """As an i64 scalar."""
    del op
    return np.array(data.size, np.int64)


@meaning("graph.constant_of_shape")
def constant_of_shape(op: ops.ConstantOfShapeOp, shape_: Array) -> Array:
    """One value everywhere."""
    fill = np.zeros(1, np.float32)
    if op.value is not None:
        fill = ConstantOp(op.value, op.value.type).array
    return np.full(tuple(shape_.reshape(-1).tolist()), fill.reshape(-1)[0], fill.dtype)


@meaning("graph.range")
def range_(op: ops.RangeOp, start: Array, limit: Array, delta: Array) -> Array:
    """`start + i * delta`; f16 and bf16 are computed in f32 (f64 with `stash_type` 11)."""
    wide = np.float64 if op.stash_type.value.data == 11 else np.float32
    small = start.dtype.itemsize == 2 and not np.issubdtype(start.dtype, np.integer)
    first, last, step = (
        item.reshape(-1)[0].astype(wide) if small else item.reshape(-1)[0]
        for item in (start, limit, delta)
    )
    found = cast("Array", np.arange(first, last, step))
    return found.astype(start.dtype)


@meaning("graph.eye_like")
def eye_like(op: ops.EyeLikeOp, x: Array) -> Array:
    """Ones on one diagonal."""
    dtype = x.dtype if op.dtype is None else numpy_dtype(op.dtype)
    return np.eye(*x.shape, k=op.k.value.data).astype(dtype)


@meaning("graph.dropout")
def dropout(
    op: ops.DropoutOp, data: Array, ratio: Array | None, training_mode: Array | None
) -> tuple[Array, ...]:
    """Nothing is dropped.

    Raises: UnsupportedError: in training mode with a ratio, whose result is random.
    """
    dropped = 0.5 if ratio is None else float(ratio.reshape(-1)[0])
    if training_mode is not None and bool(training_mode.reshape(-1)[0]) and dropped:
        raise UnsupportedError("dropout in training mode is random, so it has no one meaning")
    return (data, np.ones(data.shape, np.bool_))[: len(op.results)]
