"""Operators element by element: one compute, a formula of scalars.

16-bit floats are computed in f32 and rounded once at the end; for a single operation that gives
the same bits as arithmetic in 16 bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, cast

from xdsl.dialects.builtin import FloatAttr, IntegerAttr, StringAttr, f32, f64, i1

from ...dialects.graph.activations import ClipOp
from ...dialects.graph.base import GraphOp
from ...dialects.te_build import Index, Scalar, Splat, Tensor
from ...dialects.te_build import functions as fn
from ...dialects.te_build.ops import MATH, bitwidth, is_float, is_unsigned
from .site import Lowering, Site, wide

Formula = Callable[..., Scalar]


def number(op: GraphOp, name: str) -> float:
    """A numeric attribute."""
    attribute = cast("FloatAttr[Any] | IntegerAttr[Any]", getattr(op, name))
    return attribute.value.data


def text(op: GraphOp, name: str) -> str:
    """A string attribute."""
    return cast("StringAttr", getattr(op, name)).data


def softplus(x: Scalar) -> Scalar:
    """ln(1 + e ** x), without overflow."""
    return fn.maximum(x, 0.0) + fn.log1p(fn.exp(-abs(x)))


def sign(x: Scalar) -> Scalar:
    """-1, 0 or 1; NaN stays NaN."""
    if is_unsigned(x.dtype):
        return fn.where(x > 0, 1, x)
    return fn.where(x > 0, 1, fn.where(x < 0, -1, x))


def hard_swish(x: Scalar) -> Scalar:
    """X * max(0, min(1, x / 6 + 0.5))."""
    return x * fn.clamp(x * (1.0 / 6.0) + 0.5, 0.0, 1.0)


def logical_not(x: Scalar) -> Scalar:
    """The other boolean, or every bit inverted."""
    return ~x


def _square_root_of_two_pi_term(x: Scalar) -> Scalar:
    inner = (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)
    return x * 0.5 * (fn.tanh(inner) + 1.0)


def gelu(op: GraphOp, x: Scalar) -> Scalar:
    """X * Phi(x)."""
    if text(op, "approximate") == "tanh":
        return _square_root_of_two_pi_term(x)
    return x * 0.5 * (fn.erf(x * math.sqrt(0.5)) + 1.0)


def elu(op: GraphOp, x: Scalar) -> Scalar:
    """X where positive, else alpha * (e ** x - 1)."""
    return fn.where(x < 0, (fn.exp(x) - 1.0) * number(op, "alpha"), x)


def selu(op: GraphOp, x: Scalar) -> Scalar:
    """Gamma * (x where positive, else alpha * (e ** x - 1))."""
    negative = (fn.exp(x) - 1.0) * number(op, "alpha")
    return fn.where(x > 0, x, negative) * number(op, "gamma")


def celu(op: GraphOp, x: Scalar) -> Scalar:
    """max(0, x) + min(0, alpha * (e ** (x / alpha) - 1))."""
    alpha = number(op, "alpha")
    return fn.maximum(x, 0.0) + fn.minimum((fn.exp(x / alpha) - 1.0) * alpha, 0.0)


def leaky_relu(op: GraphOp, x: Scalar) -> Scalar:
    """X where it is not negative, else alpha * x."""
    return fn.where(x < 0, x * number(op, "alpha"), x)


def hard_sigmoid(op: GraphOp, x: Scalar) -> Scalar:
    """max(0, min(1, alpha * x + beta))."""
    return fn.clamp(x * number(op, "alpha") + number(op, "beta"), 0.0, 1.0)


def shrink(op: GraphOp, x: Scalar) -> Scalar:
    """X + bias below -lambd, x - bias above lambd, else 0."""
    if not is_float(x.dtype):
        return shrink(op, x.cast(f64)).cast(x.dtype)
    bias, bound = number(op, "bias"), number(op, "lambd")
    return fn.where(x < -bound, x + bias, fn.where(x > bound, x - bias, 0.0))


def swish(op: GraphOp, x: Scalar) -> Scalar:
    """X * sigmoid(alpha * x)."""
    return x * fn.sigmoid(x * number(op, "alpha"))


def thresholded_relu(op: GraphOp, x: Scalar) -> Scalar:
    """X where greater than alpha, else 0."""
    return fn.where(x > number(op, "alpha"), x, 0.0)


def is_inf(op: GraphOp, x: Scalar) -> Scalar:
    """Whether x is an infinity of a sign that is asked for."""
    wanted = [
        x.eq(infinity)
        for name, infinity in (("detect_positive", math.inf), ("detect_negative", -math.inf))
        if number(op, name)
    ]
    return reduce(BINARY["or"], wanted) if wanted else x.body.constant(False, i1)


def divide(a: Scalar, b: Scalar) -> Scalar:
    """A / b; of integers rounded to zero."""
    return a / b


def modulo(op: GraphOp, a: Scalar, b: Scalar) -> Scalar:
    """The remainder with the sign of b, or with fmod = 1 of a."""
    if is_float(a.dtype):
        return _float_remainder(a, b, sign_of_divisor=not number(op, "fmod"))
    rest = fn.remainder(a, b)
    if number(op, "fmod") or is_unsigned(a.dtype):
        return rest
    return fn.where(rest.ne(0) & ((rest < 0) ^ (b < 0)), rest + b, rest)


def _float_remainder(a: Scalar, b: Scalar, *, sign_of_divisor: bool) -> Scalar:
    """The remainder in f64: exact while the quotient is below 2 ** 53."""
    x, y = abs(a.cast(f64)), abs(b.cast(f64))
    quotient = MATH["trunc"]
    rest = x - (x / y).unary(quotient) * y
    rest = fn.where(rest < 0, rest + y, rest)
    rest = fn.where(fn.isinf(y) & ~fn.isinf(x), x, rest)
    rest, divisor = fn.copysign(rest, a.cast(f64)), b.cast(f64)
    if sign_of_divisor:
        moved = fn.where((rest < 0) ^ (divisor < 0), rest + divisor, rest)
        rest = fn.where(rest.ne(0), moved, fn.copysign(rest, divisor))
    return rest.cast(a.dtype)


def bit_shift(op: GraphOp, a: Scalar, b: Scalar) -> Scalar:
    """A shifted by b bits; where b has too many, its sign (to the right) or nothing is left."""
    is_left = text(op, "direction") == "LEFT"
    fits = (b < bitwidth(a.dtype)) & (b >= 0)
    if is_left or is_unsigned(a.dtype):
        return fn.where(fits, a << b if is_left else a >> b, 0)
    return fn.where(fits, a >> b, fn.where(a < 0, a.body.constant(-1, a.dtype), 0))


def where(condition: Scalar, x: Scalar, y: Scalar) -> Scalar:
    """X where the condition holds, else y."""
    return fn.where(condition, x, y)


UNARY: dict[str, Callable[[Scalar], Scalar]] = {
    "abs": abs,
    **{
        name: fn.unary(name)
        for name in (
            *("acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf"),
            *("exp", "floor", "log", "sin", "sinh", "sqrt", "tan", "tanh"),
        )
    },
    "bitwise_not": logical_not,
    "hard_swish": hard_swish,
    "is_nan": fn.isnan,
    "mish": lambda x: x * fn.tanh(softplus(x)),
    "neg": lambda x: -x,
    "not": logical_not,
    "reciprocal": lambda x: 1.0 / x,
    "relu": fn.relu,
    "round": fn.unary("roundeven"),
    "sigmoid": fn.sigmoid,
    "sign": sign,
    "softplus": softplus,
    "softsign": lambda x: x / (abs(x) + 1.0),
}
"""Formulas of one scalar."""

BINARY: dict[str, Callable[[Scalar, Scalar], Scalar]] = {
    "add": lambda a, b: a + b,
    "and": lambda a, b: a & b,
    "bitwise_and": lambda a, b: a & b,
    "bitwise_or": lambda a, b: a | b,
    "bitwise_xor": lambda a, b: a ^ b,
    "div": divide,
    "equal": lambda a, b: a.eq(b),
    "greater": lambda a, b: a > b,
    "greater_or_equal": lambda a, b: a >= b,
    "less": lambda a, b: a < b,
    "less_or_equal": lambda a, b: a <= b,
    "mul": lambda a, b: a * b,
    "or": lambda a, b: a | b,
    "p_relu": lambda x, slope: fn.where(x < 0, x * slope, x),
    "sub": lambda a, b: a - b,
    "xor": lambda a, b: a ^ b,
}
"""Formulas of two scalars of one type."""

WITH_ATTRIBUTES: dict[str, Formula] = {
    "celu": celu,
    "elu": elu,
    "gelu": gelu,
    "hard_sigmoid": hard_sigmoid,
    "leaky_relu": leaky_relu,
    "selu": selu,
    "shrink": shrink,
    "swish": swish,
    "thresholded_relu": thresholded_relu,
    "is_inf": is_inf,
    "mod": modulo,
    "bit_shift": bit_shift,
}
"""Formulas that take the operator first."""


def _lower_formula(formula: Formula, op: GraphOp, at: Site) -> Sequence[Tensor]:
    operands = [at[operand] for operand in op.operands]

    def compute(*scalars: Scalar) -> Scalar:
        widened = [scalar.cast(wide(scalar.dtype)) for scalar in scalars]
        return formula(*widened).cast(at.dtype())

    return [at.pointwise(compute, *operands)]


def _lower_with_attributes(formula: Formula, op: GraphOp, at: Site) -> Sequence[Tensor]:
    return _lower_formula(partial(formula, op), op, at)


def lower_identity(op: GraphOp, at: Site) -> Sequence[Tensor]:
    """The operand itself."""
    return [at[op.operands[0]]]


def lower_cast(op: GraphOp, at: Site) -> Sequence[Tensor]:
    """The value in the result's element type."""
    return [at.pointwise(lambda x: x.cast(at.dtype()), at[op.operands[0]])]


