"""Pools: the windows stacked along a new first dimension, then reduced."""

from __future__ import annotations

from math import prod
from typing import cast

import numpy as np

from ...core.irtypes import int_values
from ...dialects.graph import pool as ops
from ...dialects.graph.window import Window
from .conv import numbers, taps
from .meaning import Array, meaning


def _stack(x: Array, window: Window, fill: float) -> Array:
    """[positions in the kernel, batch, channels, outputs...] of the data padded with `fill`."""
    begin, end, out = numbers(window)
    room = [
        max(high, (extent - 1) * stride + (k - 1) * dilation + 1 - size - low)
        for high, extent, stride, k, dilation, size, low in zip(
            end, out, window.strides, window.kernel, window.dilations, x.shape[2:], begin,
            strict=True,
        )
    ]  # fmt: skip
    pads = [(0, 0), (0, 0), *zip(begin, room, strict=True)]
    padded = np.pad(x, pads, constant_values=x.dtype.type(fill))
    return np.stack([padded[(..., *slices)] for _, slices in taps(window, out)])


def _window(op: ops.PoolOp, x: Array) -> Window:
    kernel = int_values(op.kernel_shape)
    return op.resolve(x.shape[2:], kernel, ceil_mode=bool(op.ceil_mode.value.data))


def _inside(x: Array, window: Window, *, with_pads: bool) -> Array:
    """Which elements of the windows lie in the data, or in the data and its pads."""
    spatial = x.shape[2:]
    if with_pads:
        begin, end, _ = numbers(window)
        spatial = [
            size + low + high for size, low, high in zip(x.shape[2:], begin, end, strict=True)
        ]
        zeros = (0,) * len(begin)
        window = Window(window.kernel, window.strides, window.dilations, zeros, zeros, window.out)
    return _stack(np.ones((1, 1, *spatial)), window, 0.0) > 0


@meaning("graph.max_pool", wide=True)
def max_pool(op: ops.MaxPoolOp, x: Array) -> tuple[Array, ...]:
    """The first of equal maxima; positions count over the whole data."""
    window = _window(op, x)
    lowest = np.iinfo(x.dtype).min if np.issubdtype(x.dtype, np.integer) else -np.inf
    values, inside = _stack(x, window, lowest), _inside(x, window, with_pads=False)
    best = np.max(values, axis=0)
    if op.indices is None:
        return (best,)
    positions = cast("Array", np.arange(x.size, dtype=np.int64).reshape(x.shape))
    if op.storage_order.value.data:
        image = cast("Array", np.arange(prod(x.shape[2:]), dtype=np.int64))
        per_image = image.reshape(x.shape[2:][::-1]).T
        first = positions.reshape(*x.shape[:2], -1).min(axis=-1)
        positions = first.reshape(*first.shape, *(1,) * (x.ndim - 2)) + per_image
    matches = ((values == best) | (np.isnan(values) & np.isnan(best))) & inside
    chosen = np.argmax(matches, axis=0)[None]
    where = np.take_along_axis(_stack(positions, window, 0), chosen, axis=0)[0]
    return best, where


@meaning("graph.average_pool", wide=True)
def average_pool(op: ops.AveragePoolOp, x: Array) -> Array:
    """Over the elements inside the data, or inside the padded data."""
    window = _window(op, x)
    counted = _inside(x, window, with_pads=bool(op.count_include_pad.value.data))
    total = np.sum(_stack(x, window, 0.0), axis=0, dtype=x.dtype)
    return (total / np.sum(counted, axis=0)).astype(x.dtype)


@meaning("graph.lp_pool", wide=True)
def lp_pool(op: ops.LpPoolOp, x: Array) -> Array:
    """The p-norm; padding adds nothing."""
    p = op.p.value.data
    powers = np.abs(_stack(x, _window(op, x), 0.0)) ** p
    return (np.sum(powers, axis=0, dtype=x.dtype) ** (1.0 / p)).astype(x.dtype)


def _spatial(x: Array) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


@meaning("graph.global_average_pool", wide=True)
def global_average_pool(op: ops.GlobalAveragePoolOp, x: Array) -> Array:
    """The mean of each channel."""
    del op
    count = x.dtype.type(np.prod(x.shape[2:]))
    return np.sum(x, axis=_spatial(x), keepdims=True, dtype=x.dtype) / count


@meaning("graph.global_max_pool", wide=True)
def global_max_pool(op: ops.GlobalMaxPoolOp, x: Array) -> Array:
    """The maximum of each channel."""
    del op
    return np.max(x, axis=_spatial(x), keepdims=True, initial=-np.inf)


@meaning("graph.global_lp_pool", wide=True)
def global_lp_pool(op: ops.GlobalLpPoolOp, x: Array) -> Array:
    """The p-norm of each channel."""
    p = op.p.value.data
    total = np.sum(np.abs(x) ** p, axis=_spatial(x), keepdims=True, dtype=x.dtype)
    return (total ** (1.0 / p)).astype(x.dtype)
