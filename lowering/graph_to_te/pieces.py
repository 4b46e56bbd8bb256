"""Parts of tensors: concat, slice, split, tile, pad."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import i1

from ...dialects.graph.pieces import ConcatOp, PadOp, SliceOp, SplitOp, TileOp, numpy_slice
from ...dialects.te_build import Index, Scalar, Tensor
from ...dialects.te_build import functions as fn
from ...dialects.te_build.tensor import Splat
from .movement import moved
from .reduce import names_of
from .site import Lowering, Site


def lower_concat(op: ConcatOp, at: Site) -> Sequence[Tensor]:
    """Each operand is read where the index along the axis is its own; the others give way."""
    parts = [at[value] for value in op.inputs]
    axis = op.axis.value.data % parts[0].rank
    starts = [0]
    for part in parts:
        starts.append(starts[-1] + part.shape[axis])
    filled = [(p, s) for p, s in zip(parts, starts, strict=False) if p.shape[axis]]
    if len(filled) <= 1:
        return [filled[0][0] if filled else parts[0]]

    def body(*i: Index) -> Scalar:
        first, start = filled[0]
        value = _guarded(first, i, axis, start)
        for part, start in filled[1:]:
            value = fn.where(i[axis] < start, value, _guarded(part, i, axis, start))
        return value

    return [at.k.compute("concat", at.axes(*parts), body)]


def _guarded(part: Tensor, i: Sequence[Index], axis: int, start: int) -> Scalar:
    place = [index - start if d == axis else index for d, index in enumerate(i)]
    return part.read(place, part.value if isinstance(part, Splat) else 0)


def lower_slice(op: SliceOp, at: Site) -> Sequence[Tensor]:
    """y[i] = x[start + step * i] along the sliced axes."""
    data = at[op.data]
    starts, ends = at.ints(op.starts, "starts"), at.ints(op.ends, "ends")
    axes = list(range(len(starts))) if op.axes is None else at.ints(op.axes, "axes")
    steps = [1] * len(starts) if op.steps is None else at.ints(op.steps, "steps")
    first: dict[int, tuple[int, int]] = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        part = numpy_slice(start, end, step, data.shape[axis])
        first[axis % data.rank] = (int(part.start), step)

    def place(i: Sequence[Index]) -> Sequence[Index]:
        offsets = [first.get(d, (0, 1)) for d in range(data.rank)]
        return [index * step + start for index, (start, step) in zip(i, offsets, strict=True)]

    return [moved(at, data, place)]


def lower_split(op: SplitOp, at: Site) -> Sequence[Tensor]:
    """One compute for each piece."""
    data = at[op.data]
    axis = op.axis.value.data % data.rank
    pieces: list[Tensor] = []
    start = 0
    for result in range(len(op.results)):
        shape = at.shape(result)
        pieces.append(_piece(at, data, axis, start, shape))
        start += shape[axis]
    return pieces


def _piece(at: Site, data: Tensor, axis: int, start: int, shape: Sequence[int]) -> Tensor:
    def body(*i: Index) -> Scalar:
        return data.read([index + start if d == axis else index for d, index in enumerate(i)])

    return at.k.compute("split", dict(zip(names_of(data), shape, strict=True)), body)


def lower_tile(op: TileOp, at: Site) -> Sequence[Tensor]:
    """y[i] = x[i mod extent]."""
    data = at[op.data]

    def place(i: Sequence[Index]) -> Sequence[Index]:
        return [index % size for index, size in zip(i, data.shape, strict=True)]

    return [moved(at, data, place)]


def lower_pad(op: PadOp, at: Site) -> Sequence[Tensor]:
    """A guarded read; reflect, edge and wrap compute the index instead."""
    data = at[op.data]
    pads = at.ints(op.pads, "pads")
    axes = list(range(data.rank)) if op.axes is None else at.ints(op.axes, "axes")
    around = {axis % data.rank: (pads[n], pads[n + len(axes)]) for n, axis in enumerate(axes)}
    mode = op.mode.data
    if mode == "constant":
        return [_pad_constant(op, at, data, {d: begin for d, (begin, _) in around.items()})]

    def body(*i: Index) -> Scalar:
        place = [
            _padded(index, data.shape[d], *around.get(d, (0, 0)), mode) for d, index in enumerate(i)
        ]
        return data.read(place)

    return [at.k.compute("pad", at.axes(data), body)]


def _padded(index: Index, size: int, begin: int, end: int, mode: str) -> Index | Scalar:
    """Where an index of the result reads; negative pads cut before the rest is repeated."""
    cut = max(-begin, 0)
    rest = size - cut - max(-end, 0)
    if begin <= 0 and end <= 0:
        return index + cut
    return _folded(index - max(begin, 0), rest, mode) + cut


def _pad_constant(op: PadOp, at: Site, data: Tensor, before: dict[int, int]) -> Tensor:
    fill = at.maybe(op.constant_value)
    known = 0 if fill is None else fill.value if isinstance(fill, Splat) else None

    def body(*i: Index) -> Scalar:
        place = [index - before.get(d, 0) for d, index in enumerate(i)]
        if known is not None and not isinstance(data, Splat):
            return data.read(place, known)
        return _selected(at, data, place, fill)

    return at.k.compute("pad", at.axes(data), body)


def _selected(at: Site, data: Tensor, place: Sequence[Index], fill: Tensor | None) -> Scalar:
    """The element, or the fill value where the place is outside; the slow way."""
    inside = at.k.body.constant(True, i1)
    for index, size in zip(place, data.shape, strict=True):
        inside = inside & (index >= 0) & (index < size)
    value = data.read(place, data.value if isinstance(data, Splat) else 0)
    if fill is None:
        return fn.where(inside, value, 0)
    return fn.where(inside, value, fill.read([0] * fill.rank))


def _folded(index: Index, size: int, mode: str) -> Index | Scalar:
    """An index outside of [0, size) brought back inside."""
    if mode == "wrap":
        return index % size
    if mode == "edge":
        return fn.minimum(fn.maximum(index, 0), size - 1)
    if size == 1:
        return index * 0
    period = 2 * (size - 1)
    place = (index % period).scalar()
    return fn.minimum(place, period - place)


LOWERINGS: dict[str, Lowering] = {
    "graph.concat": lower_concat,
    "graph.slice": lower_slice,
    "graph.split": lower_split,
    "graph.tile": lower_tile,
    "graph.pad": lower_pad,
}
