"""Elementwise operators: neutral elements, idempotence, inverses, casts, constants to the right."""

from __future__ import annotations

from math import frexp, inf
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import f16
from xdsl.ir import Attribute, SSAValue

from ....core.dtypes import numpy_dtype
from ....core.explain import why_not
from ....core.rewriting import Pattern, Rewriter
from ....dialects.graph.activations import CastLikeOp, CastOp, LeakyReluOp
from ....dialects.graph.base import ConstantOp
from ....dialects.graph.binary import BinaryOp, MaxOp, MinOp, PReluOp
from ....dialects.graph.checks import FLOATS
from ....dialects.graph.elementwise import ReluOp
from ....dialects.graph.types import dims, element
from ..constants import forward, is_splat, make_constant, splat, typed_like
from ..rules import rule

if TYPE_CHECKING:
    import numpy as np


def exact_widening(x: SSAValue, t: Attribute) -> bool:
    """The inner cast must lose nothing"""
    return is_exact(element(x.type), t)


def is_exact(narrow: Attribute | None, wide: Attribute | None) -> bool:
    """Whether every value of `narrow` is a value of `wide`."""
    import numpy as np

    if narrow is None or wide is None:
        return False
    source, target = numpy_dtype(narrow), numpy_dtype(wide)
    if "bfloat16" in (source.name, target.name):
        return source == target or target.name in ("float32", "float64") or source == np.bool_
    return bool(np.can_cast(source, target, "safe")) and not (
        source.kind in "iu" and source.itemsize == 8 and target.kind == "f"
    )


def is_direct(x: SSAValue, t: Attribute, u: Attribute) -> bool:
    """From integers to integers by floats, no number may be out of the last type's range"""
    via_float = element(x.type) not in FLOATS and t in FLOATS
    return not via_float or u in FLOATS or is_exact(element(x.type), u)


def keeps_shape(x: SSAValue, result: SSAValue) -> bool:
    """The result must have the known shape of the operand that stays"""
    extents = dims(result.type)
    return extents is not None and None not in extents and dims(x.type) == extents


def has_type(x: SSAValue, t: Attribute) -> bool:
    """It must have the element type of the cast"""
    return element(x.type) == t


def is_integer(x: SSAValue) -> bool:
    """Of floats, x + 0.0 is not x where x is -0.0"""
    return element(x.type) not in FLOATS


def is_float(x: SSAValue) -> bool:
    """It must be a float"""
    return element(x.type) in FLOATS


def has_inverse(C: np.ndarray[Any, Any], x: SSAValue) -> bool:
    """1 / c must be a normal number"""
    if C.shape or not float(C):
        return False
    least, most = (-14, 15) if element(x.type) == f16 else (-126, 127)
    return bool(2.0**least <= abs(1 / float(C)) <= 2.0**most)


def is_power_of_two(C: np.ndarray[Any, Any]) -> bool:
    """C must be a power of two, or numerics fast"""
    return not C.shape and abs(frexp(float(C))[0]) == 0.5


def has_relu(x: SSAValue) -> bool:
    """Relu must take its element type"""
    return element(x.type) in ReluOp.ACCEPTS


ROUNDING = "ceil floor round"

RULES = (
    rule("Identity", "identity(x) -> x"),
    rule("AppliedTwice", "f(f(x)) -> f(x)", f="abs ceil floor relu round sign"),
    rule("Undone", "f(f(x)) -> x", f="neg not bitwise_not"),
    rule("AbsOfNeg", "abs(-x) -> abs(x)"),
    rule("IntegerRounding", "f((y := g(x))) -> y", f=ROUNDING, g=ROUNDING),
    rule("CastToSameType", "cast(x, ..., to=t) -> x if has_type(x, t)", uses=[has_type]),
    rule(
        "CastOfWidening",
        "cast(cast(x, ..., to=t), ..., to=u) -> x if exact_widening(x, t) and has_type(x, u)",
        "cast(cast(x, ..., to=t), ..., to=u) -> cast(x, to=u)"
        " if exact_widening(x, t) and is_direct(x, t, u)",
        uses=[exact_widening, has_type, is_direct],
    ),
    rule(
        "NeutralElement",
        "x + 0 -> x if is_integer(x) and keeps_shape(x, result)",
        "x + -0.0 -> x if keeps_shape(x, result)",
        "x - 0 -> x if keeps_shape(x, result)",
        "x * 1 -> x if keeps_shape(x, result)",
        "x / 1 -> x if keeps_shape(x, result)",
        "x ** 1 -> x if keeps_shape(x, result)",
        uses=[is_integer, keeps_shape],
    ),
    rule("Square", "x ** 2 -> x * x if keeps_shape(x, result)", uses=[keeps_shape]),
    rule("SameOperandTwice", "f(x, x) -> x", f="and or bitwise_and bitwise_or"),
    rule("OnlyOperand", "f(x) -> x", f="max min sum mean"),
    rule("SumOfTwo", "sum(x, y) -> x + y"),
    rule("WhereOfSame", "where(c, x, x) -> x if keeps_shape(x, result)", uses=[keeps_shape]),
    rule("WhereOfNot", "where(not_(c), x, y) -> where(c, y, x)", not_="not"),
    rule(
        "WhereOfConstant",
        "where(True, x, y) -> x if keeps_shape(x, result)",
        "where(False, x, y) -> y if keeps_shape(y, result)",
        uses=[keeps_shape],
    ),
    rule("ClipWithoutBounds", "clip(x) -> x"),
    rule("ClipAtZero", "clip(x, 0) -> relu(x) if has_relu(x)", uses=[has_relu]),
    rule(
        "DivisionByConstant",
        "x / C -> x * (1 / C)"
        " if is_float(x) and keeps_shape(x, result) and has_inverse(C, x) and is_power_of_two(C)",
        uses=[is_float, keeps_shape, has_inverse, is_power_of_two],
    ),
)
"""What keeps every bit."""

