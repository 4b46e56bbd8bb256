"""Find composite operators in the pieces that exporters print.

Gelu, swish, hard-swish, hard-sigmoid, softmax and layer normalisation have operators of their own,
which schedules profit from; older exporters write them as sums and products. Constants are compared
with a tolerance: exporters round. Results change by rounding alone.

    %1 = graph.mul(%x, %c) : tensor<4xf32>                c = 1 / sqrt(2)
    %2 = graph.erf(%1) : tensor<4xf32>
    %3 = graph.add(%2, %one) : tensor<4xf32>
    %4 = graph.mul(%x, %3) : tensor<4xf32>
    %5 = graph.mul(%4, %half) : tensor<4xf32>        ->    %5 = graph.gelu(%x) : tensor<4xf32>
"""

from __future__ import annotations

from math import isclose, sqrt
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import Float64Type, FloatAttr
from xdsl.ir import Operation, SSAValue

from ...core.explain import why_not
from ...core.passes import OpPass
from ...core.rewriting import Pattern, PatternSet, Rewriter, rewrite
from ...dialects.graph.activations import ClipOp, GeluOp, HardSigmoidOp
from ...dialects.graph.base import GraphOp, constant_value
from ...dialects.graph.binary import AddOp, DivOp, MulOp, PowOp, SubOp
from ...dialects.graph.checks import FLOATS
from ...dialects.graph.elementwise import ErfOp, HardSwishOp, ReciprocalOp, SqrtOp
from ...dialects.graph.norm import LayerNormalizationOp
from ...dialects.graph.reduce import ReduceMeanOp, ReduceOp
from ...dialects.graph.types import dims, element
from .constants import make_constant, splat, typed_like
from .rules import rule

SMALL_FLOATS = FLOATS - {Float64Type()}
"""What a layer normalisation computes in f32."""

TOLERANCE = 1e-4
"""Relative: exporters print 1.4142, 0.7071068 and 0.16667."""


def number(value: SSAValue) -> float | None:
    """The one number of a floating-point constant."""
    found = splat(value)
    return None if found is None or element(value.type) not in FLOATS else float(found)


def is_near(value: SSAValue | None, expected: float) -> bool:
    """Whether a value is a constant near `expected`."""
    found = None if value is None else number(value)
    return found is not None and isclose(found, expected, rel_tol=TOLERANCE, abs_tol=1e-30)


def factors(op: MulOp | DivOp) -> tuple[float, list[SSAValue]]:
    """A product as a number and the factors that are none, those of its operands taken apart."""
    total = 1.0
    others: list[SSAValue] = []
    todo: list[tuple[SSAValue, bool]] = _operands(op)
    while todo:
        value, is_divisor = todo.pop()
        inner = value.owner
        if (found := number(value)) is not None and found:
            total = total / found if is_divisor else total * found
        elif isinstance(inner, MulOp | DivOp) and value.has_one_use() and not is_divisor:
            todo += _operands(inner)
        elif is_divisor:
            return 0.0, []
        else:
            others.append(value)
    return total, others


def _operands(op: MulOp | DivOp) -> list[tuple[SSAValue, bool]]:
    return [(op.a, False), (op.b, isinstance(op, DivOp))]


def addend_of(value: SSAValue, constant: float) -> SSAValue | None:
    """x, if `value` is x + constant."""
    op = value.owner
    if not isinstance(op, AddOp):
        return None
    for x, c in ((op.a, op.b), (op.b, op.a)):
        if is_near(c, constant):
            return x
    return None


def put(rw: Rewriter, op: Operation, new: GraphOp, *origins: Operation) -> None:
    """Replace `op` by `new`, unless a constant broadcasts the result of `op`."""
    if dims(new.results[0].type) == dims(op.results[0].type):
        rw.replace(op, typed_like(new, op), origins=origins)
    else:
        why_not(op, f"a constant gives it another shape than {new.name} would have")


class GeluByErf(Pattern[MulOp | DivOp]):
    """x * (erf(x / sqrt(2)) + 1) * 0.5 -> gelu(x), in any order"""

    def rewrite(self, op: MulOp | DivOp, rw: Rewriter) -> None:
        scale, others = factors(op)
        if len(others) != 2 or not isclose(scale, 0.5, rel_tol=TOLERANCE):
            return
        for x, bracket in (others, others[::-1]):
            erf = addend_of(bracket, 1.0)
            inner = None if erf is None or not isinstance(erf.owner, ErfOp) else erf.owner.x.owner
            if not isinstance(inner, MulOp | DivOp):
                continue
            root, argument = factors(inner)
            if argument != [x]:
                continue
            if isclose(root, 1 / sqrt(2), rel_tol=TOLERANCE):
                put(rw, op, GeluOp.of(x), inner)
            else:
                why_not(op, f"gelu multiplies by 0.707107 inside erf, here it is {root:.6g}")
            return


