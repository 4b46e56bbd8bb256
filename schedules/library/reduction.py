"""Reductions that are no sums of products: pooling, norms, softmax's sums, arg-max."""

from __future__ import annotations

from xdsl.dialects.builtin import AnyFloat

from ...dialects.loop import buffer_type
from ...targets import Target
from ..replay import Schedule
from .analysis import Compute, out_stride, read_stride
from .elementwise import share, vector_factor


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
    if may_reorder(compute, numerics) and _along(compute, len(compute.axes) - 1):
        lanes_of_reduction(schedule, compute, reduced[-1], target)
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


def lanes_of_reduction(schedule: Schedule, compute: Compute, loop: str, target: Target) -> None:
    """Vectorize the innermost reduced axis, whole vectors only."""
    size = compute.reduce[-1].size
    width = vector_factor(size, target.lanes)
    if size < width:
        return
    if size == width:
        schedule.vectorize(loop)
        return
    _, part = schedule.split(loop, width, "peel" if size % width else None)
    schedule.vectorize(part)
