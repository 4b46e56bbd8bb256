"""ONNX operators as torch functions, those that the networks of the benchmarks use.

A function takes a node's operands, then its attributes by name. Operands whose positions STATIC
names come as Python numbers or lists.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import onnx
from onnx import helper

torch: Any = import_module("torch")  # its annotations do not satisfy a strict checker
functional: Any = torch.nn.functional
Tensor = Any
Operator = Callable[..., Any]

STATIC = {
    "Clip": (1, 2),
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "ReduceSum": (1,),
    "Reshape": (1,),
    "Slice": (1, 2, 3, 4),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
}


def torch_dtype(number: int) -> Any:
    """The torch dtype of one of ONNX's numbers."""
    return getattr(torch, helper.tensor_dtype_to_np_dtype(number).name)


def _symmetric(x: Tensor, pads: Sequence[int], fill: float) -> tuple[Tensor, list[int]]:
    """Padding as torch's operators take it; what is not the same on both sides becomes a pad."""
    rank = len(pads) // 2
    begin, end = list(pads[:rank]), list(pads[rank:])
    if begin == end:
        return x, begin
    widths = [width for pair in zip(begin[::-1], end[::-1], strict=True) for width in pair]
    return functional.pad(x, widths, value=fill), [0] * rank


def _same_pads(x: Tensor, kernel: Sequence[int], strides: Sequence[int], upper: bool) -> list[int]:
    begin: list[int] = []
    end: list[int] = []
    for size, window, stride in zip(x.shape[2:], kernel, strides, strict=True):
        total = max(0, (-(-size // stride) - 1) * stride + window - size)
        small = total // 2
        begin.append(small if upper else total - small)
        end.append(total - begin[-1])
    return begin + end


def _pads(
    x: Tensor, kernel: Sequence[int], strides: Sequence[int], pads: Sequence[int], auto_pad: str
) -> Sequence[int]:
    if auto_pad.startswith("SAME"):
        return _same_pads(x, kernel, strides, auto_pad == "SAME_UPPER")
    return pads or [0] * (2 * len(kernel))


def conv(
    x: Tensor,
    w: Tensor,
    b: Tensor = None,
    *,
    strides: Sequence[int] = (),
    pads: Sequence[int] = (),
    dilations: Sequence[int] = (),
    group: int = 1,
    auto_pad: str = "NOTSET",
    kernel_shape: Sequence[int] = (),
) -> Tensor:
    """Conv of one or two spatial dimensions."""
    del kernel_shape
    rank = x.dim() - 2
    strides, dilations = strides or [1] * rank, dilations or [1] * rank
    reach = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    x, padding = _symmetric(x, _pads(x, reach, strides, pads, auto_pad), 0.0)
    run = functional.conv2d if rank == 2 else functional.conv1d
    return run(x, w, b, list(strides), padding, list(dilations), group)


def max_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] = (),
    pads: Sequence[int] = (),
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    **_: Any,
) -> Tensor:
    """MaxPool of images."""
    strides = strides or [1] * len(kernel_shape)
    x, padding = _symmetric(x, _pads(x, kernel_shape, strides, pads, auto_pad), -torch.inf)
    return functional.max_pool2d(
        x, list(kernel_shape), list(strides), padding, ceil_mode=bool(ceil_mode)
    )


def average_pool(
    x: Tensor,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] = (),
    pads: Sequence[int] = (),
    count_include_pad: int = 0,
    ceil_mode: int = 0,
) -> Tensor:
    """AveragePool of images."""
    rank = len(kernel_shape)
    kernel, strides = list(kernel_shape), list(strides or [1] * rank)
    pads = list(pads or [0] * (2 * rank))
    if pads[:rank] == pads[rank:]:
        inside = bool(count_include_pad)
        return functional.avg_pool2d(x, kernel, strides, pads[:rank], bool(ceil_mode), inside)
    # Sums over the padded image, divided by how many elements of the image are in each window.
    ones, _ = _symmetric(torch.ones(1, 1, *x.shape[2:]), pads, float(count_include_pad))
    x, _ = _symmetric(x, pads, 0.0)
    sums, counts = (
        functional.avg_pool2d(each, kernel, strides, ceil_mode=bool(ceil_mode), divisor_override=1)
        for each in (x, ones)
    )
    return sums / counts


