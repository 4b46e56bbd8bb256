"""prefetch: each iteration of a loop asks for what a later one reads.

    for c.k in 32                      for c.k in 32
      for c.j in 48            ->        prefetch w[k + 8, 0]
        c[i, j] += x[i, k] * w[k, j]     prefetch w[k + 8, 16]
                                         prefetch w[k + 8, 32]
                                         for c.j in 48
                                           c[i, j] += x[i, k] * w[k, j]

One `loop.prefetch` for each line of 64 bytes in the rectangular hull of the reads. It is a hint and
changes no value; addresses behind the buffer are harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

from xdsl.dialects.builtin import FixedBitwidthType
from xdsl.ir import BlockArgument, SSAValue
from xdsl.ir.affine import AffineMap

from ...core.affine import dim, substitute, used
from ...core.errors import ScheduleError
from ...dialects.loop import ForOp, KernelOp, PrefetchOp, buffer_type
from .hull import Fixed, Interval, join
from .lookup import find_buffer, find_loop, stmts_in
from .rewrite import set_prefetch
from .space import reads_in
from .split import require_unmarked

LINE_BYTES = 64
MAX_LINES = 32
"""More than this in one iteration would only fill the queue of loads."""


def prefetch(kernel: KernelOp, buffer: str, loop: str, distance: int) -> None:
    """Let each iteration of `loop` ask for what the `distance`-th after it reads of `buffer`.

    Raises: ScheduleError: not an input of the kernel, `loop` does not read it, always reads the
        same of it, reads it at data-dependent places, or reads too much in one iteration.
    Source: Halide, TVM `prefetch`.
    """
    source, target = find_buffer(kernel, buffer), find_loop(kernel, loop)
    require_unmarked(target, "prefetch")
    inputs = len(kernel.arg_names) - kernel.num_outputs.value.data
    if not isinstance(source, BlockArgument) or source.index >= inputs:
        raise ScheduleError(
            f"prefetch: '{buffer}' is computed by the kernel itself, so that it is in a cache",
            hint="prefetch an input",
        )
    fixed = Fixed(target)
    box = _hull(source, target, fixed, buffer)
    variable = len(fixed.variables) - 1
    if not any(variable in used(interval.base)[0] for interval in box):
        raise ScheduleError(f"prefetch: every iteration of '{loop}' reads the same of '{buffer}'")
    lines = _lines(source, box)
    if len(lines) > MAX_LINES:
        raise ScheduleError(
            f"prefetch: one iteration of '{loop}' reads {len(lines)} lines of '{buffer}' or more, "
            f"at most {MAX_LINES} are asked for",
            hint="prefetch in a loop further in",
        )
    first = target.body.block.first_op
    assert first is not None
    ahead = [dim(i) + distance if i == variable else dim(i) for i in range(variable + 1)]
    for places in lines:
        results = [substitute(i.base, ahead) + at for i, at in zip(box, places, strict=True)]
        plain = AffineMap(variable + 1, 0, tuple(results))
        made = PrefetchOp(source, plain, fixed.variables)
        made.location = target.location
        target.body.block.insert_op_before(made, first)
        set_prefetch(made, plain, fixed.variables)


def _hull(source: SSAValue, target: ForOp, fixed: Fixed, name: str) -> list[Interval]:
    """What one iteration reads, dimension by dimension."""
    loop = target.loop_name.data
    reads = [(s, r) for s in stmts_in(target) for r in reads_in(s) if r.source is source]
    if not reads:
        raise ScheduleError(f"prefetch: '{loop}' does not read '{name}'")
    box: list[Interval] = []
    for position, extent in enumerate(buffer_type(source).extents):
        touched = [fixed.of_read(stmt, read, position) for stmt, read in reads]
        if None in touched:
            raise ScheduleError(
                f"prefetch: '{loop}' reads '{name}' at data-dependent places",
                hint="prefetch what the index is read from",
            )
        box.append(join(touched, extent, fixed.ranges))
    return box


def _lines(source: SSAValue, box: Sequence[Interval]) -> list[tuple[int, ...]]:
    """One element of each line in a box, by its places from the bases; not many more than needed.

    Where lines begin is known for bases that are 0 only; blocks in other places begin alike.
    """
    type_, size = buffer_type(source), _bytes(source)
    last = _fastest(source)
    steps = [
        range(interval.low, interval.high, LINE_BYTES // size if position == last else 1)
        for position, interval in enumerate(box)
    ]
    shape = type_.physical_shape
    strides = [size * prod(shape[i + 1 :]) for i in range(len(shape))]
    found: dict[int, tuple[int, ...]] = {}
    for places in product(*steps):
        physical = type_.layout_map.eval(places, [])
        address = sum(at * stride for at, stride in zip(physical, strides, strict=True))
        found.setdefault(address // LINE_BYTES, places)
        if len(found) > MAX_LINES:
            break
    return list(found.values())


def _fastest(source: SSAValue) -> int | None:
    """The dimension along which neighbours lie side by side, if there is one."""
    type_ = buffer_type(source)
    results = type_.layout_map.results
    dims = used(results[-1])[0] if results else set[int]()
    return next(iter(dims)) if len(dims) == 1 else None


def _bytes(source: SSAValue) -> int:
    element = buffer_type(source).element_type
    return element.size if isinstance(element, FixedBitwidthType) else 8
