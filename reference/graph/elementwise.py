"""Unary operators without attributes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from xdsl.irdl import IRDLOperation

from ...dialects.graph.elementwise import IsInfOp
from .meaning import Array, meaning


def erf(x: Array) -> Array:
    """The error function, element by element, in f64."""
    flat = [math.erf(item) for item in x.astype(np.float64).reshape(-1).tolist()]
    return np.array(flat, np.float64).reshape(x.shape).astype(x.dtype)


def sigmoid(x: Array) -> Array:
    """1 / (1 + e ** -x), without overflow on either side."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def softplus(x: Array) -> Array:
    """ln(1 + e ** x)."""
    return np.logaddexp(x, np.zeros((), x.dtype))


def relu(x: Array) -> Array:
    """Zero where negative; NaN stays."""
    return np.where(x < 0, np.zeros((), x.dtype), x)


def larger(x: Array, y: Array) -> Array:
    """The larger one, or a NaN; x where they are equal, though zeros may differ in sign."""
    return np.where((y > x) | np.isnan(y), y, x)


def smaller(x: Array, y: Array) -> Array:
    """The smaller one, or a NaN; x where they are equal, though zeros may differ in sign."""
    return np.where((y < x) | np.isnan(y), y, x)


_FUNCTIONS: dict[str, Callable[[Array], Any]] = {
    "abs": np.abs,
    "acos": np.arccos,
    "acosh": np.arccosh,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "bitwise_not": np.bitwise_not,
    "ceil": np.ceil,
    "cos": np.cos,
    "cosh": np.cosh,
    "erf": erf,
    "exp": np.exp,
    "floor": np.floor,
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1).astype(x.dtype),
    "identity": lambda x: x,
    "is_nan": np.isnan,
    "log": np.log,
    "mish": lambda x: x * np.tanh(softplus(x)),
    "neg": np.negative,
    "not": np.logical_not,
    "reciprocal": lambda x: np.ones((), x.dtype) / x,
    "relu": relu,
    "round": np.rint,
    "sigmoid": sigmoid,
    "sign": np.sign,
    "sin": np.sin,
    "sinh": np.sinh,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sqrt": np.sqrt,
    "tan": np.tan,
    "tanh": np.tanh,
}


def _declare(name: str, function: Callable[[Array], Any]) -> None:
    @meaning(f"graph.{name}", wide=name != "identity")
    def apply(op: IRDLOperation, x: Array) -> Array:
        del op
        return np.asarray(function(x))

    del apply


for _name, _function in _FUNCTIONS.items():
    _declare(_name, _function)


@meaning("graph.is_inf", wide=True)
def is_inf(op: IsInfOp, x: Array) -> Array:
    """Infinite, of the signs asked for."""
    negative = np.isneginf(x) & bool(op.detect_negative.value.data)
    return negative | (np.isposinf(x) & bool(op.detect_positive.value.data))
