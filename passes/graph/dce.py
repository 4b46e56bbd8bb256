"""Remove ops whose results nobody uses and that have no effect, in any dialect and any region.

An op goes when all its results are unused and it touches no memory but to read it; its producers
are looked at again. Functions and kernels with a symbol stay.

    %0 = graph.exp(%x) : tensor<4xf32>
    %1 = graph.relu(%0) : tensor<4xf32>          ->      func.return %x
    func.return %x
"""

from __future__ import annotations

from xdsl.context import Context
from xdsl.ir import Operation

from ...core.counters import may
from ...core.effects import is_dead
from ...core.explain import why_not
from ...core.passes import OpPass, Statistic
from ...core.walk import erase, walk

DEAD = Statistic("dead op", "ops removed, those inside them not counted")


def remove_dead(root: Operation) -> int:
    """Erase what is dead inside `root`; how many ops, those in erased regions not counted."""
    erased: set[Operation] = set()
    number = 0
    stack = [op for op in walk(root) if op is not root]
    while stack:
        op = stack.pop()
        if op in erased:
            continue
        if not is_dead(op):
            if op.results and all(result.first_use is None for result in op.results):
                why_not(op, "nobody uses its results, but it may do more than to compute them")
            continue
        if not may(DEAD.name, op):
            continue
        inside = list(walk(op))
        producers = [value.owner for inner in inside for value in inner.operands]
        erased.update(inside)
        erase(op)
        number += 1
        stack += [producer for producer in producers if isinstance(producer, Operation)]
    return number


class DcePass(OpPass[Operation]):
    """Remove ops without effect whose results are unused."""

    name = "dce"
    statistics = (DEAD,)

    def run(self, ctx: Context, op: Operation) -> None:
        DEAD.add(remove_dead(op))
