"""Reductions that are no sums of products: pooling, norms, softmax's sums, arg-max."""

from __future__ import annotations

from xdsl.dialects.builtin import AnyFloat

from ...dialects.loop import buffer_type
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, out_stride, read_stride
from .elementwise import reads_are_flat, share, vector_factor

SHORT = 4
"""A shorter reduction is faster one element after the other."""


def schedule_reduction(schedule: Schedule, compute: Compute, target: Target, numerics: str) -> None:
    """Lanes along the result where its rows are long enough, else along the reduced axis."""
    axes = compute.parallel
    loops = [compute.loop(axis) for axis in axes]
    reduced = [compute.loop(axis) for axis in compute.reduce]
    if any(axis.size == 0 for axis in compute.axes):
        return
    lane = compute.last_long_axis
    if lane is not None and out_stride(compute, lane) == 1 and _along(compute, lane):
        size = axes[lane].size
        width = min(vector_factor(size, target.lanes), 2 * target.lanes)
        outer = [loop for position, loop in enumerate(loops) if position != lane]
        inner = loops[lane]
        if size > width:
            whole, inner = schedule.split(inner, width)
            outer.append(whole)
        schedule.reorder(*outer, *reduced, inner)
        schedule.vectorize(inner)
        share(schedule, outer, compute.points)
        return
    lanes_of_reduction(schedule, compute, target, numerics)
    share(schedule, loops, compute.points)


def _along(compute: Compute, axis: int) -> bool:
    """Whether every read is contiguous along an axis or does not depend on it."""
    strides = [read_stride(compute, read, axis) for read in compute.reads]
    return all(s in (0, 1) for s in strides) and 1 in strides


def may_reorder(compute: Compute, numerics: str) -> bool:
    """Whether the order of combination is free: not for float sums under strict numerics."""
    if compute.stmt.combiner is None:
        return False
    names = [name.data for name in compute.stmt.combiner]
    floats = any(isinstance(buffer_type(o).element_type, AnyFloat) for o in compute.stmt.outs)
    return not (floats and numerics == "strict" and any(n in ("sum", "prod") for n in names))


def lanes_of_reduction(schedule: Schedule, compute: Compute, target: Target, numerics: str) -> None:
    """Vectorize the innermost reduced axis, where the order of combination is free."""
    last = len(compute.axes) - 1
    if not may_reorder(compute, numerics) or not _along(compute, last):
        return
    loop, length = compute.loop(compute.axes[last]), compute.axes[last].size
    for outer in range(last - 1, len(compute.parallel) - 1, -1):
        if not reads_are_flat(compute, outer, last, length):
            break
        loop = schedule.fuse(compute.loop(compute.axes[outer]), loop)
        length *= compute.axes[outer].size
    width = vector_factor(length, target.lanes)
    if length > width:
        _, loop = schedule.split(loop, width, "peel" if length % width else None)
    elif length < SHORT:
        return
    schedule.vectorize(loop)