def batch_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
    *,
    epsilon: float = 1e-5,
    **_: Any,
) -> Tensor:
    """BatchNormalization in inference."""
    return functional.batch_norm(x, mean, variance, scale, bias, eps=epsilon)


def clip(x: Tensor, low: Any = None, high: Any = None, **bounds: float) -> Tensor:
    """Clip, with bounds as operands or, in old exports, as attributes."""
    return torch.clamp(x, bounds.get("min", low), bounds.get("max", high))


def constant_of_shape(shape: Sequence[int], *, value: Tensor = None) -> Tensor:
    """ConstantOfShape."""
    value = torch.zeros(1) if value is None else value
    return torch.full(list(shape), value.item(), dtype=value.dtype)


def gemm(
    a: Tensor,
    b: Tensor,
    c: Tensor = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Tensor:
    """Gemm; without factors it is a linear layer."""
    a = a.T if transA else a
    if alpha == 1.0 and beta == 1.0 and transB:
        return functional.linear(a, b, c)
    product = alpha * (a @ (b.T if transB else b))
    return product if c is None else product + beta * c


def layer_normalization(
    x: Tensor,
    scale: Tensor,
    bias: Tensor = None,
    *,
    axis: int = -1,
    epsilon: float = 1e-5,
    **_: Any,
) -> Tensor:
    """LayerNormalization."""
    del axis
    return functional.layer_norm(x, list(scale.shape), scale, bias, epsilon)


def lrn(
    x: Tensor, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0
) -> Tensor:
    """LRN over channels."""
    return functional.local_response_norm(x, size, alpha, beta, bias)


def prelu(x: Tensor, slope: Tensor) -> Tensor:
    """PRelu, its slope broadcast as in ONNX."""
    return torch.where(x < 0, x * slope, x)


def reshape(x: Tensor, shape: Sequence[int], **_: Any) -> Tensor:
    """Reshape; a 0 keeps an extent."""
    return x.reshape([x.shape[i] if extent == 0 else extent for i, extent in enumerate(shape)])


def slice_(
    x: Tensor,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[int] | None = None,
    steps: Sequence[int] | None = None,
) -> Tensor:
    """Slice, forward."""
    index = [slice(None)] * x.dim()
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[axis] = slice(start, end, step)
    return x[tuple(index)]


def softmax(x: Tensor, *, axis: int | None = None, opset: int) -> Tensor:
    """Softmax; before opset 13 over all dimensions from `axis` on."""
    if opset >= 13:
        return functional.softmax(x, -1 if axis is None else axis)
    axis = 1 if axis is None else axis % x.dim()
    return functional.softmax(x.flatten(axis), -1).reshape(x.shape)


def gather(x: Tensor, indices: Tensor, *, axis: int = 0) -> Tensor:
    """Gather."""
    flat = torch.index_select(x, axis, indices.reshape(-1))
    axis %= x.dim()
    return flat.reshape([*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]])


def reduced(function: Callable[..., Any]) -> Operator:
    """A reduction over axes that are an operand or an attribute."""

    def run(x: Tensor, given: Any = None, *, axes: Any = None, keepdims: int = 1, **_: Any) -> Any:
        chosen = axes if given is None else given
        dims = list(range(x.dim())) if chosen is None else list(chosen)
        return function(x, dims, bool(keepdims))

    return run


def squeeze(x: Tensor, given: Any = None, *, axes: Any = None) -> Tensor:
    """Squeeze."""
    chosen = axes if given is None else given
    return x.squeeze() if chosen is None else x.squeeze(tuple(chosen))


def unsqueeze(x: Tensor, given: Any = None, *, axes: Any = None) -> Tensor:
    """Unsqueeze."""
    chosen = axes if given is None else given
    rank = x.dim() + len(chosen)
    for axis in sorted(axis % rank for axis in chosen):
        x = x.unsqueeze(axis)
    return x


