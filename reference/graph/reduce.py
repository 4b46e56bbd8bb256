"""Reductions, positions of extremes, running sums."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...core.errors import InputError
from ...dialects.graph.reduce import ArgOp, CumSumOp, ReduceOp
from .binary import divide
from .meaning import Array, meaning

Reduction = Callable[[Array, tuple[int, ...]], Any]
"""(data, axes) -> the reduced data, which keeps the axes as 1."""


def _sum(data: Array, axes: tuple[int, ...]) -> Array:
    return np.sum(data, axis=axes, keepdims=True, dtype=data.dtype)


def _lowest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return False
    return np.iinfo(dtype).min if np.issubdtype(dtype, np.integer) else -np.inf


def _highest(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "b":
        return True
    return np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else np.inf


def _max(data: Array, axes: tuple[int, ...]) -> Array:
    return np.max(data, axis=axes, keepdims=True, initial=_lowest(data.dtype))


def _min(data: Array, axes: tuple[int, ...]) -> Array:
    return np.min(data, axis=axes, keepdims=True, initial=_highest(data.dtype))


def _mean(data: Array, axes: tuple[int, ...]) -> Array:
    count = int(np.prod([data.shape[axis] for axis in axes]))
    if not np.issubdtype(data.dtype, np.integer):
        return _sum(data, axes) / data.dtype.type(count)
    wide = np.dtype(np.uint64 if data.dtype.kind == "u" else np.int64)
    total = np.asarray(np.sum(data, axis=axes, keepdims=True, dtype=wide))
    return divide(total, np.asarray(count, wide)).astype(data.dtype)


def _log_sum_exp(data: Array, axes: tuple[int, ...]) -> Array:
    top = _max(data, axes)
    top = np.where(np.isfinite(top), top, 0).astype(data.dtype)
    return np.log(_sum(np.exp(data - top), axes)) + top


_REDUCTIONS: dict[str, Reduction] = {
    "l1": lambda data, axes: _sum(np.abs(data), axes),
    "l2": lambda data, axes: np.sqrt(_sum(np.square(data), axes).astype(_wide(data))),
    "log_sum": lambda data, axes: np.log(_sum(data, axes)),
    "log_sum_exp": _log_sum_exp,
    "max": _max,
    "mean": _mean,
    "min": _min,
    "prod": lambda data, axes: np.prod(data, axis=axes, keepdims=True, dtype=data.dtype),
    "sum": _sum,
    "sum_square": lambda data, axes: _sum(np.square(data), axes),
}


def _wide(data: Array) -> Any:
    return np.float64 if np.issubdtype(data.dtype, np.integer) else data.dtype


def _declare(name: str, function: Reduction) -> None:
    @meaning(f"graph.reduce_{name}", wide=True)
    def apply(op: ReduceOp, data: Array, axes: Array | None) -> Array:
        if axes is not None and axes.size:
            reduced = tuple(int(axis) % data.ndim for axis in axes.reshape(-1))
        else:
            reduced = () if op.noop_with_empty_axes.value.data else tuple(range(data.ndim))
        result = np.asarray(function(data, reduced)).astype(data.dtype)
        return result if op.keepdims.value.data else np.squeeze(result, axis=reduced)

    del apply


for _name, _function in _REDUCTIONS.items():
    _declare(_name, _function)


def _position(op: ArgOp, data: Array, find: Callable[..., Any]) -> Array:
    axis = op.axis.value.data
    if data.shape[axis] == 0:
        raise InputError(f"{op.name} over an empty dimension")
    if op.select_last_index.value.data:
        found = data.shape[axis] - 1 - find(np.flip(data, axis), axis=axis)
    else:
        found = find(data, axis=axis)
    result = np.asarray(found, np.int64)
    return np.expand_dims(result, axis) if op.keepdims.value.data else result


@meaning("graph.arg_max", wide=True)
def arg_max(op: ArgOp, data: Array) -> Array:
    """NaN counts as the largest."""
    return _position(op, data, np.argmax)


@meaning("graph.arg_min", wide=True)
def arg_min(op: ArgOp, data: Array) -> Array:
    """NaN counts as the smallest."""
    return _position(op, data, np.argmin)


@meaning("graph.cum_sum", wide=True)
def cum_sum(op: CumSumOp, x: Array, axis: Array) -> Array:
    """From the front or, reversed, from the back."""
    along = int(axis.reshape(-1)[0])
    data = np.flip(x, along) if op.reverse.value.data else x
    total = np.cumsum(data, axis=along, dtype=x.dtype)
    if op.exclusive.value.data:
        total = np.roll(total, 1, axis=along)
        first = [slice(None)] * x.ndim
        first[along] = slice(0, 1)
        total[tuple(first)] = 0
    return np.flip(total, along) if op.reverse.value.data else total
