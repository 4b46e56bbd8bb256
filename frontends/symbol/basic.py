"""NNVM's level 1: dense, activations by parameters, normalisation, joining and splitting."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from ...core.errors import ModelError
from ...dialects.graph.types import info
from .emit import Emitter, Value
from .operators import Dims, operator

INT64_MAX = 2**63 - 1


def _dense_shapes(attributes: Mapping[str, Any]) -> Mapping[str, Dims]:
    units = attributes["units"]
    return {"weight": (units, None), "bias": (units,)}


@operator(parameters=("weight", "bias"), switches={"bias": "use_bias"}, shapes=_dense_shapes)
def dense(
    emit: Emitter,
    data: Value,
    weight: Value,
    bias: Value | None,
    *,
    units: int,
    use_bias: bool = True,
) -> Value:
    """Data [..., k] times weight [units, k] transposed, plus bias [units]."""
    del units, use_bias  # in the shapes
    if info(data).rank == 2:
        return emit("Gemm", data, weight, bias, transB=1)
    product = emit("MatMul", data, emit("Transpose", weight, perm=[1, 0]))
    return product if bias is None else emit("Add", product, bias)


@operator()
def matmul(
    emit: Emitter,
    lhs: Value,
    rhs: Value,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
) -> Value:
    """The product of two matrices, either transposed first."""
    lhs = emit("Transpose", lhs, perm=[1, 0]) if transpose_a else lhs
    rhs = emit("Transpose", rhs, perm=[1, 0]) if transpose_b else rhs
    return emit("MatMul", lhs, rhs)


@operator()
def leaky_relu(emit: Emitter, data: Value, *, alpha: float = 0.25) -> Value:
    """X where x >= 0, else alpha * x."""
    return emit("LeakyRelu", data, alpha=float(alpha))


@operator(parameters=("alpha",), shapes=lambda _: {"alpha": (None,)})
def prelu(emit: Emitter, data: Value, alpha: Value, *, axis: int = 1) -> Value:
    """X where x >= 0, else alpha * x, one alpha for each index of `axis`."""
    rank = emit.rank(data, "prelu")
    trailing = rank - 1 - (axis % rank)
    if trailing:
        axes = emit.constant(list(range(1, 1 + trailing)))
        alpha = emit("Unsqueeze", alpha, axes)
    return emit("PRelu", data, alpha)


@operator()
def softmax(emit: Emitter, data: Value, *, axis: int = -1) -> Value:
    """Exponentials that sum to 1 along an axis."""
    return emit("Softmax", data, axis=axis)


@operator()
def log_softmax(emit: Emitter, data: Value, *, axis: int = -1) -> Value:
    """The logarithm of softmax."""
    return emit("LogSoftmax", data, axis=axis)


def _batch_norm_shapes(_: Mapping[str, Any]) -> Mapping[str, Dims]:
    return dict.fromkeys(("gamma", "beta", "moving_mean", "moving_var"), (None,))


@operator(parameters=("gamma", "beta", "moving_mean", "moving_var"), shapes=_batch_norm_shapes)
def batch_norm(
    emit: Emitter,
    data: Value,
    gamma: Value,
    beta: Value,
    moving_mean: Value,
    moving_var: Value,
    *,
    axis: int = 1,
    epsilon: float = 1e-5,
    center: bool = True,
    scale: bool = True,
) -> Value:
    """(x - moving_mean) / sqrt(moving_var + epsilon) * gamma + beta along `axis` (inference)."""
    if not scale:
        gamma = _filled_like(emit, 1.0, moving_var)
    if not center:
        beta = _filled_like(emit, 0.0, moving_mean)
    moved, order = data, None
    if axis != 1:
        rank = emit.rank(data, "batch_norm along another axis than 1")
        order = _swap(rank, 1, axis % rank)
        moved = emit("Transpose", data, perm=order)
    parameters = (gamma, beta, moving_mean, moving_var)
    result = emit("BatchNormalization", moved, *parameters, epsilon=float(epsilon))
    return result if order is None else emit("Transpose", result, perm=order)


def _filled_like(emit: Emitter, number: float, like: Value) -> Value:
    return emit("Expand", emit.scalar_like(number, like), emit("Shape", like))


def _swap(rank: int, first: int, second: int) -> list[int]:
    order = list(range(rank))
    order[first], order[second] = order[second], order[first]
    return order


@operator()
def dropout(emit: Emitter, data: Value, *, rate: float = 0.5) -> Value:
    """Nothing at inference."""
    return emit("Dropout", data, emit.constant(rate, "float32"))


@operator(aliases=("copy",))
def block_grad(emit: Emitter, data: Value) -> Value:
    """The same values."""
    return emit("Identity", data)


@operator()
def cast(emit: Emitter, data: Value, *, dtype: str) -> Value:
    """Another element type, by NumPy's name."""
    return emit.cast(data, dtype)


@operator()
def concatenate(emit: Emitter, *data: Value, axis: int = 1) -> Value:
    """Joined along an axis."""
    return emit("Concat", *data, axis=axis)


def _parts(attributes: Mapping[str, Any]) -> int:
    cuts = attributes["indices_or_sections"]
    count = cuts if isinstance(cuts, int) else len(cuts) + 1
    if count < 1:
        raise ModelError(f"split into {count} sections")
    return count


@operator(outputs=_parts)
def split(
    emit: Emitter, data: Value, *, indices_or_sections: int | tuple[int, ...], axis: int = 1
) -> Sequence[Value]:
    """Parts along an axis: an integer says how many, a tuple where to cut."""
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        return emit.all("Split", data, results=count, axis=axis, num_outputs=count)
    cuts = [0, *indices_or_sections, INT64_MAX]
    along = emit.constant([axis])
    return [
        emit("Slice", data, emit.constant([low]), emit.constant([high]), along)
        for low, high in itertools.pairwise(cuts)
    ]


@operator()
def l2_normalize(emit: Emitter, data: Value, *, eps: float, axis: tuple[int, ...] = ()) -> Value:
    """X / sqrt(max(sum(x * x), eps)) with the sum over `axis` (all axes where empty)."""
    axes = emit.constant(list(axis)) if axis else None
    total = emit("ReduceSumSquare", data, axes, keepdims=1)
    return emit("Div", data, emit("Sqrt", emit("Max", total, emit.scalar_like(eps, data))))


@operator()
def lrn(
    emit: Emitter,
    data: Value,
    *,
    size: int,
    axis: int = 1,
    alpha: float = 1e-4,
    beta: float = 0.75,
    bias: float = 2.0,
) -> Value:
    """Local response normalisation over channels."""
    if axis != 1:
        raise ModelError(f"lrn along axis {axis}, expected 1 (channels)")
    scales = {"alpha": float(alpha), "beta": float(beta), "bias": float(bias)}
    return emit("LRN", data, size=size, **scales)
