"""graph.soft_clip the whole way: from ONNX to a fused kernel that runs."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import nnc
from nnc.core.errors import UnsupportedError
from nnc.core.testing import call
from nnc.tools import nnc as command

X = np.linspace(-4, 4, 400, dtype=np.float32).reshape(4, 100)


def model(version: int = 1) -> onnx.ModelProto:
    value = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Add", ["x", "x"], ["s"], "twice"),
        helper.make_node("SoftClip", ["s"], ["t"], "clip", domain="com.acme", limit=2.0),
        helper.make_node("Relu", ["t"], ["y"], "rectify"),
    ]
    x, y = (value(name, TensorProto.FLOAT, ("n", 100)) for name in "xy")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", version)]
    graph = helper.make_graph(nodes, "net", [x], [y])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def test_it_runs_fused() -> None:
    compiled = nnc.compile(model(), shape={"x": (4, 100)}, cache=False)
    (y,) = compiled(x=X).values()
    np.testing.assert_allclose(y, np.maximum(2 * np.tanh(X), 0), rtol=2e-6, atol=1e-7)
    assert compiled.compiled is not None
    assert list(compiled.compiled.operators.values()) == [["add", "soft_clip", "relu", "yield"]]


def test_a_version_it_does_not_know() -> None:
    with pytest.raises(UnsupportedError, match="SoftClip of version 4 of its domain") as error:
        nnc.compile(model(4), cache=False)
    assert error.value.hint == "versions that are: 1 to 3"


def test_nnc_ops_lists_it() -> None:
    lines = call(command.main, ["ops"]).out.decode().splitlines()
    (line,) = (line for line in lines if "soft_clip" in line)
    assert "com.acme::SoftClip" in line
    assert "compiled" in line
