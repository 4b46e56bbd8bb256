"""Broadcasting before opset 7: by an attribute, aligned with an axis of the first operand."""

from __future__ import annotations

import numpy as np

from ....core.errors import UnsupportedError
from ..node import Node
from .base import Values, needs_rank


def aligned(node: Node, values: Values) -> list[Node]:
    """Add, Mul, And, Equal ...: with `broadcast` and `axis`, B's first dim meets A's dim `axis`.

    Add(A: [2, 3, 4, 5], B: [3, 4], axis = 1) -> Add(A, Unsqueeze(B, [2]))
    """
    plain = node.without("broadcast", "axis")
    if not node.integer("broadcast", 0) or "axis" not in node.attributes:
        return [plain]
    rank, other = (needs_rank(node, values, node.input(at)) for at in (0, 1))
    axis = node.integer("axis", 0)
    trailing = rank - (axis + rank if axis < 0 else axis) - other
    if trailing < 0:
        raise UnsupportedError(
            f"axis {axis} does not align an operand of rank {other} with one of rank {rank}",
            where=node.where,
        )
    if trailing == 0:
        return [plain]
    return _with_trailing_ones(plain, values, trailing, other)


def channel_slope(node: Node, values: Values) -> list[Node]:
    """PRelu-6: a slope of one dim belongs to the channels, dim 1 of X; PRelu-7 broadcasts."""
    rank = needs_rank(node, values, node.input(0))
    slope = values.shape(node.input(1))
    if slope is None or len(slope) != 1 or slope[0] == 1 or rank <= 2:
        return [node]
    return _with_trailing_ones(node, values, rank - 2, 1)


def _with_trailing_ones(node: Node, values: Values, count: int, rank: int) -> list[Node]:
    wide = values.fresh(f"{node.name}_wide")
    axes = values.add(np.arange(rank, rank + count, dtype=np.int64))
    unsqueeze = Node("Unsqueeze", node.name, (node.input(1), axes), (wide,), {})
    return [unsqueeze, node.evolve(inputs=(node.input(0), wide))]
