"""Unary operators with attributes, casts, clip."""

from __future__ import annotations

from typing import cast

import numpy as np

from ...core.dtypes import numpy_dtype
from ...dialects.graph import activations as ops
from .elementwise import erf, larger, sigmoid, smaller
from .meaning import Array, meaning


@meaning("graph.celu", wide=True)
def celu(op: ops.CeluOp, x: Array) -> Array:
    """max(0, x) + min(0, alpha * (e ** (x / alpha) - 1))."""
    alpha = x.dtype.type(op.alpha.value.data)
    zero = np.zeros((), x.dtype)
    return np.maximum(zero, x) + np.minimum(zero, alpha * np.expm1(x / alpha))


@meaning("graph.elu", wide=True)
def elu(op: ops.EluOp, x: Array) -> Array:
    """Negative values saturate at -alpha."""
    return np.where(x < 0, x.dtype.type(op.alpha.value.data) * np.expm1(x), x)


@meaning("graph.gelu", wide=True)
def gelu(op: ops.GeluOp, x: Array) -> Array:
    """X * Phi(x)."""
    wide = x.astype(np.float64)
    if op.approximate.data == "tanh":
        inner = np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3))
    else:
        inner = erf(wide / np.sqrt(2))
    return (0.5 * wide * (1 + inner)).astype(x.dtype)


@meaning("graph.hard_sigmoid", wide=True)
def hard_sigmoid(op: ops.HardSigmoidOp, x: Array) -> Array:
    """Alpha * x + beta, between 0 and 1."""
    alpha, beta = x.dtype.type(op.alpha.value.data), x.dtype.type(op.beta.value.data)
    line = cast("Array", alpha * x + beta)
    return np.minimum(np.maximum(line, x.dtype.type(0)), x.dtype.type(1))


@meaning("graph.leaky_relu", wide=True)
def leaky_relu(op: ops.LeakyReluOp, x: Array) -> Array:
    """Negative values times alpha."""
    return np.where(x < 0, x.dtype.type(op.alpha.value.data) * x, x)


@meaning("graph.selu", wide=True)
def selu(op: ops.SeluOp, x: Array) -> Array:
    """Gamma times an ELU."""
    alpha, gamma = x.dtype.type(op.alpha.value.data), x.dtype.type(op.gamma.value.data)
    negative = cast("Array", gamma * (alpha * np.exp(x) - alpha))
    return np.where(x <= 0, negative, gamma * x)


@meaning("graph.shrink", wide=True)
def shrink(op: ops.ShrinkOp, x: Array) -> Array:
    """Towards zero by `bias` outside [-lambd, lambd], zero inside; NaN counts as inside."""
    bias, bound = op.bias.value.data, op.lambd.value.data
    moved = np.where(x < -bound, x + bias, np.where(x > bound, x - bias, 0))
    return moved.astype(x.dtype)


@meaning("graph.swish", wide=True)
def swish(op: ops.SwishOp, x: Array) -> Array:
    """X * sigmoid(alpha * x)."""
    return x * sigmoid(x.dtype.type(op.alpha.value.data) * x)


@meaning("graph.thresholded_relu", wide=True)
def thresholded_relu(op: ops.ThresholdedReluOp, x: Array) -> Array:
    """What is greater than alpha."""
    return np.where(x > op.alpha.value.data, x, np.zeros((), x.dtype))


@meaning("graph.clip")
def clip(op: ops.ClipOp, x: Array, low: Array | None, high: Array | None) -> Array:
    """The upper bound wins over the lower one; NaN and what equals a bound stay."""
    del op
    raised = x if low is None else larger(x, low.reshape(()))
    return raised if high is None else smaller(raised, high.reshape(()))


def converted(x: Array, dtype: np.dtype[np.generic]) -> Array:
    """Truncates towards zero; to boolean is x != 0. bfloat16 goes by f32."""
    if dtype.name == "bfloat16" or x.dtype.name == "bfloat16":
        x = x.astype(np.float32)
    return x.astype(dtype)


@meaning("graph.cast")
def cast_to(op: ops.CastOp, x: Array) -> Array:
    """To the element type that a property names."""
    return converted(x, numpy_dtype(op.to))


@meaning("graph.cast_like")
def cast_like(op: ops.CastLikeOp, x: Array, target_type: Array) -> Array:
    """To the element type of an operand."""
    del op
    return converted(x, target_type.dtype)
