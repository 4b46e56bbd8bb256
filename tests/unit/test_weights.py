"""Weights beside a text: every dtype survives, broken files are refused."""

from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

import nnc
from nnc.core.errors import ModelError
from nnc.dialects.graph.base import ConstantOp, Weight, WeightAttr
from nnc.textir import weights

DTYPES = ["float32", "float64", "float16", "int8", "uint8", "int64", "uint64", "bool"]
RNG = np.random.default_rng(0)


def array_of(dtype: str) -> np.ndarray[Any, Any]:
    return RNG.integers(0, 2, (9, 8)).astype(dtype)


def module_of(*arrays: np.ndarray[Any, Any]) -> ModuleOp:
    return ModuleOp([ConstantOp.of(array) for array in arrays])


def forget(module: ModuleOp) -> ModuleOp:
    """The module as it comes out of a parser: digests without arrays."""
    for op in module.walk():
        if isinstance(op, ConstantOp) and isinstance(op.value, WeightAttr):
            op.properties["value"] = WeightAttr(Weight(op.value.data.digest, None))
    return module


def constants(module: ModuleOp) -> list[np.ndarray[Any, Any]]:
    return [op.array for op in module.walk() if isinstance(op, ConstantOp)]


def test_every_dtype_survives(tmp_path: Path) -> None:
    arrays = [*map(array_of, DTYPES), array_of("float32").astype(ml_dtypes.bfloat16)]
    path = tmp_path / "net.nn"
    module = module_of(*arrays)
    weights.save(weights.collect(module), path)
    forget(module)
    assert weights.collect(module) == {}
    weights.load(module, path)
    for got, expected in zip(constants(module), arrays, strict=True):
        assert got.dtype == expected.dtype
        assert not got.flags.writeable
        np.testing.assert_array_equal(got, expected)


def test_equal_weights_are_kept_once(tmp_path: Path) -> None:
    one = array_of("float32")
    module = module_of(one, one.copy())
    assert len(weights.collect(module)) == 1
    weights.save(weights.collect(module), tmp_path / "net.nn")
    weights.load(forget(module), tmp_path / "net.nn")
    first, second = constants(module)
    assert first is second


def test_without_a_file_nothing_happens(tmp_path: Path) -> None:
    module = forget(module_of(array_of("float32")))
    weights.load(module, tmp_path / "net.nn")
    assert weights.collect(module) == {}


def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    weights.save(weights.collect(module_of(array_of("int8"))), tmp_path / "net.nn")
    with pytest.raises(ModelError, match="has no weight"):
        weights.load(forget(module_of(array_of("float32"))), tmp_path / "net.nn")


def test_a_weight_of_another_type_is_refused(tmp_path: Path) -> None:
    module = module_of(array_of("float32"))
    [(digest, array)] = weights.collect(module).items()
    weights.save({digest: array.astype(np.float64)}, tmp_path / "net.nn")
    with pytest.raises(ModelError, match=r"float64\[9, 8\], expected float32\[9, 8\]"):
        weights.load(forget(module), tmp_path / "net.nn")


@pytest.mark.parametrize("content", [b"", b"\xff" * 40, b"\x08\0\0\0\0\0\0\0{}      "])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    module = forget(module_of(array_of("float32")))
    weights.side_file(tmp_path / "net.nn").write_bytes(content)
    with pytest.raises(ModelError):
        weights.load(module, tmp_path / "net.nn")


def test_a_model_without_its_weights_is_refused() -> None:
    text = """
    func.func @main(%x: tensor<8x100xf32>) -> tensor<8x32xf32> {
      %w = graph.constant #graph.weight<"abcdef0123456789"> : tensor<100x32xf32>
      %0 = graph.matmul(%x, %w) : tensor<8x32xf32>
      func.return %0
    }
    """
    with pytest.raises(ModelError, match="content of weight abcdef012345 is not known") as found:
        nnc.compile(nnc.parse(text))
    assert found.value.where == "<text>:3:12"
    assert found.value.hint is not None
    assert "weights.safetensors" in found.value.hint
