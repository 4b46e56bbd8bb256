"""ONNX models as torch.fx modules: torch.compile runs the same networks with the same weights.

Every node is run once on an example while the module is built. What depends on no input is a
constant from then on, shape arithmetic above all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .torch_operators import STATIC, operator_of, torch

Array = np.ndarray[Any, Any]


@dataclass
class Value:
    """A value of the model: its content for the example, and its node unless it is constant."""

    content: Any
    node: Any = None
    attribute: Any = None
    """The node that fetches a constant, once one is needed."""


class _Translator:
    def __init__(self, model: onnx.ModelProto, inputs: Mapping[str, Array]):
        self.graph = torch.fx.Graph()
        self.constants = torch.nn.Module()
        self.values: dict[str, Value] = {}
        self.opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        for tensor in model.graph.initializer:
            self.values[tensor.name] = Value(_tensor(numpy_helper.to_array(tensor)))
        for number, (name, array) in enumerate(inputs.items()):
            node = self.graph.placeholder(f"in{number}")
            self.values[name] = Value(_tensor(array), node)

    def visit(self, node: onnx.NodeProto) -> None:
        """Add one node, or compute it if it is constant."""
        function = operator_of(node)
        attributes = {a.name: _attribute(helper.get_attribute_value(a)) for a in node.attribute}
        if node.op_type == "Softmax":
            attributes["opset"] = self.opset
        operands = [self.values[name] if name else None for name in node.input]
        static = STATIC.get(node.op_type, ())
        numbers = {i: v.content.tolist() for i, v in enumerate(operands) if v and i in static}
        contents = [numbers.get(i, v.content if v else None) for i, v in enumerate(operands)]
        result = Value(function(*contents, **attributes))
        if node.op_type != "Shape" and any(v and v.node is not None for v in operands):
            arguments = [numbers.get(i, self._node(v)) for i, v in enumerate(operands)]
            call = partial(function, **attributes)
            vars(call)["__name__"] = node.op_type  # fx names its nodes after the function
            result.node = self.graph.call_function(call, tuple(arguments))
        self.values[node.output[0]] = result

    def _node(self, value: Value | None) -> Any:
        if value is None or value.node is not None:
            return value and value.node
        if value.attribute is None:
            name = f"c{sum(1 for _ in self.constants.buffers())}"
            self.constants.register_buffer(name, value.content)
            value.attribute = self.graph.get_attr(name)
        return value.attribute

    def finish(self, outputs: Sequence[str]) -> Any:
        """The module; it gives a tuple."""
        self.graph.output(tuple(self._node(self.values[name]) for name in outputs))
        return torch.fx.GraphModule(self.constants, self.graph).eval()


def torch_module(model: onnx.ModelProto, inputs: Mapping[str, Array]) -> Any:
    """A GraphModule that takes the inputs in their order.

    Raises: NotImplementedError: an operator that is not translated.
    """
    translator = _Translator(model, inputs)
    with torch.no_grad():
        for node in model.graph.node:
            translator.visit(node)
    return translator.finish([output.name for output in model.graph.output])


def _tensor(array: Array) -> Any:
    return torch.from_numpy(np.array(array))  # a copy that may be written: torch warns otherwise


def _attribute(value: Any) -> Any:
    if isinstance(value, onnx.TensorProto):
        return _tensor(numpy_helper.to_array(value))
    return value.decode() if isinstance(value, bytes) else value
