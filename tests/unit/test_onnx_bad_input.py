"""Whatever is wrong with an ONNX model: one clear error with a place, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, parser

from nnc.core.errors import ModelError, NncError, UnsupportedError
from nnc.frontends.onnx import import_model

HEAD = '<ir_version: 9, opset_import: ["" : {}]>\n'
GOOD = "g (float[2, 3] x) => (float[2, 3] y) { y = Relu(x) }"


def text(body: str, opset: int = 21) -> onnx.ModelProto:
    return parser.parse_model(HEAD.format(opset) + body)


def with_node(node: onnx.NodeProto, opset: int = 21) -> onnx.ModelProto:
    model = text(GOOD, opset)
    del model.graph.node[:]
    model.graph.node.append(node)
    return model


def with_opset(version: int) -> onnx.ModelProto:
    model = text(GOOD)
    model.opset_import[0].version = version
    return model


def without_opset() -> onnx.ModelProto:
    model = text(GOOD)
    del model.opset_import[:]
    return model


def duplicated_output() -> onnx.ModelProto:
    model = text(GOOD)
    model.graph.output.append(model.graph.output[0])
    return model


def input_of(edit: Callable[[onnx.ValueInfoProto], None]) -> onnx.ModelProto:
    model = text(GOOD)
    edit(model.graph.input[0])
    return model


def sequence_input() -> onnx.ModelProto:
    model = text(GOOD)
    value = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, None)
    model.graph.input[0].CopyFrom(value)
    return model


def short_weight() -> onnx.ModelProto:
    model = text("g (float[2, 3] x) => (float[2, 3] y) { y = Add(x, w) }")
    tensor = numpy_helper.from_array(np.zeros((2, 3), np.float32), "w")
    tensor.raw_data = tensor.raw_data[:-1]
    model.graph.initializer.append(tensor)
    return model


def string_weight() -> onnx.ModelProto:
    model = text("g (float[2, 3] x) => (float[2, 3] y) { y = Add(x, w) }")
    tensor = TensorProto(name="w", data_type=TensorProto.STRING, dims=[1], string_data=[b"a"])
    model.graph.initializer.append(tensor)
    return model


def external_weight(location: str) -> onnx.ModelProto:
    model = text("g (float[2, 3] x) => (float[2, 3] y) { y = Add(x, w) }")
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 3])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    model.graph.initializer.append(tensor)
    return model


RELU = helper.make_node("Relu", ["x"], ["y"], name="act")

CASES: dict[str, tuple[Callable[[], onnx.ModelProto | bytes], type[NncError], str]] = {
    "empty": (lambda: b"", ModelError, "is empty"),
    "text": (lambda: b"version https://git-lfs.github.com/spec/v1\n", ModelError, "not an ONNX"),
    "truncated": (
        lambda: text(GOOD).SerializeToString()[:-40],
        ModelError,
        "not an ONNX model, or a truncated one",
    ),
    "no graph": (
        lambda: onnx.ModelProto(ir_version=9).SerializeToString(),
        ModelError,
        "holds no graph",
    ),
    "unknown opset": (lambda: with_opset(999), ModelError, "opset 999 is unknown"),
    "opset 0": (lambda: with_opset(0), ModelError, "opset 0 is unknown"),
    "no opset": (without_opset, ModelError, "says no opset"),
    "missing initializer": (
        lambda: text("g (float[2] x) => (float[2] y) { y = Add(x, weight) }"),
        ModelError,
        "node 'Add_0': reads 'weight', which no graph input, initializer or node gives",
    ),
    "cycle": (
        lambda: text("g (float[2] x) => (float[2] y) { a = Add(x, b)\n b = Relu(a)\n y = Neg(a)}"),
        ModelError,
        "the graph has a cycle: 'Add_0' -> 'Relu_1' -> 'Add_0'",
    ),
    "self cycle": (
        lambda: text("g (float[2] x) => (float[2] y) { y = Add(x, y) }"),
        ModelError,
        "the graph has a cycle: 'Add_0' -> 'Add_0'",
    ),
    "output without source": (
        lambda: text("g (float[2] x) => (float[2] z) { y = Relu(x) }"),
        ModelError,
        "graph output 'z'",
    ),
    "no outputs": (lambda: text("g (float[2] x) => () { y = Relu(x) }"), ModelError, "no outputs"),
    "output given twice": (
        lambda: text("g (float[2] x) => (float[2] y) { y = Relu(x)\n y = Neg(x) }"),
        ModelError,
        "node 'Neg_1': 'y' is given twice: also by node 'Relu_0'",
    ),
    "output over input": (
        lambda: text("g (float[2] x) => (float[2] x) { x = Relu(x) }"),
        ModelError,
        "'x' is given twice: also by graph input",
    ),
    "duplicate graph output": (duplicated_output, ModelError, "graph output 'y': .*used twice"),
    "shapes that do not fit": (
        lambda: text("g (float[2, 3] a, float[4, 5] b) => (float[2, 5] y) { y = MatMul(a, b) }"),
        ModelError,
        "node 'MatMul_0'",
    ),
    "types that do not fit": (
        lambda: text("g (float[2] a, int64[2] b) => (float[2] y) { y = Add(a, b) }"),
        ModelError,
        "node 'Add_0'.*element types differ",
    ),
    "input without a type": (
        lambda: input_of(lambda value: value.ClearField("type")),
        ModelError,
        "graph input 'x': it has no type",
    ),
    "input without an element type": (
        lambda: input_of(lambda value: value.type.tensor_type.ClearField("elem_type")),
        ModelError,
        "graph input 'x': it has no element type",
    ),
    "sequence": (sequence_input, UnsupportedError, "graph input 'x': sequences are not supported"),
    "strings": (string_weight, UnsupportedError, "initializer 'w': strings are not supported"),
    "short weight": (short_weight, ModelError, "initializer 'w': .*needs 24 bytes, got 23"),
    "external weight of bytes": (
        lambda: external_weight("w.bin"),
        ModelError,
        "initializer 'w': .*another file",
    ),
    "unknown operator": (
        lambda: with_node(helper.make_node("Frobnicate", ["x"], ["y"], name="odd")),
        UnsupportedError,
        "node 'odd': 1 operator is not supported: Frobnicate",
    ),
    "other domain": (
        lambda: with_node(helper.make_node("Relu", ["x"], ["y"], name="odd", domain="com.acme")),
        UnsupportedError,
        "com.acme::Relu",
    ),
    "operator of a later opset": (
        lambda: with_node(helper.make_node("Gelu", ["x"], ["y"], name="late"), 13),
        ModelError,
        "node 'late': Gelu is not an operator of opset 13",
    ),
    "removed operator": (
        lambda: with_node(helper.make_node("Upsample", ["x", "x"], ["y"], name="old")),
        ModelError,
        "node 'old': Upsample was removed in opset 10",
    ),
    "unknown attribute": (
        lambda: with_node(helper.make_node("LeakyRelu", ["x"], ["y"], name="act", alhpa=0.1)),
        ModelError,
        "node 'act': LeakyRelu .* no attribute 'alhpa'\n.*did you mean 'alpha'",
    ),
    "attribute of a wrong type": (
        lambda: with_node(helper.make_node("LeakyRelu", ["x"], ["y"], name="act", alpha=1)),
        ModelError,
        "node 'act': .*'alpha' is of type FLOAT, got INT",
    ),
    "attribute given twice": (
        lambda: with_node(
            helper.make_node("LeakyRelu", ["x"], ["y"], name="act", alpha=1.0).__class__.FromString(
                helper.make_node("LeakyRelu", ["x"], ["y"], name="a", alpha=1.0).SerializeToString()
                + helper.make_node("LeakyRelu", [], [], name="act", alpha=2.0).SerializeToString()
            )
        ),
        ModelError,
        "node 'act': attribute 'alpha' is given twice",
    ),
    "missing attribute": (
        lambda: with_node(helper.make_node("Concat", ["x"], ["y"], name="cat")),
        ModelError,
        "node 'cat': Concat needs the attribute 'axis'",
    ),
    "too many inputs": (
        lambda: with_node(helper.make_node("Relu", ["x", "x"], ["y"], name="act")),
        ModelError,
        "node 'act': Relu takes 1 inputs, got 2",
    ),
    "input left out": (
        lambda: with_node(helper.make_node("Add", ["x", ""], ["y"], name="sum")),
        ModelError,
        "node 'sum': Add's input 'B' is left out",
    ),
    "axis out of range": (
        lambda: with_node(helper.make_node("Softmax", ["x"], ["y"], name="soft", axis=7)),
        ModelError,
        "node 'soft'",
    ),
    "training": (
        lambda: with_node(
            helper.make_node("Dropout", ["x"], ["y", "mask"], name="drop", is_test=0), 6
        ),
        UnsupportedError,
        "node 'drop': Dropout in training mode",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_one_clear_error(case: str) -> None:
    make, error, pattern = CASES[case]
    with pytest.raises(error, match=f"(?s){pattern}") as caught:
        import_model(make())
    assert type(caught.value) is error


def test_all_unsupported_operators_at_once_with_counts() -> None:
    model = text(GOOD)
    for at in range(7):
        model.graph.node.append(helper.make_node("Foo", ["x"], [f"f{at}"], name=f"foo{at}"))
    model.graph.node.append(helper.make_node("Bar", ["x"], ["b"], name="bar", domain="acme"))
    with pytest.raises(UnsupportedError) as caught:
        import_model(model)
    assert caught.value.message == (
        "2 operators are not supported: Foo (7 nodes: 'foo0', 'foo1', 'foo2', 'foo3', 'foo4', "
        "and 2 more); acme::Bar (1 node: 'bar')"
    )


def test_a_composite_operator_whose_definition_is_unsupported_is_refused_by_its_own_name() -> None:
    node = helper.make_node("SequenceMap", ["x"], ["y"], name="map", body=text(GOOD).graph)
    with pytest.raises(UnsupportedError, match="SequenceMap"):
        import_model(with_node(node))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file") as caught:
        import_model(tmp_path / "none.onnx")
    assert caught.value.where == str(tmp_path / "none.onnx")


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        import_model(tmp_path)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "", "missing.bin"])
def test_external_data_stays_in_the_models_folder(tmp_path: Path, location: str) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(24))
    folder = tmp_path / "model"
    folder.mkdir()
    path = folder / "model.onnx"
    path.write_bytes(external_weight(location).SerializeToString())
    with pytest.raises(ModelError, match="initializer 'w': external data"):
        import_model(path)


def test_external_data_that_is_too_short(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(23))
    (tmp_path / "model.onnx").write_bytes(external_weight("w.bin").SerializeToString())
    with pytest.raises(ModelError, match="24 bytes at offset 0 expected"):
        import_model(tmp_path / "model.onnx")


def test_a_file_of_another_format_asks_for_its_front_end(tmp_path: Path) -> None:
    path = tmp_path / "net.chain"
    path.write_bytes(b"4x8\nexp\n")
    with pytest.raises(ModelError, match="not an ONNX") as caught:
        import_model(path)
    assert caught.value.hint is not None
    assert "--load-plugin" in caught.value.hint
