"""Single operators, as ONNX models and as NumPy writes them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .net import OPSET

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
Shape = tuple[int, ...]


REPEATED_OPERATIONS = 10**8
"""About a millisecond of one core: beside it a call from Python does not count."""


@dataclass(frozen=True)
class Kernel:
    """One operator on x.

    Attributes:
        weights: constants, by name.
        inputs: arrays by name, made by a call.
        numpy: the same from inputs and weights.
        operations: that the answer needs; for matrix products and convolutions.
    """

    name: str
    node: onnx.NodeProto
    inputs: dict[str, Shape]
    weights: dict[str, Shape]
    output: Shape
    numpy: Callable[[Arrays], Array]
    operations: int = 0

    @property
    def repeats(self) -> int:
        """How often the kernel alone runs for one measurement."""
        return max(1, REPEATED_OPERATIONS // self.operations) if self.operations else 1

    def constants(self) -> Arrays:
        """The weights' content, the same every time."""
        random = np.random.default_rng(0)
        return {
            name: random.standard_normal(shape, np.float32) / np.float32(np.sqrt(shape[0]))
            for name, shape in self.weights.items()
        }

    def arrays(self) -> Arrays:
        """The inputs' content, the same every time."""
        random = np.random.default_rng(1)
        return {
            name: random.standard_normal(shape, np.float32) for name, shape in self.inputs.items()
        }

    def model(self) -> onnx.ModelProto:
        """As ONNX."""
        value = partial(helper.make_tensor_value_info, elem_type=onnx.TensorProto.FLOAT)
        graph = helper.make_graph(
            [self.node],
            "kernel",
            [value(name, shape=list(shape)) for name, shape in self.inputs.items()],
            [value("y", shape=list(self.output))],
            [numpy_helper.from_array(a, name) for name, a in self.constants().items()],
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=9)


def gemm(m: int, k: int, n: int, *, dynamic: bool = False) -> Kernel:
    """X times w; `dynamic` where both come with the call."""
    shapes = {"x": (m, k)}, {"w": (k, n)}
    inputs = {**shapes[0], **shapes[1]} if dynamic else shapes[0]
    name = f"gemm {m}x{k}x{n}{' dynamic' if dynamic else ''}"
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = {} if dynamic else shapes[1]
    return Kernel(name, node, inputs, weights, (m, n), _product, 2 * m * k * n)


def _product(arrays: Arrays) -> Array:
    return arrays["x"] @ arrays["w"]


def softmax(rows: int, columns: int) -> Kernel:
    """Over the last dimension."""
    node = helper.make_node("Softmax", ["x"], ["y"], axis=-1)
    shape = (rows, columns)
    return Kernel(f"softmax {rows}x{columns}", node, {"x": shape}, {}, shape, _softmax)


def _softmax(arrays: Arrays) -> Array:
    x = arrays["x"]
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(rows: int, columns: int) -> Kernel:
    """Over the last dimension, with scale and bias."""
    node = helper.make_node("LayerNormalization", ["x", "s", "b"], ["y"], axis=-1, epsilon=1e-5)
    shape, weights = (rows, columns), {"s": (columns,), "b": (columns,)}
    name = f"layer norm {rows}x{columns}"
    return Kernel(name, node, {"x": shape}, weights, shape, _layer_norm)


def _layer_norm(arrays: Arrays) -> Array:
    x = arrays["x"]
    centered = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centered).mean(axis=-1, keepdims=True)
    return centered / np.sqrt(variance + np.float32(1e-5)) * arrays["s"] + arrays["b"]


def depthwise(channels: int, size: int) -> Kernel:
    """3x3, padded by 1."""
    weights = {"w": (channels, 1, 3, 3)}
    node = helper.make_node(
        "Conv", ["x", "w"], ["y"], group=channels, kernel_shape=[3, 3], pads=[1, 1, 1, 1]
    )
    shape = (1, channels, size, size)
    taps = (3 * size - 2) ** 2
    name = f"depthwise 3x3 {channels}x{size}x{size}"
    return Kernel(name, node, {"x": shape}, weights, shape, _depthwise, 2 * channels * taps)


def _depthwise(arrays: Arrays) -> Array:
    x, w = arrays["x"], arrays["w"]
    size = x.shape[-1]
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    y = np.zeros_like(x)
    for i in range(3):
        for j in range(3):
            y += padded[:, :, i : i + size, j : j + size] * w[:, :, i, j, None, None].reshape(
                1, -1, 1, 1
            )
    return y


def _all() -> Sequence[Kernel]:
    sizes = ((512, 512, 512), (128, 768, 768), (1024, 1024, 1024), (2048, 2048, 2048))
    products = [gemm(*size, dynamic=dynamic) for size in sizes for dynamic in (False, True)]
    rows = [softmax(128, 768), layer_norm(128, 768)]
    images = [depthwise(*size) for size in ((32, 14), (384, 14), (96, 28), (96, 112))]
    return [*products, *rows, *images]


KERNELS = {kernel.name: kernel for kernel in _all()}