def add(*xs: Tensor) -> Tensor:
    """Sum."""
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


def transpose(x: Tensor, *, perm: Sequence[int]) -> Tensor:
    """Transpose."""
    return x.permute(list(perm))


def hard_sigmoid(x: Tensor, *, alpha: float = 0.2, beta: float = 0.5) -> Tensor:
    """HardSigmoid."""
    return torch.clamp(alpha * x + beta, 0, 1)


def leaky_relu(x: Tensor, *, alpha: float = 0.01) -> Tensor:
    """LeakyRelu."""
    return functional.leaky_relu(x, alpha)


def concat(*xs: Tensor, axis: int) -> Tensor:
    """Concat."""
    return torch.cat(xs, axis)


def flatten(x: Tensor, *, axis: int = 1) -> Tensor:
    """Flatten, of tensors whose first extent is a batch of its own."""
    return x.flatten(axis)


def cast(x: Tensor, *, to: int) -> Tensor:
    """Cast."""
    return x.to(torch_dtype(to))


def constant(*, value: Tensor) -> Tensor:
    """Constant."""
    return value


def dropout(x: Tensor, *_: Any, **__: Any) -> Tensor:
    """Dropout in inference."""
    return x


def divide(x: Tensor, y: Tensor) -> Tensor:
    """Div; of integers that are not negative, as shapes are."""
    return x / y if x.is_floating_point() else x // y


def expand(x: Tensor, shape: Sequence[int]) -> Tensor:
    """Expand: both shapes are broadcast."""
    return x * torch.ones(list(shape), dtype=x.dtype)


def _image(x: Tensor) -> tuple[int, ...]:
    """Dimensions after batch and channels."""
    return tuple(range(2, x.dim()))


_PLAIN: dict[str, Operator] = {
    "Add": torch.add,
    "Equal": torch.eq,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "HardSwish": functional.hardswish,
    "MatMul": torch.matmul,
    "Max": torch.maximum,
    "Mul": torch.mul,
    "Reciprocal": torch.reciprocal,
    "Relu": functional.relu,
    "Sigmoid": torch.sigmoid,
    "Sqrt": torch.sqrt,
    "Sub": torch.sub,
    "Tanh": torch.tanh,
    "Where": torch.where,
}
"""Those that torch has under the same meaning."""
_UNARY: dict[str, Callable[[Any], Any]] = {
    "GlobalAveragePool": lambda x: x.mean(_image(x), keepdim=True),
    "GlobalMaxPool": lambda x: x.amax(_image(x), keepdim=True),
    "Identity": lambda x: x,
    "Shape": lambda x: torch.tensor(x.shape),
}
_REDUCED: dict[str, Callable[[Any, list[int], bool], Any]] = {
    "ReduceMax": lambda x, dims, keep: x.amax(dims, keep),
    "ReduceSum": lambda x, dims, keep: x.sum(dims, keep),
}
OPERATORS: dict[str, Operator] = {
    **_PLAIN,
    **_UNARY,
    **{name: reduced(function) for name, function in _REDUCED.items()},
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "Clip": clip,
    "Concat": concat,
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Conv": conv,
    "Div": divide,
    "Dropout": dropout,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "Gemm": gemm,
    "HardSigmoid": hard_sigmoid,
    "LRN": lrn,
    "LayerNormalization": layer_normalization,
    "LeakyRelu": leaky_relu,
    "MaxPool": max_pool,
    "PRelu": prelu,
    "Reshape": reshape,
    "Slice": slice_,
    "Softmax": softmax,
    "Squeeze": squeeze,
    "Sum": add,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}


def operator_of(node: onnx.NodeProto) -> Operator:
    """The function of a node.

    Raises: NotImplementedError: there is none.
    """
    if node.op_type not in OPERATORS:
        raise NotImplementedError(f"{node.op_type} is not translated to torch")
    return OPERATORS[node.op_type]
