"""Between row-major images and blocked channels: square tiles, transposed in registers.

    x: [n, c, h, w]  ->  y: [n, c floordiv 16, h, w, c mod 16]         or the other way

A tile is 16 channels by 16 neighbouring pixels, read along one of the two and written along the
other. What fills no tile, channels or pixels, has nests of its own, so that whole tiles need no
masks.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir.affine import AffineExpr

from ...dialects.loop import BufferType, buffer_type
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, vector_stride
from .elementwise import PARALLEL_POINTS


def is_relayout(compute: Compute, target: Target) -> bool:
    """Whether lanes along pixels and lanes along channels are each contiguous in some access."""
    if compute.reduce or len(compute.parallel) < 3 or 0 in (a.size for a in compute.parallel):
        return False
    if any(read.symbols or read.fill is not None for read in compute.reads):
        return False
    pixels = len(compute.parallel) - 1
    sides = {1: False, pixels: False}
    for access in _accesses(compute):
        found = _strides(compute, access, target)
        if found is None:
            return False
        along_channels, along_pixels = found
        sides[1] |= along_channels == 1 and along_pixels not in (0, 1)
        sides[pixels] |= along_pixels == 1 and along_channels not in (0, 1)
    return all(sides.values()) and min(compute.parallel[a].size for a in sides) > 1


Access = tuple[BufferType, Sequence[AffineExpr]]


def _accesses(compute: Compute) -> list[Access]:
    """What a compute writes, then its reads: buffer types and indices."""
    stmt = compute.stmt
    written = (buffer_type(stmt.outs[0]), stmt.out_maps.data[0].data.results)
    return [written, *((buffer_type(r.source), r.map.data.results) for r in compute.reads)]


def _strides(compute: Compute, access: Access, target: Target) -> tuple[int, int] | None:
    """Strides along channels, in vectors of them, and along the last axis."""
    last = len(compute.parallel) - 1
    channels = vector_stride(*access, compute, 1, target.lanes)
    pixels = vector_stride(*access, compute, last, compute.axes[last].size)
    return None if channels is None or pixels is None else (channels, pixels)


def schedule_relayout(schedule: Schedule, compute: Compute, target: Target) -> None:
    """Tiles of channels by pixels, in nests for whole tiles and for the rest."""
    written = _strides(compute, _accesses(compute)[0], target)
    assert written is not None, "is_relayout has looked at it"
    to_blocks = written[0] == 1
    batch, channels, *spatial = (compute.loop(axis) for axis in compute.parallel)
    pixels = _pixels(schedule, compute, spatial)
    rows = [loop for loop in spatial if loop in schedule.loops(compute.symbol) and loop != pixels]
    count = schedule.extent(pixels) or 1
    channel_tiles, channel = _tiles(schedule, channels, compute.parallel[1].size, target)
    pixel_tiles, pixel = _tiles(schedule, pixels, count, target)
    inside = [pixel, channel] if to_blocks else [channel, pixel]
    schedule.reorder(*channel_tiles, batch, *rows, *pixel_tiles, *inside)
    schedule.unroll(inside[0])
    schedule.vectorize(inside[1])
    parts = [""]
    if channel_tiles:
        if compute.points >= PARALLEL_POINTS:
            schedule.parallel(channel_tiles[0])
        parts = _cut(schedule, channel_tiles[0], compute.parallel[1].size, target)
    for part in parts if pixel_tiles else []:
        _cut(schedule, f"{pixel_tiles[0]}{part}", count, target)


def _tiles(schedule: Schedule, loop: str, size: int, target: Target) -> tuple[list[str], str]:
    """The loop over tiles, if there are several, and the loop of a tile."""
    if size <= target.lanes:
        return [], loop
    whole, part = schedule.split(loop, target.lanes)
    return [whole], part


def _cut(schedule: Schedule, loop: str, size: int, target: Target) -> list[str]:
    """Cut a loop over tiles before the one that is not full; what is added to names inside."""
    whole, rest = divmod(size, target.lanes)
    if not rest:
        return [""]
    return [f".{part}" for part, _ in enumerate(schedule.partition(loop, [whole]))]


def _pixels(schedule: Schedule, compute: Compute, spatial: list[str]) -> str:
    """The last spatial loop, with those before it along which every access goes on as in a row."""
    last = len(compute.parallel) - 1
    pixels, length = spatial[-1], compute.parallel[-1].size
    for position in range(last - 1, 1, -1):
        for type_, exprs in _accesses(compute):
            inner = vector_stride(type_, exprs, compute, last, compute.axes[last].size)
            size = compute.axes[position].size
            step = vector_stride(type_, exprs, compute, position, size)
            if inner is None or step != inner * length:
                return pixels
        pixels = schedule.fuse(compute.loop(compute.parallel[position]), pixels)
        length *= compute.parallel[position].size
    return pixels
