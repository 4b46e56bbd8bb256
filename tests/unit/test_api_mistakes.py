"""Wrong options and values given to the Python API are refused with what was expected."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnc
import nnc.symbol as sym
from nnc.runtime.module import CompiledLibrary, GraphModule

RELU = """
func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = graph.relu(%x) : tensor<2x3xf32>
  func.return %y
}
"""


def relu() -> nnc.Model:
    return nnc.compile(nnc.parse(RELU), cache=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": "2"}, "threads: expected an integer, got '2'"),
        ({"threads": 1.5}, "threads: expected an integer, got 1.5"),
        ({"threads": True}, "threads: expected an integer, got True"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"numerics": None}, "numerics is fast or strict, got None"),
        ({"target": None}, "expected the name of a target, got None"),
        ({"target": ["cpu"]}, "expected the name of a target, got ['cpu']"),
        ({"target": "CPU"}, "did you mean 'cpu'?"),
        ({"shape": (2, 3)}, "shape: expected shapes by name, got tuple"),
        ({"shape": {1: (2, 3)}}, "shape: expected names of inputs, got 1"),
        ({"shape": {"x": 6}}, "shape of input 'x': expected a tuple of extents, got 6"),
        ({"shape": {"x": "2x3"}}, "shape of input 'x': expected a tuple of extents, got '2x3'"),
        ({"shape": {"x": (2.0, 3)}}, "shape of input 'x': expected an integer, got 2.0"),
        ({"shape": {"x": (-2, 3)}}, "expected extents from 0 to 2**63 - 1, got (-2, 3)"),
        ({"shape": {"x": (2**63, 3)}}, "expected extents from 0 to 2**63 - 1"),
        ({"cache": ""}, "cache: expected a path, got ''"),
        ({"cache": 3}, "cache: expected a path, got 3"),
        ({"schedules": "a\0b"}, r"schedules: expected a path, got 'a\x00b'"),
        ({"schedules": 3}, "schedules: expected a path, got 3"),
    ],
)
def test_options_are_checked(options: dict[str, Any], message: str):
    arguments: dict[str, Any] = {"cache": False, **options}
    with pytest.raises(nnc.NncError) as caught:
        nnc.compile(nnc.parse(RELU), **arguments)
    assert message in str(caught.value)


def test_integers_of_numpy_are_taken(tmp_path: Path):
    path = tmp_path / "relu.nn"
    path.write_text(RELU)
    threads: Any = np.int64(1)
    shape: Any = {"x": np.array([2, 3])}
    for cache in (False, tmp_path / "cache"):  # whose key is written as JSON
        model = nnc.compile(path, threads=threads, shape=shape, cache=cache)
        assert model.inputs[0].shape == (2, 3)


@pytest.mark.parametrize("name", ["a\0b.nn", "a\0b.onnx", "", "none.nn"])
def test_a_path_that_cannot_be_opened(name: str):
    with pytest.raises(nnc.NncError):
        nnc.compile(name, cache=False)


def test_the_main_function_is_the_only_one_or_is_asked_for():
    other = RELU.replace("@main", "@net")
    x = np.array([[-1, 0, 1], [2, -3, 4]], np.float32)
    model = nnc.compile(nnc.parse(other), cache=False)
    np.testing.assert_array_equal(model(x=x)["y"], np.maximum(x, 0))
    with pytest.raises(nnc.ModelError, match="@main") as caught:
        nnc.compile(nnc.parse(other + other.replace("@net", "@second")), cache=False)
    assert caught.value.hint == "its functions: @net, @second"
    declared = "func.func private @main(tensor<3xf32>) -> tensor<3xf32>"
    with pytest.raises(nnc.ModelError, match="@main has no body"):
        nnc.compile(nnc.parse(declared), cache=False)


@pytest.mark.parametrize("operation", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_model_is_not_pickled(operation: Any):
    with pytest.raises(nnc.InputError, match="machine code") as caught:
        operation(relu())
    assert "nnc.compile in the other process" in (caught.value.hint or "")


def test_a_model_shows_its_ends():
    assert repr(relu()) == "<Model x: float32[2, 3] -> y: float32[2, 3]>"


@pytest.mark.parametrize("name", [1, None, ("x",)])
def test_names_that_are_no_strings_are_unknown(name: Any):
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(nnc.InputError) as caught:
        relu()({"x": x, name: x})
    assert caught.value.message == f"no input is called {name!r}"
    with pytest.raises(nnc.InputError) as caught:
        relu()({"x": x}, {name: x})
    assert caught.value.message == f"no output is called {name!r}"


def test_an_input_is_given_once():
    x = np.zeros((2, 3), np.float32)
    with pytest.raises(nnc.InputError, match="'x' given in the mapping and as a keyword"):
        relu()({"x": x}, x=x)


def built() -> tuple[nnc.graph.Graph, CompiledLibrary, dict[str, Any]]:
    total = sym.elemwise_add(sym.Variable("x"), sym.Variable("y"), name="sum")
    return nnc.build(total, shape={"x": (4,)}, cache=False)


FOUR = np.ones(4, np.float32)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph": None}, "expected a graph or a symbol, got None"),
        ({"graph": "m.onnx"}, "nnc.compile takes models"),
        ({"dtype": 3}, "dtype: expected a dtype, got 3"),
        ({"dtype": object}, "dtype object is not supported"),
        ({"dtype": {"q": "int32"}}, "no input 'q'"),
        ({"params": FOUR}, "params: expected arrays by name, got ndarray"),
        ({"params": {1: FOUR}}, "no input '1'"),
        ({"params": {"y": [[1], [1, 2]]}}, "params['y']: not an array"),
        ({"shape": {"x": 4}}, "shape of input 'x': expected a tuple of extents, got 4"),
    ],
)
def test_build_checks_its_arguments(options: dict[str, Any], message: str):
    graph = sym.elemwise_add(sym.Variable("x"), sym.Variable("y"), name="sum")
    arguments: dict[str, Any] = {"graph": graph, "shape": {"x": (4,)}, "cache": False, **options}
    with pytest.raises(nnc.NncError) as caught:
        nnc.build(**arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("dtype", [np.int32, np.dtype(np.int32), {"x": np.int32, "y": "int32"}])
def test_build_takes_the_dtypes_of_numpy(dtype: Any):
    x = sym.elemwise_add(sym.Variable("x"), sym.Variable("y"))
    graph, lib, _ = nnc.build(x, shape={"x": (4,)}, dtype=dtype, cache=False)
    module = nnc.runtime.create(graph, lib, nnc.cpu())
    module.run(x=np.full(4, 3, np.int32), y=np.full(4, 4, np.int32))
    assert module.get_output(0).tolist() == [7] * 4


def read_only() -> np.ndarray:
    array = np.empty(4, np.float32)
    array.flags.writeable = False
    return array


MODULE_MISTAKES: dict[str, Callable[[Any], object]] = {
    "expected a number of the inputs, got array": lambda m: m.set_input(FOUR),
    "expected a number of the inputs, got {": lambda m: m.set_input({"x": FOUR}),
    "expected a number of the inputs, got 0.5": lambda m: m.get_input(0.5),
    "there are 2 inputs, got index -1": lambda m: m.set_input(-1, FOUR),
    "no input is called 'q'": lambda m: m.get_input("q"),
    "no input is called 1": lambda m: m.load_params({1: FOUR}),
    "params: expected arrays by name, got str": lambda m: m.load_params("p.safetensors"),
    "expected a number of the outputs, got 'sum'": lambda m: m.get_output("sum"),
    "there are 1 outputs, got index 1": lambda m: m.get_output(1),
    "expected an array to fill, got list": lambda m: m.get_output(0, [0.0] * 4),
    "expected dtype float32, got int64": lambda m: m.get_output(0, np.empty(4, np.int64)),
    "expected shape [4], got [3]": lambda m: m.get_output(0, np.empty(3, np.float32)),
    "the array to fill is read-only": lambda m: m.get_output(0, read_only()),
}


@pytest.fixture(scope="module")
def module() -> GraphModule:
    graph, lib, _ = built()
    made = nnc.runtime.create(graph, lib, nnc.cpu(0))
    made.run(x=FOUR, y=FOUR)
    return made


@pytest.mark.parametrize("message", MODULE_MISTAKES)
def test_a_graph_module_checks_what_it_is_given(module: GraphModule, message: str):
    with pytest.raises(nnc.InputError) as caught:
        MODULE_MISTAKES[message](module)
    assert message in str(caught.value)


def test_a_graph_module_is_made_of_a_library_and_a_device():
    graph, lib, _ = built()
    create: Any = nnc.runtime.create
    with pytest.raises(nnc.InputError, match=r"expected the code that nnc\.build made, got None"):
        create(graph, None, nnc.cpu(0))
    with pytest.raises(nnc.InputError, match="the code is made for cpu, got 'cpu'"):
        create(graph, lib, "cpu")


X = sym.Variable("x")
SYMBOL_MISTAKES: dict[str, Callable[[Any], object]] = {
    "operator 'add': expected a symbol, got None": lambda s: s.elemwise_add(X, None, name="add"),
    "operator 'add': expected a symbol, got 1": lambda s: s.elemwise_add(X, 1, name="add"),
    "operator 'all': expected a symbol, got [": lambda s: s.concatenate([X, X], name="all"),
    "Group: expected a symbol, got None": lambda s: s.Group([X, None]),
    "a variable needs a name, got 3": lambda s: s.Variable(3),
    "variable 'v': expected an array as init, got 'q'": lambda s: s.Variable("v", init="q"),
}
GRAPH_MISTAKES: dict[str, Callable[[Any], object]] = {
    "expected a symbol, got 'x'": lambda s: s.create("x"),
    "expected the name of a pass, got 3": lambda s: s.create(X).apply([3]),
}


@pytest.mark.parametrize("message", SYMBOL_MISTAKES)
def test_symbols_are_made_of_symbols(message: str):
    with pytest.raises(nnc.NncError) as caught:
        SYMBOL_MISTAKES[message](sym)
    assert message in str(caught.value)


@pytest.mark.parametrize("message", GRAPH_MISTAKES)
def test_graphs_are_made_of_symbols_and_changed_by_passes(message: str):
    with pytest.raises(nnc.NncError) as caught:
        GRAPH_MISTAKES[message](nnc.graph)
    assert message in str(caught.value)
