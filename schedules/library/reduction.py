"""Reductions that are no sums of products: pooling, norms, softmax's sums, arg-max."""

from __future__ import annotations

from xdsl.dialects.builtin import AnyFloat

from ...core.affine import used
from ...dialects.loop import buffer_type
from ...targets import Target
from ..primitives.split import TAIL_SUFFIX
from ..replay import Schedule
from .analysis import Compute, out_stride, read_stride
from .elementwise import REGISTERS, in_registers, reads_are_flat, share, vector_factor
from .windows import inner_range

MAX_POOLED = 7
"""Windows up to this extent along a row are unrolled. Lanes share nothing of what they read, so
longer ones, unlike those of `windows`, only get slower: 15 take 1.2 to 1.4 times as long."""
MAX_STRIDE = 4
"""Elements between lanes of a read that is still made of whole vectors."""
STRIP = 512
"""Elements of a row that are read in one go where rows lie far apart."""
ROWS = 16
"""Rows that are added to a strip in one go."""
SHORT = 4
"""A shorter reduction is faster one element after the other."""


def schedule_reduction(schedule: Schedule, compute: Compute, target: Target, numerics: str) -> None:
    """Lanes along the result where its rows are long enough, else along the reduced axis."""
    axes = compute.parallel
    loops = [compute.loop(axis) for axis in axes]
    if any(axis.size == 0 for axis in compute.axes):
        return
    lane = compute.last_long_axis
    if lane is not None and out_stride(compute, lane) == 1:
        outer = [loop for position, loop in enumerate(loops) if position != lane]
        if slides_along(compute, lane):
            lanes_of_windows(schedule, compute, outer, lane, target)
            return
        if reads_along(compute, lane):
            lanes_across(schedule, compute, outer, loops[lane], target)
            return
    lanes_of_reduction(schedule, compute, target, numerics)
    share(schedule, loops, compute.points)


def lanes_across(
    schedule: Schedule, compute: Compute, outer: list[str], lane: str, target: Target
) -> None:
    """Lanes along a parallel axis, the reduced ones outside.

    Strips of a few registers, all terms one after the other; but where the terms do not fit the
    cache, some rows at a time of a longer strip, whose sums then wait in the cache.
    """
    reduced = [compute.loop(axis) for axis in compute.reduce]
    size = schedule.extent(lane) or 1
    width = vector_factor(size, target.lanes)
    is_long = compute.points * 4 > target.l2_bytes and size >= STRIP and _streams(compute)
    rows: list[str] = []
    if is_long:
        strips = -(-size // STRIP)
        if strips > 1:
            whole, lane = schedule.split(lane, -(-size // (strips * width)) * width)
            outer = [*outer, whole]
        blocks, row = schedule.split(reduced[-1], ROWS)
        reduced, rows = [*reduced[:-1], blocks], [row]
    strip: list[str] = []
    if (schedule.extent(lane) or width + 1) > width:
        part, lane = schedule.split(lane, width)
        strip.append(part)
    inner = [*reduced, *strip, *rows] if is_long else [*strip, *reduced]
    schedule.reorder(*outer, *inner, lane)
    schedule.vectorize(lane)
    share(schedule, [*outer, *([] if is_long else strip)], compute.points)


def _streams(compute: Compute) -> bool:
    """Whether the innermost reduced axis is long and goes through new memory at each step."""
    last = len(compute.axes) - 1
    strides = [read_stride(compute, read, last) for read in compute.reads]
    return compute.axes[last].size >= 2 * ROWS and all(
        s is None or abs(s) >= STRIP for s in strides
    )


def reads_along(compute: Compute, axis: int) -> bool:
    """Whether every read is contiguous along an axis or does not depend on it."""
    strides = [read_stride(compute, read, axis) for read in compute.reads]
    return all(s in (0, 1) for s in strides) and 1 in strides


def slides_along(compute: Compute, axis: int) -> bool:
    """Whether windows of a few elements, a few apart, are read along an axis, and little else."""
    last = len(compute.axes) - 1
    strides = [read_stride(compute, read, axis) for read in compute.reads]
    is_window = any(
        read_stride(compute, read, last) and any({axis, last} <= used(e)[0] for e in exprs)
        for read in compute.reads
        for exprs in [read.map.data.results]
    )
    return (
        is_window
        and compute.axes[last].size <= MAX_POOLED
        and all(s is not None and 0 <= s <= MAX_STRIDE for s in strides)
    )


def lanes_of_windows(
    schedule: Schedule, compute: Compute, outer: list[str], axis: int, target: Target
) -> None:
    """Lanes along the axis that windows slide along; those over its ends apart, point by point."""
    reduced = [compute.loop(each) for each in compute.reduce]
    size, row = compute.axes[axis].size, compute.loop(compute.axes[axis])
    schedule.reorder(*outer, row, *reduced)
    low, high = inner_range(compute, axis)
    cuts = [cut for cut in (low, high) if 0 < cut < size]
    part = ""
    if cuts and high - low >= target.lanes:
        part = f".{int(low > 0)}"
        row = schedule.partition(row, cuts)[int(low > 0)]
    lanes = row
    strip: list[str] = []
    if (schedule.extent(row) or 0) > REGISTERS * target.lanes:
        whole, lanes = schedule.split(row, vector_factor(size, target.lanes))
        strip.append(whole)
    windows = [f"{loop}{part}" for loop in reduced]
    schedule.reorder(*strip, *windows, lanes)
    schedule.unroll(windows[-1])
    schedule.vectorize(lanes)
    share(schedule, outer, compute.points)


def may_reorder(compute: Compute, numerics: str) -> bool:
    """Whether the order of combination is free: not for float sums under strict numerics."""
    if compute.stmt.combiner is None:
        return False
    names = [name.data for name in compute.stmt.combiner]
    floats = any(isinstance(buffer_type(o).element_type, AnyFloat) for o in compute.stmt.outs)
    return not (floats and numerics == "strict" and any(n in ("sum", "prod") for n in names))


def lanes_of_reduction(schedule: Schedule, compute: Compute, target: Target, numerics: str) -> bool:
    """Vectorize the innermost reduced axis, where the order is free; whether no loop is left."""
    last = len(compute.axes) - 1
    if not may_reorder(compute, numerics) or not reads_along(compute, last):
        return False
    loop, length = compute.loop(compute.axes[last]), compute.axes[last].size
    first = len(compute.parallel)
    left = last - first
    for outer in range(last - 1, first - 1, -1):
        if not reads_are_flat(compute, outer, last, length):
            break
        loop = schedule.fuse(compute.loop(compute.axes[outer]), loop)
        length *= compute.axes[outer].size
        left -= 1
    if length < SHORT:
        return length == 1 and not left
    if length <= REGISTERS * target.lanes:
        in_registers(schedule, loop, target)
        return not left
    width = vector_factor(length, target.lanes)
    _, part = schedule.split(loop, width, "peel" if length % width else None)
    schedule.vectorize(part)
    if length % width:
        in_registers(schedule, f"{loop}{TAIL_SUFFIX}", target)
    return False
