"""Networks written layer by layer: ONNX with random but seeded weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

Array = np.ndarray[Any, Any]
OPSET = 17


class Net:
    """A network under construction; every method adds a layer and gives its output's name.

    Weights keep the variance of what passes through a relu (He); the statistics of batch norms are
    away from 0 and 1, so that folding them wrongly shows.
    """

    def __init__(self, name: str, shape: Sequence[int], seed: int):
        self.name = name
        self.shape = list(shape)
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.channels = {"x": self.shape[1]}

    def model(self, output: str) -> onnx.ModelProto:
        """The whole network."""
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            self.name,
            [value("x", onnx.TensorProto.FLOAT, self.shape)],
            [value(output, onnx.TensorProto.FLOAT, [self.shape[0], self.channels[output]])],
            self.weights,
        )
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=9)

    def add(self, operator: str, *inputs: str, channels: int = 0, **attributes: Any) -> str:
        """A node; its output has as many channels as the first input if nothing is said."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        self.channels[name] = channels or self.channels[inputs[0]]
        return name

    def constant(self, array: Array) -> str:
        """A weight as it is."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(array, name))
        return name

    def normal(self, shape: Sequence[int], deviation: float, mean: float = 0.0) -> str:
        """A normally distributed weight."""
        values = self.random.standard_normal(tuple(shape), np.float32)
        return self.constant(np.float32(deviation) * values + np.float32(mean))

    def uniform(self, low: float, high: float, count: int) -> str:
        """Weights between two bounds."""
        return self.constant(self.random.uniform(low, high, count).astype(np.float32))

    def conv(
        self,
        x: str,
        channels: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        pad: int | None = None,
        bias: bool = False,
    ) -> str:
        """A convolution, padded so that stride 1 keeps the extents."""
        pad = kernel // 2 if pad is None else pad
        shape = (channels, self.channels[x] // groups, kernel, kernel)
        weights = [self.normal(shape, float(np.sqrt(2 / np.prod(shape[1:]))))]
        if bias:
            weights.append(self.normal([channels], 0.1))
        return self.add(
            "Conv",
            x,
            *weights,
            channels=channels,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[pad] * 4,
            group=groups,
        )

    def batch_norm(self, x: str) -> str:
        """A batch norm in inference, with statistics as after training."""
        count = self.channels[x]
        scale, bias = self.uniform(0.6, 1.3, count), self.normal([count], 0.1)
        mean, variance = self.normal([count], 0.2), self.uniform(0.6, 1.6, count)
        return self.add("BatchNormalization", x, scale, bias, mean, variance, epsilon=1e-5)

    def layer_norm(self, x: str) -> str:
        """A layer norm over the last dimension, which holds the channels."""
        count = self.channels[x]
        scale, bias = self.uniform(0.6, 1.3, count), self.normal([count], 0.1)
        return self.add("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-6)

    def dense(self, x: str, units: int) -> str:
        """A fully connected layer on a matrix, as exporters write it: Gemm with B transposed."""
        count = self.channels[x]
        weight = self.normal([units, count], float(np.sqrt(2 / count)))
        return self.add("Gemm", x, weight, self.normal([units], 0.1), channels=units, transB=1)

    def linear(self, x: str, units: int) -> str:
        """A fully connected layer over the last dimension of any tensor."""
        count = self.channels[x]
        weight = self.normal([count, units], float(np.sqrt(2 / count)))
        product = self.add("MatMul", x, weight, channels=units)
        return self.add("Add", product, self.normal([units], 0.1))

    def relu(self, x: str) -> str:
        """max(x, 0)."""
        return self.add("Relu", x)

    def relu6(self, x: str) -> str:
        """Between 0 and 6."""
        bounds = [self.constant(np.array(bound, np.float32)) for bound in (0, 6)]
        return self.add("Clip", x, *bounds)

    def silu(self, x: str) -> str:
        """X * sigmoid(x)."""
        return self.add("Mul", x, self.add("Sigmoid", x))

    def gelu(self, x: str) -> str:
        """X/2 * (1 + erf(x / sqrt 2)), as exporters spell it."""
        root, one, half = (self.constant(np.array(v, np.float32)) for v in (2**0.5, 1, 0.5))
        erf = self.add("Erf", self.add("Div", x, root))
        return self.add("Mul", self.add("Mul", x, self.add("Add", erf, one)), half)

    def max_pool(self, x: str, kernel: int, stride: int, pad: int = 0) -> str:
        """The largest of each window."""
        return self.add(
            "MaxPool", x, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4
        )

    def global_pool(self, x: str) -> str:
        """The average over the image, as a matrix of batch by channels."""
        return self.add("Flatten", self.add("GlobalAveragePool", x))
