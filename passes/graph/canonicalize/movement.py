"""Reshapes, transposes, pieces: what only renames elements is made one reshape, or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdsl.ir import Operation, SSAValue

from ....core.errors import ModelError
from ....core.explain import why_not
from ....core.irtypes import int_attr
from ....core.locations import describe
from ....core.rewriting import Pattern, Rewriter
from ....dialects.graph.base import constant_value
from ....dialects.graph.binary import AddOp, BinaryOp
from ....dialects.graph.checks import FLOATS, normal_axis
from ....dialects.graph.create import DropoutOp
from ....dialects.graph.movement import (
    ExpandOp,
    FlattenOp,
    ReshapeOp,
    SqueezeOp,
    TransposeOp,
    UnsqueezeOp,
)
from ....dialects.graph.pieces import ConcatOp, PadOp, SliceOp, SplitOp, TileOp
from ....dialects.graph.reduce import (
    ReduceMaxOp,
    ReduceMeanOp,
    ReduceMinOp,
    ReduceOp,
    ReduceProdOp,
    ReduceSumOp,
)
from ....dialects.graph.types import Dims, dims, element, is_known
from ....dialects.graph.values import extents
from ..constants import forward, make_constant, scalar_like, typed_like
from ..rules import rule

if TYPE_CHECKING:
    pass


def reshape_codes(source: Dims | None, target: Dims) -> tuple[tuple[int, ...], bool] | None:
    """What a reshape's `shape` operand must contain, and whether 0 means 0 there.

    One extent that is no number becomes -1; if there are more, all must be those of the source at
    the same place, and are copied with 0. `None` if that does not do: where an extent that is
    copied turns out to be 0, -1 beside it could be anything.
    """
    numbers = [extent if isinstance(extent, int) else -1 for extent in target]
    if numbers.count(-1) > 1 and 0 not in numbers:
        for i, extent in enumerate(target):
            same = source is not None and i < len(source) and source[i] == extent
            if numbers[i] == -1 and extent is not None and same:
                numbers[i] = 0
        return None if -1 in numbers else (tuple(numbers), False)
    if numbers.count(-1) > 1 or (-1 in numbers and 0 in numbers):
        return None
    return tuple(numbers), 0 in numbers


def reshape_to(rw: Rewriter, op: View | TransposeOp | Reduction, source: SSAValue) -> None:
    """Replace `op` by a reshape of `source` to the same type, if one can say it."""
    import numpy as np

    codes = _codes(op, source)
    if codes is None:
        return
    numbers, allow_zero = codes
    with rw.located(op):
        shape = make_constant(rw, np.asarray(numbers, np.int64))
    rw.replace(op, _reshape(source, shape, allow_zero, op.results[0]))


def _codes(op: Operation, source: SSAValue) -> tuple[tuple[int, ...], bool] | None:
    """How a reshape of `source` says the shape of the result of `op`."""
    target = dims(op.results[0].type)
    return None if target is None else reshape_codes(dims(source.type), target)


def _reshape(source: SSAValue, shape: SSAValue, allow_zero: bool, like: SSAValue) -> ReshapeOp:
    properties = {"allowzero": int_attr(int(allow_zero))}
    return ReshapeOp(operands=[source, shape], properties=properties, result_types=[like.type])


View = ReshapeOp | FlattenOp | SqueezeOp | UnsqueezeOp
Reduction = ReduceMaxOp | ReduceMeanOp | ReduceMinOp | ReduceProdOp | ReduceSumOp


class ViewOfSameShape(Pattern[View]):
    """reshape, flatten, squeeze, unsqueeze(x) -> x if the shape stays"""

    def rewrite(self, op: View, rw: Rewriter) -> None:
        if op.data.type == op.res.type and is_known(op.res.type):
            forward(rw, op, op.data)


class ViewOfView(Pattern[View]):
    """reshape(reshape(x)) -> reshape(x), flatten, squeeze and unsqueeze likewise"""

    def rewrite(self, op: View, rw: Rewriter) -> None:
        if isinstance(inner := op.data.owner, View):
            reshape_to(rw, op, inner.data)


class ViewAsReshape(Pattern[FlattenOp | SqueezeOp | UnsqueezeOp]):
    """flatten, squeeze, unsqueeze(x) -> reshape(x)"""

    def rewrite(self, op: FlattenOp | SqueezeOp | UnsqueezeOp, rw: Rewriter) -> None:
        reshape_to(rw, op, op.data)


class ReshapeToKnownShape(Pattern[ReshapeOp]):
    """reshape(x, s) -> reshape(x, c) if the constant c says the result's shape"""

    def rewrite(self, op: ReshapeOp, rw: Rewriter) -> None:
        codes = _codes(op, op.data)
        now = constant_value(op.shape)
        if codes is None:
            if now is None:
                why_not(op, "no constant can say its result's shape, which is not known, or named")
            return
        is_zero = bool(op.allowzero.value.data)
        if now is None or tuple(now.tolist()) != codes[0] or is_zero != codes[1]:
            reshape_to(rw, op, op.data)


