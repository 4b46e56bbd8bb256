"""The same elements in another order or shape: index arithmetic only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...dialects.graph.base import GraphOp
from ...dialects.graph.movement import BlockOp, ExpandOp, RelayoutOp, TransposeOp
from ...dialects.te_build import Index, Scalar, Tensor
from ...dialects.te_build.places import reshaped
from .reduce import names_of
from .site import Lowering, Site

Place = Callable[[Sequence[Index]], Sequence[Index | int]]


def moved(at: Site, source: Tensor, place: Place, axes: dict[str, int] | None = None) -> Tensor:
    """A compute over the first result that reads `source` at `place(indices)`."""

    def body(*indices: Index) -> Scalar:
        return source.read(place(indices))

    return at.k.compute(at.name, axes or at.axes(source), body)


def lower_reshape(op: GraphOp, at: Site) -> Sequence[Tensor]:
    """The elements in row-major order; reads are simplified, so adding a 1 divides nothing."""
    data = at[op.operands[0]]
    shape = at.shape()
    if shape == data.shape:
        return [data]

    def place(indices: Sequence[Index]) -> Sequence[Index | int]:
        return reshaped(indices, shape, data.shape)

    return [moved(at, data, place)]


def lower_transpose(op: TransposeOp, at: Site) -> Sequence[Tensor]:
    """Dimension i of the result is dimension perm[i] of the data."""
    data = at[op.data]
    perm = op.permutation(data.rank)
    old = names_of(data)
    axes = {old[d]: data.shape[d] for d in perm}

    def place(indices: Sequence[Index]) -> Sequence[Index]:
        return [indices[perm.index(d)] for d in range(data.rank)]

    return [moved(at, data, place, axes)]


def lower_relayout(op: RelayoutOp, at: Site) -> Sequence[Tensor]:
    """A copy; where it goes in memory is the result's type."""
    return [moved(at, at[op.x], list)]


def lower_expand(op: ExpandOp, at: Site) -> Sequence[Tensor]:
    """Broadcast by reading index 0 of dimensions of 1."""
    data = at[op.data]
    return [data] if data.shape == at.shape() else [at.pointwise(lambda x: x, data)]


def lower_depth_to_space(op: BlockOp, at: Site) -> Sequence[Tensor]:
    """y[n, c, h, w] = x[n, channel of (h % b, w % b, c), h // b, w // b]."""
    x, b = at[op.x], op.blocksize.value.data
    depth = at.shape()[1]

    def place(i: Sequence[Index]) -> Sequence[Index]:
        n, c, h, w = i
        row, column = h % b, w % b
        if op.mode.data == "DCR":
            channel = row * (b * depth) + column * depth + c
        else:
            channel = c * (b * b) + row * b + column
        return [n, channel, h // b, w // b]

    return [moved(at, x, place, dict(zip("nchw", at.shape(), strict=True)))]


def lower_space_to_depth(op: BlockOp, at: Site) -> Sequence[Tensor]:
    """The inverse of depth_to_space."""
    x, b = at[op.x], op.blocksize.value.data
    depth = x.shape[1]

    def place(i: Sequence[Index]) -> Sequence[Index]:
        n, c, h, w = i
        if op.mode.data == "DCR":
            block, channel = c // depth, c % depth
        else:
            block, channel = c % (b * b), c // (b * b)
        return [n, channel, h * b + block // b, w * b + block % b]

    return [moved(at, x, place, dict(zip("nchw", at.shape(), strict=True)))]


LOWERINGS: dict[str, Lowering] = {
    "graph.reshape": lower_reshape,
    "graph.flatten": lower_reshape,
    "graph.squeeze": lower_reshape,
    "graph.unsqueeze": lower_reshape,
    "graph.transpose": lower_transpose,
    "graph.relayout": lower_relayout,
    "graph.expand": lower_expand,
    "graph.depth_to_space": lower_depth_to_space,
    "graph.space_to_depth": lower_space_to_depth,
}
