"""The symbol API: composition, names, types inferred backward, mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from symbols import Draws, run
from xdsl.dialects.builtin import ModuleOp

import nnc
import nnc.graph
import nnc.symbol as sym
from nnc.core.errors import ModelError, NncError, PassError, UnsupportedError
from nnc.dialects.graph.types import describe, info
from nnc.passes.graph.bind_inputs import main_function
from nnc.passes.graph.infer_shapes import specialize

Array = np.ndarray[Any, Any]


def input_types(module: ModuleOp) -> list[str]:
    return [describe(info(argument)) for argument in main_function(module).body.block.args]


DRAWS = Draws(5)
floats, positive = DRAWS.floats, DRAWS.positive


def test_nnvms_sample() -> None:
    with sym.NameManager():
        x, y = sym.Variable("x"), sym.Variable("y")
        graph = nnc.graph.create(sym.elemwise_add(x, y))
    text = graph.ir()
    assert "graph.add(%x, %y) : tensor<*x!graph.unknown>" in text
    assert nnc.parse(text).is_structurally_equivalent(graph.module)
    assert graph.input_names == ["x", "y"]
    assert graph.output_names == ["elemwise_add0_output"]


def test_parameters_are_made_and_their_shapes_follow_from_the_data() -> None:
    with sym.NameManager():
        x = sym.Variable("data")
        x = sym.conv2d(x, channels=16, kernel_size=(3, 3), padding=(1, 1), groups=2)
        x = sym.batch_norm(x)
        x = sym.flatten(sym.relu(x))
        x = sym.dense(x, units=10, name="fc")
    assert x.list_input_names() == [
        "data",
        "conv2d0_weight",
        "conv2d0_bias",
        "batch_norm0_gamma",
        "batch_norm0_beta",
        "batch_norm0_moving_mean",
        "batch_norm0_moving_var",
        "fc_weight",
        "fc_bias",
    ]
    assert x.list_output_names() == ["fc_output"]
    module = nnc.graph.create(x).module.clone()
    specialize(module, {"data": (2, 4, 8, 8)}, "float32")
    assert input_types(module) == [
        "[2, 4, 8, 8] f32",
        "[16, 2, 3, 3] f32",
        *["[16] f32"] * 5,
        "[10, 1024] f32",
        "[10] f32",
    ]


def test_the_shape_of_a_sums_other_operand_follows() -> None:
    total = sym.Variable("x") + sym.Variable("y")
    module = nnc.graph.create(total).module.clone()
    specialize(module, {"x": (4,)}, "float32")
    assert input_types(module) == ["[4] f32", "[4] f32"]


ARITHMETIC: list[tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]] = [
    (lambda x, y: x + y * 2 - 1, lambda x, y: x + y * 2 - 1),
    (lambda x, y: 1 - x / y, lambda x, y: 1 - x / y),
    (lambda x, y: 2 / y + -x, lambda x, y: 2 / y - x),
    (lambda x, y: y**2 + 2**x, lambda x, y: y**2 + 2**x),
]


@pytest.mark.parametrize(("make", "expected"), ARITHMETIC)
def test_arithmetic(make: Callable[..., sym.Symbol], expected: Callable[..., Array]) -> None:
    x, y = floats(3, 4), positive(4)
    symbol = make(sym.Variable("x"), sym.Variable("y"))
    values = {"x": x, "y": y}
    (found,) = run(symbol, *(values[name] for name in symbol.list_input_names()))
    np.testing.assert_allclose(found, expected(x, y), rtol=1e-5)


def test_groups_and_parts() -> None:
    x = sym.Variable("x")
    parts = sym.split(x, indices_or_sections=3, axis=0, name="cut")
    assert len(parts) == 3
    assert parts.list_output_names() == ["cut_output0", "cut_output1", "cut_output2"]
    both = sym.Group([parts[2], parts["cut_output0"], sym.relu(x, name="r")])
    last, first, _ = run(both, np.arange(6, dtype=np.float32))
    assert last.tolist() == [4, 5]
    assert first.tolist() == [0, 1]
    assert [each.name for each in both] == ["cut", "cut", "r"]
    with pytest.raises(ModelError, match="one output, got 3"):
        sym.relu(parts)


def test_internals_children_and_attributes() -> None:
    x = sym.Variable("x", shape=(2, 3), note="mine")
    y = sym.softmax(sym.relu(x, name="r"), axis=1, name="s")
    assert y.get_internals().list_output_names() == ["x", "r_output", "s_output"]
    children = y.get_children()
    assert children is not None
    assert children.list_output_names() == ["r_output"]
    assert x.get_children() is None
    assert y.attr("axis") == 1
    assert y.list_attr(recursive=True) == {"x$shape": (2, 3), "x$note": "mine", "s$axis": 1}
    assert y.debug_str().splitlines()[-1] == "s = softmax(r) {'axis': 1}"


def test_names_count_by_operator_and_take_prefixes() -> None:
    with sym.NameManager():
        x = sym.Variable("x")
        assert [sym.relu(x).name, sym.relu(x).name, sym.exp(x).name] == ["relu0", "relu1", "exp0"]
        with sym.Prefix("net_"):
            assert sym.relu(x).name == "net_relu0"
        assert sym.relu(x).name == "relu2"


def test_a_variables_initial_content_is_a_parameter() -> None:
    content = np.arange(4, dtype=np.float32)
    graph = nnc.graph.create(sym.Variable("x") + sym.Variable("w", init=content))
    assert list(graph.params) == ["w"]
    assert input_types(graph.module)[1] == "[4] f32"


def test_named_extents() -> None:
    symbol = sym.relu(sym.Variable("x", shape=("batch", 0, 3), dtype="float16"))
    assert input_types(nnc.graph.create(symbol).module) == ["[batch, ?, 3] f16"]


X = sym.Variable("x", shape=(2, 3))
MISTAKES: list[tuple[Callable[[], object], type[NncError], str]] = [
    (lambda: sym.dense(X), ModelError, "dense needs the attribute 'units'"),
    (lambda: sym.dense(X, unit=3), ModelError, "no attribute 'unit'\n.*did you mean 'units'"),
    (lambda: sym.relu(X, X), ModelError, "relu takes 1 inputs .*, got 2"),
    (lambda: sym.elemwise_add(X), ModelError, "lacks its input 'rhs'"),
    (lambda: sym.softmax(X, axis="one"), ModelError, "'axis': expected int, got 'one'"),
    (lambda: sym.softmax(X, axis=1.5), ModelError, "'axis': expected int, got 1.5"),
    (lambda: sym.transpose(X, axes=1.5), ModelError, "expected tuple"),
    (lambda: sym.dense(X, data=X, units=1), ModelError, "input 'data' is given twice"),
    (lambda: sym.split(X, indices_or_sections=0), ModelError, "split into 0 sections"),
    (lambda: sym.Variable(""), ModelError, "needs a name"),
    (
        lambda: nnc.graph.create(sym.relu(X) + sym.Variable("x")),
        ModelError,
        "several variables are called 'x'",
    ),
    (
        lambda: nnc.graph.create(sym.softmax(X, axis=5, name="soft")),
        ModelError,
        "operator 'soft'",
    ),
    (
        lambda: nnc.graph.create(sym.conv2d(X, channels=2, kernel_size=3, layout="NC", name="c")),
        ModelError,
        "operator 'c': layout 'NC' is not supported",
    ),
    (
        lambda: nnc.graph.create(sym.sum(sym.Variable("z"), axis=0, exclude=True, name="total")),
        UnsupportedError,
        "operator 'total': .*needs the rank",
    ),
    (
        lambda: nnc.graph.create(sym.reshape(X, shape=(-3, -3))),
        ModelError,
        "reshape codes .* do not fit",
    ),
    (
        lambda: nnc.graph.create(X).apply("canonicalise"),
        PassError,
        "there is no pass 'canonicalise'\n.*did you mean 'canonicalize'",
    ),
]


@pytest.mark.parametrize(("make", "error", "pattern"), MISTAKES)
def test_mistakes(make: Callable[[], object], error: type[NncError], pattern: str) -> None:
    with pytest.raises(error, match=f"(?s){pattern}"):
        make()


def test_an_unknown_operator() -> None:
    with pytest.raises(AttributeError, match="no operator 'sofmax'; did you mean 'softmax'"):
        sym.sofmax(X)


def test_reshape_codes() -> None:
    x = sym.Variable("x", shape=(2, 3, 4, 5))
    data = floats(2, 3, 4, 5)
    for codes, shape in {
        (-3, -2): (6, 4, 5),
        (0, -4, 1, -1, -2): (2, 1, 3, 4, 5),
        (-4, -1, 1, 0, -3): (2, 1, 3, 20),
    }.items():
        (found,) = run(sym.reshape(x, shape=codes), data)
        assert found.shape == shape


def test_a_graphs_index_and_passes() -> None:
    with sym.NameManager():
        x = sym.Variable("x", shape=(2, 3), dtype="float32")
        graph = nnc.graph.create(sym.relu(sym.relu(x)))
    index = graph.index
    assert [(node.name, node.op) for node in index.nodes] == [
        ("x", "null"),
        ("relu0", "graph.relu"),
        ("relu1", "graph.relu"),
    ]
    assert index.nodes[2].inputs == ((1, 0),)
    assert index.output_entries == [(2, 0)]
    assert index.node_id("relu1") == 2
    assert index.entry_id("relu1") == 2
    assert (index.num_nodes, index.num_node_entries) == (3, 3)
    simpler = graph.apply(["InferShape", "canonicalize"])
    assert simpler.index.num_nodes == 2
    assert graph.index.num_nodes == 3


def test_the_operators_are_documented() -> None:
    assert sym.conv2d.__doc__ is not None
    assert sym.conv2d.__doc__.startswith("conv2d(data, weight, bias, channels: int, kernel_size")
    assert "conv2d" in dir(sym)
