"""ONNX models become graph modules: types, names, locations, constants, functions, domains."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
from onnx import TensorProto, external_data_helper, helper, numpy_helper, parser
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, NameLoc, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Operation

from nnc.dialects.graph.base import ConstantOp, WeightAttr
from nnc.dialects.graph.types import describe, info
from nnc.frontends.onnx import import_model


def model_of(body: str, opset: int = 21, functions: str = "", imports: str = "") -> onnx.ModelProto:
    """A model in ONNX's own text form."""
    head = f'<ir_version: 9, opset_import: ["" : {opset}{imports}]>'
    return parser.parse_model(f"{head}\n{body}\n{functions}")


def main_of(module: ModuleOp) -> FuncOp:
    module.verify()
    (main,) = module.ops
    assert isinstance(main, FuncOp)
    return main


def operators(module: ModuleOp) -> list[Operation]:
    """All ops of main but constants and the return."""
    ops = main_of(module).body.block.ops
    return [op for op in ops if not isinstance(op, ConstantOp | ReturnOp)]


def names(main: FuncOp, key: str) -> list[str]:
    return [name.data for name in cast("ArrayAttr[StringAttr]", main.attributes[key])]


def output_types(module: ModuleOp) -> list[str]:
    last = main_of(module).body.block.last_op
    assert last is not None
    return [describe(info(value)) for value in last.operands]


def test_a_node_becomes_an_op_with_its_name() -> None:
    module = import_model(model_of("g (float[N, 4] x) => (float[N, 4] y) { y = Relu(x) }"))
    (relu,) = operators(module)
    assert relu.name == "graph.relu"
    assert isinstance(relu.location, NameLoc)
    assert relu.location.desc.data == "Relu_0"
    assert output_types(module) == ["[N, 4] f32"]
    main = main_of(module)
    assert names(main, "nnc.input_names") == ["x"]
    assert names(main, "nnc.output_names") == ["y"]


@pytest.mark.parametrize("raw", ["unk__214", "2*n + 1", "past/seq:0", "DynamicDimension.0"])
def test_each_dim_param_is_one_symbol_whatever_it_says(raw: str) -> None:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [raw, 3]) for name in "ab"]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    node = helper.make_node("Add", ["a", "b"], ["y"])
    module = import_model(helper.make_model(helper.make_graph([node], "g", values, [result])))
    first, second = (info(arg).dims for arg in main_of(module).body.block.args)
    assert first is not None
    assert first == second
    assert output_types(module) == [describe(info(main_of(module).body.block.args[0]))]


@pytest.mark.parametrize("raw", ["?", "-1", ""])
def test_a_dim_that_is_only_said_to_be_unknown_is_a_symbol_of_its_own(raw: str) -> None:
    value = helper.make_tensor_value_info("x:0", TensorProto.FLOAT, [raw, raw])
    node = helper.make_node("Relu", ["x:0"], ["y"])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    module = import_model(helper.make_model(helper.make_graph([node], "g", [value], [result])))
    dims = info(main_of(module).body.block.args[0]).dims
    assert dims is not None
    assert dims[0] != dims[1]


def test_a_negative_extent_is_unknown_and_zero_is_zero() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [-1, 0])
    node = helper.make_node("Relu", ["x"], ["y"])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    module = import_model(helper.make_model(helper.make_graph([node], "g", [value], [result])))
    assert output_types(module) == ["[x.0, 0] f32"]


def test_odd_names_and_an_input_that_is_an_output() -> None:
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, [2]) for n in ("0", "a/b:0")]
    outputs = [helper.make_tensor_value_info(n, TensorProto.INT64, [2]) for n in ("a/b:0", "17")]
    node = helper.make_node("Neg", ["0"], ["17"], name="neg/1:x")
    module = import_model(helper.make_model(helper.make_graph([node], "g", inputs, outputs)))
    main = main_of(module)
    assert names(main, "nnc.input_names") == ["0", "a/b:0"]
    assert names(main, "nnc.output_names") == ["a/b:0", "17"]
    last = main.body.block.last_op
    assert last is not None
    assert last.operands[0] is main.body.block.args[1]


def test_an_initializer_that_is_also_an_input_is_a_constant() -> None:
    model = model_of(
        "g (float[3] x, float[3] w) => (float[3] y) <float[3] w = {1.0, 2.0, 3.0}> "
        "{ y = Mul(x, w) }"
    )
    module = import_model(model)
    assert names(main_of(module), "nnc.input_names") == ["x"]
    (constant,) = (op for op in main_of(module).body.block.ops if isinstance(op, ConstantOp))
    assert constant.array.tolist() == [1.0, 2.0, 3.0]


