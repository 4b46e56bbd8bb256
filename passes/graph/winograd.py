"""winograd: 3x3 convolutions of stride 1 in tiles, where that is faster and accurate enough.

    %y = graph.conv(%x, %w) {pads = [1, 1, 1, 1]}                        w: 256x256x3x3
->
    %y = graph.winograd_conv(%x, %u) {tile = 4, pads = [1, 1, 1, 1]}     u: 6x6x256x256

Which tile is an estimate: multiplications against the cycles that cold weights take from memory
(they are 4 times larger for tiles of 4, which small images with many channels do not repay). It
changes the order of sums, so it is no part of strict numerics; each layer is held to a bound of its
rounding error, computed from its weights and the transforms.

One function may stand for the module; in kernels there is nothing to do, for they have weights as
operands.
"""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr, f32
from xdsl.dialects.func import FuncOp
from xdsl.rewriter import InsertPoint, Rewriter

from ...core.counters import may
from ...core.explain import count, why_not
from ...core.irtypes import tensor_element, tensor_shape
from ...core.passes import OpPass
from ...core.walk import walk
from ...dialects.graph.base import ConstantOp, constant_value
from ...dialects.graph.conv import ConvOp
from ...dialects.graph.types import dims
from ...dialects.graph.winograd import (
    KERNEL,
    TILES,
    Matrix,
    WinogradConvOp,
    transformed_weights,
    transforms,
)
from ...targets import DEFAULT, Target, resolve
from .conv_cycles import planar_cycles

if TYPE_CHECKING:
    import numpy as np

MAX_ERROR = 1e-4
"""Bound of the rounding error, relative to the sum of the terms' magnitudes."""
TRANSFORM_OPS = 3
"""Cycles for each vector of a transformed tile: arithmetic, a load, a store."""


def why_no_tiles(op: ConvOp) -> str | None:
    """Why a convolution cannot be computed in tiles; `None` if it can."""
    extents = [dims(value.type) for value in (op.x, op.w, op.res)]
    if not all(e is not None and all(isinstance(d, int) for d in e) for e in extents):
        return "its shapes are not known"
    if tensor_shape(op.w.type)[2:] != (KERNEL, KERNEL):
        return "its kernel is not 3x3"
    window = op.window
    assert window is not None
    if window.strides != (1, 1) or window.dilations != (1, 1) or op.group.value.data != 1:
        return "it has strides, dilations or groups"
    if tensor_element(op.res.type) != f32 or constant_value(op.w) is None:
        return "its weights are not f32 constants"
    return "its result is empty" if 0 in tensor_shape(op.res.type) else None


