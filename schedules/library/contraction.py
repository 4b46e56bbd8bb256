"""Sums of products: matrix multiplication, convolution, anything of that shape.

One axis of the result runs along the lanes, one along the rows of a register tile; the summed axes
are serial loops outside the tile. With a row tile of MR and NV vectors, MR * NV accumulators, NV
vectors of one factor and one broadcast of the other must fit the registers.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineExpr,
    AffineMap,
)

from ...core.affine import dim, used
from ...dialects.loop import ReadOp, buffer_type
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, Kernel, is_plain, loops_like, out_stride, read_stride, vector_stride
from .elementwise import share
from .panels import copy_panels, panels_first, prefetch_rows
from .register_tile import TILE_SHARES, RegisterTile, TileLoops, nest_tile


def schedule_contraction(
    schedule: Schedule,
    facts: Kernel,
    compute: Compute,
    epilogue: Compute | None,
    target: Target,
) -> bool:
    """Tile a sum of products for the registers; False if its accesses do not allow it."""
    if any(axis.size == 0 for axis in compute.axes):
        return False
    tile = choose_tile(facts, compute, target)
    if tile is None:
        return False
    pack_factors(schedule, facts, compute, tile)
    names = loops_like(schedule, epilogue or compute, compute)
    loops, panels = _tile_loops(schedule, compute, names, tile, target)
    copy = copy_panels(schedule, facts, compute, tile, target) if panels else None
    nest_tile(schedule, compute, epilogue, tile, loops)
    shared = loops.whole
    if panels and copy:
        copy.place(schedule, panels)
        shared = shared[: shared.index(panels) + 1]
    share(schedule, shared, compute.points, enough=TILE_SHARES)
    if panels and not copy:
        prefetch_rows(schedule, facts, compute, tile, target)
    return True


def _tile_loops(
    schedule: Schedule, compute: Compute, names: list[str], tile: RegisterTile, target: Target
) -> tuple[TileLoops, str | None]:
    """The tile's loops, and that over panels where they come before the tiles of rows."""
    size = compute.parallel[tile.lane].size
    lane_whole, lane_part = _split(schedule, names[tile.lane], tile.width, size)
    row_whole, row_part = None, None
    if tile.row is not None:
        size = compute.parallel[tile.row].size
        row_whole, row_part = _split(schedule, names[tile.row], tile.rows, size)
    tiles = {tile.lane: lane_whole, tile.row: row_whole}
    whole = [loop for at, name in enumerate(names) if (loop := tiles.get(at, name)) is not None]
    panels = lane_whole if row_whole and panels_first(compute, tile, target) else None
    if panels and row_whole:
        whole.remove(panels)
        whole.insert(whole.index(row_whole), panels)
    reduced = [compute.loop(axis) for axis in compute.reduce]
    inside = [part for part in (row_part, lane_part) if part]
    return TileLoops(whole, reduced, inside), panels


def _split(schedule: Schedule, loop: str, factor: int, size: int) -> tuple[str | None, str | None]:
    """(outer, inner) loops of a tile axis; one of them is missing where the tile is all or one."""
    if factor >= size:
        return None, loop
    if factor == 1:
        return loop, None
    return schedule.split(loop, factor)


def choose_tile(facts: Kernel, compute: Compute, target: Target) -> RegisterTile | None:
    """The lanes and row axes, and the tile's extents."""
    lhs, rhs = compute.product() or (None, None)
    assert lhs is not None
    assert rhs is not None
    lane = compute.last_long_axis
    if lane is None or out_stride(compute, lane) != 1:
        return None
    for lanes, broadcast in ((rhs, lhs), (lhs, rhs)):
        along = read_stride(compute, lanes, lane)
        packable = facts.is_const(lanes.source) and is_plain(lanes)
        if read_stride(compute, broadcast, lane) == 0 and (along == 1 or (packable and along)):
            row = _row_axis(compute, lanes, broadcast, lane)
            return _sized(compute, lane, row, broadcast, target)
    return None


@dataclass(frozen=True)
class Rows:
    """The axis of a tile's rows, and how many neighbours share the streamed factor."""

    axis: int
    shared: int


def _row_axis(compute: Compute, streamed: ReadOp, broadcast: ReadOp, lane: int) -> Rows | None:
    """The parallel axis with the most neighbours that share the streamed factor.

    All of them where it does not depend on the axis; those of a group where it depends on the
    group (the channels of a grouped convolution).
    """
    rows = [
        Rows(position, _shared(compute, streamed, position))
        for position, axis in enumerate(compute.parallel)
        if position != lane and axis.size > 1 and _depends(broadcast, position)
    ]
    best = max(rows, key=lambda row: row.shared, default=None)
    return best if best is not None and best.shared > 1 else None


