"""Elementwise and data movement: lanes along memory, the rest shared by threads."""

from __future__ import annotations

from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, out_stride, read_stride

PARALLEL_POINTS = 16 * 1024
"""Below this many points, sharing costs more than it saves."""


def schedule_elementwise(schedule: Schedule, compute: Compute, target: Target) -> None:
    """Vectorize along the last axis of the result, share the outer loops."""
    axes = compute.parallel
    loops = [compute.loop(axis) for axis in axes]
    sizes = [axis.size for axis in axes]
    if not axes or 0 in sizes:
        return
    loops, sizes = fuse_flat(schedule, compute, loops, sizes)
    last, size = loops[-1], sizes[-1]
    width = vector_factor(size, target.lanes)
    outer = loops[:-1]
    if size > width:
        whole, part = schedule.split(last, width)
        schedule.vectorize(part)
        outer.append(whole)
    elif size > 1:
        schedule.vectorize(last)
    share(schedule, outer, compute.points)


def fuse_flat(
    schedule: Schedule, compute: Compute, loops: list[str], sizes: list[int]
) -> tuple[list[str], list[int]]:
    """Fuse trailing axes along which every access is contiguous, as if they were one."""
    loops, sizes = list(loops), list(sizes)
    while len(loops) > 1 and _is_flat(compute, len(loops) - 2, sizes[-1]):
        fused = schedule.fuse(loops[-2], loops[-1])
        sizes[-2:] = [sizes[-2] * sizes[-1]]
        loops[-2:] = [fused]
    return loops, sizes


def _is_flat(compute: Compute, outer: int, inner_size: int) -> bool:
    """Whether axis `outer` continues where the axes inside it end, in every access."""
    last = len(compute.parallel) - 1
    if out_stride(compute, last) != 1 or out_stride(compute, outer) != inner_size:
        return False
    for read in compute.reads:
        if read.symbols or read.fill is not None:
            return False
        strides = [read_stride(compute, read, axis) for axis in range(outer, last + 1)]
        if None in strides:
            return False
        is_scalar = not any(strides)
        if not is_scalar and (strides[-1] != 1 or strides[0] != inner_size):
            return False
    return True


def vector_factor(size: int, lanes: int) -> int:
    """Points of the innermost tile: up to four registers, fewer for a short axis."""
    for registers in (4, 2, 1):
        if size >= 2 * registers * lanes or size == registers * lanes:
            return registers * lanes
    return lanes


def share(schedule: Schedule, loops: list[str], points: int) -> None:
    """Let threads share the outer loops, fused to one, where there is enough to do."""
    if not loops or points < PARALLEL_POINTS:
        return
    name = loops[0]
    extent = schedule.extent(name) or 1
    for inner in loops[1:]:
        if extent >= 16:
            break
        extent *= schedule.extent(inner) or 1
        name = schedule.fuse(name, inner)
    if extent > 1:
        schedule.parallel(name)
