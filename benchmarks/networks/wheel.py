"""Topologies that the onnx wheel ships without weights, given random ones.

They are old exports (opset 9) in which every weight is an input that a ConstantOfShape node makes.
Here weights are initialisers, random by the role of the operand. The last layer is scaled to logits
of a few units: a softmax that is almost 0 and 1 says little about what came before it.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import onnx
from onnx import numpy_helper

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
LOGITS = 2.0
"""Standard deviation of what the softmax takes."""
ROLES = {
    "Conv": ("", "weight", "bias"),
    "Gemm": ("", "weight", "bias"),
    "Reshape": ("weight", ""),
    "BatchNormalization": ("", "scale", "bias", "bias", "scale"),
    "Unsqueeze": ("scale",),
}
"""Roles of a node's operands, for those that are weights. Caffe's layers of scale and bias are
Unsqueeze, then Mul or Add."""


def wheel_network(name: str) -> onnx.ModelProto:
    """`light_<name>.onnx` of the wheel with weights that depend on the name alone."""
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    model = onnx.ModelProto.FromString((folder / f"light_{name}.onnx").read_bytes())
    random = np.random.default_rng(crc32(name.encode()))
    shapes = weight_shapes(model.graph)
    arrays = {
        weight: random_weight(random, role, shapes[weight])
        for weight, role in weight_roles(model.graph, shapes).items()
    }
    made = {node.input[0] for node in model.graph.node if node.op_type == "ConstantOfShape"}
    _replace_weights(model.graph, arrays, drop={*shapes, *made})
    return _with_scaled_logits(model)


def weight_shapes(graph: onnx.GraphProto) -> dict[str, Shape]:
    """Weights by name: initialisers of floats, and what ConstantOfShape makes."""
    given = {tensor.name: tensor for tensor in graph.initializer}
    shapes: dict[str, Shape] = {
        name: tuple(tensor.dims)
        for name, tensor in given.items()
        if tensor.data_type == onnx.TensorProto.FLOAT
    }
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            extents = numpy_helper.to_array(given[node.input[0]])
            shapes[node.output[0]] = tuple(int(extent) for extent in extents)
    return shapes


def weight_roles(graph: onnx.GraphProto, shapes: dict[str, Shape]) -> dict[str, str]:
    """weight, bias or scale for every weight, in the order of the nodes."""
    consumers = {name: node.op_type for node in graph.node for name in node.input}
    roles: dict[str, str] = {}
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in shapes:
                roles[name] = ROLES[node.op_type][position]
                if node.op_type == "Unsqueeze" and consumers[node.output[0]] == "Add":
                    roles[name] = "bias"
    return roles


def random_weight(random: np.random.Generator, role: str, shape: Shape) -> Array:
    """Values that keep the variance of what passes through a relu, and stay away from 0 and 1."""
    if role == "scale":
        return random.uniform(0.6, 1.3, shape).astype(np.float32)
    deviation = 0.1 if role == "bias" else np.sqrt(2 / np.prod(shape[1:]))
    return np.float32(deviation) * random.standard_normal(shape, np.float32)


def _replace_weights(graph: onnx.GraphProto, arrays: dict[str, Array], drop: set[str]) -> None:
    nodes = [node for node in graph.node if node.op_type != "ConstantOfShape"]
    kept = [tensor for tensor in graph.initializer if tensor.name not in drop]
    names = {*drop, *(tensor.name for tensor in kept)}
    inputs = [value for value in graph.input if value.name not in names]
    del graph.node[:], graph.initializer[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)
    graph.initializer.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(a, name) for name, a in arrays.items())


def _with_scaled_logits(model: onnx.ModelProto) -> onnx.ModelProto:
    """The last layer's weights scaled, so that the logits have the deviation LOGITS."""
    graph = model.graph
    model.ir_version = 4  # since then, initialisers need not be inputs
    factor = LOGITS / float(np.std(_logits(model)))
    last = [node for node in graph.node if node.op_type in ("Conv", "Gemm")][-1]
    sources = {node.output[0]: node.input[0] for node in graph.node}
    scaled = {sources.get(name, name) for name in last.input[1:]}
    for tensor in graph.initializer:
        if tensor.name in scaled:
            array = numpy_helper.to_array(tensor) * np.float32(factor)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    return model


def _logits(model: onnx.ModelProto) -> Array:
    """What the network computes for a random image, before a softmax at its end."""
    onnxruntime: Any = import_module("onnxruntime")  # untyped
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    if graph.node[-1].op_type == "Softmax":
        graph.output[0].name = graph.node[-1].input[0]
        del graph.node[-1]
        graph.output[0].type.tensor_type.ClearField("shape")
    session = onnxruntime.InferenceSession(
        copy.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    value = session.get_inputs()[0]
    image: Array = np.random.default_rng(0).standard_normal(tuple(value.shape), np.float32)
    return np.asarray(session.run(None, {value.name: image})[0])
