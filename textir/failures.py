"""Ops that could not be built: what stands in their place, and what of them is still to be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from xdsl.ir import Operation
from xdsl.utils.exceptions import VerifyException

from .errors import NOWHERE, Malformed
from .recovery import FAILED, FailedOp, Problems, is_token
from .tables import Node

_OPS = frozenset({"op", "assign", "primitive", FAILED})
_OWN_SPACES = frozenset({"te_compute", "loop_stmt", "combine"})
"""What is in the regions of these has no meaning without their axes."""


class Failures:
    """Keeps account of failed ops while a text is built.

    Attributes:
        count: how many have failed, those included whose errors follow from others.
        ops: what stands in their places, in the module.
        symbols: the symbols (`@f`) that failed ops may define, and the labels (`^bb0`).
    """

    def __init__(self, problems: Problems | None):
        self._problems = problems
        self.count = 0
        self.ops: set[Operation] = set()
        self.symbols: set[str] = set()
        self._entered: set[int] = set()
        self._unknown: set[str] = set()

    @property
    def is_full(self) -> bool:
        """Whether further errors are counted only."""
        return self._problems is None or self._problems.is_full

    def take(self, error: Exception, before: int) -> bool:
        """Keep an error of an op; False: it is to be raised.

        Args:
            error: a Malformed; or anything, where something inside the op failed: it may follow
                from that.
            before: the count when the op was begun.
        """
        if self._problems is None:
            return False
        if self.count == before:
            if not isinstance(error, Malformed):
                return False
            self._problems.add(error)
        self.count += 1
        return True

    def count_for(self, label: str) -> int:
        """A count that says whether the block of this label may stand in something that failed."""
        return self.count - (label in self.symbols)

    def withdraw(self, error: Malformed) -> bool:
        """Forget an error, for a better one of the same op; whether it was kept."""
        return self._problems is not None and self._problems.withdraw(error)

    def is_first(self, name: str) -> bool:
        """Whether an unknown op is met for the first time; later ones are not told."""
        is_new = name not in self._unknown
        self._unknown.add(name)
        return is_new

    def replace(self, node: Node | None = None) -> Operation:
        """What stands in the place of a failed op."""
        op = FailedOp.create()
        self.ops.add(op)
        if node is not None:
            self.symbols.update(_symbols(node))
        return op

    def enter(self, region: Node) -> None:
        """Note that a region is read."""
        if self._problems is not None:
            self._entered.add(id(region))

    def unread_regions(self, node: Node) -> Iterator[Node]:
        """The regions in a node that have not been entered; loose ops are one more."""
        loose: list[Node] = []
        stack = _parts(node[3] if node[0] == FAILED else node[2:])
        while stack:
            item = stack.pop()
            tag = item[0] if item and isinstance(item[0], str) else ""
            if tag in _OWN_SPACES:
                continue
            if tag == "region" and len(item) == 3:
                if id(item) not in self._entered:
                    yield item
            elif tag in _OPS:
                loose.append(item)
            else:
                stack += _parts(item)
        if loose:
            yield ("region", loose, [])


def _parts(node: Any) -> list[Node]:
    """The nodes and lists in a node that are no tokens, the last one first."""
    return [
        cast("Node", part)
        for part in reversed(cast("Node", node))
        if isinstance(part, tuple | list) and not is_token(part)
    ]


def placed(error: Exception, node: Node) -> Exception:
    """An error of an op with a place: what a constructor refuses is wrong with the whole op."""
    if isinstance(error, VerifyException):
        return Malformed(start_of(node), str(error))
    if isinstance(error, Malformed) and error.position == NOWHERE:
        error.position = start_of(node)
    return error


def start_of(node: Node) -> int:
    """Where an op's name stands in the text; of any other node, its first token."""
    stack: list[Any] = [node[2] if node[0] == "op" else node]
    while stack:
        item = stack.pop()
        if isinstance(item, int):
            return item
        if isinstance(item, tuple | list):
            stack += reversed(cast("Node", item))
    return 0


def _symbols(node: Node) -> Iterator[str]:
    """The symbols and labels in the head of an op."""
    stack: list[Any] = [node]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            if item.startswith("@"):
                yield item[1:].strip('"')
            elif item.startswith("^"):
                yield item
        elif isinstance(item, tuple | list) and cast("Node", item)[:1] != ("region",):
            stack += cast("Node", item)
