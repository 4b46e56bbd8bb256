"""Kernels on blocked channels: a vector of channels on the lanes, pixels of a row in registers.

    x: [n, c floordiv 16, h, w, c mod 16]

One shape of nest serves them all. Around the tile run images, blocks of channels and rows of
pixels; inside are the summed loops; the tile itself has T neighbouring pixels by V vectors:

    for n, c.o, h, w.o:                 shared by the threads
      for ic.o, kh, kw, ic.i:           what is summed; windows over the edge are cut short
        T pixels (unroll) x V*16 channels (vectorize)

A convolution multiplies one broadcast of x by V vectors of packed weights, T*V times; a depthwise
one, pooling and elementwise chains have vectors of x themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.ir.affine import AffineExpr, AffineMap

from ...core.affine import dim, used
from ...dialects.loop import BufferType, ReadOp, buffer_type
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, Kernel, loops_like, vector_stride
from .elementwise import share
from .register_tile import TILE_SHARES, RegisterTile, TileLoops, nest_tile, prefetch_distance
from .windows import MAX_ROWS, cut_borders, sliding_tile

ELEMENTWISE_ROWS = 4


@dataclass(frozen=True)
class BlockedTile(RegisterTile):
    """Pixels by channels.

    In an outer product pixels are broadcast against vectors of weights. Of windows that slide
    along the row the innermost `unrolled` loops are unrolled.
    """

    is_outer_product: bool = False
    unrolled: int = 0


def is_blocked(compute: Compute) -> bool:
    """Whether a compute reads or writes blocks."""
    buffers = [*compute.stmt.outs, *(read.source for read in compute.reads)]
    return any(block_of(buffer_type(buffer)) is not None for buffer in buffers)


def block_of(type_: BufferType) -> tuple[int, int] | None:
    """(dimension, block) where the innermost memory is a block of one dimension."""
    last = type_.layout_map.results[-1] if type_.layout_map.results else None
    if last is None or type_.layout.name == "none":
        return None
    for position, extent in enumerate(type_.extents):
        size = next((r for r in type_.physical_shape[-1:]), 0)
        if last == dim(position) % size and extent:
            return position, size
    return None


def _read_stride(compute: Compute, read: ReadOp, axis: int, width: int) -> int | None:
    if read.symbols and any(axis in used(e)[0] for e in read.map.data.results):
        return None
    return vector_stride(buffer_type(read.source), read.map.data.results, compute, axis, width)


def lane_axis(compute: Compute, lanes: int) -> int | None:
    """The axis of the result that is contiguous in memory, vector by vector."""
    type_ = buffer_type(compute.stmt.outs[0])
    map_ = compute.stmt.out_maps.data[0].data.results
    for position, axis in enumerate(compute.parallel):
        if axis.size > 1 and vector_stride(type_, map_, compute, position, lanes) == 1:
            return position
    return None


def schedule_blocked(
    schedule: Schedule,
    facts: Kernel,
    compute: Compute,
    epilogue: Compute | None,
    target: Target,
) -> bool:
    """Schedule a compute with blocked operands; False if its accesses do not allow it."""
    if any(axis.size == 0 for axis in compute.axes):
        return False
    tile = choose_tile(facts, compute, target)
    if tile is None:
        return False
    pack_weights(schedule, facts, compute, tile, target)
    outer = epilogue or compute
    names = loops_like(schedule, outer, compute)
    whole, inside, over_rows = _tile_loops(schedule, compute, names, tile)
    reduced = _reduce_loops(schedule, compute)
    for loop in reduced[len(reduced) - tile.unrolled :]:
        schedule.unroll(loop)
    nest_tile(schedule, compute, epilogue, tile, TileLoops(whole, reduced, inside))
    if over_rows in whole and _row_tail(compute, tile) == "shift":
        whole = whole[: whole.index(over_rows)]
    if tile.row is not None and tile.unrolled > 1:
        whole = cut_borders(schedule, compute, whole, names, tile.row, tile.rows)
    share(schedule, whole, compute.points)
    if tile.is_outer_product:
        prefetch_weights(schedule, facts, compute, reduced, tile.rows * tile.width, target)
    return True


def prefetch_weights(
    schedule: Schedule,
    facts: Kernel,
    compute: Compute,
    reduced: Sequence[str],
    products: int,
    target: Target,
) -> None:
    """Ask for packed weights as long before they are used as memory takes to bring them.

    `reduced` are the summed loops of the tile, of which the innermost goes through the weights;
    `products` counts the multiply-adds in one iteration of it. Weights that stay in the first cache
    need not be asked for.
    """
    if not reduced or (schedule.extent(reduced[-1]) or 2) < 2:
        return
    distance = prefetch_distance(products, target)
    for read in compute.reads:
        size = 4 * buffer_type(read.source).num_elements
        if facts.is_const(read.source) and 2 * size > target.l1_bytes:
            schedule.prefetch(facts.name(read.source), reduced[-1], distance)


def _row_tail(compute: Compute, tile: BlockedTile) -> str | None:
    """What becomes of pixels that fill no tile: the last tile moves back over its neighbour.

    Threads cannot share overlapping tiles; where there is nothing else to share they are masked.
    """
    if tile.row is None or compute.parallel[tile.row].size % tile.rows == 0:
        return None
    sizes = [axis.size for axis in compute.parallel]
    sizes[tile.lane] = -(-sizes[tile.lane] // tile.width)
    return "shift" if prod(sizes[: tile.row]) >= TILE_SHARES else None


def _tile_loops(
    schedule: Schedule, compute: Compute, names: list[str], tile: BlockedTile
) -> tuple[list[str], list[str], str]:
    """Loops around the tile in order of memory, its own (pixels, channels), and that over rows."""
    whole: list[str] = []
    over_rows = ""
    row_part: list[str] = []
    lane_part = ""
    for position, (name, axis) in enumerate(zip(names, compute.parallel, strict=True)):
        size = axis.size
        factor = {tile.lane: tile.width, tile.row: tile.rows}.get(position)
        if factor is None or factor == 1:
            whole.append(name)
            continue
        part = name
        if factor < size:
            tail = _row_tail(compute, tile) if position == tile.row else None
            out, part = schedule.split(name, factor, tail)
            whole.append(out)
            over_rows = out if position == tile.row else over_rows
        if position == tile.lane:
            lane_part = part
        else:
            row_part = [part]
    return whole, [*row_part, lane_part], over_rows


def _reduce_loops(schedule: Schedule, compute: Compute) -> list[str]:
    """The summed loops: blocks of input channels, window, channels of a block."""
    loops = [compute.loop(axis) for axis in compute.reduce]
    first = len(compute.parallel)
    for read in compute.reads:
        found = block_of(buffer_type(read.source))
        if found is None:
            continue
        place, block = found
        expr = read.map.data.results[place]
        for number, axis in enumerate(compute.reduce):
            if first + number in used(expr)[0]:
                if axis.size <= block:
                    rest = [loop for loop in loops if loop != loops[number]]
                    return [*rest, loops[number]]
                outer, inner = schedule.split(loops[number], block)
                rest = [loop for loop in loops if loop != loops[number]]
                return [outer, *rest, inner]
    return loops


def choose_tile(facts: Kernel, compute: Compute, target: Target) -> BlockedTile | None:
    """The axes and extents of the register tile."""
    lanes = target.lanes
    lane = lane_axis(compute, lanes)
    if lane is None:
        return None
    broadcast: list[ReadOp] = []
    for read in compute.reads:
        along = _read_stride(compute, read, lane, lanes)
        if along == 0:
            broadcast.append(read)
        elif along != 1 and not _is_weight(facts, compute, read):
            return None
    rows = [p for p, a in enumerate(compute.parallel) if p > lane and a.size > 1]
    row = rows[-1] if rows else None
    size = compute.parallel[row].size if row is not None else 1
    length = compute.parallel[lane].size
    is_outer_product = compute.product() is not None and bool(broadcast)
    if is_outer_product:
        width, count = _outer_product(compute, facts, lane, length, size, target)
    elif row is not None and (sliding := sliding_tile(compute, row, target)) is not None:
        return BlockedTile(lane, lanes, row, sliding.rows, unrolled=sliding.unrolled)
    elif compute.reduce:
        width = lanes * (1 if row is not None else independent_vectors(-(-length // lanes)))
        count = balanced(size, MAX_ROWS)
    else:
        width, count = lanes, balanced(size, ELEMENTWISE_ROWS)
    return BlockedTile(lane, width, row, count, is_outer_product)


def whole_or_balanced(size: int, limit: int) -> int:
    """Tiles that divide, if they are not much smaller than balanced ones, which leave a tail."""
    most = balanced(size, limit)
    return next((n for n in range(limit, most * 3 // 4, -1) if size % n == 0), most)


def independent_vectors(count: int) -> int:
    """Vectors that are summed side by side, to hide the latency of one sum: as many as divide."""
    return next((v for v in (4, 3, 2) if count % v == 0), min(count, 4))


def balanced(size: int, limit: int) -> int:
    """The extent of tiles, at most `limit`, that are as few as can be and alike."""
    return -(-size // -(-size // limit))


def _outer_product(
    compute: Compute, facts: Kernel, lane: int, length: int, height: int, target: Target
) -> tuple[int, int]:
    """Channels and pixels of a tile whose pixels are broadcast against vectors of weights."""
    best: tuple[float, int, int] = (0.0, target.lanes, 1)
    for width in _widths(length, target):
        if not _broadcasts(compute, facts, lane, width):
            continue
        vectors = -(-width // target.lanes)
        limit = max(1, (target.registers - 1 - vectors) // vectors)
        rows = whole_or_balanced(height, limit)
        filled = length / (-(-length // width) * target.fma_vectors(width) * target.lanes)
        filled *= height / (-(-height // rows) * rows)
        score = (
            filled * efficiency(rows, vectors, target) + 1e-3 * rows * vectors / target.registers
        )
        if score > best[0] + 1e-9:
            best = (score, width, rows)
    return best[1], best[2]


def _widths(length: int, target: Target) -> list[int]:
    """Extents of a tile along the channels: vectors, and all channels that end in half a vector."""
    lanes = target.lanes
    whole = [v * lanes for v in (1, 2, 3, 4) if v == 1 or (v - 1) * lanes < length]
    rest = length % lanes
    ends_early = rest and target.fma_vectors(rest) < 1 and length < 4 * lanes
    return [*whole, length] if ends_early else whole


def efficiency(rows: int, vectors: int, target: Target) -> float:
    """The share of the peak that an outer product of registers reaches.

    Its multiply-adds share the time with its loads, and must be enough to hide their latency.
    """
    products = rows * vectors
    cycles = max(products / target.fma_per_cycle, (rows + vectors) / target.loads_per_cycle)
    busy = min(1.0, products / (target.fma_latency * target.fma_per_cycle))
    return products / target.fma_per_cycle / cycles * busy


def _broadcasts(compute: Compute, facts: Kernel, lane: int, width: int) -> bool:
    """Whether a factor is the same for `width` channels (they may lie in groups)."""
    return any(
        _read_stride(compute, read, lane, width) == 0
        for read in compute.reads
        if not facts.is_const(read.source)
    )


def _is_weight(facts: Kernel, compute: Compute, read: ReadOp) -> bool:
    """Whether a read is of a constant that can be laid out as the tile wants it."""
    plain = {dim(i) for i in range(read.map.data.num_dims)}
    exprs = [e for e in read.map.data.results if used(e)[0]]
    return (
        facts.is_const(read.source)
        and block_of(buffer_type(read.source)) is None
        and read.fill is None
        and not read.symbols
        and all(e in plain for e in exprs)
        and sum(r.source is read.source for c in facts.computes for r in c.reads) == 1
    )


def pack_weights(
    schedule: Schedule, facts: Kernel, compute: Compute, tile: BlockedTile, target: Target
) -> None:
    """Lay constant factors out in the order in which the tile reads them."""
    for read in compute.reads:
        if not _is_weight(facts, compute, read):
            continue
        results = read.map.data.results
        at = {next(iter(used(e)[0])): i for i, e in enumerate(results) if used(e)[0]}
        if tile.lane in at and len(at) > 1:
            layout = _packed(compute, results, at, tile)
            schedule.pack(facts.name(read.source), layout)


def _packed(
    compute: Compute, results: tuple[AffineExpr, ...], at: dict[int, int], tile: BlockedTile
) -> AffineMap:
    """Blocks of output channels, blocks of input channels, window, then what the tile reads."""
    lane = at[tile.lane]
    summed = _blocked_reduce_axis(compute)
    inner: list[AffineExpr] = [dim(lane) % tile.width]
    outer: list[AffineExpr] = [dim(i) for i, e in enumerate(results) if not used(e)[0]]
    outer.append(dim(lane) // tile.width)
    if summed is not None and summed[0] in at:
        place, block = at[summed[0]], summed[1]
        if compute.axes[summed[0]].size > block:
            outer.append(dim(place) // block)
            inner = [dim(place) % block, *inner]
        else:
            inner = [dim(place), *inner]
    done = {lane, at.get(summed[0]) if summed else None}
    rest = [dim(i) for _, i in sorted(at.items()) if i not in done]
    return AffineMap(len(results), 0, (*outer, *rest, *inner))


def _blocked_reduce_axis(compute: Compute) -> tuple[int, int] | None:
    """(axis, block) of the summed axis that runs through blocks of an operand."""
    for read in compute.reads:
        found = block_of(buffer_type(read.source))
        if found is None:
            continue
        for position in used(read.map.data.results[found[0]])[0]:
            if compute.axes[position].is_reduce:
                return position, found[1]
    return None
