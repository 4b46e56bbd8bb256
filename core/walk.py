"""Walks over nested ops without recursion: IR may be nested deeper than Python's stack."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.ir import Block, Operation


def children(op: Operation) -> list[Operation]:
    """The ops directly inside `op`, in order."""
    return [inner for region in op.regions for block in region.blocks for inner in block.ops]


def walk(root: Operation) -> Iterator[Operation]:
    """`root` and every op inside it, an op before those in its regions, in program order.

    The ops inside an op are listed when the walk goes past it: it may be changed until then.
    """
    stack = [root]
    while stack:
        op = stack.pop()
        yield op
        if op.regions:
            stack.extend(reversed(children(op)))


def blocks(root: Operation) -> Iterator[Block]:
    """Every block inside `root`, outer ones first, in program order."""
    for op in walk(root):
        for region in op.regions:
            yield from region.blocks


def ancestors(op: Operation) -> Iterator[Operation]:
    """The ops around `op`, the nearest first."""
    parent = op.parent_op()
    while parent is not None:
        yield parent
        parent = parent.parent_op()


def is_inside(op: Operation, root: Operation) -> bool:
    """Whether `op` is `root` or somewhere in its regions."""
    return op is root or any(around is root for around in ancestors(op))


def erase(op: Operation) -> None:
    """Erase an op without uses, its regions from the inside out."""
    if op.regions:
        for inner in reversed([inner for inner in walk(op) if inner is not op]):
            block = inner.parent
            assert block is not None
            block.erase_op(inner, safe_erase=False)
    if op.parent is not None:
        op.detach()
    op.erase()
