"""NNVM's way: `nnc.build` and a graph module that is fed and run step by step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import nnc
from nnc import symbol as sym

A = np.array([1, 2, 3, 4], np.float32)
B = np.array([10, 20, 30, -40], np.float32)


@pytest.fixture(scope="module")
def built() -> tuple[Any, Any, dict[str, Any]]:
    x, y = sym.Variable("x"), sym.Variable("y")
    graph = nnc.graph.create(sym.elemwise_add(x, y))
    return nnc.build(graph, target="llvm", shape={"x": (4,)}, dtype="float32", threads=1)


def create(built: tuple[Any, Any, dict[str, Any]]) -> Any:
    return nnc.runtime.create(built[0], built[1], nnc.cpu(0))


def test_the_sample(built: tuple[Any, Any, dict[str, Any]]):
    module = create(built)
    module.set_input(x=A, y=B)
    module.run()
    np.testing.assert_array_equal(module.get_output(0), A + B)
    assert built[2] == {}


def test_shapes_flow_backward_into_the_graph(built: tuple[Any, Any, dict[str, Any]]):
    text = built[0].ir()
    assert text.count("tensor<4xf32>") >= 3
    assert nnc.parse(text).is_structurally_equivalent(built[0].module)


def test_inputs_by_number_and_outputs_into_arrays(built: tuple[Any, Any, dict[str, Any]]):
    module = create(built)
    module.set_input(0, A)
    module.set_input("y", B)
    module.run()
    out = np.zeros(4, np.float32)
    assert module.get_output(0, out) is out
    np.testing.assert_array_equal(out, A + B)
    assert (module.get_num_inputs(), module.get_num_outputs()) == (2, 1)
    np.testing.assert_array_equal(module.get_input("x"), A)


def test_an_input_is_copied_when_it_is_set(built: tuple[Any, Any, dict[str, Any]]):
    module, x = create(built), A.copy()
    module.set_input(x=x, y=B)
    x[...] = 0
    module.run()
    np.testing.assert_array_equal(module.get_output(0), A + B)


def test_run_takes_inputs_and_keeps_outputs_of_the_last_run(
    built: tuple[Any, Any, dict[str, Any]],
):
    module = create(built)
    module.run(x=A, y=B)
    first = module.get_output(0)
    module.run(y=A)
    np.testing.assert_array_equal(first, A + B)
    np.testing.assert_array_equal(module.get_output(0), 2 * A)


def test_params_are_compiled_in():
    x, w = sym.Variable("x"), sym.Variable("w")
    graph = nnc.graph.create(sym.elemwise_mul(x, w))
    made, lib, params = nnc.build(graph, shape={"x": (4,)}, params={"w": B}, threads=1)
    assert list(params) == ["w"]
    module = nnc.runtime.create(made, lib, nnc.cpu())
    module.set_input(**params)
    module.run(x=A)
    np.testing.assert_array_equal(module.get_output(0), A * B)
    with pytest.raises(nnc.InputError, match="compiled in"):
        module.set_input(w=A)


def test_params_from_safetensors(built: tuple[Any, Any, dict[str, Any]]):
    from safetensors.numpy import save

    module = create(built)
    module.load_params(save({"x": A, "y": B}))
    module.run()
    np.testing.assert_array_equal(module.get_output(0), A + B)
    with pytest.raises(nnc.InputError, match="not safetensors"):
        module.load_params(b"\x00" * 4)


def test_misuse_is_explained(built: tuple[Any, Any, dict[str, Any]]):
    module = create(built)
    with pytest.raises(nnc.InputError, match="call run"):
        module.get_output(0)
    with pytest.raises(nnc.InputError, match="missing 'x', 'y'"):
        module.run()
    with pytest.raises(nnc.InputError, match="no input is called 'z'"):
        module.set_input(z=A)
    with pytest.raises(nnc.InputError, match="expected shape"):
        module.set_input(x=A[:2])
    module.run(x=A, y=B)
    with pytest.raises(nnc.InputError, match="1 outputs, got index 1"):
        module.get_output(1)
    with pytest.raises(nnc.InputError, match="cpu"):
        nnc.cpu(1)


def test_shapes_that_do_not_suffice_are_named():
    graph = nnc.graph.create(sym.elemwise_add(sym.Variable("x"), sym.Variable("y")))
    with pytest.raises(nnc.InputError, match="'x'"):
        nnc.build(graph)
    with pytest.raises(nnc.InputError, match="'z'"):
        nnc.build(graph, shape={"z": (4,)})


def test_code_of_another_graph_is_refused(built: tuple[Any, Any, dict[str, Any]]):
    other = nnc.graph.create(sym.relu(sym.Variable("image")))
    with pytest.raises(nnc.InputError, match="image"):
        nnc.runtime.create(other, built[1], nnc.cpu(0))


@pytest.mark.parametrize("size", [4, 4000])  # written into the text of the graph, and beside it
@pytest.mark.parametrize("dtype", [">f4", "<f4"])
def test_params_of_any_byte_order_are_copied(size: int, dtype: str):
    y = np.arange(size).astype(dtype)
    x = sym.Variable("x")
    inside = sym.Variable("z", init=y)
    graph, lib, _ = nnc.build(
        x + sym.Variable("y") + inside, shape={"x": (size,)}, params={"y": y}, cache=False
    )
    y[:] = 0
    module = nnc.runtime.create(graph, lib, nnc.cpu())
    module.run(x=np.ones(size, np.float32))
    np.testing.assert_array_equal(module.get_output(0), 2 * np.arange(size) + 1)
