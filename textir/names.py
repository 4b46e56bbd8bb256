"""Names that values and blocks get in a text: from their hints, exact when they are read back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from xdsl.dialects.builtin import NameLoc
from xdsl.ir import Block, Region, SSAValue

from ..core.locations import parts

_NO_NAME = re.compile(r"[^\w$.-]", re.ASCII)
_SUFFIX = re.compile(r"_[0-9]+$")


def spelled(hint: str, count: int) -> str:
    """The `count`-th spelling of a hint; reading strips one `_<number>` again."""
    if count == 0 and hint and _SUFFIX.search(hint) is None:
        return hint
    return f"{hint}_{count}"


class Names:
    """Names of values; those of an isolated region are free again behind it.

    Args:
        unique: they are not: no name stands for two values.
        node_names: what the model's node is called, an op's results are called too.
    """

    def __init__(self, *, unique: bool = False, node_names: bool = False) -> None:
        self._unique = unique
        self._node_names = node_names
        self._names: dict[SSAValue, str] = {}
        self._ranks: dict[SSAValue, int] = {}
        self._used: set[str] = set()
        self._counts: dict[str, int] = {}
        self._next = 0
        self._added: list[str] = []

    def known(self, values: Iterable[SSAValue]) -> bool:
        """Whether every value has been named: none is used before its definition."""
        names = self._names
        return all(value in names for value in values)

    def are_ordered(self, values: Iterable[SSAValue]) -> bool:
        """Whether the values were named, that is defined, in this order."""
        ranks = [self._ranks.get(value, -1) for value in values]
        return all(a < b for a, b in pairwise(ranks))

    def of(self, value: SSAValue) -> str:
        """`%name`, made at the first call."""
        name = self._names.get(value)
        if name is None:
            node = node_name(value) if self._node_names else None
            fresh = self._fresh(value.name_hint) if node is None else self._free(node)
            name = self._names[value] = f"%{fresh}"
            self._ranks[value] = len(self._ranks)
        return name

    def prefer(self, value: SSAValue, name: str) -> str:
        """As `of`, spelled `name` if that is free and keeps the hint."""
        if value not in self._names and value.name_hint is not None and name not in self._used:
            stripped = _SUFFIX.sub("", name) if SSAValue.is_valid_name(name) else None
            if stripped == value.name_hint:
                self._used.add(name)
                self._added.append(name)
                self._names[value] = f"%{name}"
                self._ranks[value] = len(self._ranks)
        return self.of(value)

    def _free(self, name: str) -> str:
        """This name, or with a number behind it; unlike a hint, it keeps one that it ends with."""
        free, count = name, 0
        while free in self._used:
            free = f"{name}_{count}"
            count += 1
        self._used.add(free)
        self._added.append(free)
        return free

    def _fresh(self, hint: str | None) -> str:
        if hint is None:
            self._next += 1
            return str(self._next - 1)
        count = self._counts.get(hint, 0)
        while (name := spelled(hint, count)) in self._used:
            count += 1
        self._counts[hint] = count + 1
        self._used.add(name)
        self._added.append(name)
        return name

    def enter(self) -> tuple[list[str], dict[str, int], int]:
        """Begin an isolated region."""
        mark = (self._added, self._counts, self._next)
        if self._unique:
            return mark
        self._added = []
        self._counts = {}
        return mark

    def leave(self, mark: tuple[list[str], dict[str, int], int]) -> None:
        """End it: its names may be used again."""
        if self._unique:
            return
        self._used.difference_update(self._added)
        self._added, self._counts, self._next = mark


def node_name(value: SSAValue) -> str | None:
    """What the model calls the node that gives a value, as a name of the text."""
    op = value.owner
    if isinstance(op, Block):
        return None
    name = next((part.desc.data for part in parts(op.location) if isinstance(part, NameLoc)), "")
    spelled = _NO_NAME.sub("_", name)
    return f"_{spelled}" if spelled[:1].isdigit() else spelled or None


def block_names(region: Region) -> dict[Block, str]:
    """`^bb0`, `^bb1`, or what the blocks are called."""
    names: dict[Block, str] = {}
    used: set[str] = set()
    counts: dict[str, int] = {}
    for index, block in enumerate(region.blocks):
        hint = block.name_hint
        if hint is None:
            names[block] = f"^bb{index}"
            continue
        count = counts.get(hint, 0)
        while (name := spelled(hint, count)) in used:
            count += 1
        counts[hint] = count + 1
        used.add(name)
        names[block] = f"^{name}"
    return names
