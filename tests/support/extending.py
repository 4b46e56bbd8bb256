"""What tests of plug-ins run: a model with an operator of a user's domain, a text, nn-opt."""

from __future__ import annotations

import numpy as np
from onnx import ModelProto, TensorProto, helper

from nnc.core.testing import Outcome, call
from nnc.tools import nn_opt

X = np.linspace(-3, 3, 200, dtype=np.float32).reshape(2, 100)
RELU = """
func.func @main(%x: tensor<2x100xf32>) -> tensor<2x100xf32> {
  %y = graph.relu(%x) : tensor<2x100xf32>
  func.return %y
}
"""


def custom(op_type: str = "Scaled", version: int = 1, **attributes: float) -> ModelProto:
    """The model `y = com.acme::op_type(x)`, for an `x` of the shape of `X`."""
    value = helper.make_tensor_value_info
    node = helper.make_node(op_type, ["x"], ["y"], "own", domain="com.acme")
    node.attribute.extend(helper.make_attribute(*each) for each in attributes.items())
    x, y = (value(name, TensorProto.FLOAT, X.shape) for name in "xy")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", version)]
    graph = helper.make_graph([node], "net", [x], [y])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def opt(text: str, *flags: str) -> Outcome:
    """nn-opt on a text, in this process."""
    return call(nn_opt.main, flags, text.encode())
