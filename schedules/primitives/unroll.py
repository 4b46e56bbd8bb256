"""unroll: a loop becomes a register axis of tiles.

for y.i.i in [0, 8)  ->  for y.i.i in [0, 8) unroll
"""

from __future__ import annotations

from ...dialects.loop import KernelOp
from .lookup import find_loop
from .mark import mark, require_constant_extent, require_own_places


def unroll(kernel: KernelOp, loop: str) -> None:
    """Mark `loop` to be unrolled; a reduction keeps its order.

    Raises: ScheduleError: marked already, its extent is not constant, or a statement does not
        depend on it.
    Source: Halide, TVM `unroll`.
    """
    op = find_loop(kernel, loop)
    require_constant_extent(op, "unroll")
    require_own_places(op, "unroll")
    mark(op, "unroll", "unroll")
