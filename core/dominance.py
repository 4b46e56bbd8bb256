"""SSA dominance: every value is defined before it is used. xDSL's verifier does not check it.

Iterative, one pass over a module. In a region of several blocks a definition dominates what every
way from the entry passes it; blocks that cannot be reached are not checked, as in MLIR.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from xdsl.ir import Block, BlockArgument, Operation, Region, SSAValue
from xdsl.traits import IsolatedFromAbove

from .diagnostics import Diagnostic, Severity, at
from .walk import walk


@dataclass(frozen=True)
class Undominated:
    """An operand that is not defined where it is used."""

    op: Operation
    index: int
    reason: str

    @property
    def message(self) -> str:
        """What is wrong, in a sentence."""
        return f"'{self.op.name}': operand {self.index} {self.reason}"

    def diagnostic(self) -> Diagnostic:
        """For the user, at the op's location."""
        return at(Severity.ERROR, self.message, self.op.location, op=self.op)


def undominated(root: Operation) -> Iterator[Undominated]:
    """Every operand inside `root` that its definition does not dominate, in program order."""
    order = _Order(root)
    for op in walk(root):
        for index, operand in enumerate(op.operands):
            reason = order.why_not(operand, op)
            if reason is not None:
                yield Undominated(op, index, reason)


class _Order:
    """Positions of ops in their blocks, and dominator trees where there are several blocks."""

    def __init__(self, root: Operation):
        self._root = root
        self._position: dict[Operation, int] = {}
        self._trees: dict[Region, dict[Block, Block | None]] = {}
        self._depths: dict[Block, int] = {}
        for op in walk(root):
            for region in op.regions:
                for block in region.blocks:
                    for number, inner in enumerate(block.ops):
                        self._position[inner] = number

    def why_not(self, value: SSAValue, user: Operation) -> str | None:
        """Why `value` is not defined at `user`; None: it is."""
        owner = value.owner
        home = owner if isinstance(owner, Block) else owner.parent
        if user is self._root and (home is None or user.parent is home):
            return None
        place = self._place_in(home, user)
        if place is None:
            return "is defined in another region"
        anchor, is_isolated = place
        if is_isolated:
            return "is defined outside of an op that is isolated from above"
        if anchor is None:
            return None
        return self._within(value, owner, home, anchor)

    def _within(
        self,
        value: SSAValue,
        owner: Operation | Block,
        home: Block | None,
        anchor: Operation,
    ) -> str | None:
        block = anchor.parent
        if block is None or home is None:
            return None
        if block is home:
            if isinstance(value, BlockArgument) or not isinstance(owner, Operation):
                return None
            if owner is anchor:
                return "is a result of the op itself or of one around it"
            is_before = self._position.get(owner, 0) < self._position.get(anchor, 0)
            return None if is_before else "is used before its definition"
        return None if self._dominates(home, block) else "is not defined on every way to its use"

    def _place_in(
        self, home: Block | None, user: Operation
    ) -> tuple[Operation | None, bool] | None:
        """The op around `user` (or it) beside `home`; whether isolation is crossed."""
        if home is None:
            return None
        region = home.parent
        current: Operation | None = user
        is_isolated = False
        while current is not None:
            block = current.parent
            if block is home or (
                block is not None and region is not None and block.parent is region
            ):
                return current, is_isolated
            current = current.parent_op()
            if current is not None and current.has_trait(
                IsolatedFromAbove, value_if_unregistered=False
            ):
                is_isolated = True
        return None

    def _dominates(self, a: Block, b: Block) -> bool:
        region = a.parent
        assert region is not None
        tree = self._trees.get(region)
        if tree is None:
            tree = self._trees[region] = immediate_dominators(region)
        if b not in tree:
            return True
        current: Block | None = b
        while current is not None and current is not a:
            current = tree[current]
        return current is a


def immediate_dominators(region: Region) -> dict[Block, Block | None]:
    """For each block that can be reached, the nearest one that all ways to it pass.

    Cooper, Harvey and Kennedy, "A Simple, Fast Dominance Algorithm".
    """
    order = _reverse_postorder(region)
    number = {block: position for position, block in enumerate(order)}
    predecessors: dict[Block, list[Block]] = {block: [] for block in order}
    for block in order:
        for successor in _successors(block):
            predecessors[successor].append(block)
    tree: dict[Block, Block | None] = {order[0]: None} if order else {}
    changed = True
    while changed:
        changed = False
        for block in order[1:]:
            known = [p for p in predecessors[block] if p in tree]
            nearest = known[0]
            for other in known[1:]:
                nearest = _meet(nearest, other, tree, number)
            if tree.get(block) is not nearest:
                tree[block] = nearest
                changed = True
    return tree


def _meet(a: Block, b: Block, tree: dict[Block, Block | None], number: dict[Block, int]) -> Block:
    while a is not b:
        if number[a] < number[b]:
            a, b = b, a
        above = tree[a]
        assert above is not None
        a = above
    return a


def _successors(block: Block) -> list[Block]:
    last = block.last_op
    return [] if last is None else [s for s in last.successors if s.parent is block.parent]


def _reverse_postorder(region: Region) -> list[Block]:
    entry = region.blocks.first
    if entry is None:
        return []
    order: list[Block] = []
    seen = {entry}
    stack: list[tuple[Block, Iterator[Block]]] = [(entry, iter(_successors(entry)))]
    while stack:
        block, rest = stack[-1]
        following = next(rest, None)
        if following is None:
            order.append(block)
            stack.pop()
        elif following not in seen:
            seen.add(following)
            stack.append((following, iter(_successors(following))))
    return order[::-1]
