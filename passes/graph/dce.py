"""Remove ops whose results nobody uses and that have no effect, in any dialect and any region.

An op goes when all its results are unused and it touches no memory but to read it; its producers
are looked at again. Functions and kernels with a symbol stay.

    %0 = graph.exp(%x) : tensor<4xf32>
    %1 = graph.relu(%0) : tensor<4xf32>          ->      func.return %x
    func.return %x
"""

from __future__ import annotations

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from ...core.effects import is_dead
from ...core.explain import count
from ...core.walk import erase, walk


def remove_dead(root: Operation) -> int:
    """Erase what is dead inside `root`; how many ops, those in erased regions not counted."""
    erased: set[Operation] = set()
    number = 0
    stack = [op for op in walk(root) if op is not root]
    while stack:
        op = stack.pop()
        if op in erased or not is_dead(op):
            continue
        inside = list(walk(op))
        producers = [value.owner for inner in inside for value in inner.operands]
        erased.update(inside)
        erase(op)
        number += 1
        stack += [producer for producer in producers if isinstance(producer, Operation)]
    return number


class DcePass(ModulePass):
    """Remove ops without effect whose results are unused."""

    name = "dce"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        count("dead op", remove_dead(op))