def relu6_argument(value: SSAValue) -> SSAValue | None:
    """x, if `value` is clip(x + 3, 0, 6)."""
    clip = value.owner
    if not isinstance(clip, ClipOp) or not is_near(clip.min, 0.0) or not is_near(clip.max, 6.0):
        return None
    return addend_of(clip.x, 3.0)


class HardSigmoidByClip(Pattern[MulOp | DivOp]):
    """clip(x + 3, 0, 6) / 6 -> hard_sigmoid(x, 1 / 6, 0.5)"""

    def rewrite(self, op: MulOp | DivOp, rw: Rewriter) -> None:
        scale, others = factors(op)
        if len(others) != 1 or not isclose(scale, 1 / 6, rel_tol=TOLERANCE):
            return
        x = relu6_argument(others[0])
        if x is not None:
            put(rw, op, HardSigmoidOp.of(x, alpha=1 / 6, beta=0.5))


class HardSwishByClip(Pattern[MulOp | DivOp]):
    """x * clip(x + 3, 0, 6) / 6 -> hard_swish(x)"""

    def rewrite(self, op: MulOp | DivOp, rw: Rewriter) -> None:
        scale, others = factors(op)
        if len(others) != 2 or not isclose(scale, 1 / 6, rel_tol=TOLERANCE):
            return
        for x, clip in (others, others[::-1]):
            if relu6_argument(clip) is x:
                put(rw, op, HardSwishOp.of(x))
                return


def kept_axes(op: ReduceOp) -> tuple[int, ...] | None:
    """The axes that are reduced to 1; `None` if they are not known, or go away."""
    shape = dims(op.data.type)
    return None if shape is None or not op.keepdims.value.data else op.reduced_axes(len(shape))


def is_sixth(a: FloatAttr[Any]) -> bool:
    """The slope must be 1 / 6"""
    return isclose(a.value.data, 1 / 6, rel_tol=TOLERANCE)


def is_along_one_axis(top: SSAValue, total: SSAValue) -> bool:
    """Maximum and sum must be along the same one axis, and keep it"""
    found = [kept_axes(op) for v in (top, total) if isinstance(op := v.owner, ReduceOp)]
    return len(found) == 2 and found[0] is not None and len(found[0]) == 1 and found[0] == found[1]


def axis_of(top: SSAValue) -> int:
    """The one axis of a reduction."""
    assert isinstance(top.owner, ReduceOp)
    axes = kept_axes(top.owner)
    assert axes is not None
    return axes[0]


RULES = (
    rule("SwishBySigmoid", "x * sigmoid(x) -> swish(x)", commute=True),
    rule(
        "HardSwishByHardSigmoid",
        "x * hard_sigmoid(x, alpha=a, beta=0.5) -> hard_swish(x) if is_sixth(a)",
        uses=[is_sixth],
        commute=True,
    ),
    rule(
        "SoftmaxByExp",
        "(e := exp(x - (top := reduce_max(x, ...)))) / (total := reduce_sum(e, ...))"
        " -> softmax(x, axis=axis_of(top)) if is_along_one_axis(top, total)",
        uses=[axis_of, is_along_one_axis],
    ),
)


