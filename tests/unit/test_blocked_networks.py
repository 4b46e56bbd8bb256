"""Networks on blocked channels against onnxruntime: all windows, extents that do not divide."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import nnc

Shape = tuple[int, ...]


class Net:
    """A network that is being written: every method adds a node and returns its result's name."""

    def __init__(self, shape: Shape):
        self.shape = shape
        self.random = np.random.default_rng(sum(shape))
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, array: Any, dtype: Any = np.float32) -> str:
        name = f"c{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array, dtype), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], f"{kind}_{name}", **attributes))
        return name

    def conv(self, x: str, weights: Shape, kind: str = "Conv", **attributes: Any) -> str:
        scale = 1 / np.sqrt(np.prod(weights[1:]))
        w = self.constant(self.random.standard_normal(weights) * scale)
        return self.node(kind, x, w, **attributes)

    def model(self, *outputs: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
            self.weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def residual(shape: Shape) -> onnx.ModelProto:
    net = Net(shape)
    a = net.node("Relu", net.conv("x", (40, shape[1], 7, 7), strides=[2, 2], pads=[3, 3, 3, 3]))
    a = net.node("MaxPool", a, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    b = net.conv(a, (40, 40, 5, 5), pads=[2, 2, 2, 2])
    return net.model(net.node("Relu", net.node("Add", a, b)))


def inverted(shape: Shape) -> onnx.ModelProto:
    """A pointwise, a depthwise and a pointwise convolution; squeeze and excite; a classifier."""
    net = Net(shape)
    a = net.conv("x", (72, shape[1], 1, 1))
    a = net.node("HardSigmoid", net.conv(a, (72, 1, 3, 3), group=72, pads=[1, 1, 1, 1]))
    s = net.node("GlobalAveragePool", a)
    s = net.node("Sigmoid", net.conv(net.node("Relu", net.conv(s, (9, 72, 1, 1))), (72, 9, 1, 1)))
    a = net.conv(net.node("Mul", a, s), (24, 72, 1, 1))
    pooled = net.node("Flatten", net.node("GlobalAveragePool", a))
    w = net.constant(net.random.standard_normal((24, 10)))
    return net.model(net.node("MatMul", pooled, w), a)


def branches(shape: Shape) -> onnx.ModelProto:
    """Pieces of whole blocks and of others, an average that counts its padding, a stride."""
    net = Net(shape)
    a = net.conv("x", (32, shape[1], 1, 1))
    b = net.conv(a, (16, 32, 3, 3), pads=[1, 1, 1, 1], dilations=[1, 1])
    c = net.conv(a, (24, 32, 3, 3), pads=[2, 2, 2, 2], dilations=[2, 2])
    d = net.node("AveragePool", a, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    whole = net.node("Concat", a, b, c, axis=1)
    ragged = net.node("Concat", c, d, axis=1)
    return net.model(
        net.conv(whole, (17, 72, 1, 1), strides=[2, 2]), net.conv(ragged, (8, 56, 1, 1))
    )


def groups(shape: Shape) -> onnx.ModelProto:
    """Groups of whole blocks, groups that cut through them, and a shuffle between."""
    net = Net(shape)
    n, _, h, w = shape
    a = net.conv("x", (96, shape[1], 1, 1))
    a = net.conv(a, (96, 32, 3, 3), group=3, pads=[1, 1, 1, 1])
    a = net.node("Relu", net.conv(a, (136, 24, 1, 1), group=4))
    a = net.node("Reshape", a, net.constant([n, 4, 34, h, w], np.int64))
    a = net.node("Transpose", a, perm=[0, 2, 1, 3, 4])
    a = net.node("Reshape", a, net.constant([n, 136, h, w], np.int64))
    return net.model(net.conv(a, (136, 1, 3, 3), group=136, strides=[2, 2], pads=[1, 1, 1, 1]))


def upwards(shape: Shape) -> onnx.ModelProto:
    """A transposed convolution, a nearest and a linear resize, channels last at the end."""
    net = Net(shape)
    a = net.conv("x", (24, shape[1], 1, 1))
    b = net.conv(a, (24, 20, 3, 3), "ConvTranspose", strides=[2, 2], pads=[1, 1, 1, 1])
    scales = net.constant([1, 1, 2, 2])
    c = net.node("Resize", b, "", scales, mode="nearest")
    d = net.node("Resize", b, "", scales, mode="linear")
    return net.model(net.node("Transpose", net.node("Add", c, d), perm=[0, 2, 3, 1]))


def sequences(shape: Shape) -> onnx.ModelProto:
    net = Net(shape)
    a = net.node("Tanh", net.conv("x", (20, shape[1], 5), pads=[2, 2]))
    return net.model(net.conv(a, (33, 20, 3), strides=[2]))


def columns(shape: Shape) -> onnx.ModelProto:
    """Images one pixel wide: the rows of a tile run along h, and the last tile overlaps."""
    net = Net(shape)
    a = net.node("Relu", net.conv("x", (160, shape[1], 5, 1), pads=[2, 0, 2, 0]))
    return net.model(net.conv(a, (144, 160, 5, 1)))


def volumes(shape: Shape) -> onnx.ModelProto:
    net = Net(shape)
    a = net.node("Relu", net.conv("x", (18, shape[1], 3, 3, 3), pads=[1] * 6))
    return net.model(net.node("MaxPool", a, kernel_shape=[2, 2, 2], strides=[2, 2, 2]))


def heads(shape: Shape) -> onnx.ModelProto:
    """Few output channels after many: rows of pixels on the lanes, or a short block."""
    net = Net(shape)
    a = net.node("Relu", net.conv("x", (24, shape[1], 3, 3), pads=[1, 1, 1, 1]))
    image = net.node("Tanh", net.conv(a, (3, 24, 3, 3), pads=[1, 1, 1, 1]))
    mask = net.conv(a, (1, 24, 5, 5), pads=[2, 2, 2, 2])
    masked = net.node("Mul", image, net.node("Sigmoid", mask))
    small = net.conv(a, (2, 24, 1, 1), strides=[2, 2])
    wide = net.conv(a, (4, 24, 3, 3), dilations=[2, 2], pads=[2, 2, 2, 2])
    return net.model(masked, small, net.conv(wide, (20, 4, 1, 1)))


CASES: list[tuple[Callable[[Shape], onnx.ModelProto], Shape]] = [
    (residual, (1, 3, 50, 46)),
    (residual, (2, 6, 33, 65)),
    (inverted, (1, 24, 14, 14)),
    (inverted, (3, 7, 9, 17)),
    (branches, (1, 48, 13, 13)),
    (branches, (2, 16, 20, 7)),
    (groups, (1, 24, 14, 14)),
    (groups, (2, 32, 7, 5)),
    (upwards, (1, 16, 9, 7)),
    (upwards, (2, 20, 6, 16)),
    (sequences, (1, 40, 57)),
    (sequences, (3, 5, 8)),
    (columns, (1, 24, 61, 1)),
    (heads, (1, 12, 21, 37)),
    (heads, (2, 3, 9, 64)),
    (volumes, (1, 5, 6, 7, 9)),
    (volumes, (2, 16, 4, 4, 16)),
]


@pytest.mark.parametrize("numerics", ["fast", "strict"])
@pytest.mark.parametrize("target", ["cpu", "x86-64-v3"])
@pytest.mark.parametrize(("build", "shape"), CASES)
def test_networks_agree_with_onnxruntime(
    build: Callable[[Shape], onnx.ModelProto], shape: Shape, target: str, numerics: str
) -> None:
    onnxruntime: Any = import_module("onnxruntime")  # untyped
    model = build(shape)
    x = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    wanted = [np.asarray(each) for each in session.run(None, {"x": x})]
    found = nnc.compile(model, target=target, numerics=numerics, threads=2)({"x": x})
    for array, expected in zip(found.values(), wanted, strict=True):
        assert array.shape == expected.shape
        assert np.abs(array - expected).max() <= 3e-6 * np.abs(expected).max()
