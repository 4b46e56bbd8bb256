"""Fold what is constant at inference into the weights: batch normalisation, scales, shifts, pads.

Batch normalisation is a scale and a shift per channel. A scale or shift behind a convolution,
transposed convolution or product with constant weights goes into these (NNVM's SimplifyInference
and FoldScaleAxis), a scale also through pools and activations between them; a scale before one too,
a shift only where no zero padding would need it. Scales and shifts that meet become one of each
(scale_chains.py). Dropout goes. Results change by rounding alone: new weights are computed in f64.

    %0 = graph.conv(%x, %w) : tensor<1x8x4x4xf32>
    %1 = graph.batch_normalization(%0, %scale, %b, %mean, %var) : tensor<1x8x4x4xf32>
->
    %w1 = graph.constant ...             w * scale / sqrt(var + epsilon)
    %b1 = graph.constant ...             b - mean * scale / sqrt(var + epsilon)
    %1 = graph.conv(%x, %w1, %b1) : tensor<1x8x4x4xf32>
"""

from __future__ import annotations

from xdsl.context import Context
from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation

from ...core.explain import why_not
from ...core.irtypes import ints
from ...core.locations import fuse
from ...core.passes import OpPass
from ...core.rewriting import Pattern, PatternSet, Rewriter, rewrite
from ...dialects.graph.base import constant_value
from ...dialects.graph.binary import AddOp, DivOp, MulOp, SubOp
from ...dialects.graph.conv import ConvOp
from ...dialects.graph.elementwise import NegOp
from ...dialects.graph.linear import GemmOp
from ...dialects.graph.norm import BatchNormalizationOp
from ...dialects.graph.pieces import PadOp
from ...dialects.graph.types import dims
from ...dialects.graph.values import integers
from . import scale_chains
from .canonicalize.movement import DropoutAtInference
from .constants import is_splat, make_constant, typed_like
from .linear_weights import (
    Linear,
    as_linear,
    channel_axis,
    input_channel_factors,
    num_channels,
    num_input_channels,
    renewed,
    scaled,
    shifted,
    weights,
)
from .scale_chains import Scale, Shift, column, scale_of, shift_of


class BatchNormAsScaleAndShift(Pattern[BatchNormalizationOp]):
    """batch_normalization(x) -> x * s + t

    with s = scale / sqrt(var + epsilon) and t = b - mean * s, if these are constant.
    """

    def rewrite(self, op: BatchNormalizationOp, rw: Rewriter) -> None:
        import numpy as np

        shape = dims(op.x.type)
        if op.training_mode.value.data or shape is None or len(op.results) != 1:
            return
        found = [constant_value(value) for value in op.operands[1:5]]
        scale, b, mean, var = [None if a is None else a.astype(np.float64) for a in found]
        if scale is None or b is None or mean is None or var is None:
            why_not(op, "its scale, bias, mean or variance is not constant")
            return
        with np.errstate(all="ignore"):
            factor = scale / np.sqrt(var + op.epsilon.value.data)
            shift = b - mean * factor
        if not np.isfinite(factor).all() or not np.isfinite(shift).all():
            why_not(op, "its scale is not finite")
            return
        assert found[0] is not None
        dtype, rank = found[0].dtype, len(shape)
        product = MulOp.of(op.x, make_constant(rw, column(factor.astype(dtype), rank, 1)))
        total = AddOp.of(product.res, make_constant(rw, column(shift.astype(dtype), rank, 1)))
        rw.replace(op, [product, typed_like(total, op)])


def linear_before(op: Scale | Shift) -> Linear | None:
    """The convolution or product that `op` alone reads."""
    found = as_linear(op.a.owner)
    if found is not None and not op.a.has_one_use():
        why_not(op, f"the result of {found.name} is used elsewhere too")
        return None
    return found


class ScaleBehindLinear(Pattern[Scale]):
    """linear(x, w) * c -> linear(x, w * c), / likewise"""

    def rewrite(self, op: Scale, rw: Rewriter) -> None:
        linear = linear_before(op)
        if linear is None:
            return
        factor = scale_of(op, op.a, channel_axis(linear), num_channels(linear))
        if factor is None:
            return
        new = scaled(rw, linear, factor, op)
        if new is not None:
            rw.replace(op, new, origins=[linear])


class NegBehindLinear(Pattern[NegOp]):
    """-linear(x, w) -> linear(x, -w)"""

    def rewrite(self, op: NegOp, rw: Rewriter) -> None:
        import numpy as np

        linear = as_linear(op.x.owner)
        if linear is not None and op.x.has_one_use():
            new = scaled(rw, linear, np.full(num_channels(linear), -1.0), op)
            if new is not None:
                rw.replace(op, new, origins=[linear])


class ShiftBehindLinear(Pattern[Shift]):
    """linear(x, w) + c -> linear(x, w, c), - likewise; for convolutions and gemm"""

    def rewrite(self, op: Shift, rw: Rewriter) -> None:
        linear = linear_before(op)
        if linear is None:
            return
        shift = shift_of(op, op.a, channel_axis(linear), num_channels(linear))
        if shift is None:
            return
        new = shifted(rw, linear, shift, op)
        if new is not None:
            rw.replace(op, new, origins=[linear])


