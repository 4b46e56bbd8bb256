"""Matrix products."""

from __future__ import annotations

import numpy as np

from ...dialects.graph.linear import GemmOp, MatMulOp
from .meaning import Array, meaning


@meaning("graph.matmul", wide=True)
def matmul(op: MatMulOp, a: Array, b: Array) -> Array:
    """NumPy's."""
    del op
    return np.asarray(np.matmul(a, b))


@meaning("graph.gemm", wide=True)
def gemm(op: GemmOp, a: Array, b: Array, c: Array | None) -> Array:
    """Alpha * A * B + beta * C."""
    left = a.T if op.transA.value.data else a
    right = b.T if op.transB.value.data else b
    result = np.matmul(left, right) * op.alpha.value.data
    if c is not None:
        result = result + c * op.beta.value.data
    return np.asarray(result).astype(a.dtype)
