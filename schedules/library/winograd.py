"""Convolutions in tiles: transforms in registers, products as one matrix multiplication a position.

The kernel has computes with literal matrices before and after a sum of products:

    V = B^T d B       [position][c / 16][tiles][16]      written once
    M = U V           [position][tiles][channels of a group]
    y = A^T M A       and what follows it, pixel by pixel

Either all of V is made first, by all threads, and then each takes groups of output channels and
reads V again for every group (small images, many channels); or each thread takes rows of tiles,
whose V stays in its cache, and reads the weights U again for every row (large images).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import prod

from xdsl.ir.affine import AffineMap

from ...core.affine import dim
from ...dialects.loop import CoeffOp, buffer_type
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, Kernel, streamed
from .blocked import balanced, prefetch_weights
from .elementwise import share


@dataclass(frozen=True)
class TiledConvolution:
    """The computes of a convolution in tiles.

    Attributes:
        before: transforms of the input; the last one writes V.
        products: M.
        back: transforms of the output.
        final: what reads them, pixel by pixel.
    """

    before: list[Compute]
    products: Compute
    back: list[Compute]
    final: Compute

    @property
    def symbols(self) -> set[str]:
        """Of all these computes."""
        return {c.symbol for c in (*self.before, self.products, *self.back, self.final)}

    @property
    def tile(self) -> int:
        """Pixels of a tile in each direction."""
        return self.back[-1].axes[0].size

    def extent(self, label: str) -> int:
        """Of an axis of the products."""
        return next(axis.size for axis in self.products.axes if axis.label == label)


def has_literals(compute: Compute) -> bool:
    """Whether a compute reads a literal matrix."""
    return any(isinstance(op, CoeffOp) for op in compute.stmt.body.block.ops)


def find_tiled_convolution(facts: Kernel) -> TiledConvolution | None:
    """The convolution in tiles that a kernel consists of, if it does."""
    computes = facts.computes
    at = next((i for i, c in enumerate(computes) if c.reduce and not has_literals(c)), None)
    if at is None or not at or computes[at].product() is None:
        return None
    before, products, rest = computes[:at], computes[at], computes[at + 1 :]
    back, final = rest[:-1], rest[-1] if rest else None
    if final is None or final.reduce or not back:
        return None
    if not all(has_literals(compute) for compute in (*before, *back)):
        return None
    chain = [*before, products, *back, final]
    linked = all(
        [reader.stmt for reader in facts.readers(compute)] == [follower.stmt]
        for compute, follower in pairwise(chain)
    )
    return TiledConvolution(before, products, back, final) if linked else None


def schedule_tiled_convolution(
    schedule: Schedule, facts: Kernel, conv: TiledConvolution, target: Target
) -> None:
    """Schedule the whole kernel."""
    plan = choose_plan(conv, target)
    rows = f"{conv.final.symbol}.h.o" if plan.by_rows else None
    _pixels(schedule, conv, plan)
    if rows is not None:
        schedule.compute_at(conv.before[-1].symbol, rows)
    _before(schedule, conv, plan)
    _products(schedule, facts, conv, plan, target)
    _share(schedule, conv, plan)


@dataclass(frozen=True)
class Plan:
    """How a convolution in tiles runs.

    Attributes:
        by_rows: threads take rows of tiles instead of groups of output channels.
        lanes: channels of one vector.
        width: output channels of a group, whole vectors.
        rows: tiles of the products' register tile.
    """

    by_rows: bool
    lanes: int
    width: int
    rows: int


def choose_plan(conv: TiledConvolution, target: Target) -> Plan:
    """Compare what is read again and again: V for each group, or U for each row of tiles."""
    lanes = target.lanes
    out, channels = conv.extent("c"), conv.extent("ic")
    positions = conv.extent("a") * conv.extent("b")
    tiles = conv.extent("n") * conv.extent("th") * conv.extent("tw")
    row_blocks = conv.extent("n") * conv.extent("th")
    vectors = 2 if out > 2 * lanes else 1  # at least two groups, where there are as many vectors
    groups = -(-out // (vectors * lanes))
    v_bytes = 4 * positions * tiles * channels
    u_bytes = 4 * positions * out * channels
    by_group = streamed(v_bytes, groups, target) + streamed(u_bytes, 1, target)
    by_row = streamed(u_bytes, row_blocks, target)
    by_rows = by_row < by_group and row_blocks >= MIN_ROW_BLOCKS
    count = conv.extent("tw") if by_rows else tiles
    if not by_rows and 8 < count < target.registers - 2:
        vectors = 1  # all tiles in registers: every weight is read once
    if count <= 4 and out % (4 * lanes) == 0 and groups >= 4 * MIN_ROW_BLOCKS:
        vectors = 4
    limit = (target.registers - 1 - vectors) // vectors
    return Plan(by_rows, lanes, vectors * lanes, balanced(count, max(1, limit)))


MIN_ROW_BLOCKS = 4
"""Fewer rows of tiles than this are not shared out evenly."""


def _loops(compute: Compute) -> dict[str, str]:
    """The loops of a compute by the labels of its axes."""
    return {axis.label: compute.loop(axis) for axis in compute.axes}


def _pixels(schedule: Schedule, conv: TiledConvolution, plan: Plan) -> None:
    """The nest of the result: rows of tiles or groups outside, then tiles, then a tile's pixels."""
    final = conv.final
    n, c, h, w = (final.loop(axis) for axis in final.parallel)
    group, lane_blocks, lanes = _channel_loops(schedule, final, c, plan)
    rows, row = schedule.split(h, conv.tile)
    columns, column = schedule.split(w, conv.tile)
    outer = [n, rows, *group] if plan.by_rows else [*group, n, rows]
    schedule.reorder(*outer, columns, *lane_blocks, row, column, lanes)
    place = lane_blocks[-1] if lane_blocks else columns
    for compute in reversed(conv.back):
        schedule.compute_at(compute.symbol, place)
    if group:
        schedule.compute_at(conv.products.symbol, group[-1])
    elif plan.by_rows:
        schedule.compute_at(conv.products.symbol, rows)
    for loop in (row, column):
        schedule.unroll(loop)
    schedule.vectorize(lanes)
    for compute in conv.back:
        _in_registers(schedule, compute)


