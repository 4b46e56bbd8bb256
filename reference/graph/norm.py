"""Normalisations and softmax."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import FloatAttr

from ...core.irtypes import int_values
from ...dialects.graph import norm as ops
from .meaning import Array, meaning


def _per_channel(parameter: Array, rank: int) -> Array:
    return parameter.reshape(-1, *(1,) * (rank - 2))


def _normalised(x: Array, axes: tuple[int, ...], epsilon: float) -> tuple[Array, Array, Array]:
    """(x - mean) / deviation, the mean and 1 / deviation."""
    mean = np.mean(x, axis=axes, keepdims=True)
    variance = np.mean(np.square(x - mean), axis=axes, keepdims=True)
    inverse = 1 / np.sqrt(variance + x.dtype.type(epsilon))
    return (x - mean) * inverse, mean, inverse


def _number(attribute: FloatAttr) -> float:
    return float(attribute.value.data)


@meaning("graph.batch_normalization", wide=True)
def batch_normalization(
    op: ops.BatchNormalizationOp, x: Array, scale: Array, b: Array, mean: Array, var: Array
) -> tuple[Array, ...]:
    """With given statistics or, in training mode, with the batch's."""
    axes = (0, *range(2, x.ndim))
    used_mean, used_var = mean, var
    if op.training_mode.value.data:
        used_mean, used_var = np.mean(x, axis=axes), np.var(x, axis=axes)
    scale_, b_, mean_, var_ = (
        _per_channel(item, x.ndim) for item in (scale, b, used_mean, used_var)
    )
    y = scale_ * (x - mean_) / np.sqrt(var_ + x.dtype.type(_number(op.epsilon))) + b_
    momentum = mean.dtype.type(_number(op.momentum))
    running = [
        (old * momentum + new * (1 - momentum)).astype(old.dtype)
        for old, new in ((mean, used_mean), (var, used_var))
    ]
    return (y.astype(x.dtype), *running)[: len(op.results)]


@meaning("graph.layer_normalization")
def layer_normalization(
    op: ops.LayerNormalizationOp, x: Array, scale: Array, b: Array | None
) -> tuple[Array, ...]:
    """In f32 (with `stash_type` 1), whatever the data's type; f64 stays."""
    axis = op.axis.value.data % x.ndim
    stash = np.dtype(np.float32) if op.stash_type.value.data == 1 else x.dtype
    wide = np.dtype(np.float64) if x.dtype == np.float64 else np.dtype(np.float32)
    axes = tuple(range(axis, x.ndim))
    normal, mean, inverse = _normalised(x.astype(wide), axes, _number(op.epsilon))
    y = normal.astype(x.dtype) * scale
    y = y if b is None else y + b
    return (y.astype(x.dtype), mean.astype(stash), inverse.astype(stash))[: len(op.results)]


@meaning("graph.rms_normalization")
def rms_normalization(op: ops.RMSNormalizationOp, x: Array, scale: Array) -> Array:
    """In f32, whatever the data's type; f64 stays."""
    wide = x.astype(np.float64 if x.dtype == np.float64 else np.float32)
    axes = tuple(range(op.axis.value.data % x.ndim, x.ndim))
    square = np.mean(np.square(wide), axis=axes, keepdims=True)
    normal = wide / np.sqrt(square + wide.dtype.type(_number(op.epsilon)))
    return (normal.astype(x.dtype) * scale).astype(scale.dtype)


@meaning("graph.instance_normalization", wide=True)
def instance_normalization(
    op: ops.InstanceNormalizationOp, x: Array, scale: Array, b: Array
) -> Array:
    """Each channel of each image by itself."""
    normal, _, _ = _normalised(x, tuple(range(2, x.ndim)), _number(op.epsilon))
    return normal * _per_channel(scale, x.ndim) + _per_channel(b, x.ndim)


@meaning("graph.group_normalization", wide=True)
def group_normalization(op: ops.GroupNormalizationOp, x: Array, scale: Array, bias: Array) -> Array:
    """Each group of channels of each image by itself."""
    groups = op.num_groups.value.data
    grouped = x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
    normal, _, _ = _normalised(grouped, tuple(range(2, grouped.ndim)), _number(op.epsilon))
    return normal.reshape(x.shape) * _per_channel(scale, x.ndim) + _per_channel(bias, x.ndim)


@meaning("graph.lrn", wide=True)
def lrn(op: ops.LRNOp, x: Array) -> Array:
    """Sums of squares over `size` channels around each one."""
    size, channels = op.size.value.data, x.shape[1]
    squares = np.zeros_like(x)
    for channel in range(channels):
        first = max(0, channel - (size - 1) // 2)
        last = min(channels - 1, channel + -(-(size - 1) // 2)) + 1
        squares[:, channel] = np.sum(np.square(x[:, first:last]), axis=1)
    alpha, beta, bias = (_number(item) for item in (op.alpha, op.beta, op.bias))
    return (x / (bias + alpha / size * squares) ** beta).astype(x.dtype)


@meaning("graph.lp_normalization", wide=True)
def lp_normalization(op: ops.LpNormalizationOp, x: Array) -> Array:
    """Zero where the norm is zero."""
    axis, p = op.axis.value.data, op.p.value.data
    norm = np.sum(np.abs(x) ** p, axis=axis, keepdims=True) ** (1.0 / p)
    return np.where(norm == 0, 0, x / norm).astype(x.dtype)


@meaning("graph.mean_variance_normalization", wide=True)
def mean_variance_normalization(op: ops.MeanVarianceNormalizationOp, x: Array) -> Array:
    """(x - E x) / (sqrt(E x^2 - (E x)^2) + 1e-9)."""
    axes = int_values(op.axes)
    mean = np.mean(x, axis=axes, keepdims=True)
    deviation = np.sqrt(np.mean(np.square(x), axis=axes, keepdims=True) - np.square(mean))
    return ((x - mean) / (deviation + x.dtype.type(1e-9))).astype(x.dtype)


def _shifted(x: Array, axis: int) -> Array:
    """X minus its maximum along the axis; an empty axis stays."""
    return x - np.max(x, axis=axis, keepdims=True, initial=-np.inf)


@meaning("graph.softmax", wide=True)
def softmax(op: ops.SoftmaxOp, x: Array) -> Array:
    """Without overflow."""
    powers = np.exp(_shifted(x, op.axis.value.data))
    return powers / np.sum(powers, axis=op.axis.value.data, keepdims=True)


@meaning("graph.log_softmax", wide=True)
def log_softmax(op: ops.LogSoftmaxOp, x: Array) -> Array:
    """Without underflow."""
    shifted = _shifted(x, op.axis.value.data)
    return shifted - np.log(np.sum(np.exp(shifted), axis=op.axis.value.data, keepdims=True))


@meaning("graph.hardmax", wide=True)
def hardmax(op: ops.HardmaxOp, x: Array) -> Array:
    """The first maximum."""
    axis = op.axis.value.data
    if x.shape[axis] == 0:
        return x
    result = np.zeros_like(x)
    np.put_along_axis(result, np.expand_dims(np.argmax(x, axis=axis), axis), 1, axis=axis)
    return result