FAST_RULES = (
    rule(
        "NeutralElement",
        "x + 0.0 -> x if keeps_shape(x, result)",
        "x - -0.0 -> x if keeps_shape(x, result)",
        uses=[keeps_shape],
    ),
    rule(
        "DivisionByConstant",
        "x / C -> x * (1 / C) if is_float(x) and keeps_shape(x, result) and has_inverse(C, x)",
        uses=[is_float, keeps_shape, has_inverse],
    ),
)
"""What is exact in real numbers only."""


class CastLikeKnown(Pattern[CastLikeOp]):
    """cast_like(x, y) -> cast(x, t) if y has the known element type t"""

    def rewrite(self, op: CastLikeOp, rw: Rewriter) -> None:
        target = element(op.target_type.type)
        if target is not None:
            properties = {"to": target, "saturate": op.saturate, "round_mode": op.round_mode}
            cast = CastOp(operands=[op.x], properties=properties, result_types=[op.res.type])
            rw.replace(op, cast)


class ConstantOnTheRight(Pattern[BinaryOp]):
    """f(c, x) -> f(x, c) if f is commutative and c, but not x, is constant"""

    def rewrite(self, op: BinaryOp, rw: Rewriter) -> None:
        if not op.COMMUTATIVE or not isinstance(op.a.owner, ConstantOp):
            return
        if not isinstance(op.b.owner, ConstantOp):
            op.operands = [op.b, op.a]
            rw.notify_op_modified(op)


class SplatToScalar(Pattern[BinaryOp]):
    """f(x, [c, c, ...]) -> f(x, c) if the shape of the result is that of x"""

    def rewrite(self, op: BinaryOp, rw: Rewriter) -> None:
        if (
            dims(op.b.type) == ()
            or not keeps_shape(op.a, op.res)
            or (number := splat(op.b)) is None
        ):
            return
        op.operands = [op.a, make_constant(rw, number)]
        rw.notify_op_modified(op)


class RepeatedExtremum(Pattern[MaxOp | MinOp]):
    """max(x, y, x) -> max(x, y), min likewise"""

    def rewrite(self, op: MaxOp | MinOp, rw: Rewriter) -> None:
        distinct = list(dict.fromkeys(op.inputs))
        if len(distinct) < len(op.inputs):
            rw.replace(op, typed_like(type(op).of(*distinct), op))


class ExtremumOfInfinity(Pattern[MaxOp | MinOp]):
    """max(x, -inf) -> x, min(x, inf) -> x, if the shape stays"""

    def rewrite(self, op: MaxOp | MinOp, rw: Rewriter) -> None:
        neutral = -inf if isinstance(op, MaxOp) else inf
        kept = [value for value in op.inputs if not is_splat(value, neutral)]
        if len(kept) == 1 < len(op.inputs):
            if keeps_shape(kept[0], op.res):
                forward(rw, op, kept[0])
            else:
                why_not(op, "its result may have another shape than the operand that stays")


class PReluOfOneSlope(Pattern[PReluOp]):
    """p_relu(x, [a, a, ...]) -> leaky_relu(x, a) of f32"""

    def rewrite(self, op: PReluOp, rw: Rewriter) -> None:
        slope = splat(op.b)
        if slope is not None and slope.dtype.name == "float32":
            rw.replace(op, typed_like(LeakyReluOp.of(op.a, alpha=float(slope)), op))


def patterns(fast: bool) -> list[Pattern[Any]]:
    """All of this file; `fast` allows what is not exact to the bit."""
    return [
        *RULES,
        *(FAST_RULES if fast else ()),
        *(CastLikeKnown(), ConstantOnTheRight(), SplatToScalar()),
        *(RepeatedExtremum(), ExtremumOfInfinity(), PReluOfOneSlope()),
    ]
