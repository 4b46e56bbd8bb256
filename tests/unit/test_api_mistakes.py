"""Wrong options and values given to the Python API are refused with what was expected."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nnc

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
