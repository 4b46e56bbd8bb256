"""Immediate post-dominators in the data flow of one block."""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.ir import Block, Operation


def users(op: Operation) -> list[Operation]:
    """The ops of the same block that use results of `op`, themselves or in their regions."""
    found: dict[Operation, None] = {}
    for result in op.results:
        for use in result.uses:
            user: Operation | None = use.operation
            while user is not None and user.parent is not op.parent:
                user = user.parent_op()
            if user is not None:
                found[user] = None
    return list(found)


def post_dominators(block: Block) -> Mapping[Operation, Operation]:
    """For each op of `block` the nearest op that every use of it leads to, if there is one."""
    dominator: dict[Operation, Operation] = {}
    depth: dict[Operation, int] = {}
    for op in reversed(list(block.ops)):
        common: Operation | None = None
        for i, user in enumerate(users(op)):
            common = user if i == 0 else _common(common, user, dominator, depth)
        if common is not None:
            dominator[op] = common
        depth[op] = 0 if common is None else depth[common] + 1
    return dominator


def _common(
    left: Operation | None,
    right: Operation | None,
    dominator: Mapping[Operation, Operation],
    depth: Mapping[Operation, int],
) -> Operation | None:
    """The nearest op that both lead to; `None` if they only meet outside."""
    while left is not None and right is not None and left is not right:
        if depth[left] >= depth[right]:
            left = dominator.get(left)
        else:
            right = dominator.get(right)
    return left if left is right else None