def _lower_variadic(combine: Formula, op: GraphOp, at: Site) -> Sequence[Tensor]:
    operands = [at[operand] for operand in op.operands]
    dtype = at.dtype()

    def compute(*scalars: Scalar) -> Scalar:
        total = reduce(combine, (scalar.cast(wide(dtype)) for scalar in scalars))
        if op.name == "graph.mean":
            total = total / len(operands)
        return total.cast(dtype)

    return [at.pointwise(compute, *operands)]


def lower_clip(op: ClipOp, at: Site) -> Sequence[Tensor]:
    """min(max(x, low), high), of the bounds that are there."""
    x, low, high = at[op.x], at.maybe(op.min), at.maybe(op.max)

    def compute(*indices: Index) -> Scalar:
        value = x[indices]
        if low is not None:
            value = fn.maximum(value, low.read([0] * low.rank))
        return value if high is None else fn.minimum(value, high.read([0] * high.rank))

    return [at.k.compute("clip", at.axes(x), compute)]


def lower_pow(op: GraphOp, at: Site) -> Sequence[Tensor]:
    """A ** b in the type of a; small constant exponents become products and roots."""
    base, exponent = at[op.operands[0]], at[op.operands[1]]
    dtype = at.dtype()
    known = exponent.value if isinstance(exponent, Splat) else None

    def compute(a: Scalar, b: Scalar) -> Scalar:
        a = a.cast(wide(dtype))
        special = None if known is None else _constant_power(a, float(known))
        return (_power(a, b) if special is None else special).cast(dtype)

    return [at.pointwise(compute, base, exponent)]


