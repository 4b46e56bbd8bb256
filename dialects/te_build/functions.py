"""Functions of scalars: `where(x < 0, 0, x)`, `exp(x)`, `maximum(x, y)`."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from xdsl.dialects import arith

from . import ops
from .scalar import Index, Scalar, Value


def _pair(x: Value, y: Value) -> tuple[Scalar, Scalar]:
    """Two operands of one type, of which at least one is no plain number."""
    if isinstance(x, Scalar | Index):
        first = x.scalar()
        return first, first.like(y)
    assert isinstance(y, Scalar | Index), "two numbers have no type"
    second = y.scalar()
    return second.like(x), second


def where(condition: Scalar, x: Value, y: Value) -> Scalar:
    """`x` where the condition holds, else `y`."""
    first, second = _pair(x, y)
    operands = (condition.value, first.value, second.value)
    value = first.body.emit((arith.SelectOp, {}), operands, first.value.type)
    return Scalar(first.body, value, first.dtype)


def maximum(x: Value, y: Value) -> Scalar:
    """The larger one; of floats, NaN where either is."""
    first, second = _pair(x, y)
    return first.binary(ops.MAX, second)


def minimum(x: Value, y: Value) -> Scalar:
    """The smaller one; of floats, NaN where either is."""
    first, second = _pair(x, y)
    return first.binary(ops.MIN, second)


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