def _shared(compute: Compute, read: ReadOp, axis: int) -> int:
    """How many aligned neighbours along an axis read the same."""
    if not _depends(read, axis):
        return compute.axes[axis].size
    if read.symbols:
        return 1
    divisors = {
        node.rhs.value
        for expr in read.map.data.results
        for node in expr.dfs()
        if isinstance(node, AffineBinaryOpExpr)
        and node.kind is AffineBinaryOpKind.FloorDiv
        and isinstance(node.rhs, AffineConstantExpr)
        and axis in used(node.lhs)[0]
    }
    type_, exprs = buffer_type(read.source), read.map.data.results
    alike = [d for d in divisors if vector_stride(type_, exprs, compute, axis, d) == 0]
    return max(alike, default=1)


def _depends(read: ReadOp, axis: int) -> bool:
    return any(axis in used(expr)[0] for expr in read.map.data.results)


def _sized(
    compute: Compute, lane: int, row: Rows | None, broadcast: ReadOp, target: Target
) -> RegisterTile:
    """Extents of the tile: few wasted lanes and rows, and the most work for each load.

    Rows that displace each other from the first cache are as many as it keeps, or fewer.
    """
    lanes = target.lanes
    length = compute.parallel[lane].size
    height = compute.parallel[row.axis].size if row is not None else 1
    cached = rows_in_cache(compute, broadcast, row.axis, target) if row is not None else 1
    best: tuple[float, int, int] | None = None
    for vectors in (1, 2, 3, 4):
        width = min(vectors * lanes, length)
        if vectors > 1 and (vectors - 1) * lanes >= length:
            break
        limit = max(1, min((target.registers - 1 - vectors) // vectors, cached))
        rows = _rows(height, row.shared if row is not None else 1, limit)
        used_lanes = length / (-(-length // (vectors * lanes)) * vectors * lanes)
        used_rows = height / (-(-height // rows) * rows)
        per_load = rows * vectors / (rows + vectors)
        # enough independent sums to hide the latency of a multiply-add
        busy = min(1.0, rows * vectors / (target.fma_latency * target.fma_per_cycle))
        score = used_lanes * used_rows * busy * min(per_load, 1.5)
        if best is None or score > best[0] + 1e-9:
            best = (score, width, rows)
    assert best is not None
    return RegisterTile(lane, best[1], row.axis if row is not None else None, best[2])


def rows_in_cache(compute: Compute, read: ReadOp, axis: int, target: Target) -> int:
    """How many neighbours along an axis may be read in turn and stay in the first cache.

    Their lines lie a stride apart; those a multiple of a cache way apart share one place of it.
    """
    stride = read_stride(compute, read, axis)
    return target.l1_keeps(4 * stride) if stride else target.registers


def _rows(height: int, shared: int, limit: int) -> int:
    """Rows of a tile: as few tiles as can be, alike; tiles do not reach from group to group."""
    if shared == height:
        return -(-height // -(-height // limit))
    return max(rows for rows in range(1, limit + 1) if shared % rows == 0)


def pack_factors(schedule: Schedule, facts: Kernel, compute: Compute, tile: RegisterTile) -> None:
    """Lay constant factors out in the order in which the tile reads them."""
    product = compute.product()
    assert product is not None
    for read in product:
        if facts.is_const(read.source) and is_plain(read) and _only_reader(facts, read):
            layout = packed_layout(compute, read, tile)
            if layout is not None:
                schedule.pack(facts.name(read.source), layout)


def _only_reader(facts: Kernel, read: ReadOp) -> bool:
    reads = [r for c in facts.computes for r in c.reads if r.source is read.source]
    return len(reads) == 1


def packed_layout(compute: Compute, read: ReadOp, tile: RegisterTile) -> AffineMap | None:
    """Blocks of the tile's axis outermost, then the other axes, then the places in a block."""
    results = read.map.data.results
    blocked = {tile.lane: tile.width}
    if tile.row is not None and tile.rows > 1:
        blocked[tile.row] = tile.rows
    position = {next(iter(used(expr)[0])): i for i, expr in enumerate(results) if used(expr)[0]}
    axes = [axis for axis in blocked if axis in position]
    if len(axes) != 1:
        return None
    block, axis = blocked[axes[0]], position[axes[0]]
    extents = buffer_type(read.source).extents
    if block >= extents[axis] and axis == len(extents) - 1:
        return None
    order = sorted(position.values(), key=lambda i: _axis_of(results[i]))
    rest: list[AffineExpr] = [dim(i) for i in range(len(extents)) if i != axis and i not in order]
    rest += [dim(i) for i in order if i != axis]
    return AffineMap(len(extents), 0, (dim(axis) // block, *rest, dim(axis) % block))


def _axis_of(expr: AffineExpr) -> int:
    return next(iter(used(expr)[0]))
