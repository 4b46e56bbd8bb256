"""Names that values and blocks get in a text: from their hints, exact when they are read back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

from xdsl.ir import Block, Region, SSAValue

_SUFFIX = re.compile(r"_[0-9]+$")


def spelled(hint: str, count: int) -> str:
    """The `count`-th spelling of a hint; reading strips one `_<number>` again."""
    if count == 0 and hint and _SUFFIX.search(hint) is None:
        return hint
    return f"{hint}_{count}"


class Names:
    """Names of values; those of an isolated region are free again behind it."""

    def __init__(self) -> None:
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
            name = self._names[value] = f"%{self._fresh(value.name_hint)}"
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
        self._added = []
        self._counts = {}
        return mark

    def leave(self, mark: tuple[list[str], dict[str, int], int]) -> None:
        """End it: its names may be used again."""
        self._used.difference_update(self._added)
        self._added, self._counts, self._next = mark


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
