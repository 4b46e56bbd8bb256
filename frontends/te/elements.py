"""Functions of elements, which of whole tensors make computes: `exp(x[i])`, `exp(x)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from xdsl.dialects.builtin import i1

from ...core.errors import ExpressionError
from ...dialects.te_build import Index, Scalar, ops
from ...dialects.te_build import Tensor as AnyTensor
from ...dialects.te_build import functions as fn
from ...dialects.te_build.body import current_body, is_writing
from ...dialects.te_build.ops import Number
from .dtypes import DType, element_of
from .tensor import Operand, elementwise

Function: TypeAlias = Callable[..., Scalar]


class Elementwise:
    """A function of elements; of tensors it is a compute, element by element and broadcast."""

    def __init__(self, name: str, function: Function, document: str):
        self.name, self._function, self.__doc__ = name, function, document

    def __call__(self, *operands: Operand) -> Any:
        """A scalar, or a tensor where an operand is one.

        Raises: ExpressionError: element types or shapes do not fit.
        """
        if any(isinstance(operand, AnyTensor) for operand in operands):
            return elementwise(self.name, self._function, *operands)
        return self._function(*operands)


def _on_scalars(function: Function) -> Function:
    """`function` of scalars, where indices and numbers may stand too."""

    def apply(*values: Scalar | Index | Number) -> Scalar:
        first = next((v for v in values if isinstance(v, Scalar)), None)
        typed = fn.scalar_of(values[0]) if first is None else first
        return function(*(value if value is typed else typed.like(value) for value in values))

    return apply


def _unary(name: str, document: str) -> Elementwise:
    return Elementwise(name, _on_scalars(fn.unary(name)), document)


def _compare(name: str, document: str) -> Elementwise:
    def apply(x: Scalar, y: Scalar) -> Scalar:
        return x.compare(name, y)

    return Elementwise(name, _on_scalars(apply), document)


def _binary(name: str, family: ops.Family, document: str) -> Elementwise:
    def apply(x: Scalar, y: Scalar) -> Scalar:
        return x.binary(family, y)

    return Elementwise(name, _on_scalars(apply), document)


def _of_one(name: str, function: Callable[[Scalar], Scalar], document: str) -> Elementwise:
    return Elementwise(name, _on_scalars(function), document)


def _of_two(name: str, function: Callable[[Scalar, Scalar], Scalar], document: str) -> Elementwise:
    return Elementwise(name, _on_scalars(function), document)


acos = _unary("acos", "The inverse cosine.")
acosh = _unary("acosh", "The inverse hyperbolic cosine.")
asin = _unary("asin", "The inverse sine.")
asinh = _unary("asinh", "The inverse hyperbolic sine.")
atan = _unary("atan", "The inverse tangent.")
atanh = _unary("atanh", "The inverse hyperbolic tangent.")
cbrt = _unary("cbrt", "The cubic root.")
ceil = _unary("ceil", "The least integer that is not less.")
cos = _unary("cos", "The cosine.")
cosh = _unary("cosh", "The hyperbolic cosine.")
erf = _unary("erf", "The error function.")
exp = _unary("exp", "e to the power of x.")
exp2 = _unary("exp2", "2 to the power of x.")
expm1 = _unary("expm1", "exp(x) - 1, exact near 0.")
floor = _unary("floor", "The greatest integer that is not greater.")
log = _unary("log", "The natural logarithm.")
log10 = _unary("log10", "The decimal logarithm.")
log1p = _unary("log1p", "log(1 + x), exact near 0.")
log2 = _unary("log2", "The binary logarithm.")
round = _unary("roundeven", "The nearest integer, of two the even one.")
rsqrt = _unary("rsqrt", "1 / sqrt(x).")
sin = _unary("sin", "The sine.")
sinh = _unary("sinh", "The hyperbolic sine.")
sqrt = _unary("sqrt", "The square root.")
tan = _unary("tan", "The tangent.")
tanh = _unary("tanh", "The hyperbolic tangent.")
trunc = _unary("trunc", "The integer part.")
abs = _of_one("abs", lambda x: x.__abs__(), "The magnitude.")
negative = _of_one("negative", lambda x: -x, "-x.")
isnan = _of_one("isnan", fn.isnan, "Whether x is NaN.")
isinf = _of_one("isinf", fn.isinf, "Whether x is an infinity.")
isfinite = _of_one("isfinite", lambda x: ~(fn.isnan(x) | fn.isinf(x)), "Whether x is a number.")
sigmoid = _of_one("sigmoid", fn.sigmoid, "1 / (1 + exp(-x)).")
relu = _of_one("relu", fn.relu, "max(x, 0); NaN stays NaN.")

add = _binary("add", ops.ADD, "x + y.")
subtract = _binary("subtract", ops.SUB, "x - y.")
multiply = _binary("multiply", ops.MUL, "x * y.")
divide = _binary("divide", ops.DIV, "x / y; of integers it truncates towards zero.")
floordiv = _binary("floordiv", ops.FLOORDIV, "x // y of integers, towards minus infinity.")
floormod = _of_two("floormod", lambda x, y: x % y, "The remainder of floordiv.")
truncdiv = _binary("truncdiv", ops.DIV, "x / y; of integers it truncates towards zero.")
truncmod = _binary("truncmod", ops.REM, "The remainder of truncdiv, of integers.")
power = _binary("power", ops.POWER, "x to the power of y.")
maximum = _binary("maximum", ops.MAX, "The larger one; NaN where either is.")
minimum = _binary("minimum", ops.MIN, "The smaller one; NaN where either is.")
copysign = _binary("copysign", ops.COPYSIGN, "The magnitude of x with the sign of y.")
left_shift = _binary("left_shift", ops.SHIFT_LEFT, "x << y of integers.")
right_shift = _binary("right_shift", ops.SHIFT_RIGHT, "x >> y of integers; signed ones keep it.")
clip = Elementwise("clip", _on_scalars(fn.clamp), "x limited to [low, high].")

equal = _compare("eq", "x == y.")
not_equal = _compare("ne", "x != y; true for NaN.")
less = _compare("lt", "x < y.")
less_equal = _compare("le", "x <= y.")
greater = _compare("gt", "x > y.")
greater_equal = _compare("ge", "x >= y.")
logical_and = _binary("and", ops.AND, "Both hold; of integers bit by bit.")
logical_or = _binary("or", ops.OR, "Either holds; of integers bit by bit.")
logical_xor = _binary("xor", ops.XOR, "One holds; of integers bit by bit.")
logical_not = _of_one("not", lambda x: ~x, "It does not hold; of integers every bit.")


def _condition(condition: object) -> Scalar:
    """A condition as a scalar; a Python bool is a constant."""
    if isinstance(condition, bool):
        return current_body().constant(condition, i1)
    if not isinstance(condition, Scalar):
        raise ExpressionError(f"a condition is a comparison of elements, got {condition!r}")
    return condition


def _select(condition: object, x: Operand, y: Operand) -> Scalar:
    return fn.where(_condition(condition), _value(x), _value(y))


def _value(x: Operand) -> Scalar | Index | Number:
    assert not isinstance(x, AnyTensor), "tensors are taken apart before"
    return x


select = Elementwise("where", _select, "x where the condition holds, else y; both are evaluated.")
where = select


def if_then_else(condition: Scalar | bool, x: Operand, y: Operand) -> Any:
    """X where the condition holds, else y; a read needs to be inside only where it is taken.

    Raises: ExpressionError: x and y have different types, the condition is not bool.
    """
    if any(isinstance(value, AnyTensor) for value in (condition, x, y)):
        return elementwise("where", _select, condition, x, y)
    return fn.if_then_else(_condition(condition), _value(x), _value(y))


def cast(dtype: DType, x: Operand) -> Any:
    """The element, or all of a tensor's, in another type: `cast("int32", x)`."""
    element = element_of(dtype)
    if isinstance(x, AnyTensor):
        return elementwise("cast", partial(_cast, element), x)
    return _cast(element, x)


def _cast(element: Any, x: Operand) -> Scalar:
    return fn.scalar_of(_value(x)).cast(element)


def const(value: Number, dtype: DType | None = None) -> Any:
    """A number of a type; outside of a compute the number itself, checked.

    Raises: ExpressionError: the type has no such number.
    """
    element = ops.type_of(value) if dtype is None else element_of(dtype)
    ops.check_number(value, element)
    return current_body().literal(value, element) if is_writing() else value
