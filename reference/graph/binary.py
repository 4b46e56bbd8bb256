"""Operators that broadcast."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from xdsl.irdl import IRDLOperation

from ...dialects.graph.binary import BitShiftOp, ModOp
from .elementwise import larger, smaller
from .meaning import Array, meaning


def divide(a: Array, b: Array) -> Array:
    """Of integers rounded to zero."""
    if not np.issubdtype(a.dtype, np.integer):
        return np.asarray(a / b)
    quotient, remainder = np.floor_divide(a, b), np.remainder(a, b)
    return np.asarray(quotient + ((remainder != 0) & ((a < 0) != (b < 0))).astype(a.dtype))


_BINARY: dict[str, Callable[[Array, Array], Any]] = {
    "add": np.add,
    "and": np.logical_and,
    "bitwise_and": np.bitwise_and,
    "bitwise_or": np.bitwise_or,
    "bitwise_xor": np.bitwise_xor,
    "div": divide,
    "equal": np.equal,
    "greater": np.greater,
    "greater_or_equal": np.greater_equal,
    "less": np.less,
    "less_or_equal": np.less_equal,
    "mul": np.multiply,
    "or": np.logical_or,
    "p_relu": lambda a, b: np.where(a < 0, a * b, a),
    "sub": np.subtract,
    "xor": np.logical_xor,
}

_VARIADIC: dict[str, Callable[[list[Array]], Any]] = {
    "max": lambda items: reduce(larger, items),
    "mean": lambda items: reduce(np.add, items) / items[0].dtype.type(len(items)),
    "min": lambda items: reduce(smaller, items),
    "sum": lambda items: reduce(np.add, items),
}


def _declare_binary(name: str, function: Callable[[Array, Array], Any]) -> None:
    @meaning(f"graph.{name}", wide=True)
    def apply(op: IRDLOperation, a: Array, b: Array) -> Array:
        del op
        return np.asarray(function(a, b))

    del apply


def _declare_variadic(name: str, function: Callable[[list[Array]], Any]) -> None:
    @meaning(f"graph.{name}", wide=True)
    def apply(op: IRDLOperation, items: list[Array]) -> Array:
        del op
        return np.asarray(function(items))

    del apply


for _name, _function in _BINARY.items():
    _declare_binary(_name, _function)
for _name, _combine in _VARIADIC.items():
    _declare_variadic(_name, _combine)


@meaning("graph.mod", wide=True)
def mod(op: ModOp, a: Array, b: Array) -> Array:
    """Python's remainder, or C's with `fmod`."""
    return np.fmod(a, b) if op.fmod.value.data else np.mod(a, b)


@meaning("graph.pow", wide=True)
def power(op: IRDLOperation, a: Array, b: Array) -> Array:
    """Of the type of the base; integers wrap around, a negative exponent truncates to zero.

    A square is exact but for one rounding, as a product is.
    """
    del op
    if not np.issubdtype(a.dtype, np.integer):
        return np.where(b == 2, a * a, np.power(a, b)).astype(a.dtype)
    if not np.issubdtype(b.dtype, np.integer):
        return np.power(a.astype(np.float64), b.astype(np.float64)).astype(a.dtype)
    whole = np.power(a.astype(np.int64), np.maximum(b, 0).astype(np.int64))
    inverse = np.power(a.astype(np.float64), b.astype(np.float64)).astype(np.int64)
    return np.where(b < 0, inverse, whole).astype(a.dtype)


@meaning("graph.bit_shift")
def bit_shift(op: BitShiftOp, a: Array, b: Array) -> Array:
    """Right shifts of signed integers keep the sign; too many bits leave nothing but it."""
    bits = a.dtype.itemsize * 8
    shift = np.minimum(b.astype(np.uint64), np.uint64(bits - 1)).astype(a.dtype)
    shifted = np.left_shift(a, shift) if op.direction.data == "LEFT" else np.right_shift(a, shift)
    beyond = b.astype(np.uint64) >= bits
    rest = np.where(a < 0, -1, 0) if op.direction.data == "RIGHT" else np.zeros_like(a)
    return np.where(beyond, rest, shifted).astype(a.dtype)


@meaning("graph.where")
def where(op: IRDLOperation, condition: Array, x: Array, y: Array) -> Array:
    """A choice for each element."""
    del op
    return np.where(condition, x, y)