def test_large_constants_are_weights_and_unused_ones_are_left_out() -> None:
    model = model_of("g (float[100] x) => (float[100] y) { y = Add(x, w) }")
    content = np.arange(100, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(content, "w"))
    model.graph.initializer.append(numpy_helper.from_array(content, "unused"))
    module = import_model(model)
    (constant,) = (op for op in main_of(module).body.block.ops if isinstance(op, ConstantOp))
    assert isinstance(constant.value, WeightAttr)
    assert np.array_equal(constant.array, content)


CONSTANTS: list[tuple[dict[str, Any], Any, str]] = [
    ({"value_int": 3}, 3, "int64"),
    ({"value_ints": [3, 4]}, [3, 4], "int64"),
    ({"value_float": 0.5}, 0.5, "float32"),
    ({"value_floats": [0.5, 1.5]}, [0.5, 1.5], "float32"),
    ({"value": numpy_helper.from_array(np.array([[True]]))}, [[True]], "bool"),
    ({"value": numpy_helper.from_array(np.array(7, np.uint8))}, 7, "uint8"),
    (
        {
            "sparse_value": helper.make_sparse_tensor(
                helper.make_tensor("v", TensorProto.FLOAT, [2], [1.0, 2.0]),
                helper.make_tensor("i", TensorProto.INT64, [2], [1, 3]),
                [2, 2],
            )
        },
        [[0.0, 1.0], [0.0, 2.0]],
        "float32",
    ),
]


@pytest.mark.parametrize(("attributes", "content", "dtype"), CONSTANTS)
def test_constants_of_every_form(attributes: dict[str, Any], content: Any, dtype: str) -> None:
    node = helper.make_node("Constant", [], ["y"], **attributes)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    module = import_model(helper.make_model(helper.make_graph([node], "g", [], [result])))
    (constant,) = (op for op in main_of(module).body.block.ops if isinstance(op, ConstantOp))
    assert constant.array.dtype.name == dtype
    assert constant.array.tolist() == content


def test_nodes_in_any_order() -> None:
    model = model_of("g (float[2] x) => (float[2] y) { y = Relu(t)\n t = Neg(x) }")
    assert [op.name for op in operators(import_model(model))] == ["graph.neg", "graph.relu"]


def test_functions_of_the_model_are_inlined() -> None:
    function = """
    <domain: "mine", opset_import: ["" : 21]>
    twice (a) => (b) { c = Add(a, a)  b = Relu(c) }
    """
    body = "g (float[2] x) => (float[2] y) { y = mine.twice(x) }"
    module = import_model(model_of(body, functions=function, imports=', "mine" : 1'))
    assert [op.name for op in operators(module)] == ["graph.add", "graph.relu"]


def test_unused_domains_do_no_harm() -> None:
    body = "g (float[2] x) => (float[2] y) { y = Relu(x) }"
    module = import_model(model_of(body, imports=', "com.microsoft" : 1, "ai.onnx.ml" : 5'))
    assert [op.name for op in operators(module)] == ["graph.relu"]


def test_external_data_is_mapped(tmp_path: Path) -> None:
    content = np.arange(1000, dtype=np.float32).reshape(10, 100)
    model = model_of("g (float[100] x) => (float[10, 100] y) { y = Add(x, w) }")
    model.graph.initializer.append(numpy_helper.from_array(content, "w"))
    path = tmp_path / "model.onnx"
    external_data_helper.convert_model_to_external_data(
        model, location="weights.bin", size_threshold=0
    )
    external_data_helper.write_external_data_tensors(model, str(tmp_path))
    path.write_bytes(model.SerializeToString())
    (constant,) = (
        op for op in main_of(import_model(path)).body.block.ops if isinstance(op, ConstantOp)
    )
    assert np.array_equal(constant.array, content)
    assert isinstance(_root(constant.array), np.memmap)


def _root(array: np.ndarray[Any, Any]) -> object:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def test_importing_twice_gives_the_same_module() -> None:
    model = model_of(
        "g (float[2] x) => (float[2] y) <float[2] a = {1.0, 2.0}, float[2] b = {1.0, 1.0}>"
        "{ t = Mul(x, a)  y = Add(t, b) }"
    )
    first, second = str(import_model(model)), str(import_model(model.SerializeToString()))
    assert first == second
