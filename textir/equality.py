"""Whether two modules are the same, and where they first differ; iteratively.

xDSL's own comparison recurses (it dies at 150 nested regions) and says only yes or no.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from xdsl.ir import Attribute, Block, Operation, SSAValue

from ..core.walk import ancestors

Difference = str | None


def equal(
    a: Operation, b: Operation, *, locations: bool = False, names: bool = False
) -> Difference:
    """The first difference of two ops and all that is in them, None if there is none.

    Compared are op names, properties and attributes (each in its dictionary), operands, results,
    successors, regions, blocks and their arguments. Floats are equal when their bits are.

    Args: a, b: ops. locations: of ops and block arguments too. names: name hints too.
    """
    return _Comparison(locations=locations, names=names).run(a, b)


class _Comparison:
    def __init__(self, *, locations: bool, names: bool):
        self._locations = locations
        self._names = names
        self._values: dict[SSAValue, SSAValue] = {}
        self._blocks: dict[Block, Block] = {}
        self._operands: list[tuple[Operation, Operation]] = []

    def run(self, a: Operation, b: Operation) -> Difference:
        stack: list[tuple[Operation, Operation]] = [(a, b)]
        while stack:
            left, right = stack.pop()
            inner: list[tuple[Operation, Operation]] = []
            for difference in self._op(left, right, inner):
                return f"{_path(left)}: {difference}"
            stack += reversed(inner)
        for left, right in self._operands:
            for difference in self._uses(left, right):
                return f"{_path(left)}: {difference}"
        return None

    def _op(
        self, a: Operation, b: Operation, inner: list[tuple[Operation, Operation]]
    ) -> Iterator[str]:
        if type(a) is not type(b) or a.name != b.name:
            yield f"op '{a.name}' is '{b.name}'"
            return
        yield from _dictionaries("property", a.properties, b.properties)
        yield from _dictionaries("attribute", a.attributes, b.attributes)
        yield from self._definitions("result", a.results, b.results)
        if self._locations and a.location != b.location:
            yield f"location {a.location} is {b.location}"
        if len(a.regions) != len(b.regions):
            yield f"{len(a.regions)} regions are {len(b.regions)}"
            return
        self._operands.append((a, b))
        for number, (left, right) in enumerate(zip(a.regions, b.regions, strict=True)):
            blocks = list(left.blocks), list(right.blocks)
            if len(blocks[0]) != len(blocks[1]):
                yield f"region {number}: {len(blocks[0])} blocks are {len(blocks[1])}"
                return
            for pair in zip(*blocks, strict=True):
                yield from self._block(*pair, inner)

    def _block(self, a: Block, b: Block, inner: list[tuple[Operation, Operation]]) -> Iterator[str]:
        self._blocks[a] = b
        yield from self._definitions("argument", a.args, b.args)
        if self._names and a.name_hint != b.name_hint:
            yield f"block name {a.name_hint} is {b.name_hint}"
        if self._locations:
            for left, right in zip(a.args, b.args, strict=True):
                if left.location != right.location:
                    yield f"argument location {left.location} is {right.location}"
        ops = list(a.ops), list(b.ops)
        if len(ops[0]) != len(ops[1]):
            yield f"a block of {len(ops[0])} ops has {len(ops[1])}"
            return
        inner += zip(*ops, strict=True)

    def _definitions(
        self, noun: str, a: Iterable[SSAValue], b: Iterable[SSAValue]
    ) -> Iterator[str]:
        left, right = list(a), list(b)
        if len(left) != len(right):
            yield f"{len(left)} {noun}s are {len(right)}"
            return
        for number, (one, other) in enumerate(zip(left, right, strict=True)):
            self._values[one] = other
            if one.type != other.type:
                yield f"{noun} {number}: type {one.type} is {other.type}"
            if self._names and one.name_hint != other.name_hint:
                yield f"{noun} {number}: name {one.name_hint} is {other.name_hint}"

    def _uses(self, a: Operation, b: Operation) -> Iterator[str]:
        if len(a.operands) != len(b.operands):
            yield f"{len(a.operands)} operands are {len(b.operands)}"
            return
        for number, (left, right) in enumerate(zip(a.operands, b.operands, strict=True)):
            if self._values.get(left, left) is not right:
                yield f"operand {number} is another value"
        if len(a.successors) != len(b.successors):
            yield f"{len(a.successors)} successors are {len(b.successors)}"
            return
        for number, (one, other) in enumerate(zip(a.successors, b.successors, strict=True)):
            if self._blocks.get(one, one) is not other:
                yield f"successor {number} is another block"


def _dictionaries(
    noun: str, a: Mapping[str, Attribute], b: Mapping[str, Attribute]
) -> Iterator[str]:
    for name in [*a, *(name for name in b if name not in a)]:
        left, right = a.get(name), b.get(name)
        if left is None or right is None:
            yield f"{noun} '{name}' is only in the {'second' if left is None else 'first'}"
        elif left is not right and left != right:
            yield f"{noun} '{name}': {_short(left)} is {_short(right)}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _path(op: Operation) -> str:
    """`builtin.module > func.func > arith.addi`, from the outside in, at most five of them."""
    names = [current.name for current in (op, *ancestors(op))]
    if len(names) > 5:
        names[5:] = ["..."]
    return " > ".join(reversed(names))
