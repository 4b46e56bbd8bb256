"""Operators that run on the host: a Python function for each, made when compiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.ir import Operation

from ..dialects.graph.indexing import ScatterElementsOp, ScatterNDOp
from ..runtime import host
from ..runtime.arrays import Array

HostRun = Callable[..., Sequence[Array]]


def host_function(op: Operation) -> HostRun:
    """What runs this operator: takes its operands' arrays, gives its results'.

    The runtime's own function where it is faster than the reference's.
    """
    if isinstance(op, ScatterElementsOp):
        return _scatter_elements(op)
    if isinstance(op, ScatterNDOp):
        return _scatter_nd(op)
    from ..reference.graph import evaluate

    def run(*arrays: Array) -> Sequence[Array]:
        return evaluate(op, arrays)

    return run


def _scatter_elements(op: ScatterElementsOp) -> HostRun:
    axis, reduction = op.axis.value.data, op.reduction.data

    def run(data: Array, indices: Array, updates: Array) -> Sequence[Array]:
        return [host.scatter_elements(data, indices, updates, axis, reduction)]

    return run


def _scatter_nd(op: ScatterNDOp) -> HostRun:
    reduction = op.reduction.data

    def run(data: Array, indices: Array, updates: Array) -> Sequence[Array]:
        return [host.scatter_nd(data, indices, updates, reduction)]

    return run
