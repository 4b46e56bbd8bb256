"""Reductions over a leading axis of points, in order, by a named or a user's combiner."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from xdsl.ir import Attribute, Region

from .body import Scope, run_body
from .scalar import NAMED_COMBINERS, Array, attribute_value, neutral

Errors: TypeAlias = "Sequence[Array | None]"
SMALL = 512
"""Below this many results one accumulate is faster than a Python loop over the points."""


class NamedReduction:
    """One accumulator for each result, each with a named combiner."""

    def __init__(
        self,
        combiners: Sequence[str],
        dtypes: Sequence[np.dtype[Any]],
        shape: Sequence[int],
        with_errors: bool,
    ):
        self._combiners = combiners
        self._with_errors = with_errors
        self._values = [
            np.full(shape, neutral(name, dtype), dtype)
            for name, dtype in zip(combiners, dtypes, strict=True)
        ]
        self._magnitudes = [np.zeros(shape) for _ in combiners]
        self._errors = [np.zeros(shape) for _ in combiners]
        self._points = 0

    def add(self, values: Sequence[Array], errors: Errors) -> None:
        """Combine values of shape [points, *shape] into the accumulators, in order."""
        for at, name in enumerate(self._combiners):
            self._values[at] = combine_in_order(name, self._values[at], values[at])
            if self._with_errors:
                self._add_error(at, name, values[at], errors[at])
        self._points += len(values[0]) if values else 0

    def _add_error(self, at: int, name: str, values: Array, error: Array | None) -> None:
        if values.dtype.kind in "iub" and error is None:
            return
        with np.errstate(all="ignore"):
            wide = np.abs(values.astype(np.float64))
            if name == "sum":
                self._magnitudes[at] += np.where(np.isfinite(wide), wide, 0.0).sum(axis=0)
            if error is None:
                return
            if name == "prod":  # collected as a relative error
                error = np.where(error == 0, 0.0, error / wide)
            joined = error.max(axis=0, initial=0.0)
        if name in ("sum", "prod"):
            self._errors[at] += error.sum(axis=0)
        else:
            self._errors[at] = np.maximum(self._errors[at], joined)

    def finish(self) -> tuple[list[Array], list[Array | None]]:
        """The accumulators and their errors."""
        if not self._with_errors:
            return self._values, [None for _ in self._values]
        return self._values, [self._total_error(at) for at in range(len(self._values))]

    def _total_error(self, at: int) -> Array:
        value, name = self._values[at], self._combiners[at]
        eps = machine_epsilon(value.dtype)
        if name == "sum":
            return self._errors[at] + 2 * self._points * eps * self._magnitudes[at]
        if name == "prod":
            with np.errstate(all="ignore"):
                return np.abs(value.astype(np.float64)) * (
                    self._errors[at] + 2 * self._points * eps
                )
        return self._errors[at]


_EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}


def machine_epsilon(dtype: np.dtype[Any]) -> float:
    """The spacing of numbers near one; 0 for integers."""
    return _EPSILON.get(dtype.name, 0.0)


def combine_in_order(name: str, start: Array, values: Array) -> Array:
    """`start` combined with each of values[0], values[1], ... one after the other.

    NumPy's own `reduce` sums pairwise, in another order.
    """
    function = NAMED_COMBINERS[name]
    dtype = start.dtype
    with np.errstate(all="ignore"):
        if name not in ("sum", "prod") or dtype.kind in "iub":
            if not len(values):
                return start
            return np.asarray(function(start, function.reduce(values, axis=0, dtype=dtype)))
        if start.size < SMALL:
            stacked = np.concatenate([start[None], values.astype(dtype, copy=False)])
            return np.asarray(function.accumulate(stacked, axis=0)[-1])
        total = start.copy()
        for value in values:
            function(total, value, out=total)
        return total


class CustomReduction:
    """A tuple of accumulators combined by a region."""

    def __init__(
        self, combine: Region, init: Sequence[Attribute], shape: Sequence[int], with_errors: bool
    ):
        self._block = combine.block
        self._with_errors = with_errors
        self._values: list[Array] = [
            np.full(shape, attribute_value(attribute)) for attribute in init
        ]
        self._errors: list[Array | None] = [None for _ in init]
        self._rounds = any(op.name not in _EXACT for op in combine.block.ops)

    def add(self, values: Sequence[Array], errors: Errors) -> None:
        """Combine values of shape [points, *shape] into the accumulators, in order."""
        for point in range(len(values[0])):
            at_point = [None if e is None else e[point] for e in errors]
            self.combine([value[point] for value in values], at_point)

    def combine(self, values: Sequence[Array], errors: Errors) -> None:
        """One step."""
        scope = Scope()
        shape = self._values[0].shape
        operands = [*self._values, *values]
        all_errors = [*self._errors, *errors]
        for argument, value, error in zip(self._block.args, operands, all_errors, strict=True):
            scope.values[argument] = value
            if self._with_errors and error is not None:
                scope.errors[argument] = error
        yielded = run_body(self._block, scope, {})
        self._values = [np.broadcast_to(scope.values[value], shape) for value in yielded]
        self._errors = [
            np.broadcast_to(scope.errors[v], shape) if v in scope.errors else None for v in yielded
        ]
        if self._with_errors and self._rounds:
            self._errors = [
                _with_rounding(value, error)
                for value, error in zip(self._values, self._errors, strict=True)
            ]

    def finish(self) -> tuple[list[Array], list[Array | None]]:
        """The accumulators and their errors."""
        return [np.array(value) for value in self._values], self._errors


_EXACT = frozenset(
    {
        *("te.yield", "loop.yield", "arith.constant", "arith.select", "arith.cmpf", "arith.cmpi"),
        *("arith.maximumf", "arith.minimumf", "arith.addi", "arith.maxsi", "arith.minsi"),
        *("arith.andi", "arith.ori", "arith.xori"),
    }
)
"""A combiner of these does not round; every other one may by two eps in each step."""


def _with_rounding(value: Array, error: Array | None) -> Array | None:
    eps = machine_epsilon(value.dtype)
    if not eps:
        return error
    rounding = 2 * eps * np.abs(value.astype(np.float64))
    return rounding if error is None else error + rounding
