"""graph.winograd_conv: a 3x3 convolution by tiles, with fewer multiplications.

%y = graph.winograd_conv(%x, %u) {tile = 4, pads = [1, 1, 1, 1]} : tensor<1x64x56x56xf32>

F(m x m, 3 x 3): a tile of m x m outputs needs (m + 2) x (m + 2) inputs, and as many products
instead of 9 m^2:

    Y = A^T [ (G g G^T) * (B^T d B) ] A        per pair of channels; * is elementwise

`u` holds G g G^T of every filter, made once by the pass `winograd`.

The points of F(4, 3) are 0, +-2/3, +-3/2 and infinity: their powers stay near 1, which makes the
error 2 to 4 times smaller than that of the usual 0, +-1, +-2. Source: Lavin and Gray, Fast
Algorithms for Convolutional Neural Networks (2015); Toom and Cook for the matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, prop_def, result_def

from ...core.errors import ModelError
from ...core.irtypes import int_values
from .base import GraphOp, Pattern
from .checks import FLOATS, common_element, expect, expect_rank
from .types import MaybeDim, tensor_type

if TYPE_CHECKING:
    import numpy as np

KERNEL = 3
TILES = (2, 4)
"""Outputs of a tile in each direction, for which there are matrices."""

Matrix = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Transforms:
    """The matrices of F(m, 3), exact: `output` is A^T [m, t], `kernel` G [t, 3].

    B^T [t, t] is the product of `combine` and `differ`: the rows for a and -a share what they
    have in common, so that a column of the input takes 12 operations instead of 22.
    """

    output: Matrix
    kernel: Matrix
    combine: Matrix
    differ: Matrix

    @property
    def input(self) -> Matrix:
        """B^T."""
        return multiply(self.combine, self.differ)


def multiply(lhs: Matrix, rhs: Matrix) -> Matrix:
    """The matrix product."""
    columns = list(zip(*rhs, strict=True))
    return tuple(
        tuple(
            sum((a * b for a, b in zip(row, column, strict=True)), Fraction()) for column in columns
        )
        for row in lhs
    )


def _rows(*rows: Sequence[int | Fraction]) -> Matrix:
    return tuple(tuple(Fraction(entry) for entry in row) for row in rows)


@cache
def transforms(tile: int) -> Transforms:
    """The matrices for tiles of 2 (points 0, 1, -1, infinity) or 4."""
    if tile == 2:
        half = Fraction(1, 2)
        return Transforms(
            output=_rows((1, 1, 1, 0), (0, 1, -1, -1)),
            kernel=_rows((1, 0, 0), (half, half, half), (half, -half, half), (0, 0, 1)),
            combine=_rows((1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)),
            differ=_rows((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        )
    assert tile == 4, "there are matrices for tiles of 2 and 4"
    return _four(Fraction(2, 3), Fraction(3, 2))


def _four(a: Fraction, b: Fraction) -> Transforms:
    """F(4, 3) at the points 0, a, -a, b, -b and infinity."""
    aa, bb = a * a, b * b
    low, high = 1 / (2 * aa * (aa - bb)), 1 / (2 * bb * (bb - aa))
    return Transforms(
        output=_rows(
            (1, 1, 1, 1, 1, 0),
            (0, a, -a, b, -b, 0),
            (0, aa, aa, bb, bb, 0),
            (0, a**3, -(a**3), b**3, -(b**3), 1),
        ),
        kernel=_rows(
            (1 / (aa * bb), 0, 0),
            (low, low * a, low * aa),
            (low, -low * a, low * aa),
            (high, high * b, high * bb),
            (high, -high * b, high * bb),
            (0, 0, 1),
        ),
        combine=_rows(
            (1, 0, 0, 0, 0, 0),
            (0, 1, a, 0, 0, 0),
            (0, 1, -a, 0, 0, 0),
            (0, 0, 0, 1, b, 0),
            (0, 0, 0, 1, -b, 0),
            (0, 0, 0, 0, 0, 1),
        ),
        differ=_rows(
            (aa * bb, 0, -(aa + bb), 0, 1, 0),
            (0, 0, -bb, 0, 1, 0),
            (0, -bb, 0, 1, 0, 0),
            (0, 0, -aa, 0, 1, 0),
            (0, -aa, 0, 1, 0, 0),
            (0, aa * bb, 0, -(aa + bb), 0, 1),
        ),
    )


def transformed_weights(
    weights: np.ndarray[Any, Any], tile: int
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """G g G^T of each filter: f64[t, t, out, in] from weights [out, in, 3, 3]."""
    import numpy as np

    kernel = np.array([[float(entry) for entry in row] for row in transforms(tile).kernel])
    tiles = kernel @ weights.astype(np.float64) @ kernel.T
    return np.ascontiguousarray(tiles.transpose(2, 3, 0, 1))


@irdl_op_definition
class WinogradConvOp(GraphOp):
    """A 3x3 convolution of stride 1 in tiles.

    x: [n, c, h, w], u: [tile + 2, tile + 2, m, c], b: [m]; result
    [n, m, h + pads[0] + pads[2] - 2, w + pads[1] + pads[3] - 2].
    """

    name = "graph.winograd_conv"
    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE

    x = operand_def()
    u = operand_def()
    b = opt_operand_def()
    tile = prop_def(IntegerAttr)
    pads = prop_def(ArrayAttr[IntegerAttr])
    res = result_def()

    @property
    def outputs(self) -> int:
        """Outputs of a tile in each direction."""
        return self.tile.value.data

    def infer(self) -> Sequence[Attribute]:
        x, u = expect("x", self.x, FLOATS), expect("u", self.u, FLOATS)
        b = None if self.b is None else expect("b", self.b, FLOATS)
        expect_rank("x", x, 4)
        expect_rank("u", u, 4)
        size = self.outputs + KERNEL - 1
        if self.outputs not in TILES or (u.dims is not None and u.dims[:2] != (size, size)):
            raise ModelError(
                f"weights for tiles of {self.outputs}, expected {size} x {size} of them"
            )
        element = common_element(x=x, u=u, b=b)
        if x.dims is None:
            return [tensor_type(None, element)]
        pads = int_values(self.pads)
        spatial: list[MaybeDim] = [
            None if extent is None else extent + pads[i] + pads[i + 2] - (KERNEL - 1)
            for i, extent in enumerate(x.dims[2:])
        ]
        channels = None if u.dims is None else u.dims[2]
        return [tensor_type((x.dims[0], channels, *spatial), element)]


OPS = [WinogradConvOp]