def _channel_loops(
    schedule: Schedule, compute: Compute, loop: str, plan: Plan
) -> tuple[list[str], list[str], str]:
    """Groups, vectors of a group, and lanes of the loop over output channels."""
    size = compute.parallel[1].size
    group: list[str] = []
    blocks: list[str] = []
    if size > plan.width:
        outer, loop = schedule.split(loop, plan.width)
        group = [outer]
    if min(size, plan.width) > plan.lanes:
        outer, loop = schedule.split(loop, plan.lanes)
        blocks = [outer]
    return group, blocks, loop


def _in_registers(schedule: Schedule, compute: Compute) -> None:
    """A transform of one tile, lanes of channels: every other loop unrolled."""
    loops = _loops(compute)
    schedule.set_scope(compute.symbol, "register")
    schedule.reorder(*(loops[label] for label in ("n", "th", "tw", "r", "a", "b", "c")))
    for label in ("r", "a", "b"):
        schedule.unroll(loops[label])
    schedule.vectorize(loops["c"])


def _before(schedule: Schedule, conv: TiledConvolution, plan: Plan) -> None:
    """The nest of V: vectors of channels, tiles; the whole transform in registers."""
    last = conv.before[-1]
    loops = _loops(last)
    outer, lanes = [], loops["c"]
    if last.parallel[3].size > plan.lanes:
        blocks, lanes = schedule.split(loops["c"], plan.lanes)
        outer = [blocks]
    schedule.reorder(
        loops["n"], *outer, loops["th"], loops["tw"], loops["r"], loops["a"], loops["b"], lanes
    )
    for compute in reversed(conv.before[:-1]):
        schedule.compute_at(compute.symbol, loops["tw"])
    for compute in conv.before[:-1]:
        _in_registers(schedule, compute)
    for label in ("r", "a", "b"):
        schedule.unroll(loops[label])
    schedule.vectorize(lanes)
    if not plan.by_rows:
        share(schedule, [loops["n"], *outer, loops["th"]], last.points)


def _products(
    schedule: Schedule, facts: Kernel, conv: TiledConvolution, plan: Plan, target: Target
) -> None:
    """The nest of M: position by position, tiles as rows, a group's channels as lanes."""
    compute = conv.products
    loops = _loops(compute)
    tiles = schedule.fuse(loops["n"], *_after(schedule, loops))
    outer = [loops["a"], loops["b"]]
    part = tiles
    size = schedule.extent(tiles) or 1
    if size > plan.rows:
        whole, part = schedule.split(tiles, plan.rows, "shift" if size % plan.rows else None)
        outer.append(whole)
    summed = [loops["ic"]]
    if conv.extent("ic") > plan.lanes:
        summed = list(schedule.split(loops["ic"], plan.lanes))
    schedule.reorder(*outer, *summed, part, loops["c"])
    if plan.rows > 1:
        schedule.unroll(part)
    schedule.vectorize(loops["c"])
    work = plan.rows * plan.width
    for read in compute.reads:
        if facts.is_const(read.source) and buffer_type(read.source).layout.name == "none":
            blocks = (dim(2) // plan.width, dim(0), dim(1), dim(3), dim(2) % plan.width)
            schedule.pack(facts.name(read.source), AffineMap(4, 0, blocks))
    prefetch_weights(schedule, facts, compute, summed, work, target)


def _after(schedule: Schedule, loops: dict[str, str]) -> list[str]:
    """The loops over rows and columns of tiles, moved next to that over images."""
    schedule.reorder(loops["a"], loops["b"], loops["c"], loops["n"], loops["th"], loops["tw"])
    return [loops["th"], loops["tw"]]


def _share(schedule: Schedule, conv: TiledConvolution, plan: Plan) -> None:
    """Threads share images and rows of tiles, or groups of channels."""
    final = conv.final
    n, c, h, _ = (final.loop(axis) for axis in final.parallel)
    if plan.by_rows:
        share(schedule, [n, f"{h}.o"], prod(axis.size for axis in conv.products.axes))
    elif f"{c}.o" in schedule.loops(final.symbol):
        group = f"{c}.o"
        if final.parallel[1].size > plan.width:
            share(schedule, [group], prod(axis.size for axis in conv.products.axes))
