"""Elementwise operators: neutral elements, idempotence, inverses, casts, constants to the right."""

from __future__ import annotations

from math import frexp, inf
from typing import Any

from xdsl.dialects.builtin import Float16Type
from xdsl.ir import Attribute

from ....core.dtypes import numpy_dtype
from ....core.rewriting import Pattern, Rewriter
from ....dialects.graph.activations import CastLikeOp, CastOp, ClipOp, LeakyReluOp
from ....dialects.graph.base import ConstantOp
from ....dialects.graph.binary import (
    AddOp,
    AndOp,
    BinaryOp,
    BitwiseAndOp,
    BitwiseOrOp,
    DivOp,
    MaxOp,
    MeanOp,
    MinOp,
    MulOp,
    OrOp,
    PowOp,
    PReluOp,
    SubOp,
    SumOp,
    VariadicOp,
    WhereOp,
)
from ....dialects.graph.checks import FLOATS
from ....dialects.graph.elementwise import (
    AbsOp,
    BitwiseNotOp,
    CeilOp,
    FloorOp,
    IdentityOp,
    NegOp,
    NotOp,
    ReluOp,
    RoundOp,
    SignOp,
    UnaryOp,
)
from ....dialects.graph.types import dims, element
from ..constants import forward, is_splat, make_constant, scalar_like, splat, typed_like


class Identity(Pattern[IdentityOp]):
    """identity(x) -> x"""

    def rewrite(self, op: IdentityOp, rw: Rewriter) -> None:
        forward(rw, op, op.x)


Idempotent = AbsOp | CeilOp | FloorOp | ReluOp | RoundOp | SignOp


class AppliedTwice(Pattern[Idempotent]):
    """f(f(x)) -> f(x) for abs, ceil, floor, relu, round, sign"""

    def rewrite(self, op: Idempotent, rw: Rewriter) -> None:
        if type(op.x.owner) is type(op):
            forward(rw, op, op.x)


Involution = NegOp | NotOp | BitwiseNotOp


class Undone(Pattern[Involution]):
    """f(f(x)) -> x for neg, not, bitwise_not"""

    def rewrite(self, op: Involution, rw: Rewriter) -> None:
        if type(inner := op.x.owner) is type(op):
            assert isinstance(inner, UnaryOp)
            forward(rw, op, inner.x)


class AbsOfNeg(Pattern[AbsOp]):
    """abs(neg(x)) -> abs(x)"""

    def rewrite(self, op: AbsOp, rw: Rewriter) -> None:
        if isinstance(op.x.owner, NegOp):
            rw.replace(op, typed_like(AbsOp.of(op.x.owner.x), op))


class IntegerRounding(Pattern[CeilOp | FloorOp | RoundOp]):
    """ceil(y), floor(y), round(y) -> y if y = ceil(x), floor(x) or round(x)"""

    def rewrite(self, op: CeilOp | FloorOp | RoundOp, rw: Rewriter) -> None:
        if isinstance(op.x.owner, CeilOp | FloorOp | RoundOp):
            forward(rw, op, op.x)


def exact_widening(narrow: Attribute | None, wide: Attribute | None) -> bool:
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


class CastToSameType(Pattern[CastOp]):
    """cast(x) -> x if x has that type"""

    def rewrite(self, op: CastOp, rw: Rewriter) -> None:
        if element(op.x.type) == op.to:
            forward(rw, op, op.x)


class CastOfWidening(Pattern[CastOp]):
    """cast(cast(x), t) -> cast(x, t) if the inner cast loses nothing"""

    def rewrite(self, op: CastOp, rw: Rewriter) -> None:
        inner = op.x.owner
        if not isinstance(inner, CastOp) or not exact_widening(element(inner.x.type), inner.to):
            return
        if element(inner.x.type) == op.to:
            forward(rw, op, inner.x)
        else:
            rw.replace(op, typed_like(CastOp.of(inner.x, to=op.to), op))


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


def keeps_shape(op: BinaryOp) -> bool:
    """Whether the result has the shape of `a`: `b` only broadcasts."""
    extents = dims(op.res.type)
    return extents is not None and None not in extents and dims(op.a.type) == extents


class NeutralElement(Pattern[AddOp | SubOp | MulOp | DivOp | PowOp]):
    """x + 0, x - 0, x * 1, x / 1, x ** 1 -> x

    Of floats x + 0.0 is not x where x is -0.0, but x + -0.0 is; with `fast` both go.
    """

    def __init__(self, fast: bool):
        self.fast = fast

    def rewrite(self, op: AddOp | SubOp | MulOp | DivOp | PowOp, rw: Rewriter) -> None:
        if keeps_shape(op) and self._is_neutral(op):
            forward(rw, op, op.a)

    def _is_neutral(self, op: AddOp | SubOp | MulOp | DivOp | PowOp) -> bool:
        if isinstance(op, MulOp | DivOp | PowOp):
            return is_splat(op.b, 1)
        exact = -0.0 if isinstance(op, AddOp) and element(op.a.type) in FLOATS else 0.0
        return is_splat(op.b, exact) or (self.fast and is_splat(op.b, -exact))


class Square(Pattern[PowOp]):
    """x ** 2 -> x * x"""

    def rewrite(self, op: PowOp, rw: Rewriter) -> None:
        if keeps_shape(op) and is_splat(op.b, 2):
            rw.replace(op, typed_like(MulOp.of(op.a, op.a), op))


