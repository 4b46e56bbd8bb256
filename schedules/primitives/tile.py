"""tile: split two loops and put the inner ones innermost.

for y.i                            for y.i.o
for y.j                 ->         for y.j.o
y[i, j]                            for y.i.i in 8
for y.j.i in 48
"""

from __future__ import annotations

from ...dialects.loop import KernelOp
from .reorder import reorder
from .split import split


def tile(
    kernel: KernelOp, first: str, second: str, first_factor: int, second_factor: int
) -> tuple[str, str, str, str]:
    """Split `first` and `second` with masked tails, then reorder to o, o, i, i.

    Returns: the names of the four loops, outermost first.
    Raises: ScheduleError: as split and reorder do.
    Source: Halide, TVM `tile`.
    """
    _require_reorderable(kernel, first, second)
    first_outer, first_inner = split(kernel, first, first_factor)
    second_outer, second_inner = split(kernel, second, second_factor)
    order = (first_outer, second_outer, first_inner, second_inner)
    reorder(kernel, order)
    return order


def _require_reorderable(kernel: KernelOp, first: str, second: str) -> None:
    """Raises: ScheduleError: the loops cannot change places; nothing has been edited then."""
    reorder(kernel, [second, first])
    reorder(kernel, [first, second])