def direct_cycles(op: ConvOp, target: Target) -> float:
    """An estimate of the direct convolution."""
    n, out, height, width = tensor_shape(op.res.type)
    channels = tensor_shape(op.w.type)[1]
    vectors = n * height * width * -(-out // target.lanes) * channels * KERNEL**2
    weights = 4 * out * channels * KERNEL**2
    arithmetic = vectors / target.fma_per_cycle
    planar = planar_cycles(op, target)
    fastest = arithmetic if planar is None else min(arithmetic, planar)
    return _cycles(fastest, weights / target.dram_bytes_per_cycle)


def tiled_cycles(op: ConvOp, tile: int, target: Target) -> float:
    """An estimate of the convolution in tiles."""
    n, out, height, width = tensor_shape(op.res.type)
    channels = tensor_shape(op.w.type)[1]
    positions = (tile + KERNEL - 1) ** 2
    tiles = n * -(-height // tile) * -(-width // tile)
    blocks = -(-out // target.lanes)
    vectors = positions * tiles * blocks * channels
    weights = 4 * positions * out * channels
    transformed = positions * tiles * (-(-channels // target.lanes) + blocks)
    arithmetic = vectors / target.fma_per_cycle
    return _cycles(arithmetic, weights / target.dram_bytes_per_cycle) + (
        TRANSFORM_OPS * transformed
    )


def _cycles(arithmetic: float, memory: float) -> float:
    """Both at once, but for what the longer one does not hide."""
    return max(arithmetic, memory) + 0.3 * min(arithmetic, memory)


def amplification(weights: np.ndarray[Any, Any], tile: int) -> float:
    """How much larger the magnitudes get that tiles add up, than those of the direct sum.

    The largest over the output channels of sum |A^T| (|U| * |B^T| 1 |B|) |A| / sum |w|, for data of
    magnitude 1.
    """
    import numpy as np

    matrices = transforms(tile)
    u = np.abs(transformed_weights(weights, tile)).sum(3).transpose(2, 0, 1)
    data = _magnitudes(matrices.input).sum(1)
    back = _magnitudes(matrices.output) * data
    tiles = (back @ u @ back.T).max((1, 2))
    direct = np.abs(weights).sum((1, 2, 3), dtype=np.float64)
    ratios = tiles[direct > 0] / direct[direct > 0]
    return float(ratios.max()) if ratios.size else 0.0


def _magnitudes(matrix: Matrix) -> np.ndarray[Any, Any]:
    import numpy as np

    return np.array([[abs(float(entry)) for entry in row] for row in matrix])


def error_bound(weights: np.ndarray[Any, Any], tile: int) -> float:
    """An estimate of the relative error: rounding of terms, growing as a random walk adds them."""
    channels = weights.shape[1]
    return 2.0**-24 * amplification(weights, tile) * max(1.0, log2(channels))


def best_tile(op: ConvOp, target: Target) -> int | None:
    """The tile that is faster than the direct convolution and exact enough, if any."""
    weights = constant_value(op.w)
    assert weights is not None
    best, best_cycles = None, (direct := direct_cycles(op, target))
    fastest = min(tiled_cycles(op, tile, target) for tile in TILES)
    if fastest >= direct:
        why_not(op, f"tiles would take {fastest:.3g} cycles, the sums themselves {direct:.3g}")
    for tile in TILES:
        cycles = tiled_cycles(op, tile, target)
        if cycles >= best_cycles:
            continue
        bound = error_bound(weights, tile)
        if bound > MAX_ERROR:
            why_not(op, f"tiles of {tile} could be off by {bound:.1e} (at most {MAX_ERROR:.0e})")
            continue
        best, best_cycles = tile, cycles
    return best


def to_tiles(op: ConvOp, tile: int) -> None:
    """Replace a convolution."""
    import numpy as np

    weights, window = constant_value(op.w), op.window
    assert weights is not None
    assert window is not None
    u = ConstantOp.of(transformed_weights(weights, tile).astype(np.float32))
    pads = [pad for pad in (*window.begin, *window.end) if isinstance(pad, int)]
    made = WinogradConvOp.of(op.x, u.res, op.b, tile=tile, pads=pads)
    for new in (u, made):
        new.location = op.location
    Rewriter.insert_op(u, InsertPoint.before(op))
    Rewriter.replace_op(op, made)
    count(f"tiles of {tile}")


class WinogradPass(OpPass[ModuleOp | FuncOp]):
    """Compute 3x3 convolutions of stride 1 in tiles, where that is faster and exact enough."""

    name = "winograd"

    def run(self, ctx: Context, op: ModuleOp | FuncOp) -> None:
        module = op if isinstance(op, ModuleOp) else op.parent_op()
        named = None if module is None else module.attributes.get("nnc.target")
        target = resolve(named.data if isinstance(named, StringAttr) else DEFAULT)
        for inner in list(walk(op)):
            if not isinstance(inner, ConvOp):
                continue
            if (reason := why_no_tiles(inner)) is not None:
                why_not(inner, reason)
                continue
            tile = best_tile(inner, target)
            if tile is not None and may(f"tiles of {tile}", inner):
                to_tiles(inner, tile)
