"""What a direct convolution costs where channels lie in blocks, and where planes lie apart.

In blocks, a pixel of x meets vectors of output channels; a last block that is not full is taken in
registers of 8, 4, 2 and 1 lanes, of which each costs as much as a whole one. Where planes lie
apart, a vector of neighbouring pixels meets the weights of one output channel after the other: for
few output channels that fills the lanes, however few they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from ...core.irtypes import tensor_shape
from ...dialects.graph.conv import ConvOp
from ...targets import Target
from .channels import MIN_CHANNELS

UNALIGNED = 1.4
"""What a multiply-add on pixels that begin anywhere in a line costs, over an aligned one."""


def terms(op: ConvOp) -> int:
    """Products in the sum of one element of the result."""
    return prod(tensor_shape(op.w.type)[1:])


def blocked_cycles(op: ConvOp, target: Target) -> float:
    """Of a convolution of one group on blocks of channels."""
    n, out, *pixels = tensor_shape(op.res.type)
    whole, rest = divmod(out, target.lanes)
    return n * prod(pixels) * (whole + rest.bit_count()) * terms(op) / target.fma_per_cycle


def planar_cycles(op: ConvOp, target: Target) -> float | None:
    """Of a convolution of one group along the rows of planes; `None` if their pixels lie apart."""
    n, out, *pixels = tensor_shape(op.res.type)
    window = op.window
    if window is None or not pixels or window.strides[-1] != 1:
        return None
    vectors = n * out * prod(pixels[:-1]) * -(-pixels[-1] // target.lanes)
    return UNALIGNED * vectors * terms(op) / target.fma_per_cycle


def relayout_cycles(shape: Sequence[int], target: Target) -> float:
    """Of bringing a tensor into the other form; one with few channels is read as it is."""
    if shape[1] < MIN_CHANNELS:
        return 0.0
    size = 4 * prod(shape)
    return 2 * size / target.bytes_per_cycle(size)


def is_planar_faster(
    op: ConvOp, target: Target, *, is_input_blocked: bool, is_output_blocked: bool
) -> bool:
    """Whether a convolution of one group had better have planes than blocks.

    Args:
        op: the convolution.
        target: the machine.
        is_input_blocked: what its input is anyway.
        is_output_blocked: what its readers want.
    """
    planar = planar_cycles(op, target)
    if planar is None:
        return False
    blocked = blocked_cycles(op, target)
    for value, has_blocks in ((op.x, is_input_blocked), (op.res, is_output_blocked)):
        copy = relayout_cycles(tensor_shape(value.type), target)
        planar += copy * has_blocks
        blocked += copy * (not has_blocks)
    return planar < blocked
