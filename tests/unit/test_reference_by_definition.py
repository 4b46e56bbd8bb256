"""Meanings that ONNX's own evaluator gets wrong or cannot do, against the definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnc.core.errors import InputError, UnsupportedError
from nnc.dialects.graph.base import ConstantOp
from nnc.dialects.graph.registry import by_onnx_name
from nnc.dialects.graph.types import info
from nnc.reference.graph import evaluate

Array = np.ndarray[Any, Any]


def whole(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


BY_HAND: list[tuple[str, list[Array], dict[str, Any], Array]] = [
    ("Softsign", [np.array(3, np.float32)], {}, np.array(0.75)),
    ("ReduceLogSumExp", [np.array(3, np.float32)], {}, np.array(3.0)),
    ("Mean", [np.zeros((2, 1)), np.ones((1, 3))], {}, np.full((2, 3), 0.5)),
    ("GlobalLpPool", [np.array([[[3.0, -4.0]], [[5.0, 12.0]]])], {}, np.array([[[5.0]], [[13.0]]])),
    ("GlobalLpPool", [np.array([[[3.0, -4.0]]])], {"p": 1}, np.array([[[7.0]]])),
    ("GlobalMaxPool", [np.arange(6.0).reshape(1, 2, 3)], {}, np.array([[[2.0], [5.0]]])),
    ("Pad", [np.arange(4.0), whole(-1, 2)], {}, np.array([1.0, 2, 3, 0, 0])),
    ("ReduceMean", [np.array([-3, -4, 0], np.int64)], {}, np.array([-2])),
    ("ReduceMax", [np.zeros((0, 2), np.int8), whole(0)], {}, np.array([[-128, -128]])),
    ("BitShift", [np.array([-8, 5], np.int32), np.array([1, 40], np.int32)],
     {"direction": "RIGHT"}, np.array([-4, 0])),
    ("BitShift", [np.array([3, 3], np.uint8), np.array([1, 9], np.uint8)],
     {"direction": "LEFT"}, np.array([6, 0])),
    ("Pow", [np.array([2, 3], np.int32), np.array([-1, 2], np.int32)], {}, np.array([0, 9])),
    ("TopK", [np.array([1.0, 3, 3, 2]), whole(3)], {}, np.array([3.0, 3, 2])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "inputs", "attributes", "expected"), BY_HAND)
def test_value_by_definition(
    name: str, inputs: list[Array], attributes: dict[str, Any], expected: Array
) -> None:
    found = by_onnx_name(name)
    assert found is not None
    op = found.cls.of(*(ConstantOp.of(item).res for item in inputs), **attributes)
    result = evaluate(op, inputs)[0]
    np.testing.assert_allclose(result.reshape(expected.shape), expected)
    assert info(op.results[0]).dims == result.shape


def run(name: str, *inputs: Array, **attributes: Any) -> list[Array]:
    found = by_onnx_name(name)
    assert found is not None
    return evaluate(
        found.cls.of(*(ConstantOp.of(item).res for item in inputs), **attributes), inputs
    )


def test_half_precision_is_computed_in_single() -> None:
    x = np.full(4096, 1.0, np.float16)
    (total,) = run("ReduceSum", x)
    assert total.dtype == np.float16
    assert float(total.reshape(())) == 4096.0  # f16 sums of ones stop at 2048


def test_bfloat16_results_are_bfloat16() -> None:
    import ml_dtypes

    x = np.array([1.5, -2.0], ml_dtypes.bfloat16)
    (result,) = run("Relu", x)
    assert result.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(result.astype(np.float32), [1.5, 0.0])


def test_random_dropout_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="random"):
        run("Dropout", np.ones(3, np.float32), np.array(0.5, np.float32), np.array(True))


def test_an_index_out_of_range_is_refused() -> None:
    with pytest.raises(InputError, match=r"outside \[-3, 3\)"):
        run("Gather", np.ones(3, np.float32), whole(3))