class LayerNormByMeans(Pattern[DivOp | MulOp]):
    """(x - mean(x)) / sqrt(mean((x - mean(x)) ** 2) + e) -> layer_normalization(x, 1)

    over the last dimensions; also as a product with 1 / sqrt(...).
    """

    def rewrite(self, op: DivOp | MulOp, rw: Rewriter) -> None:
        import numpy as np

        centred, deviation = op.a.owner, op.b.owner
        if isinstance(op, MulOp):
            if not isinstance(deviation, ReciprocalOp):
                return
            deviation = deviation.x.owner
        if not isinstance(centred, SubOp) or not isinstance(deviation, SqrtOp):
            return
        mean, variance = centred.b.owner, deviation.x.owner
        if not isinstance(mean, ReduceMeanOp) or not isinstance(variance, AddOp):
            return
        x, epsilon, spread = mean.data, number(variance.b), variance.a.owner
        if x is not centred.a or not isinstance(spread, ReduceMeanOp):
            return
        if not _is_square(spread.data, centred.res):
            return
        shape, axes = dims(x.type), kept_axes(mean)
        if (reason := _no_layer_norm(mean, spread, epsilon)) is not None:
            why_not(op, f"it is no layer normalization: {reason}")
            return
        assert shape is not None
        assert axes is not None
        assert epsilon is not None
        extents = [extent for extent in shape[axes[0] :] if isinstance(extent, int)]
        dtype = np.float32 if (found := constant_value(variance.b)) is None else found.dtype
        ones = make_constant(rw, np.ones(extents, dtype))
        new = LayerNormalizationOp.of(x, ones, axis=axes[0] - len(shape), epsilon=epsilon)
        put(rw, op, new, mean, spread)


def _no_layer_norm(mean: ReduceMeanOp, spread: ReduceMeanOp, epsilon: float | None) -> str | None:
    """Why a mean and a variance are not those of a layer normalisation, if so."""
    shape, axes = dims(mean.data.type), kept_axes(mean)
    if epsilon is None:
        return "what is added to the variance is not constant"
    if shape is None or not axes or axes != kept_axes(spread):
        return "mean and variance are not over the same known axes, or do not keep them"
    if axes != tuple(range(axes[0], len(shape))):
        return "the mean is not over the last dimensions"
    if not all(isinstance(extent, int) for extent in shape[axes[0] :]):
        return "the extents it is over are not known"
    return None if element(mean.data.type) in SMALL_FLOATS else "it would be computed in f32"


def _is_square(value: SSAValue, of: SSAValue) -> bool:
    op = value.owner
    if isinstance(op, PowOp):
        return op.a is of and is_near(op.b, 2.0)
    return isinstance(op, MulOp) and op.a is of and op.b is of


class ScaleOfLayerNorm(Pattern[MulOp]):
    """layer_normalization(x, 1) * g -> layer_normalization(x, g) if g has the normalized shape"""

    def rewrite(self, op: MulOp, rw: Rewriter) -> None:
        norm = _lone_norm(op)
        if norm is None or norm.b is not None or not is_near(norm.scale, 1.0):
            return
        if _fits_norm(op, norm):
            put(rw, op, _with(norm, op.b, None), norm)


class ShiftOfLayerNorm(Pattern[AddOp]):
    """layer_normalization(x, g) + b -> layer_normalization(x, g, b) if b has the same shape as g"""

    def rewrite(self, op: AddOp, rw: Rewriter) -> None:
        norm = _lone_norm(op)
        if norm is not None and norm.b is None and _fits_norm(op, norm):
            put(rw, op, _with(norm, norm.scale, op.b), norm)


def _lone_norm(op: MulOp | AddOp) -> LayerNormalizationOp | None:
    """The normalisation that `op.a` is, if it has one result and one user."""
    norm = op.a.owner
    if not isinstance(norm, LayerNormalizationOp) or len(norm.results) > 1:
        return None
    if not op.a.has_one_use():
        why_not(op, "the layer normalization is used elsewhere too")
        return None
    return norm


def _fits_norm(op: MulOp | AddOp, norm: LayerNormalizationOp) -> bool:
    if dims(op.b.type) == dims(norm.scale.type):
        return True
    why_not(op, f"its right operand is not of the shape that {norm.name} normalizes over")
    return False


def _with(norm: LayerNormalizationOp, scale: SSAValue, b: SSAValue | None) -> LayerNormalizationOp:
    return LayerNormalizationOp.of(
        *(norm.x, scale, b),
        axis=norm.axis.value.data,
        epsilon=norm.epsilon.value.data,
        stash_type=norm.stash_type.value.data,
    )


PATTERNS = (
    *(GeluByErf, HardSwishByClip, HardSigmoidByClip),
    *(LayerNormByMeans, ScaleOfLayerNorm, ShiftOfLayerNorm),
)


class RecognizePass(OpPass[Operation]):
    """Replace exporters' spellings of gelu, swish, softmax and layer normalisation."""

    name = "recognize"

    def run(self, ctx: Context, op: Operation) -> None:
        rewrite(op, PatternSet([*RULES, *(pattern() for pattern in PATTERNS)]))
