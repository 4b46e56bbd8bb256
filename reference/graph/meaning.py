"""How the NumPy meaning of an operator is declared and found.

    @meaning("graph.leaky_relu", wide=True)
    def leaky_relu(op: LeakyReluOp, x: Array) -> Array: ...

The function takes the op and one argument for each operand of its definition: an array, `None` for
an absent optional one, a list for a variadic one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import ml_dtypes
import numpy as np
from xdsl.ir import SSAValue
from xdsl.irdl import IRDLOperation

from ...core.dtypes import element_type
from ...core.locations import describe
from ...dialects.graph.registry import set_meaning
from ...dialects.graph.types import info
from ..steps import WrongMeaning

Array = np.ndarray[Any, Any]
Argument = Array | None | list[Array]

_HALVES = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))


def arguments(op: IRDLOperation, inputs: Sequence[Array]) -> list[Argument]:
    """`inputs`, one for each operand that is there, grouped by the op's definition."""
    rest = iter(inputs)
    grouped: list[Argument] = []
    for name, _ in op.get_irdl_definition().operands:
        operand: SSAValue | Sequence[SSAValue] | None = getattr(op, name)
        if operand is None:
            grouped.append(None)
        elif isinstance(operand, SSAValue):
            grouped.append(next(rest))
        else:
            grouped.append([next(rest) for _ in operand])
    return grouped


def meaning(
    *names: str, wide: bool = False
) -> Callable[[Callable[..., Array | Sequence[Array]]], Callable[..., Array | Sequence[Array]]]:
    """Declares what the operators `names` mean.

    Args:
        names: `graph.<name>`.
        wide: f16 and bf16 operands are computed in f32; a result in f32 is rounded back.
    """

    def decorate(
        function: Callable[..., Array | Sequence[Array]],
    ) -> Callable[..., Array | Sequence[Array]]:
        def run(op: IRDLOperation, inputs: Sequence[Array]) -> list[Array]:
            return grouped(function, op, inputs, wide=wide)

        set_meaning(*names)(run)
        return function

    return decorate


def grouped(
    function: Callable[..., Array | Sequence[Array]],
    op: IRDLOperation,
    inputs: Sequence[Array],
    *,
    wide: bool,
) -> list[Array]:
    """What a meaning gives for the operands that are there."""
    half = next((item.dtype for item in inputs if item.dtype in _HALVES), None)
    if not wide or half is None:
        return _call(function, op, inputs)
    results = _call(function, op, [widened(item) for item in inputs])
    with np.errstate(all="ignore"):
        return [item.astype(half) if item.dtype == np.float32 else item for item in results]


def check_results(op: IRDLOperation, results: Sequence[Array]) -> None:
    """Raises: WrongMeaning: a meaning gives other arrays than the types of the results say."""
    if len(results) != len(op.results):
        raise WrongMeaning(
            f"its meaning gives {len(results)} results, expected {len(op.results)}",
            where=describe(op),
        )
    for value, array in zip(op.results, results, strict=True):
        expected = info(value)
        extents = array.shape if expected.dims is None else expected.dims
        same = len(extents) == array.ndim and all(
            not isinstance(extent, int) or extent == size
            for extent, size in zip(extents, array.shape, strict=True)
        )
        if expected.element not in (None, element_type(array.dtype)) or not same:
            given = f"{array.dtype.name}{list(array.shape)}"
            text = f"its meaning gives {given}, expected {value.type}"
            raise WrongMeaning(text, where=describe(op))


def widened(array: Array) -> Array:
    """f16 and bf16 as f32, anything else as it is."""
    return array.astype(np.float32) if array.dtype in _HALVES else array


def _call(
    function: Callable[..., Array | Sequence[Array]], op: IRDLOperation, inputs: Sequence[Array]
) -> list[Array]:
    with np.errstate(all="ignore"):
        found = function(op, *arguments(op, inputs))
    results = [found] if isinstance(found, np.ndarray | np.generic) else found
    return [np.asarray(result) for result in results]
