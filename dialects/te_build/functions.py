"""Functions of scalars: `where(x < 0, 0, x)`, `exp(x)`, `maximum(x, y)`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from xdsl.dialects import arith
from xdsl.dialects.builtin import i1
from xdsl.ir import Operation

from ...core.dtypes import dtype_name
from ...core.errors import ExpressionError
from . import ops
from .body import current_body
from .scalar import Index, Scalar, Value


def scalar_of(x: Value) -> Scalar:
    """A value as a scalar of the body that is being written; a number as f32, i64 or i1."""
    if isinstance(x, Scalar | Index):
        return x.scalar()
    return current_body().literal(x, ops.type_of(x))


def _pair(x: Value, y: Value) -> tuple[Scalar, Scalar]:
    """Two operands of one type: a number's is that of the other operand."""
    if isinstance(x, Scalar) or not isinstance(y, Scalar):
        first = scalar_of(x)
        return first, first.like(y)
    return y.like(x), y


def where(condition: Scalar, x: Value, y: Value) -> Scalar:
    """`x` where the condition holds, else `y`; both are evaluated."""
    first, second = _pair(x, y)
    if condition.dtype != i1:
        raise ExpressionError(
            f"a condition is bool, got {dtype_name(condition.dtype)}", hint="compare it: x != 0"
        )
    if condition.body is not first.body:
        raise ExpressionError("a condition of another compute")
    operands = (condition.value, first.value, second.value)
    value = first.body.emit((arith.SelectOp, {}), operands, first.value.type)
    return Scalar(first.body, value, first.dtype)


def if_then_else(condition: Scalar, x: Value, y: Value) -> Scalar:
    """As `where`, and reads in a branch need to be inside only where that branch is taken."""
    chosen = where(condition, x, y)
    assert isinstance(chosen.value.owner, Operation), "a select made it"
    chosen.body.guards.add(chosen.value.owner)
    return chosen


def maximum(x: Value, y: Value) -> Scalar:
    """The larger one; of floats, NaN where either is."""
    first, second = _pair(x, y)
    return first.binary(ops.MAX, second)


def minimum(x: Value, y: Value) -> Scalar:
    """The smaller one; of floats, NaN where either is."""
    first, second = _pair(x, y)
    return first.binary(ops.MIN, second)


def clamp(x: Scalar, low: Value, high: Value) -> Scalar:
    """`x` limited to [low, high]; NaN stays NaN."""
    return minimum(maximum(x, low), high)


def relu(x: Scalar) -> Scalar:
    """max(x, 0); NaN stays NaN."""
    return where(x < 0, 0, x)


def power(x: Scalar, y: Value) -> Scalar:
    """`x ** y` of one type."""
    return x.binary(ops.POWER, y)


def copysign(x: Scalar, y: Value) -> Scalar:
    """The magnitude of x with the sign of y."""
    return x.binary(ops.COPYSIGN, y)


def quotient(x: Scalar, y: Value) -> Scalar:
    """Division; of integers it truncates towards zero."""
    return x.binary(ops.DIV, y)


def remainder(x: Scalar, y: Value) -> Scalar:
    """The remainder of `quotient`, with the sign of x; integers only."""
    return x.binary(ops.REM, y)


def isnan(x: Scalar) -> Scalar:
    """Whether x is NaN."""
    return x.ne(x)


def isinf(x: Scalar) -> Scalar:
    """Whether x is an infinity."""
    return abs(x).eq(math.inf)


def unary(name: str) -> Callable[[Scalar], Scalar]:
    """The op `math.<name>` as a function."""
    return partial(_apply, ops.MATH[name])


def _apply(family: ops.Family, x: Scalar) -> Scalar:
    return x.unary(family)


ceil = unary("ceil")
cos = unary("cos")
erf = unary("erf")
exp = unary("exp")
floor = unary("floor")
log = unary("log")
log1p = unary("log1p")
rsqrt = unary("rsqrt")
sin = unary("sin")
sqrt = unary("sqrt")
tanh = unary("tanh")


def sigmoid(x: Scalar) -> Scalar:
    """1 / (1 + e ** -x)."""
    return 1.0 / (1.0 + exp(-x))
