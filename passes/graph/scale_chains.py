"""Constant scales and shifts that meet, and scales that pass operators on their way to weights.

Part of `simplify-inference`. Networks that were trained with normalisations before their
activations have chains of them, `((x * c + t) * d + u)`, two operations on each element instead of
four; others normalise behind the activation or the pool that follows a convolution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdsl.ir import SSAValue
from xdsl.rewriter import Rewriter as XdslRewriter

from ...core.explain import why_not
from ...core.rewriting import Pattern, Rewriter
from ...dialects.graph.activations import LeakyReluOp
from ...dialects.graph.base import constant_value
from ...dialects.graph.binary import AddOp, DivOp, MulOp, SubOp
from ...dialects.graph.elementwise import ReluOp
from ...dialects.graph.pool import AveragePoolOp, GlobalAveragePoolOp, GlobalMaxPoolOp, MaxPoolOp
from ...dialects.graph.types import dims
from .constants import make_constant, typed_like
from .linear_weights import Linear, as_linear, channel_axis, channel_vector, num_channels

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Scale = MulOp | DivOp
Shift = AddOp | SubOp
AVERAGES = (AveragePoolOp, GlobalAveragePoolOp)
"""What commutes with every scale of a channel."""
RISING = (ReluOp, LeakyReluOp, MaxPoolOp, GlobalMaxPoolOp)
"""What commutes with positive scales of a channel."""


def scale_of(op: Scale, like: SSAValue, axis: int, channels: int) -> Array | None:
    """What `x * c` or `x / c` multiplies each channel of `x` with, if `c` is constant."""
    import numpy as np

    vector = channel_vector(op.b, like, axis, channels)
    if vector is None or isinstance(op, MulOp):
        return vector
    return None if not np.all(vector) else 1 / vector


def shift_of(op: Shift, like: SSAValue, axis: int, channels: int) -> Array | None:
    """What `x + c` or `x - c` adds to each channel of `x`, if `c` is constant."""
    vector = channel_vector(op.b, like, axis, channels)
    return -vector if vector is not None and isinstance(op, SubOp) else vector


def column(vector: Array, rank: int, axis: int) -> Array:
    """A vector along one axis of a tensor of this rank."""
    return vector.reshape(-1, *(1,) * (rank - 1 - axis % rank))


def constant_factor(op: Scale) -> Array | None:
    """The constant that `op` multiplies with, in f64; `None` for a division by zero."""
    import numpy as np

    array = _floats(op.b)
    if array is None or isinstance(op, MulOp):
        return array
    return 1 / array if np.all(array) else None


def constant_addend(op: Shift) -> Array | None:
    """The constant that `op` adds, in f64."""
    array = _floats(op.b)
    return -array if array is not None and isinstance(op, SubOp) else array


def _floats(value: SSAValue) -> Array | None:
    import numpy as np

    array = constant_value(value)
    if array is None or array.dtype.kind != "f" or not np.isfinite(array).all():
        return None
    return array.astype(np.float64)


def product(c: Array, d: Array, like: SSAValue) -> Array | None:
    """C * d in the type of a third constant; `None` if that is larger than both or out of range."""
    import numpy as np

    with np.errstate(over="ignore", under="ignore"):
        found = _rounded(c * d, c, d, like)
    return found if found is not None and ((found != 0) == ((c != 0) & (d != 0))).all() else None


def total(c: Array, d: Array, like: SSAValue) -> Array | None:
    """C + d in the type of a third constant, as `product`."""
    return _rounded(c + d, c, d, like)


def _rounded(exact: Array, c: Array, d: Array, like: SSAValue) -> Array | None:
    import numpy as np

    now = constant_value(like)
    assert now is not None
    with np.errstate(over="ignore", under="ignore"):
        array = exact.astype(now.dtype)
    fits = exact.size <= max(c.size, d.size) and np.isfinite(array).all()
    return array if fits else None


def is_moderate(addend: Array, like: SSAValue) -> bool:
    """Whether adding this rounds to no coarser grid than 2^-13: `(x + 2^23) - 2^23` is an integer.

    What is added and taken away again to round a value is not meant to go away.
    """
    import numpy as np

    now = constant_value(like)
    assert now is not None
    return bool((np.abs(addend) * np.finfo(now.dtype).eps <= 2.0**-13).all())


class ScaleBehindScale(Pattern[Scale]):
    """(x * c) * d -> x * (c * d), / likewise"""

    def rewrite(self, op: Scale, rw: Rewriter) -> None:
        inner = op.a.owner
        if not isinstance(inner, MulOp | DivOp) or not op.a.has_one_use():
            return
        c, d = constant_factor(inner), constant_factor(op)
        if c is None or d is None:
            return
        both = product(c, d, op.b)
        if both is not None:
            new = MulOp.of(inner.a, make_constant(rw, both))
            rw.replace(op, typed_like(new, op), origins=[inner])


class ShiftBehindShift(Pattern[Shift]):
    """(x + c) + d -> x + (c + d), - likewise, if c is moderate"""

    def rewrite(self, op: Shift, rw: Rewriter) -> None:
        inner = op.a.owner
        if not isinstance(inner, AddOp | SubOp) or not op.a.has_one_use():
            return
        c, d = constant_addend(inner), constant_addend(op)
        if c is None or d is None or not is_moderate(c, op.b):
            return
        both = total(c, d, op.b)
        if both is not None:
            new = AddOp.of(inner.a, make_constant(rw, both))
            rw.replace(op, typed_like(new, op), origins=[inner])


class ScaleBehindScaleAndShift(Pattern[Scale]):
    """(x * c + t) * d -> x * (c * d) + t * d, / and - likewise, if t is moderate"""

    def rewrite(self, op: Scale, rw: Rewriter) -> None:
        shift = op.a.owner
        if not isinstance(shift, AddOp | SubOp) or not op.a.has_one_use():
            return
        inner = shift.a.owner
        if not isinstance(inner, MulOp | DivOp) or not shift.a.has_one_use():
            return
        c, t, d = constant_factor(inner), constant_addend(shift), constant_factor(op)
        if c is None or t is None or d is None or not is_moderate(t, op.b):
            return
        factor, addend = product(c, d, op.b), product(t, d, op.b)
        if factor is None or addend is None:
            return
        scaled = MulOp.of(inner.a, make_constant(rw, factor))
        shifted = AddOp.of(scaled.res, make_constant(rw, addend))
        rw.replace(op, [scaled, typed_like(shifted, op)], origins=[inner, shift])


class ScaleBehindActivation(Pattern[Scale]):
    """p(linear(x, w)) * c -> p(linear(x, w) * c), / likewise; for pools and activations

    p is an average, or a maximum or relu if c > 0; there may be several.
    """

    def rewrite(self, op: Scale, rw: Rewriter) -> None:
        passed = op.a.owner
        linear = linear_above(op.a)
        if linear is None or not isinstance(passed, AVERAGES + RISING):
            return
        axis = channel_axis(linear)
        factor = scale_of(op, op.a, axis, num_channels(linear))
        shape, now = dims(passed.x.type), constant_value(op.b)
        if factor is None or shape is None or now is None:
            return
        rounded = _rounded(factor, factor, factor, op.b)
        if rounded is None or (not isinstance(passed, AVERAGES) and not (rounded > 0).all()):
            why_not(op, f"it does not pass {passed.name}: a factor is not positive")
            return
        scale = make_constant(rw, column(rounded, len(shape), axis))
        scaled = MulOp.of(passed.x, scale)
        XdslRewriter.replace_value_with_new_type(scaled.res, passed.x.type)
        new = passed.clone()
        new.operands[0] = scaled.res
        rw.replace(op, [scaled, typed_like(new, op)], origins=[passed])


def linear_above(value: SSAValue) -> Linear | None:
    """The convolution or product above pools and activations, each of which has one user."""
    while isinstance(value.owner, AVERAGES + RISING):
        if not value.has_one_use() or len(value.owner.results) != 1:
            return None
        value = value.owner.x
    return as_linear(value.owner) if value.has_one_use() else None


PATTERNS = (ScaleBehindScale, ShiftBehindShift, ScaleBehindScaleAndShift, ScaleBehindActivation)
