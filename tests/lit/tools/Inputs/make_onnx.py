"""Writes a model with one large and one small constant: `make_onnx.py FILE`."""

import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHT = np.arange(160, dtype=np.float32).reshape(16, 10)
BIAS = np.arange(10, dtype=np.float32)

onnx.save(
    helper.make_model(
        helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "w"], ["p"], name="Project"),
                helper.make_node("Add", ["p", "b"], ["y"], name="Shift"),
            ],
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 16])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10])],
            [numpy_helper.from_array(WEIGHT, "w"), numpy_helper.from_array(BIAS, "b")],
        ),
        opset_imports=[helper.make_opsetid("", 21)],
        ir_version=10,
    ),
    sys.argv[1],
)
