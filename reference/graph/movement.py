"""The same elements in another shape."""

from __future__ import annotations

from math import prod

import numpy as np

from ...dialects.graph import movement as ops
from .meaning import Array, meaning


@meaning("graph.reshape")
def reshape(op: ops.ReshapeOp, data: Array, shape: Array) -> Array:
    """0 copies an extent, unless `allowzero`."""
    wanted = [int(extent) for extent in shape.reshape(-1)]
    if not op.allowzero.value.data:
        wanted = [data.shape[i] if extent == 0 else extent for i, extent in enumerate(wanted)]
    return data.reshape(wanted)


@meaning("graph.flatten")
def flatten(op: ops.FlattenOp, data: Array) -> Array:
    """A matrix."""
    axis = op.axis.value.data
    axis = axis + data.ndim if axis < 0 else axis
    return data.reshape(prod(data.shape[:axis]), prod(data.shape[axis:]))


@meaning("graph.relayout")
def relayout(op: ops.RelayoutOp, x: Array) -> Array:
    """Memory is no part of a meaning."""
    del op
    return x


@meaning("graph.squeeze")
def squeeze(op: ops.SqueezeOp, data: Array, axes: Array | None) -> Array:
    """All extents of 1, or those named."""
    del op
    return np.squeeze(data, None if axes is None else tuple(axes.reshape(-1).tolist()))


@meaning("graph.unsqueeze")
def unsqueeze(op: ops.UnsqueezeOp, data: Array, axes: Array) -> Array:
    """Positions in the result."""
    del op
    return np.expand_dims(data, tuple(axes.reshape(-1).tolist()))


@meaning("graph.transpose")
def transpose(op: ops.TransposeOp, data: Array) -> Array:
    """By `perm`, or reversed."""
    return np.transpose(data, op.permutation(data.ndim))


@meaning("graph.expand")
def expand(op: ops.ExpandOp, data: Array, shape: Array) -> Array:
    """Both broadcast."""
    del op
    wanted = np.broadcast_shapes(data.shape, tuple(shape.reshape(-1).tolist()))
    return np.broadcast_to(data, wanted)


@meaning("graph.depth_to_space")
def depth_to_space(op: ops.DepthToSpaceOp, x: Array) -> Array:
    """A block of pixels out of the channels."""
    n, c, h, w = x.shape
    b = op.blocksize.value.data
    if op.mode.data == "DCR":
        moved = x.reshape(n, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        moved = x.reshape(n, c // (b * b), b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return moved.reshape(n, c // (b * b), h * b, w * b)


@meaning("graph.space_to_depth")
def space_to_depth(op: ops.SpaceToDepthOp, x: Array) -> Array:
    """Channels out of a block of pixels."""
    n, c, h, w = x.shape
    b = op.blocksize.value.data
    blocks = x.reshape(n, c, h // b, b, w // b, b)
    order = (0, 3, 5, 1, 2, 4) if op.mode.data == "DCR" else (0, 1, 3, 5, 2, 4)
    return blocks.transpose(order).reshape(n, c * b * b, h // b, w // b)