class DivisionByConstant(Pattern[DivOp]):
    """x / c -> x * (1 / c) of floats, if c is a power of two; with `fast` for any c

    1 / c must be a normal number.
    """

    def __init__(self, fast: bool):
        self.fast = fast

    def rewrite(self, op: DivOp, rw: Rewriter) -> None:
        divisor = splat(op.b)
        if divisor is None or not float(divisor) or not keeps_shape(op):
            return
        if element(op.b.type) not in FLOATS:
            return
        inverse = 1 / float(divisor)
        least, most = (-14, 15) if isinstance(element(op.b.type), Float16Type) else (-126, 127)
        if not 2.0**least <= abs(inverse) <= 2.0**most:
            return
        if self.fast or abs(frexp(inverse)[0]) == 0.5:
            rw.replace(op, typed_like(MulOp.of(op.a, scalar_like(rw, op.a, inverse)), op))


class SplatToScalar(Pattern[BinaryOp]):
    """f(x, [c, c, ...]) -> f(x, c) if the shape of the result is that of x"""

    def rewrite(self, op: BinaryOp, rw: Rewriter) -> None:
        if dims(op.b.type) == () or not keeps_shape(op) or (number := splat(op.b)) is None:
            return
        op.operands = [op.a, make_constant(rw, number)]
        rw.notify_op_modified(op)


class SameOperandTwice(Pattern[AndOp | OrOp | BitwiseAndOp | BitwiseOrOp]):
    """and(x, x), or(x, x) -> x"""

    def rewrite(self, op: AndOp | OrOp | BitwiseAndOp | BitwiseOrOp, rw: Rewriter) -> None:
        if op.a is op.b:
            forward(rw, op, op.a)


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
        if len(kept) == 1 < len(op.inputs) and dims(kept[0].type) == dims(op.res.type):
            forward(rw, op, kept[0])


class OnlyOperand(Pattern[VariadicOp]):
    """max(x), min(x), sum(x), mean(x) -> x"""

    def rewrite(self, op: VariadicOp, rw: Rewriter) -> None:
        if len(op.inputs) == 1 and isinstance(op, MaxOp | MinOp | SumOp | MeanOp):
            forward(rw, op, op.inputs[0])


class SumOfTwo(Pattern[SumOp]):
    """sum(x, y) -> x + y"""

    def rewrite(self, op: SumOp, rw: Rewriter) -> None:
        if len(op.inputs) == 2:
            rw.replace(op, typed_like(AddOp.of(*op.inputs), op))


class WhereOfSame(Pattern[WhereOp]):
    """where(c, x, x) -> x"""

    def rewrite(self, op: WhereOp, rw: Rewriter) -> None:
        if op.x is op.y and op.x.type == op.res.type:
            forward(rw, op, op.x)


class WhereOfNot(Pattern[WhereOp]):
    """where(not(c), x, y) -> where(c, y, x)"""

    def rewrite(self, op: WhereOp, rw: Rewriter) -> None:
        if isinstance(inner := op.condition.owner, NotOp):
            rw.replace(op, typed_like(WhereOp.of(inner.x, op.y, op.x), op))


class WhereOfConstant(Pattern[WhereOp]):
    """where(true, x, y) -> x, where(false, x, y) -> y, if that has the shape of the result"""

    def rewrite(self, op: WhereOp, rw: Rewriter) -> None:
        condition = splat(op.condition)
        if condition is not None:
            chosen = op.x if bool(condition) else op.y
            if dims(chosen.type) == dims(op.res.type):
                forward(rw, op, chosen)


class ClipWithoutBounds(Pattern[ClipOp]):
    """clip(x) -> x"""

    def rewrite(self, op: ClipOp, rw: Rewriter) -> None:
        if op.min is None and op.max is None:
            forward(rw, op, op.x)


class ClipAtZero(Pattern[ClipOp]):
    """clip(x, 0, none) -> relu(x)"""

    def rewrite(self, op: ClipOp, rw: Rewriter) -> None:
        if op.max is None and is_splat(op.min, 0) and element(op.x.type) in ReluOp.ACCEPTS:
            rw.replace(op, typed_like(ReluOp.of(op.x), op))


class PReluOfOneSlope(Pattern[PReluOp]):
    """p_relu(x, [a, a, ...]) -> leaky_relu(x, a) of f32"""

    def rewrite(self, op: PReluOp, rw: Rewriter) -> None:
        slope = splat(op.b)
        if slope is not None and slope.dtype.name == "float32":
            rw.replace(op, typed_like(LeakyReluOp.of(op.a, alpha=float(slope)), op))


def patterns(fast: bool) -> list[Pattern[Any]]:
    """All of this file; `fast` allows what is not exact to the bit."""
    exact = [
        *(Identity(), AppliedTwice(), Undone(), AbsOfNeg(), IntegerRounding()),
        *(CastToSameType(), CastOfWidening(), CastLikeKnown()),
        *(ConstantOnTheRight(), SplatToScalar(), Square(), SameOperandTwice()),
        *(RepeatedExtremum(), ExtremumOfInfinity(), OnlyOperand(), SumOfTwo()),
        *(WhereOfSame(), WhereOfNot(), WhereOfConstant()),
        *(ClipWithoutBounds(), ClipAtZero(), PReluOfOneSlope()),
    ]
    return [NeutralElement(fast), DivisionByConstant(fast), *exact]