class TransposeOfTranspose(Pattern[TransposeOp]):
    """transpose(transpose(x, p), q) -> transpose(x, p[q])"""

    def rewrite(self, op: TransposeOp, rw: Rewriter) -> None:
        inner = op.data.owner
        extents_ = dims(op.data.type)
        if not isinstance(inner, TransposeOp) or extents_ is None:
            return
        first, second = inner.permutation(len(extents_)), op.permutation(len(extents_))
        new = TransposeOp.of(inner.data, perm=[first[i] for i in second])
        rw.replace(op, typed_like(new, op))


class TransposeInPlace(Pattern[TransposeOp]):
    """transpose(x, p) -> x, or reshape(x) if p moves only dimensions of 1"""

    def rewrite(self, op: TransposeOp, rw: Rewriter) -> None:
        shape = dims(op.data.type)
        if shape is None:
            return
        perm = op.permutation(len(shape))
        moved = [i for i in perm if shape[i] != 1]
        if list(perm) == sorted(perm):
            forward(rw, op, op.data)
        elif moved == sorted(moved):
            reshape_to(rw, op, op.data)


class ExpandToSameShape(Pattern[ExpandOp]):
    """expand(x) -> x if the shape stays"""

    def rewrite(self, op: ExpandOp, rw: Rewriter) -> None:
        if op.data.type == op.res.type and is_known(op.res.type):
            forward(rw, op, op.data)


class BroadcastOfExpand(Pattern[BinaryOp]):
    """f(x, expand(y)) -> f(x, y) if they broadcast to the same shape"""

    def rewrite(self, op: BinaryOp, rw: Rewriter) -> None:
        target = dims(op.res.type)
        if target is None or None in target:
            return
        for i, operand in enumerate(op.operands):
            if not isinstance(inner := operand.owner, ExpandOp):
                continue
            op.operands[i] = inner.data
            if _has_extents(op, target):
                rw.notify_op_modified(op)
                return
            op.operands[i] = operand
            why_not(op, "its result has extents that come from the expand alone")


def _has_extents(op: BinaryOp, target: Dims) -> bool:
    """Whether its operands are what it takes, and give these extents."""
    try:
        return dims(op.infer()[0]) == target
    except ModelError:
        return False


class ConcatWithNothing(Pattern[ConcatOp]):
    """concat(x, y, z) -> concat(x, z) if y has no elements"""

    def rewrite(self, op: ConcatOp, rw: Rewriter) -> None:
        axis = op.axis.value.data
        shapes = [dims(value.type) for value in op.inputs]
        kept = [
            value
            for value, shape in zip(op.inputs, shapes, strict=True)
            if shape is None or shape[axis] != 0
        ]
        if 0 < len(kept) < len(op.inputs):
            rw.replace(op, _concat(op, kept))


class ConcatOfConcat(Pattern[ConcatOp]):
    """concat(concat(x, y), z) -> concat(x, y, z) along one axis, if nobody else reads the inner"""

    def rewrite(self, op: ConcatOp, rw: Rewriter) -> None:
        shape = dims(op.res.type)
        if shape is None:
            return
        flat: list[SSAValue] = []
        for value in op.inputs:
            inner = value.owner
            if not isinstance(inner, ConcatOp) or not _same_axis(op, inner, shape):
                flat.append(value)
            elif value.has_one_use():
                flat += inner.inputs
            else:
                why_not(op, f"{describe(inner)}, a concat along the same axis, has other users too")
                flat.append(value)
        if len(flat) > len(op.inputs):
            rw.replace(op, _concat(op, flat))


def _same_axis(left: ConcatOp, right: ConcatOp, shape: Dims) -> bool:
    axes = [normal_axis(op.axis.value.data, len(shape)) for op in (left, right)]
    return axes[0] == axes[1]


def _concat(op: ConcatOp, inputs: list[SSAValue]) -> ConcatOp:
    properties = {"axis": op.axis}
    return ConcatOp(operands=[inputs], properties=properties, result_types=[op.res.type])


