"""Convolutions: one product with a matrix of weights for each position in the kernel."""

from __future__ import annotations

from itertools import product

import numpy as np

from ...dialects.graph.conv import ConvOp, ConvTransposeOp
from ...dialects.graph.window import Window
from .meaning import Array, meaning


def numbers(window: Window) -> tuple[list[int], list[int], list[int]]:
    """Begin pads, end pads and output extents of a window over known extents."""
    found = [[dim for dim in dims if isinstance(dim, int)] for dims in (window.begin, window.end)]
    out = [dim for dim in window.out if isinstance(dim, int)]
    assert len(found[0]) == len(found[1]) == len(out) == len(window.kernel), "extents are known"
    return found[0], found[1], out


def taps(window: Window, out: list[int]) -> list[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """For each position in the kernel the elements of the padded data that it meets."""
    found: list[tuple[tuple[int, ...], tuple[slice, ...]]] = []
    for position in product(*map(range, window.kernel)):
        starts = [k * dilation for k, dilation in zip(position, window.dilations, strict=True)]
        slices = tuple(
            slice(start, start + stride * (extent - 1) + 1 if extent else start, stride)
            for start, stride, extent in zip(starts, window.strides, out, strict=True)
        )
        found.append((position, slices))
    return found


@meaning("graph.conv", wide=True)
def conv(op: ConvOp, x: Array, w: Array, b: Array | None) -> Array:
    """Grouped cross-correlation."""
    group = op.group.value.data
    window = op.resolve(x.shape[2:], w.shape[2:])
    begin, end, out = numbers(window)
    padded = np.pad(x, [(0, 0), (0, 0), *zip(begin, end, strict=True)])
    batch, channels = x.shape[:2]
    weights = w.reshape(group, w.shape[0] // group, *w.shape[1:])
    result = np.zeros((batch, group, w.shape[0] // group, *out), x.dtype)
    for position, slices in taps(window, out):
        met = padded[(..., *slices)].reshape(batch, group, channels // group, *out)
        result += np.einsum("ngc...,gmc->ngm...", met, weights[(..., *position)])
    return _with_bias(result.reshape(batch, w.shape[0], *out), b)


@meaning("graph.conv_transpose", wide=True)
def conv_transpose(op: ConvTransposeOp, x: Array, w: Array, b: Array | None) -> Array:
    """Every element spreads over the positions of the kernel; then the pads are cut off."""
    group = op.group.value.data
    window = op.resolve(x.shape[2:], w.shape[2:])
    begin, _, out = numbers(window)
    batch, channels = x.shape[:2]
    reach = [(k - 1) * d + 1 for k, d in zip(window.kernel, window.dilations, strict=True)]
    full = [
        max(stride * (size - 1) + extent, low + extent_out)
        for stride, size, extent, low, extent_out in zip(
            window.strides, x.shape[2:], reach, begin, out, strict=True
        )
    ]
    data = x.reshape(batch, group, channels // group, *x.shape[2:])
    weights = w.reshape(group, channels // group, *w.shape[1:])
    result = np.zeros((batch, group, w.shape[1], *full), x.dtype)
    for position, slices in taps(window, list(x.shape[2:])):
        spread = np.einsum("ngc...,gcm->ngm...", data, weights[(..., *position)])
        result[(..., *slices)] += spread
    cut = tuple(slice(low, low + extent) for low, extent in zip(begin, out, strict=True))
    merged = result.reshape(batch, group * w.shape[1], *full)
    return _with_bias(merged[(..., *cut)], b)


def _with_bias(result: Array, b: Array | None) -> Array:
    return result if b is None else result + b.reshape(-1, *(1,) * (result.ndim - 2))
