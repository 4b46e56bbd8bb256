"""partition: cut a loop's range into parts, each a nest of its own.

    for y.w in [0, 56)                 for y.w.0 in [0, 1)
      y[w] = x[w - 1] else 0    ->       y[w] = x[w - 1] else 0
                                       for y.w.1 in [1, 56)
                                         y[w] = x[w - 1]

The parts run one after the other, so that nothing changes its order. Where a cut stands at the
place where a guard's truth changes, no part but the borders pays for the guard.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir.affine import AffineMap

from ...core.errors import ScheduleError
from ...dialects.loop import ForOp, KernelOp
from .lookup import find_loop
from .rewrite import normalize, rename_loops, set_bounds
from .split import constant_bounds


def partition(kernel: KernelOp, loop: str, cuts: Sequence[int]) -> list[str]:
    """Cut `loop` at the points `cuts` (values of its variable) into `loop.0`, `loop.1`, ...

    Loops inside part p get the suffix `.p` as well.

    Returns: the names of the parts.
    Raises: ScheduleError: no such loop, bounds not constant, or cuts not inside and increasing.
    Source: Halide `partition`, TVM `loop_partition`, Exo `cut_loop`.
    """
    op = find_loop(kernel, loop)
    low, high = constant_bounds(op, "partition")
    points = [low, *cuts, high]
    if not cuts or points != sorted(set(points)):
        raise ScheduleError(
            f"partition: expected increasing cuts inside ({low}, {high}) of '{loop}', got "
            f"{list(cuts)}"
        )
    parts: list[ForOp] = [op]
    for _ in cuts:
        copy = op.clone()
        block = op.parent
        assert block is not None
        block.insert_op_after(copy, parts[-1])
        parts.append(copy)
    for number, part in enumerate(parts):
        rename_loops(part, f".{number}")
        start, end = points[number], points[number + 1]
        set_bounds(part, (AffineMap.constant_map(start), []), (AffineMap.constant_map(end), []))
        normalize(part)
    return [part.loop_name.data for part in parts]