class SliceOfEverything(Pattern[SliceOp]):
    """slice(x) -> x if all extents stay and no step is negative"""

    def rewrite(self, op: SliceOp, rw: Rewriter) -> None:
        shape = dims(op.data.type)
        axes = None if shape is None else op.sliced_axes(len(shape))
        if axes is None or not is_known(op.res.type) or op.data.type != op.res.type:
            return
        _, _, steps = op.bounds(len(axes))
        if all(step == 1 for step in steps):
            forward(rw, op, op.data)


class PadWithNothing(Pattern[PadOp]):
    """pad(x, 0) -> x"""

    def rewrite(self, op: PadOp, rw: Rewriter) -> None:
        pads = extents(op.pads)
        if pads is not None and all(pad == 0 for pad in pads):
            forward(rw, op, op.data)


class TileOnce(Pattern[TileOp]):
    """tile(x, 1) -> x"""

    def rewrite(self, op: TileOp, rw: Rewriter) -> None:
        repeats = extents(op.repeats)
        if repeats is not None and all(repeat == 1 for repeat in repeats):
            forward(rw, op, op.data)


class SplitIntoOne(Pattern[SplitOp]):
    """split(x) -> x if there is one piece"""

    def rewrite(self, op: SplitOp, rw: Rewriter) -> None:
        if len(op.outputs) == 1:
            forward(rw, op, op.data)


class ReduceOverOnes(Pattern[Reduction]):
    """reduce(x) -> reshape(x) if the reduced extents are 1, for max, mean, min, prod, sum

    A sum of floats begins at 0.0, so that of -0.0 is 0.0: reduce(x) -> reshape(x + 0.0).
    """

    def rewrite(self, op: Reduction, rw: Rewriter) -> None:
        shape = dims(op.data.type)
        axes = None if shape is None else op.reduced_axes(len(shape))
        if shape is None or axes is None or any(shape[axis] != 1 for axis in axes):
            return
        if op.data.type == op.res.type:
            forward(rw, op, _from_zero(rw, op) if axes else op.data)
        elif _codes(op, op.data) is not None:
            reshape_to(rw, op, _from_zero(rw, op))


def _from_zero(rw: Rewriter, op: Reduction) -> SSAValue:
    """What a reduction of one element gives."""
    if not isinstance(op, ReduceSumOp | ReduceMeanOp) or element(op.data.type) not in FLOATS:
        return op.data
    total = AddOp.of(op.data, scalar_like(rw, op.data, 0.0))
    return rw.insert(total).res


class ReshapeOfReduction(Pattern[ReshapeOp]):
    """reshape(reduce(x, keepdims = 0)) -> reduce(x, keepdims = 1) if that gives the same shape"""

    def rewrite(self, op: ReshapeOp, rw: Rewriter) -> None:
        inner = op.data.owner
        if not isinstance(inner, ReduceOp):
            return
        if not op.data.has_one_use():
            why_not(op, f"the result of {inner.name} has other users too")
            return
        shape, target = dims(inner.data.type), dims(op.res.type)
        axes = None if shape is None else inner.reduced_axes(len(shape))
        if shape is None or axes is None or target is None or None in target:
            return
        if target == tuple(1 if i in axes else extent for i, extent in enumerate(shape)):
            new = type(inner)(
                operands=[inner.data, inner.axes],
                properties={**inner.properties, "keepdims": int_attr(1)},
                result_types=[op.res.type],
            )
            rw.replace(op, new, origins=[inner])


class DropoutAtInference(Pattern[DropoutOp]):
    """dropout(x) -> x unless it is training or its mask is used"""

    def rewrite(self, op: DropoutOp, rw: Rewriter) -> None:
        if op.is_training is not False:
            why_not(op, "it is training, or no constant says that it is not")
            return
        if op.mask is not None and op.mask.first_use is not None:
            why_not(op, "its mask is used")
            return
        if op.data.type == op.res.type:
            rw.replace_all_uses_with(op.res, op.data)
            rw.erase(op)


def patterns(fast: bool) -> list[Pattern[Any]]:
    """All of this file; none depends on `fast`."""
    del fast
    return [
        *(ViewOfSameShape(), ViewOfView(), ViewAsReshape(), ReshapeToKnownShape()),
        *(TransposeOfTranspose(), TransposeInPlace()),
        *(ExpandToSameShape(), BroadcastOfExpand()),
        *(rule("ConcatOfOne", "concat(x, ...) -> x"), ConcatWithNothing(), ConcatOfConcat()),
        *(SliceOfEverything(), PadWithNothing(), TileOnce(), SplitIntoOne()),
        *(ReduceOverOnes(), ReshapeOfReduction(), DropoutAtInference()),
    ]
