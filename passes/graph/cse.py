"""Compute equal things once, in any dialect.

Two ops are equal when they have the same name, attributes, operands and result types, and
structurally the same regions; the one that dominates stays. Ops that read memory are merged only
within a block, with nothing between them that may write. A region sees what stands around it,
unless its op is isolated.

    %0 = graph.exp(%x) : tensor<4xf32>
    %1 = graph.exp(%x) : tensor<4xf32>          ->    %0 = graph.exp(%x) : tensor<4xf32>
    %2 = graph.add(%0, %1) : tensor<4xf32>            %2 = graph.add(%0, %0) : tensor<4xf32>
"""

from __future__ import annotations

from collections.abc import Hashable

from xdsl.context import Context
from xdsl.dialects.builtin import UnknownLoc, UnregisteredOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import IsolatedFromAbove, IsTerminator, SymbolOpInterface

from ...core.counters import may
from ...core.effects import Effect, effect
from ...core.explain import why_not
from ...core.locations import describe
from ...core.passes import OpPass, Statistic
from ...core.walk import erase, walk

Key = tuple[Hashable, ...]
MERGED = Statistic("merged op", "ops replaced by an equal one")


def structural_key(root: Operation) -> Key:
    """Equal for two ops that compute the same: everything but names and locations.

    Values from outside stand for themselves, values and blocks from inside for their number.
    """
    inside: dict[SSAValue | Block, int] = {}
    key: list[Hashable] = []

    def enter(node: SSAValue | Block) -> None:
        inside[node] = len(inside)

    for op in walk(root):
        name = op.op_name.data if isinstance(op, UnregisteredOp) else op.name
        key += (name, frozenset(op.properties.items()), frozenset(op.attributes.items()))
        key += (tuple(op.result_types), tuple(inside.get(v, v) for v in op.operands))
        key.append(tuple(inside.get(block, block) for block in op.successors))
        if op is not root:
            for result in op.results:
                enter(result)
        for region in op.regions:
            for block in region.blocks:
                enter(block)
                for arg in block.args:
                    enter(arg)
                key += (tuple(block.arg_types), sum(1 for _ in block.ops))
            key.append("end of region")
    return tuple(key)


class _Scope:
    """What is known in a block, and in those around it."""

    def __init__(self, block: Block, around: _Scope | None):
        self.block = block
        self.around = around
        self.known: dict[Key, Operation] = {}
        self.reads: dict[Key, Operation] = {}
        """The last op of each kind that reads memory in this block."""
        self.writes = 0
        """How many ops that may write have been passed in this block."""

    def find(self, key: Key) -> Operation | None:
        scope: _Scope | None = self
        while scope is not None:
            if (found := scope.known.get(key)) is not None:
                return found
            scope = scope.around
        return None


def merge_equal(root: Operation) -> int:
    """Merge equal ops inside `root`, those in an op's regions before the op; how many went."""
    number = 0
    stack = _inside(root, None)
    while stack:
        op, scope, is_entered = stack.pop()
        if op.regions and not is_entered:
            stack.append((op, scope, True))
            stack += _inside(op, None if op.has_trait(IsolatedFromAbove) else scope)
        elif _merge(op, scope):
            number += 1
    return number


def _inside(op: Operation, around: _Scope | None) -> list[tuple[Operation, _Scope, bool]]:
    """The ops of each block of `op`, last first, with the block's scope."""
    blocks = [block for region in op.regions for block in region.blocks]
    scopes = [(block, _Scope(block, around)) for block in blocks]
    return [(inner, scope, False) for block, scope in scopes for inner in block.ops][::-1]


def _merge(op: Operation, scope: _Scope) -> bool:
    """Replace `op` by an equal one that dominates it, or make it known."""
    does = effect(op)
    if does is Effect.UNKNOWN:
        scope.writes += 1
        return False
    if not op.results or op.has_trait(IsTerminator) or op.has_trait(SymbolOpInterface):
        return False
    key = structural_key(op)
    earlier = None
    if does is Effect.READ:
        earlier, scope.reads[key] = scope.reads.get(key), op
        key = (*key, id(scope.block), scope.writes)
    known = scope.find(key)
    if known is None:
        if earlier is not None:
            why_not(op, f"memory may be written between the equal one, {describe(earlier)}, and it")
        scope.known[key] = op
        return False
    if not may(MERGED.name, op):
        return False
    for old, new in zip(op.results, known.results, strict=True):
        new.name_hint = new.name_hint or old.name_hint
        old.replace_all_uses_with(new)
    if isinstance(known.location, UnknownLoc):
        known.location = op.location
    erase(op)
    return True


class CsePass(OpPass[Operation]):
    """Merge ops that compute the same from the same operands."""

    name = "cse"
    statistics = (MERGED,)

    def run(self, ctx: Context, op: Operation) -> None:
        MERGED.add(merge_equal(op))
