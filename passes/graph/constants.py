"""Reading and making constants in patterns."""

from __future__ import annotations

from math import copysign
from typing import TYPE_CHECKING, Any

from xdsl.ir import Operation, SSAValue
from xdsl.rewriter import Rewriter as XdslRewriter

from ...core.dtypes import numpy_dtype
from ...core.explain import why_not
from ...dialects.graph.base import ConstantOp, GraphOp, constant_value
from ...dialects.graph.types import dims, element

if TYPE_CHECKING:
    import numpy as np

    from ...core.rewriting import Rewriter

MAX_SPLAT = 1 << 20
"""Larger constants are not searched for being one number throughout."""


def splat(value: SSAValue | None) -> np.ndarray[Any, Any] | None:
    """The one number (0-d) that a constant consists of, bit by bit; `None` if it is no such."""
    array = constant_value(value)
    if array is None or not 0 < array.size <= MAX_SPLAT:
        return None
    flat = array.reshape(-1)
    if array.size > 1 and flat.tobytes() != flat[:1].tobytes() * array.size:
        return None
    return flat[:1].reshape(())


def is_splat(value: SSAValue | None, number: float) -> bool:
    """Whether a constant is `number` throughout; 0.0 and -0.0 are told apart."""
    found = splat(value)
    return (
        found is not None
        and float(found) == number
        and copysign(1, float(found)) == copysign(1, number)
    )


def make_constant(rw: Rewriter, array: np.ndarray[Any, Any]) -> SSAValue:
    """A new constant before the op at hand."""
    return rw.insert(ConstantOp.of(array)).res


def scalar_like(rw: Rewriter, value: SSAValue, number: float) -> SSAValue:
    """A new scalar constant of the element type of `value`."""
    import numpy as np

    found = element(value.type)
    assert found is not None
    return make_constant(rw, np.asarray(number, numpy_dtype(found)))


def forward(rw: Rewriter, op: Operation, value: SSAValue) -> None:
    """Let the users of the one result of `op` use `value`, if it has the same type."""
    if value.type == op.results[0].type:
        rw.replace(op, [], [value])
    else:
        why_not(op, f"its operand is {value.type}; infer-shapes makes the types equal")


def typed_like(new: GraphOp, old: Operation) -> GraphOp:
    """`new`, whose result gets the type of that of `old`: both are the same value.

    Inference may find more (an extent that only a constant knows); users rely on the old type.
    """
    XdslRewriter.replace_value_with_new_type(new.results[0], old.results[0].type)
    return new


def is_static(value: SSAValue) -> bool:
    """Whether every extent is a number."""
    extents = dims(value.type)
    return extents is not None and all(isinstance(extent, int) for extent in extents)
