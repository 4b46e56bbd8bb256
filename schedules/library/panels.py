"""Panels: the columns of a matrix that a tile's lanes read, all sums long, and how they are read.

A constant matrix is packed when the model is compiled. Of one that is computed, the rows of a panel
lie whole rows of the matrix apart, each on another page, so that no machine sees the next one
coming. Either each panel is copied before all rows pass over it, or, where few of them pass and the
panel stays in cache as it lies, each iteration asks for what a later one reads:

    for j.o:                        for j.o:
      copy b[:, j.o]                  for i.o:
      for i.o:                          for k:
        for k: 14x32 FMAs                 prefetch b[k + 16, j.o]; 14x32 FMAs
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from ...core.affine import used
from ...dialects.loop import ReadOp, buffer_type
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, Kernel, is_plain, read_stride, streamed
from .register_tile import RegisterTile, fma_cycles, prefetch_distance

PANEL_SHARE = 0.6
"""Of the second cache, what a panel may take."""
FEW_PASSES = 16
"""Passes over a panel before its copy has paid: making it costs about as much as one of them, and
each pass over it is a twentieth faster. Measured for 2 to 30 passes over 512 and 768 rows."""
ROW_CYCLES = 13
"""Work for each row of a panel in which its page and its lines are found as it lies. 6, those of
tiles for AVX2, are too few: that was three quarters of the speed."""


def panels_first(compute: Compute, tile: RegisterTile, target: Target) -> bool:
    """Whether panels of the streamed factor stay in cache while all rows pass, or the other way.

    Either the streamed factor is read again for every tile of rows, or the broadcast one for every
    panel; `panel` bytes must fit the cache.
    """
    factors = _factors(compute, tile)
    whole, rows = (4 * buffer_type(read.source).num_elements for read in factors)
    panels = -(-compute.parallel[tile.lane].size // tile.width)
    passes = _passes(compute, tile)
    if whole // panels > target.l2_bytes * PANEL_SHARE:
        return False
    by_rows = streamed(whole, passes, target) + streamed(rows, 1, target)
    return streamed(rows, panels, target) + streamed(whole, 1, target) < by_rows


@dataclass(frozen=True)
class PanelCopy:
    """The compute that copies panels, and its loop along the lanes."""

    symbol: str
    lanes: str

    def place(self, schedule: Schedule, panels: str) -> None:
        """Copy a panel in each iteration of `panels`."""
        schedule.compute_at(self.symbol, panels)
        schedule.vectorize(self.lanes)


def copy_panels(
    schedule: Schedule, facts: Kernel, compute: Compute, tile: RegisterTile, target: Target
) -> PanelCopy | None:
    """Read a computed factor through a copy, which is yet to be placed, where that pays."""
    factor = _computed(facts, compute, tile)
    if factor is None or _reads_as_it_lies(compute, tile, factor, target):
        return None
    copy = schedule.cache_read(facts.name(factor.source), compute.symbol, "scratch")
    lanes = next(i for i, e in enumerate(factor.map.data.results) if tile.lane in used(e)[0])
    return PanelCopy(copy, f"{copy}.d{lanes}")


def prefetch_rows(
    schedule: Schedule, facts: Kernel, compute: Compute, tile: RegisterTile, target: Target
) -> None:
    """Ask for later rows of a computed factor, at most half of those that the first cache keeps."""
    factor, innermost = _computed(facts, compute, tile), len(compute.axes) - 1
    stride = read_stride(compute, factor, innermost) if factor is not None else None
    if factor is None or not stride or compute.axes[innermost].size < 2:
        return
    distance = prefetch_distance(tile.rows * tile.width, target)
    distance = min(distance, max(1, target.l1_keeps(4 * stride) // 2))
    schedule.prefetch(facts.name(factor.source), compute.loop(compute.axes[innermost]), distance)


def _computed(facts: Kernel, compute: Compute, tile: RegisterTile) -> ReadOp | None:
    """The factor along the lanes, if it is an argument that lies as another kernel has left it."""
    read, _ = _factors(compute, tile)
    given = facts.is_argument(read.source) and not facts.is_const(read.source)
    return read if given and is_plain(read) else None


def _reads_as_it_lies(compute: Compute, tile: RegisterTile, factor: ReadOp, target: Target) -> bool:
    """Whether few tiles of rows read a panel, and do not wait for it.

    It has to stay in the second cache, its rows not displacing each other.
    """
    stride = read_stride(compute, factor, len(compute.axes) - 1)
    rows = prod(axis.size for axis in compute.reduce)
    return (
        _passes(compute, tile) <= FEW_PASSES
        and fma_cycles(tile.rows * tile.width, target) >= ROW_CYCLES
        and stride is not None
        and rows <= target.l2_keeps(4 * stride)
    )


def _factors(compute: Compute, tile: RegisterTile) -> tuple[ReadOp, ReadOp]:
    """The factor along the lanes, then the one that is broadcast."""
    lhs, rhs = compute.product() or (None, None)
    assert lhs is not None
    assert rhs is not None
    return (rhs, lhs) if read_stride(compute, lhs, tile.lane) == 0 else (lhs, rhs)


def _passes(compute: Compute, tile: RegisterTile) -> int:
    """How many tiles of rows read the same panel."""
    return -(-compute.parallel[tile.row].size // tile.rows) if tile.row is not None else 1
