"""Elementwise and data movement: lanes along memory, the rest shared by threads."""

from __future__ import annotations

from ...targets import Target
from ..primitives.split import TAIL_SUFFIX
from ..replay import Schedule
from .analysis import Compute, out_stride, read_stride

PARALLEL_POINTS = 16 * 1024
"""Below this many points, sharing costs more than it saves."""
SHARES = 16
"""Iterations that threads share out well, how many there may be."""


REGISTERS = 4
"""Independent chains: as many as the latency of an addition hides."""
MIN_TRANSPOSED = 4
"""Tiles with fewer rows or columns are read element by element."""


def schedule_elementwise(schedule: Schedule, compute: Compute, target: Target) -> None:
    """Vectorize along the last axis of the result, share the outer loops."""
    axes = compute.parallel
    loops = [compute.loop(axis) for axis in axes]
    if not axes or any(axis.size == 0 for axis in axes):
        return
    turned = transposed_axis(compute, target)
    along = contiguous_reads_axis(compute)
    if along is not None:
        outer = lanes_of_reads(schedule, compute, along, target)
    elif turned is not None:
        outer = tiles_of_transposition(schedule, compute, turned, target)
    else:
        outer = lanes_of_elements(schedule, compute, loops, target)
    share(schedule, outer, compute.points)


def contiguous_reads_axis(compute: Compute) -> int | None:
    """The axis along which reads are contiguous, where the last one is too short for lanes."""
    last = len(compute.parallel) - 1
    if last == 0 or not 1 < compute.parallel[last].size < MIN_TRANSPOSED:
        return None
    counts = {
        axis: sum(read_stride(compute, read, axis) == 1 for read in compute.reads)
        for axis in range(last)
        if compute.parallel[axis].size >= MIN_TRANSPOSED
    }
    best = max(counts, key=lambda axis: counts[axis], default=None)
    contiguous_last = sum(read_stride(compute, read, last) == 1 for read in compute.reads)
    return best if best is not None and counts[best] > contiguous_last else None


def lanes_of_reads(schedule: Schedule, compute: Compute, axis: int, target: Target) -> list[str]:
    """Lanes along `axis`, the short last axis in registers; the loops outside.

    What is written is not contiguous, and stored lane by lane.
    """
    loops = [compute.loop(each) for each in compute.parallel]
    lane, short = loops[axis], loops[-1]
    outer = [loop for loop in loops[:-1] if loop != lane]
    schedule.reorder(*outer, lane, short)
    size = compute.parallel[axis].size
    parts = [(lane, short)]
    if size > target.lanes:
        peels = size % target.lanes != 0
        whole, part = schedule.split(lane, target.lanes, "peel" if peels else None)
        parts = [(part, short)]
        if peels:
            parts.append((f"{lane}{TAIL_SUFFIX}", f"{short}{TAIL_SUFFIX}"))
        outer = outer or [whole]
    for lanes, rows in parts:
        schedule.vectorize(lanes)
        schedule.unroll(rows)
    return outer


def transposed_axis(compute: Compute, target: Target) -> int | None:
    """The axis that is contiguous in a read which is strided along the result's last axis."""
    last = len(compute.parallel) - 1
    if out_stride(compute, last) != 1 or compute.parallel[last].size < MIN_TRANSPOSED:
        return None
    long = [axis for axis in range(last) if compute.parallel[axis].size >= MIN_TRANSPOSED]
    for read in compute.reads:
        is_plain = not read.symbols and read.fill is None
        if is_plain and read_stride(compute, read, last) not in (0, 1, None):
            for axis in long:
                if read_stride(compute, read, axis) == 1:
                    return axis
    return None


def tiles_of_transposition(
    schedule: Schedule, compute: Compute, axis: int, target: Target
) -> list[str]:
    """Square register tiles, loaded along `axis` and stored along the last one.

    Tiles follow each other along `axis`: reading on is cheaper than writing on.
    """
    loops = [compute.loop(each) for each in compute.parallel]
    others = [position for position in range(len(loops) - 1) if position != axis]
    outer = [loops[position] for position in others if compute.parallel[position].size > 1]
    single = [loops[position] for position in others if compute.parallel[position].size == 1]
    schedule.reorder(*outer, loops[-1], loops[axis], *single)
    tiles: list[str] = []
    for column, part in _whole_and_rest(schedule, loops[-1], target):
        row, lane = f"{loops[axis]}{part}", column
        if (schedule.extent(column) or 0) > target.lanes:
            whole, lane = schedule.split(column, target.lanes)
            tiles.append(whole)
        schedule.reorder(row, lane)
        for each, end in _whole_and_rest(schedule, row, target):
            if (schedule.extent(each) or 0) > target.lanes:
                _, each = schedule.split(each, target.lanes)
            schedule.unroll(each)
            schedule.vectorize(f"{lane}{end}")
    return outer or tiles[:1]