class ScaleBehindShift(Pattern[Scale]):
    """(linear(x, w) + b) * c -> linear(x, w) * c + b * c, / likewise; for matmul"""

    def rewrite(self, op: Scale, rw: Rewriter) -> None:
        shift = op.a.owner
        if not isinstance(shift, AddOp | SubOp) or not op.a.has_one_use():
            return
        linear = linear_before(shift)
        if linear is None:
            return
        axis, channels = channel_axis(linear), num_channels(linear)
        factor = scale_of(op, op.a, axis, channels)
        addend = shift_of(shift, shift.a, axis, channels)
        now = constant_value(shift.b)
        if factor is None or addend is None or now is None:
            return
        new = scaled(rw, linear, factor, op)
        if new is not None:
            rank = len(dims(op.res.type) or ())
            b = make_constant(rw, column((addend * factor).astype(now.dtype), rank, axis))
            total = AddOp.of(new.results[0], b)
            rw.replace(op, [new, typed_like(total, op)], origins=[linear, shift])


class ScaleBeforeLinear(Pattern[Linear]):
    """linear(x * c, w) -> linear(x, w * c), / likewise"""

    def rewrite(self, op: Linear, rw: Rewriter) -> None:
        scale, now = op.operands[0].owner, weights(op)
        if not isinstance(scale, MulOp | DivOp) or as_linear(op) is None or now is None:
            return
        if isinstance(op, GemmOp) and op.transA.value.data:
            return
        factor = scale_of(scale, scale.a, channel_axis(op), num_input_channels(op))
        if factor is None or dims(scale.a.type) != dims(scale.res.type):
            return
        if not op.operands[0].has_one_use():
            why_not(op, "its scaled input is used elsewhere too")
            return
        weighted = now * input_channel_factors(op, factor)
        new = renewed(rw, op, weighted, None, scale, op.results[0].type)
        if new is not None:
            new.operands[0] = scale.a
            rw.replace(op, new, origins=[scale])


class ShiftBeforeConv(Pattern[ConvOp]):
    """conv(x + c, w, b) -> conv(x, w, b + sum(w * c)) if there is no padding, - likewise"""

    def rewrite(self, op: ConvOp, rw: Rewriter) -> None:
        shift, now = op.x.owner, weights(op)
        if not isinstance(shift, AddOp | SubOp) or as_linear(op) is None or now is None:
            return
        addend = shift_of(shift, shift.a, 1, now.shape[1] * op.group.value.data)
        if addend is None or dims(shift.a.type) != dims(shift.res.type) or not op.x.has_one_use():
            return
        if not is_unpadded(op):
            why_not(op, "its input is shifted before it is padded with zeros")
            return
        gain = (now * input_channel_factors(op, addend)).sum(axis=tuple(range(1, now.ndim)))
        b = constant_value(op.b)
        new_bias = gain if b is None else gain + b
        new = renewed(rw, op, None, new_bias, shift, op.res.type)
        if new is not None:
            new.operands[0] = shift.a
            rw.replace(op, new, origins=[shift])


def is_unpadded(op: ConvOp) -> bool:
    """Whether the convolution reads nothing outside its input."""
    window = op.window
    return window is not None and all(pad == 0 for pad in (*window.begin, *window.end))


class PadBeforeConv(Pattern[ConvOp]):
    """conv(pad(x, p), pads = q) -> conv(x, pads = p + q) if zeros are padded, and not channels"""

    def rewrite(self, op: ConvOp, rw: Rewriter) -> None:
        pad = op.x.owner
        shape = dims(op.x.type)
        if not isinstance(pad, PadOp) or shape is None or op.auto_pad.data not in FIXED_PADS:
            return
        more = zero_pads(pad, len(shape))
        if more is None or any(more[:2]) or any(more[len(shape) : len(shape) + 2]):
            why_not(op, "its input is padded with other than zeros, or not in space alone")
            return
        spatial = [*more[2 : len(shape)], *more[len(shape) + 2 :]]
        if op.auto_pad.data == "NOTSET":
            begin, end = op.explicit_pads(len(shape) - 2)
            spatial = [a + b for a, b in zip(spatial, (*begin, *end), strict=True)]
        new = op.clone()
        new.location = fuse([op.location, pad.location])
        new.operands[0] = pad.data
        new.pads, new.auto_pad = ints(spatial), StringAttr("NOTSET")
        rw.replace(op, new)


FIXED_PADS = ("NOTSET", "VALID")


def zero_pads(op: PadOp, rank: int) -> list[int] | None:
    """How many zeros are added at the beginning, then at the end, of each dimension.

    `None` if that is not known, elements are cut off, or something else is added.
    """
    axes, pads = op.padded_axes(rank), integers(op.pads)
    if op.mode.data != "constant" or axes is None or pads is None or min(pads, default=0) < 0:
        return None
    if op.constant_value is not None and not is_splat(op.constant_value, 0):
        return None
    found = [0] * (2 * rank)
    for i, axis in enumerate(axes):
        found[axis], found[rank + axis] = pads[i], pads[len(axes) + i]
    return found


PATTERNS = (
    *(BatchNormAsScaleAndShift, DropoutAtInference, PadBeforeConv),
    *(
        ScaleBehindLinear,
        NegBehindLinear,
        ShiftBehindLinear,
        ScaleBehindShift,
        ScaleBeforeLinear,
        ShiftBeforeConv,
    ),
    *scale_chains.PATTERNS,
)


class SimplifyInferencePass(OpPass[Operation]):
    """Fold batch normalisation, constant scales and shifts, and pads into weights."""

    name = "simplify-inference"

    def run(self, ctx: Context, op: Operation) -> None:
        rewrite(op, PatternSet([pattern() for pattern in PATTERNS]))
