"""Windows that slide over an image: the tile of pixels, and where no window meets an edge.

Neighbouring pixels read the same elements, at other places of their windows. A tile that has a
whole window unrolled reads each element once and holds the weights in registers for all of its
image; with many weights only the rows of a window are unrolled.

    for c.o, h.o:                 shared by the threads
      for h.i in the first row, if windows meet an edge there; in the last one alike
      for h.i in between:
        for w.o, the first and the last apart
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.ir.affine import AffineExpr

from ...core.affine import Ranges, bounds, const, dim, linear_terms, simplify, substitute
from ...dialects.loop import buffer_type
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute
from .elementwise import PARALLEL_POINTS, SHARES

MAX_ROWS = 14
"""Pixels of a tile whose vectors are all of x: more do not load fewer."""
MAX_WINDOW = 15
"""Windows up to this extent along a row are unrolled: neighbours then share what they read."""
MIN_CHUNK = 4
"""Rows that a thread takes at least: the first and the last of them test for edges."""


def inner_range(compute: Compute, axis: int) -> tuple[int, int]:
    """The points of an axis whose windows lie inside along it, whatever the other axes are."""
    low, high = 0, compute.axes[axis].size
    zero: list[AffineExpr] = [dim(i) for i in range(len(compute.axes))]
    zero[axis] = const(0)
    ranges = Ranges(tuple((0, each.size) for each in compute.axes))
    for read in compute.reads:
        extents = buffer_type(read.source).extents
        for expr, extent in zip(read.map.data.results, extents, strict=True):
            step = linear_terms(expr).get(dim(axis), 0)
            rest = bounds(simplify(substitute(expr, zero), ranges), ranges)
            if read.fill is None or step <= 0 or rest is None:
                continue
            low = max(low, -(rest[0] // step))
            high = min(high, (extent - rest[1]) // step + 1)
    return low, high


@dataclass(frozen=True)
class SlidingTile:
    """`rows` neighbouring pixels, with the innermost `unrolled` summed loops unrolled."""

    rows: int
    unrolled: int


def sliding_tile(compute: Compute, row: int, target: Target) -> SlidingTile | None:
    """The tile for windows that slide along the axis `row`; None if none do.

    Its sums share the registers with what the windows read, `stride` vectors for each. The whole
    window is unrolled where its weights fit beside no fewer pixels.
    """
    window = window_of(compute, row)
    if window is None:
        return None
    stride, extent = window
    size = compute.parallel[row].size
    of_rows = sliding_rows(size, target.registers // (stride + 1))
    weights = prod(axis.size for axis in compute.reduce)
    of_window = target.registers - 1 - weights - extent
    if of_window >= of_rows:
        return SlidingTile(sliding_rows(size, of_window), len(compute.reduce))
    return SlidingTile(of_rows, 1)


def window_of(compute: Compute, row: int) -> tuple[int, int] | None:
    """(stride, extent) of the window along a row, for a short summed axis that slides along it."""
    last = len(compute.axes) - 1
    if not compute.axes[last].is_reduce or compute.axes[last].size > MAX_WINDOW:
        return None
    for read in compute.reads:
        for expr in read.map.data.results:
            terms = linear_terms(expr)
            if terms.get(dim(row)) and terms.get(dim(last)):
                return terms[dim(row)], compute.axes[last].size
    return None


def sliding_rows(size: int, limit: int) -> int:
    """Pixels of a tile, of a row of `size`: the most of those that leave little of a tile empty."""
    limit = max(1, min(MAX_ROWS, limit))
    return max(
        range(1, min(limit, size) + 1), key=lambda n: size / (-(-size // n) * n) * n / (n + 1)
    )


def cut_borders(
    schedule: Schedule, compute: Compute, whole: list[str], names: list[str], row: int, rows: int
) -> list[str]:
    """Part the rows and tiles at the edges of an image from those that no window leaves.

    `whole` are the loops around the tile, `names` those over the result by axis; the tile has
    `rows` pixels of the axis `row`.

    Returns: the loops that threads share.
    """
    lines = names[row - 1]
    if lines not in whole:
        return whole
    outer, inner = whole[: whole.index(lines)], whole[whole.index(lines) + 1 :]
    size = compute.parallel[row - 1].size
    low, high = inner_range(compute, row - 1)
    length = size // _chunks(schedule, compute, outer, size)
    high -= size - length
    cuts = [cut for cut in (low, high) if 0 < cut < length]
    if not cuts or low >= high:
        return whole
    if length < size:
        chunk, lines = schedule.split(lines, length)
        outer = [*outer, chunk]
    schedule.partition(lines, cuts)
    part = f".{int(low > 0)}"
    tiles = [f"{loop}{part}" for loop in inner if schedule.extent(f"{loop}{part}") != 1]
    if tiles and compute.parallel[row].size % rows == 0:
        _cut_tiles(schedule, compute, tiles[-1], row, rows)
    return outer


def _cut_tiles(schedule: Schedule, compute: Compute, loop: str, row: int, rows: int) -> None:
    """Part the first and the last tile of a row where their windows leave the image."""
    low, high = inner_range(compute, row)
    first, last = -(-low // rows), high // rows
    cuts = {cut for cut in (first, last) if 0 < cut < compute.parallel[row].size // rows}
    if cuts and first <= last:
        schedule.partition(loop, sorted(cuts))


def _chunks(schedule: Schedule, compute: Compute, outer: Sequence[str], size: int) -> int:
    """In how many parts the rows of an image are shared, beside the loops outside of them."""
    if compute.points < PARALLEL_POINTS:
        return 1
    shares = prod(schedule.extent(loop) or 1 for loop in outer)
    fit = [n for n in range(1, size + 1) if size % n == 0 and size // n >= MIN_CHUNK]
    return next((n for n in fit if shares * n >= SHARES), fit[-1] if fit else 1)
