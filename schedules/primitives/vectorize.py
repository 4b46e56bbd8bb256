"""vectorize: a loop becomes the lanes of tiles.

for y.j.i in [0, 48)  ->  for y.j.i in [0, 48) vectorize
"""

from __future__ import annotations

from ...core.errors import ScheduleError
from ...dialects.loop import ForOp, KernelOp
from .lookup import find_loop
from .mark import mark, require_commuting, require_constant_extent, require_own_places
from .space import loops_around


def vectorize(kernel: KernelOp, loop: str) -> None:
    """Mark `loop` as lanes. A vectorised reduction combines in another order.

    Raises: ScheduleError: marked already, extent not constant, every iteration writes the
        same place, another loop of the same nest has
        the lanes, or it reduces with a combine region.
    Source: Halide, TVM `vectorize`.
    """
    op = find_loop(kernel, loop)
    require_constant_extent(op, "vectorize")
    require_own_places(op, "vectorize")
    require_commuting(op, "vectorize")
    inside = [inner for inner in op.body.walk() if isinstance(inner, ForOp)]
    for other in [*loops_around(op), *inside]:
        if other.kind.data == "vectorize":
            raise ScheduleError(
                f"vectorize: '{other.loop_name.data}' of the same nest has the lanes already",
                hint=f"unroll '{loop}': tiles have one lanes axis and any number of others",
            )
    mark(op, "vectorize", "vectorize")
