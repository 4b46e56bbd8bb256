"""Output arrays that the caller gives: where compiled code writes into them, and where not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from onnx import TensorProto, helper

import nnc
from nnc.runtime.arrays import Array, aligned_empty
from nnc.runtime.executable import STAGED_BYTES

F32 = np.dtype(np.float32)
ROWS, COLUMNS = 130, 257
LARGE, SMALL = (ROWS, COLUMNS), (COLUMNS,)
assert ROWS * COLUMNS * 4 > STAGED_BYTES > COLUMNS * 4
X = np.random.default_rng(1).standard_normal(LARGE, np.float32)
EXPECTED = {"y": np.maximum(X, 0), "flat": -X.reshape(-1), "last": X[-1] * 2, "same": X}


@pytest.fixture(scope="module")
def model() -> nnc.Model:
    """Large outputs, one through a view; a small one; one that is the input."""
    value = helper.make_tensor_value_info
    constant = helper.make_tensor
    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["x"], ["y"], "relu"),
            helper.make_node("Neg", ["x"], ["n"], "negate"),
            helper.make_node("Reshape", ["n", "all"], ["flat"], "view"),
            helper.make_node("Gather", ["x", "at"], ["row"], "row", axis=0),
            helper.make_node("Add", ["row", "row"], ["last"], "twice"),
            helper.make_node("Identity", ["x"], ["same"], "same"),
        ],
        "test",
        [value("x", TensorProto.FLOAT, LARGE)],
        [
            value("y", TensorProto.FLOAT, LARGE),
            value("flat", TensorProto.FLOAT, (ROWS * COLUMNS,)),
            value("last", TensorProto.FLOAT, SMALL),
            value("same", TensorProto.FLOAT, LARGE),
        ],
        [
            constant("all", TensorProto.INT64, [1], [-1]),
            constant("at", TensorProto.INT64, [], [ROWS - 1]),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    return nnc.compile(helper.make_model(graph, opset_imports=opset, ir_version=9), threads=2)


def garbage(shape: tuple[int, ...]) -> Array:
    array = aligned_empty(shape, F32)
    array[...] = np.nan
    return array


def misaligned(shape: tuple[int, ...]) -> Array:
    return garbage((int(np.prod(shape)) + 1,))[1:].reshape(shape)


def every_second(shape: tuple[int, ...]) -> Array:
    return garbage((*shape[:-1], shape[-1] * 2))[..., ::2]


def column_major(shape: tuple[int, ...]) -> Array:
    return garbage(shape[::-1]).T


KINDS = [garbage, misaligned, every_second, column_major]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("names", [["y"], ["flat", "last"], list(EXPECTED)])
def test_given_arrays_are_filled_and_given_back(
    model: nnc.Model, kind: Callable[[tuple[int, ...]], Array], names: list[str]
):
    out = {name: kind(EXPECTED[name].shape) for name in names}
    results = model({"x": X}, out)
    assert list(results) == list(EXPECTED)
    for name, expected in EXPECTED.items():
        np.testing.assert_array_equal(results[name], expected)
        assert (results[name] is out.get(name)) == (name in names)
        assert not np.shares_memory(results[name], X)


def test_compiled_code_writes_into_an_array_that_is_ready(
    model: nnc.Model, monkeypatch: pytest.MonkeyPatch
):
    """Neither a fresh array nor a copy is made of a large output that has a place."""
    out = {"y": garbage(LARGE), "flat": garbage((ROWS * COLUMNS,))}

    def refuse(shape: tuple[int, ...], dtype: np.dtype) -> Array:
        raise AssertionError(f"a fresh array of {dtype}{shape}")

    ready = aligned_empty(LARGE, F32)
    ready[...] = X
    model(x=ready)  # the workspace is there from now on
    monkeypatch.setattr("nnc.runtime.executable.aligned_empty", refuse)
    model({"x": ready}, out)
    for name, array in out.items():
        np.testing.assert_array_equal(array, EXPECTED[name])
    with pytest.raises(AssertionError, match="a fresh array"):
        model({"x": ready}, {"y": out["y"]})


@pytest.mark.parametrize("shift", [0, 1, COLUMNS * 3, 16 * 64])
def test_an_output_may_overlap_an_input(model: nnc.Model, shift: int):
    memory = garbage((ROWS * COLUMNS * 2,))
    x = memory[: ROWS * COLUMNS].reshape(LARGE)
    x[...] = X
    out = memory[shift : shift + ROWS * COLUMNS]
    results = model({"x": x}, {"flat": out})
    for name, expected in EXPECTED.items():
        np.testing.assert_array_equal(results[name], expected)


def read_only() -> Array:
    array = garbage(LARGE)
    array.flags.writeable = False
    return array


BOTH = garbage((ROWS + 1, COLUMNS))
WRONG = {
    "name": ({"z": garbage(LARGE)}, "no output is called 'z'"),
    "near name": ({"flt": garbage(LARGE)}, "did you mean 'flat'"),
    "no name": (garbage(LARGE), "expected arrays by name, got ndarray"),
    "list": ({"y": [1.0]}, "expected an array to fill, got list"),
    "dtype": ({"y": np.empty(LARGE)}, "expected dtype float32, got float64"),
    "byte order": ({"y": np.empty(LARGE, ">f4")}, "expected dtype float32"),
    "rank": ({"y": garbage(SMALL)}, "output 'y': expected rank 2, got rank 1"),
    "extent": ({"last": garbage((COLUMNS - 1,))}, r"output 'last': expected shape \[257\]"),
    "read-only": ({"y": read_only()}, "read-only"),
    "shared": ({"y": BOTH[1:], "same": BOTH[:-1]}, "outputs 'y', 'same': .* share memory"),
}


@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_cannot_be_filled_are_refused(model: nnc.Model, case: str):
    out, message = WRONG[case]
    with pytest.raises(nnc.InputError, match=message):
        model({"x": X}, out)  # pyright: ignore[reportArgumentType]


def test_interleaved_arrays_share_nothing(model: nnc.Model):
    """Their extents in memory meet, their elements do not."""
    memory = garbage((ROWS, COLUMNS * 2))
    results = model({"x": X}, {"y": memory[:, ::2], "same": memory[:, 1::2]})
    np.testing.assert_array_equal(results["y"], EXPECTED["y"])
    np.testing.assert_array_equal(results["same"], X)


def test_extents_that_depend_on_data_are_checked_when_they_are_known():
    node = helper.make_node("NonZero", ["x"], ["places"], "places")
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "test",
        [value("x", TensorProto.FLOAT, (4,))],
        [value("places", TensorProto.INT64, (1, "k"))],
    )
    opset = [helper.make_opsetid("", 17)]
    model = nnc.compile(helper.make_model(graph, opset_imports=opset, ir_version=9))
    out = np.zeros((1, 2), np.int64)
    assert model({"x": [0, 1, 0, 1]}, {"places": out})["places"] is out
    assert out.tolist() == [[1, 3]]
    with pytest.raises(nnc.InputError, match=r"output 'places': expected shape \[1, 3\]"):
        model({"x": [1, 1, 0, 1]}, {"places": out})
    assert out.tolist() == [[1, 3]]