def _whole_and_rest(schedule: Schedule, loop: str, target: Target) -> list[tuple[str, str]]:
    """A loop cut before what does not fill a register: the parts, and what loops inside add."""
    size = schedule.extent(loop) or 0
    if size <= target.lanes or size % target.lanes == 0:
        return [(loop, "")]
    parts = schedule.partition(loop, [size - size % target.lanes])
    return [(name, f".{number}") for number, name in enumerate(parts)]


def lanes_of_elements(
    schedule: Schedule,
    compute: Compute,
    loops: list[str],
    target: Target,
    tail: str | None = None,
) -> list[str]:
    """Vectorize along memory the last of these loops over parallel axes; the loops outside."""
    loops = fuse_flat(schedule, compute, loops)
    if not loops:
        return []
    last = loops[-1]
    size = schedule.extent(last) or 1
    outer = loops[:-1]
    if size <= REGISTERS * target.lanes:
        in_registers(schedule, last, target)
        return outer
    width = vector_factor(size, target.lanes)
    whole, part = schedule.split(last, width, tail)
    schedule.vectorize(part)
    if tail == "peel" and size % width:
        in_registers(schedule, f"{last}{TAIL_SUFFIX}", target)
    return [*outer, whole]


def in_registers(schedule: Schedule, loop: str, target: Target) -> None:
    """Vectorize a loop whole; a mask that is known stands for a tail of many small registers."""
    size = schedule.extent(loop) or 1
    whole, rest = divmod(size, target.lanes)
    if rest.bit_count() > 1 and target.has_masks:
        _, loop = schedule.split(loop, (whole + 1) * target.lanes)
    if size > 1:
        schedule.vectorize(loop)


def fuse_flat(schedule: Schedule, compute: Compute, loops: list[str]) -> list[str]:
    """Fuse the trailing ones of these loops along which every access is contiguous."""
    axes = [compute.loop(axis) for axis in compute.parallel]
    loops, length, last = list(loops), 1, len(axes) - 1
    if not loops or loops[-1] != axes[-1] or out_stride(compute, last) != 1:
        return loops
    for outer in range(last - 1, -1, -1):
        length *= compute.parallel[outer + 1].size
        if len(loops) < 2 or loops[-2] != axes[outer] or out_stride(compute, outer) != length:
            break
        if not reads_are_flat(compute, outer, last, length):
            break
        loops[-2:] = [schedule.fuse(loops[-2], loops[-1])]
    return loops


def reads_are_flat(compute: Compute, outer: int, last: int, length: int) -> bool:
    """Whether axis `outer` continues where the `length` points of those up to `last` end."""
    for read in compute.reads:
        if read.symbols or read.fill is not None:
            return False
        strides = [read_stride(compute, read, axis) for axis in range(outer, last + 1)]
        if None in strides:
            return False
        is_scalar = not any(strides)
        if not is_scalar and (strides[-1] != 1 or strides[0] != length):
            return False
    return True


def vector_factor(size: int, lanes: int) -> int:
    """Points of the innermost tile: up to four registers, fewer for a short axis."""
    for registers in (4, 2, 1):
        if size >= 2 * registers * lanes or size == registers * lanes:
            return registers * lanes
    return lanes


def share(schedule: Schedule, loops: list[str], points: int, enough: int = SHARES) -> None:
    """Let threads share the outer loops, fused until there are `enough` iterations.

    Nothing is shared where there is little to do.
    """
    if not loops or points < PARALLEL_POINTS:
        return
    name = loops[0]
    extent = schedule.extent(name) or 1
    for inner in loops[1:]:
        if extent >= enough:
            break
        extent *= schedule.extent(inner) or 1
        name = schedule.fuse(name, inner)
    if extent > 1:
        schedule.parallel(name)
