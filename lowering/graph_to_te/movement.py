"""The same elements in another order or shape: index arithmetic only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...dialects.graph.base import GraphOp
from ...dialects.graph.movement import BlockOp, ExpandOp, RelayoutOp, TransposeOp
from ...dialects.te_build import Index, Scalar, Tensor
from .reduce import names_of
from .site import Lowering, Site

Place = Callable[[Sequence[Index]], Sequence[Index | int]]


def moved(at: Site, source: Tensor, place: Place, axes: dict[str, int] | None = None) -> Tensor:
    """A compute over the first result that reads `source` at `place(indices)`."""

    def body(*indices: Index) -> Scalar:
        return source.read(place(indices))

    return at.k.compute(at.name, axes or at.axes(source), body)


def linear(indices: Sequence[Index], shape: Sequence[int]) -> Index | int:
    """The row-major position of a point."""
    total: Index | int = 0
    for index, size in zip(indices, shape, strict=True):
        total = index + total * size if isinstance(total, Index) else index
    return total


def delinear(position: Index | int, shape: Sequence[int]) -> list[Index | int]:
    """The point at a row-major position."""
    point: list[Index | int] = []
    for size in reversed(shape):
        point.append(position % size)
        position = position // size
    return point[::-1]


def lower_reshape(op: GraphOp, at: Site) -> Sequence[Tensor]:
    """The elements in row-major order; reads are simplified, so adding a 1 divides nothing."""
    data = at[op.operands[0]]
    shape = at.shape()
    if shape == data.shape:
        return [data]

    def place(indices: Sequence[Index]) -> Sequence[Index | int]:
        return _matching(indices, shape, data.shape)

    return [moved(at, data, place)]


def _matching(
    indices: Sequence[Index], shape: Sequence[int], old: Sequence[int]
) -> Sequence[Index | int]:
    """Where in `old` a point of `shape` lies, dimension group by dimension group.

    Dimensions are cut into the smallest runs with equal numbers of elements, so that a division
    touches only what was split or joined.
    """
    place: list[Index | int] = []
    new_at = old_at = 0
    while old_at < len(old):
        new_end, old_end = _run(shape, new_at, old, old_at)
        position = linear(indices[new_at:new_end], shape[new_at:new_end])
        place += delinear(position, old[old_at:old_end])
        new_at, old_at = new_end, old_end
    return place


def _run(shape: Sequence[int], new: int, old: Sequence[int], at: int) -> tuple[int, int]:
    """The ends of the shortest runs from `new` and `at` with as many elements."""
    new_end, old_end = new, at + 1
    left, right = 1, old[at]
    while left != right or (old_end < len(old) and 0 in (left, right)):
        if left < right and new_end < len(shape):
            left *= shape[new_end]
            new_end += 1
        elif old_end < len(old):
            right *= old[old_end]
            old_end += 1
        elif new_end < len(shape):
            left *= shape[new_end]
            new_end += 1
        else:
            break
    if old_end == len(old):
        new_end = len(shape)
    return new_end, old_end


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
