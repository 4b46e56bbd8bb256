"""Winograd convolution as ordinary computes: transform tiles, multiply, transform back.

The intermediates have the position in the tile in front, then what a layout of the result makes of
[n, c, tile rows, tile columns]: the products then are convolutions of 1x1 on blocked channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import AffineMapAttr
from xdsl.ir.affine import AffineMap

from ...core.affine import dim
from ...core.irtypes import int_values
from ...dialects.graph.winograd import KERNEL, Matrix, WinogradConvOp, transforms
from ...dialects.te_build import Index, Reduction, Scalar, Tensor
from .conv import add_bias
from .site import Lowering, Site


def lower_winograd_conv(op: WinogradConvOp, at: Site) -> Sequence[Tensor]:
    """B^T of columns and of rows, products, A^T of columns and of rows, the tile's pixels."""
    x, u = at[op.x], at[op.u]
    tile, size = op.outputs, op.outputs + KERNEL - 1
    matrices = transforms(tile)
    top, left, bottom, right = int_values(op.pads)
    n, channels, height, width = at.shape()
    tiles = {"th": -(-height // tile), "tw": -(-width // tile)}
    inputs = {"n": n, "c": x.shape[1], **tiles}
    outputs = {"n": n, "c": channels, **tiles}
    leaves = bool(top or left or bottom or right) or height % tile or width % tile

    def window(*i: Index) -> Scalar:
        a, b, n, c, th, tw = i
        place = [n, c, th * tile + a - top, tw * tile + b - left]
        return x.read(place, 0.0 if leaves else None)

    form = tile_layout(at.k.layouts.get(at.shape()))
    data = at.k.compute("window", {"a": size, "b": size, **inputs}, window)
    before = {"differ": matrices.differ, "combine": matrices.combine}
    before = {name: matrix for name, matrix in before.items() if not is_identity(matrix)}
    for name, matrix in before.items():
        data = along_columns(at, f"{name}_columns", matrix, data, inputs)
    for name, matrix in before.items():
        layout = form if name == list(before)[-1] else None
        data = along_rows(at, f"{name}_rows", matrix, data, inputs, layout)

    def product(*i: Index) -> Reduction:
        a, b, n, c, th, tw = i

        def term(ic: Index) -> Scalar:
            return data[a, b, n, ic, th, tw] * u[a, b, c, ic]

        return at.k.sum({"ic": x.shape[1]}, term)

    products = at.k.compute("products", {"a": size, "b": size, **outputs}, product, form)
    back = along_columns(at, "back_columns", matrices.output, products, outputs)
    back = along_rows(at, "back_rows", matrices.output, back, outputs)

    def pixel(n: Index, c: Index, h: Index, w: Index) -> Scalar:
        return back[h % tile, w % tile, n, c, h // tile, w // tile]

    axes = dict(zip("nchw", at.shape(), strict=True))
    return [add_bias(at, at.k.compute("pixels", axes, pixel), at.maybe(op.b))]


def is_identity(matrix: Matrix) -> bool:
    """Whether a matrix changes nothing."""
    return all(entry == (i == j) for i, row in enumerate(matrix) for j, entry in enumerate(row))


def along_columns(
    at: Site, name: str, matrix: Matrix, data: Tensor, rest: dict[str, int]
) -> Tensor:
    """y[a, b, ...] = sum over r of matrix[a, r] * data[r, b, ...]."""
    entries = [[float(entry) for entry in row] for row in matrix]

    def body(a: Index, b: Index, *others: Index) -> Reduction:
        return at.k.sum(
            {"r": data.shape[0]}, lambda r: at.k.coeff(entries, [a, r]) * data[r, b, *others]
        )

    return at.k.compute(name, {"a": len(matrix), "b": data.shape[1], **rest}, body)


def along_rows(
    at: Site,
    name: str,
    matrix: Matrix,
    data: Tensor,
    rest: dict[str, int],
    form: AffineMapAttr | None = None,
) -> Tensor:
    """y[a, b, ...] = sum over r of matrix[b, r] * data[a, r, ...]."""
    entries = [[float(entry) for entry in row] for row in matrix]

    def body(a: Index, b: Index, *others: Index) -> Reduction:
        return at.k.sum(
            {"r": data.shape[1]}, lambda r: at.k.coeff(entries, [b, r]) * data[a, r, *others]
        )

    return at.k.compute(name, {"a": data.shape[0], "b": len(matrix), **rest}, body, form)


def tile_layout(image: AffineMapAttr | None) -> AffineMapAttr | None:
    """The layout of an image for each position in a tile: two more dimensions in front."""
    if image is None:
        return None
    shifted = [dim(position + 2) for position in range(image.data.num_dims)]
    results = [e.replace_dims_and_symbols(shifted, []) for e in image.data.results]
    return AffineMapAttr(AffineMap(image.data.num_dims + 2, 0, (dim(0), dim(1), *results)))


LOWERINGS: dict[str, Lowering] = {"graph.winograd_conv": lower_winograd_conv}