def _constant_power(a: Scalar, exponent: float) -> Scalar | None:
    if exponent in (1.0, 2.0, 3.0):
        return reduce(BINARY["mul"], [a] * int(exponent))
    if not is_float(a.dtype):
        return None
    if exponent == 0.5:  # the power of -inf is inf, its root NaN; the power of -0 is 0
        return fn.where(a.eq(-math.inf), math.inf, fn.sqrt(a + 0.0))
    return 1.0 / a if exponent == -1.0 else None


def _power(a: Scalar, b: Scalar) -> Scalar:
    if is_float(a.dtype):
        exponent = b.cast(f32).cast(a.dtype) if bitwidth(b.dtype) == 16 else b.cast(a.dtype)
        return fn.power(a, exponent)
    if is_float(b.dtype):
        return fn.power(a.cast(f64), b.cast(f64)).cast(a.dtype)
    return _integer_power(a, b.cast(a.dtype) if bitwidth(b.dtype) < bitwidth(a.dtype) else b)


def _integer_power(a: Scalar, b: Scalar) -> Scalar:
    """By squaring, exact modulo 2 ** bits; a negative power is 1 / a rounded to zero."""
    bits = bitwidth(b.dtype) - (0 if is_unsigned(b.dtype) else 1)
    result, square = a.body.constant(1, a.dtype), a
    for bit in range(bits):
        result = fn.where((b & (1 << bit)).ne(0), result * square, result)
        square = square * square
    if is_unsigned(b.dtype):
        return result
    odd = (b & 1).ne(0)
    inverse = a.eq(1).cast(a.dtype)
    if not is_unsigned(a.dtype):
        inverse = fn.where(a.eq(-1), fn.where(odd, a, 1), inverse)
    return fn.where(b < 0, inverse, result)


LOWERINGS: dict[str, Lowering] = {
    **{f"graph.{name}": partial(_lower_formula, formula) for name, formula in UNARY.items()},
    **{f"graph.{name}": partial(_lower_formula, formula) for name, formula in BINARY.items()},
    **{f"graph.{name}": partial(_lower_with_attributes, f) for name, f in WITH_ATTRIBUTES.items()},
    "graph.where": partial(_lower_formula, where),
    "graph.identity": lower_identity,
    "graph.cast": lower_cast,
    "graph.cast_like": lower_cast,
    "graph.clip": lower_clip,
    "graph.pow": lower_pow,
    "graph.max": partial(_lower_variadic, fn.maximum),
    "graph.min": partial(_lower_variadic, fn.minimum),
    "graph.sum": partial(_lower_variadic, BINARY["add"]),
    "graph.mean": partial(_lower_variadic, BINARY["add"]),
}
