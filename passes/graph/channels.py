"""Which operators treat dimension 1, the channels of [n, c, spatial...], as a passive axis.

Such an operator computes channel c of its result from channel c of its operands, or (a convolution)
from all channels alike; it works as well where channels lie in blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdsl.ir import Operation

from ...core.irtypes import tensor_shape
from ...dialects.graph import conv, norm, pieces, pool, reduce, resize, winograd
from ...dialects.graph.base import ConstantOp, GraphOp, KernelOp, Pattern, YieldOp, origin

MIN_CHANNELS = 5
"""Fewer channels than this leave most lanes of a block empty."""

WINDOWED = (conv.ConvOp, conv.ConvTransposeOp, pool.PoolOp, winograd.WinogradConvOp)
"""Operators that slide windows over pixels."""


def is_windowed(kernel: KernelOp) -> bool:
    """Whether a kernel slides windows over pixels."""
    return any(isinstance(op, WINDOWED) for op in kernel.body.block.ops)


def keeps_channels(op: Operation, block: int) -> bool:
    """Whether an operator of a kernel works on blocks of `block` channels."""
    if isinstance(op, ConstantOp | YieldOp):
        return True
    if not isinstance(op, GraphOp):
        return False
    rule = _RULES.get(type(op))
    if rule is not None:
        return rule(op, block)
    passive = pool.PoolOp | pool.GlobalPoolOp | winograd.WinogradConvOp
    return isinstance(op, passive) or op.PATTERN in (
        Pattern.ELEMWISE,
        Pattern.BROADCAST,
    )


def _conv(op: conv.AnyConvOp, block: int) -> bool:
    """Weights that can be packed; one group, groups of one channel, or groups of whole blocks."""
    if not isinstance(origin(op.w).owner, ConstantOp):
        return False
    groups = op.group.value.data
    channels_in = tensor_shape(op.x.type)[1] // groups
    channels_out = tensor_shape(op.res.type)[1] // groups
    if groups == 1:
        return True
    is_depthwise = channels_in == channels_out == 1
    return is_depthwise or (channels_in % block == 0 and channels_out % block == 0)


def _concat(op: pieces.ConcatOp, block: int) -> bool:
    """Pieces of whole blocks (the last one may end anywhere)."""
    axis = op.axis.value.data % len(tensor_shape(op.res.type))
    return axis != 1 or all(tensor_shape(v.type)[1] % block == 0 for v in op.inputs[:-1])


def _reduce(op: reduce.ReduceOp, block: int) -> bool:
    del block
    axes = op.reduced_axes(len(tensor_shape(op.data.type)))
    return axes is not None and not {0, 1} & set(axes) and bool(op.keepdims.value.data)


def _resize(op: resize.ResizeOp, block: int) -> bool:
    del block
    return tensor_shape(op.x.type)[:2] == tensor_shape(op.res.type)[:2]


def _pad(op: pieces.PadOp, block: int) -> bool:
    del block
    return tensor_shape(op.data.type)[:2] == tensor_shape(op.res.type)[:2]


def _slice(op: pieces.SliceOp, block: int) -> bool:
    """All channels, in order, or those from the beginning of a block on."""
    rank = len(tensor_shape(op.data.type))
    axes, start = op.sliced_axes(rank), op.first_along(1)
    return axes is not None and 0 not in axes and start is not None and start % block == 0


def _split(op: pieces.SplitOp, block: int) -> bool:
    """Parts of whole blocks (the last one may end anywhere), or of other axes."""
    axis = op.axis.value.data % len(tensor_shape(op.data.type))
    return axis > 1 or (
        axis == 1 and all(tensor_shape(v.type)[1] % block == 0 for v in op.outputs[:-1])
    )


def _never(op: GraphOp, block: int) -> bool:
    del op, block
    return False


_RULES: dict[type[Operation], Callable[[Any, int], bool]] = {
    conv.ConvOp: _conv,
    conv.ConvTransposeOp: _conv,
    norm.LRNOp: _never,
    pieces.ConcatOp: _concat,
    pieces.PadOp: _pad,
    pieces.SliceOp: _slice,
    pieces.SplitOp: _split,
    resize.ResizeOp: _resize,
    **dict.fromkeys((cls for cls in reduce.OPS if issubclass(cls, reduce.ReduceOp)), _reduce),
}
