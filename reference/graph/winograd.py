"""A convolution in tiles: the same sums in another order."""

from __future__ import annotations

import numpy as np

from ...core.irtypes import int_values
from ...dialects.graph.winograd import KERNEL, Matrix, WinogradConvOp, transforms
from .meaning import Array, meaning


def _floats(matrix: Matrix) -> Array:
    return np.array([[float(entry) for entry in row] for row in matrix])


@meaning("graph.winograd_conv", wide=True)
def winograd_conv(op: WinogradConvOp, x: Array, u: Array, b: Array | None) -> Array:
    """Y = A^T [u * (B^T d B)] A, tile by tile."""
    tile, size = op.outputs, op.outputs + KERNEL - 1
    matrices = transforms(tile)
    top, left, bottom, right = int_values(op.pads)
    batch, _, height, width = x.shape
    out = (height + top + bottom - 2, width + left + right - 2)
    counts = [-(-extent // tile) for extent in out]
    reach = [count * tile + KERNEL - 1 for count in counts]
    after = (reach[0] - height - top, reach[1] - width - left)
    padded = np.pad(x, [(0, 0), (0, 0), (top, max(0, after[0])), (left, max(0, after[1]))])
    starts = [np.arange(count, dtype=np.int64) * tile for count in counts]
    rows, columns = (start[:, None] + np.arange(size, dtype=np.int64) for start in starts)
    windows = padded[:, :, rows[:, None, :, None], columns[None, :, None, :]]
    before, back = _floats(matrices.input), _floats(matrices.output)
    data = np.einsum("xa,ncijab,yb->xyncij", before, windows, before)
    products = np.einsum("xyoc,xyncij->xynoij", u, data)
    tiles = np.einsum("px,xynoij,qy->noipjq", back, products, back)
    whole = tiles.reshape(batch, u.shape[2], counts[0] * tile, counts[1] * tile)
    result = whole[:, :, : out[0], : out[1]].astype(x.dtype)
    return result if b is None else result + b.reshape(1, -1, 1, 1)
