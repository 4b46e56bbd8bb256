"""The host's fast operators agree with the reference, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnc.compiler.host import host_function
from nnc.core.errors import InputError
from nnc.dialects.graph.base import ConstantOp
from nnc.dialects.graph.indexing import ScatterElementsOp, ScatterNDOp
from nnc.reference.graph import evaluate
from nnc.runtime.host import scatter_elements, scatter_nd

REDUCTIONS = ("none", "add", "mul", "max", "min")
DTYPES = ("float32", "int64", "uint8")


def both(op: Any, *arrays: np.ndarray) -> None:
    (fast,), (slow,) = host_function(op)(*arrays), evaluate(op, arrays)
    assert fast.dtype == slow.dtype
    np.testing.assert_array_equal(fast, slow)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scatter_elements(reduction: str, dtype: str, axis: int):
    rng = np.random.default_rng(5)
    data = rng.integers(1, 9, (4, 5, 3)).astype(dtype)
    shape = (3, 2, 3)
    indices = rng.integers(-3, 3, shape)
    updates = rng.integers(1, 9, shape).astype(dtype)
    operands = [ConstantOp.of(array).res for array in (data, indices, updates)]
    both(ScatterElementsOp.of(*operands, axis=axis, reduction=reduction), data, indices, updates)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_scatter_nd(reduction: str, depth: int):
    rng = np.random.default_rng(6)
    data = rng.standard_normal((4, 5, 3), np.float32)
    indices = rng.integers(-3, 3, (7, depth))
    updates = rng.standard_normal((7, *data.shape[depth:]), np.float32)
    operands = [ConstantOp.of(array).res for array in (data, indices, updates)]
    both(ScatterNDOp.of(*operands, reduction=reduction), data, indices, updates)


def test_nothing_to_scatter():
    data = np.arange(4.0)
    empty = np.empty((0,), np.int64)
    np.testing.assert_array_equal(scatter_elements(data, empty, data[:0], 0, "add"), data)
    np.testing.assert_array_equal(scatter_nd(data, empty.reshape(0, 1), data[:0], "none"), data)


def test_indices_outside_are_refused():
    with pytest.raises(InputError, match=r"outside \[-4, 4\)"):
        scatter_elements(np.zeros(4), np.array([4]), np.ones(1), 0, "none")
