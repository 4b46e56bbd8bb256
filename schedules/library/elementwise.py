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
    if not axes or any(axis.size == 0 for axis in axes):
        return
    outer = lanes_of_elements(schedule, compute, loops, target)
    share(schedule, outer, compute.points)


def lanes_of_elements(
    schedule: Schedule, compute: Compute, loops: list[str], target: Target
) -> list[str]:
    """Vectorize along memory the last of these loops over parallel axes; the loops outside."""
    loops = fuse_flat(schedule, compute, loops)
    if not loops:
        return []
    last = loops[-1]
    size = schedule.extent(last) or 1
    width = vector_factor(size, target.lanes)
    outer = loops[:-1]
    if size > width:
        whole, part = schedule.split(last, width)
        schedule.vectorize(part)
        outer.append(whole)
    elif size > 1:
        schedule.vectorize(last)
    return outer


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
