"""A tile of the result that stays in registers while its sums are computed.

    around the tile:  whole            shared by the threads
      reduced                          what is summed
        inside: rows (unroll) x lanes (vectorize)

With an epilogue, which reads the sums, the nest is the epilogue's: the sums of one tile are
computed just before it, in registers.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...targets import Target
from ..replay import Schedule
from .analysis import Compute

TILE_SHARES = 8
"""Iterations that threads share out well enough where each has whole tiles."""


@dataclass(frozen=True)
class RegisterTile:
    """`rows` of axis `row` (a position; `None`: one) by `width` of axis `lane`."""

    lane: int
    width: int
    row: int | None
    rows: int


@dataclass(frozen=True)
class TileLoops:
    """The loops of a tiled nest: around the tile, of the sums, and the tile's own, lanes last."""

    whole: list[str]
    reduced: list[str]
    inside: list[str]


def nest_tile(
    schedule: Schedule,
    compute: Compute,
    epilogue: Compute | None,
    tile: RegisterTile,
    loops: TileLoops,
) -> None:
    """Bring the loops of a tiled compute, or of its epilogue, in order, and mark the tile's."""
    if epilogue is None:
        schedule.reorder(*loops.whole, *loops.reduced, *loops.inside)
    else:
        schedule.reorder(*loops.whole, *loops.inside)
        _attach(schedule, compute, tile, loops)
    _mark(schedule, loops.inside, tile)


def prefetch_distance(products: int, target: Target) -> int:
    """Iterations of so many multiply-adds that pass while memory brings a line."""
    return max(1, round(target.memory_latency / fma_cycles(products, target)))


def fma_cycles(products: int, target: Target) -> float:
    """Cycles that so many multiply-adds take at best."""
    return products / (target.lanes * target.fma_per_cycle)


def _attach(schedule: Schedule, compute: Compute, tile: RegisterTile, loops: TileLoops) -> None:
    """Compute the sums of one tile just before the tile that uses them, in registers."""
    own = [compute.loop(axis) for axis in compute.parallel]
    tiled = [own[p] for p in (tile.row, tile.lane) if p is not None]
    rest = [name for name in own if name not in tiled]
    if loops.whole:
        schedule.compute_at(compute.symbol, loops.whole[-1])
    schedule.set_scope(compute.symbol, "register")
    schedule.reorder(*rest, *loops.reduced, *tiled)
    _mark(schedule, tiled, tile)


def _mark(schedule: Schedule, loops: list[str], tile: RegisterTile) -> None:
    if len(loops) > 1 and tile.rows > 1:
        schedule.unroll(loops[0])
    schedule.vectorize(loops[-1])
