"""tile: split two loops and put the inner ones innermost.

for y.i                            for y.i.o
for y.j                 ->         for y.j.o
y[i, j]                            for y.i.i in 8
for y.j.i in 48
"""

from __future__ import annotations

from ...core.errors import ScheduleError
from ...dialects.loop import KernelOp
from .lookup import find_loop
from .reorder import reorder
from .split import constant_bounds, require_unmarked, split


def tile(
    kernel: KernelOp, first: str, second: str, first_factor: int, second_factor: int
) -> tuple[str, str, str, str]:
    """Split `first` and `second` with masked tails, then reorder to o, o, i, i.

    Returns: the names of the four loops, outermost first.
    Raises: ScheduleError: as split and reorder do.
    Source: Halide, TVM `tile`.
    """
    for name in (first, second):
        loop = find_loop(kernel, name)
        require_unmarked(loop, "tile")
        constant_bounds(loop, "tile")
    if min(first_factor, second_factor) <= 0:
        raise ScheduleError(f"tile: factors are positive, got {first_factor}, {second_factor}")
    # the loops must be able to change places; nothing has been edited where they are not
    reorder(kernel, [second, first])
    reorder(kernel, [first, second])
    first_outer, first_inner = split(kernel, first, first_factor)
    second_outer, second_inner = split(kernel, second, second_factor)
    order = (first_outer, second_outer, first_inner, second_inner)
    reorder(kernel, order)
    return order
