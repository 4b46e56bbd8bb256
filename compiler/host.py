"""Operators that run on the host: a Python function for each, made when compiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.ir import Operation

from ..runtime.arrays import Array


def host_function(op: Operation) -> Callable[..., Sequence[Array]]:
    """What runs this operator: takes its operands' arrays, gives its results'."""
    from ..reference.graph import evaluate

    def run(*arrays: Array) -> Sequence[Array]:
        return evaluate(op, arrays)

    return run
