"""Tests compile: what an earlier run left in the user's cache does not stand in for it."""

import os
from pathlib import Path

import numpy as np
import pytest

os.environ["NNC_CACHE"] = "off"


@pytest.fixture
def relu_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The file of relu(x @ W) with an open batch, in a folder of its own, the present one."""
    from onnx import TensorProto, helper, numpy_helper

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    value = helper.make_tensor_value_info
    weights = np.random.default_rng(1).standard_normal((4, 40), np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("MatMul", ["x", "W"], ["p"], "product"),
            helper.make_node("Relu", ["p"], ["y"], "activation"),
        ],
        "test",
        [value("x", TensorProto.FLOAT, ["batch", 4])],
        [value("y", TensorProto.FLOAT, ["batch", 40])],
        [numpy_helper.from_array(weights, "W")],
    )
    opset = [helper.make_opsetid("", 17)]
    proto = helper.make_model(graph, opset_imports=opset, ir_version=9)
    Path("m.onnx").write_bytes(proto.SerializeToString())
    return "m.onnx"
