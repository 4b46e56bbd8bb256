"""Names of a text: values and blocks, visible where MLIR says they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import islice

from xdsl.dialects.builtin import IntAttr, LocationAttr, StringAttr
from xdsl.ir import Block, SSAValue

from ..core.errors import did_you_mean
from . import scan
from .errors import Malformed, Poisoned
from .fastir import file_location, set_hint

MAX_GUESSES = 1000
"""Among so many of the values defined last, a misspelt name's neighbour is looked for."""


@dataclass
class Blocks:
    """Blocks of one region, defined or only named so far."""

    known: dict[str, Block] = field(default_factory=dict[str, Block])
    awaited: dict[str, int] = field(default_factory=dict[str, int])


class Scopes:
    """Values by their names (`%x`, `%r#1`); regions see what is around them unless isolated.

    Attributes:
        values: what can be used here.
        lenient: above 0 where definitions are missing that the text may have: names that are not
            known are then nobody's error.
        has_hints: whether an error is worth a search for what was meant.
    """

    def __init__(self, text: str):
        self._text = text
        self.values: dict[str, SSAValue] = {}
        self.lenient = 0
        self.has_hints = True
        self._poisoned: set[str] = set()
        self._where: dict[str, int] = {}
        self._defined: list[str] = []
        self._hidden: list[tuple[dict[str, SSAValue], set[str]]] = []
        self._frames: list[tuple[list[str], bool]] = []
        self._hints: dict[str, str] = {}

    def value(self, name: str, position: int) -> SSAValue:
        """The value of this name.

        Raises: Malformed: there is none here.
        """
        try:
            return self.values[name]
        except KeyError:
            raise self._undefined(name, position) from None

    def many(self, text: str, position: int) -> list[SSAValue]:
        """The values that a list names."""
        values = self.values
        names = scan.USE.findall(text)
        try:
            return [values[name] for name in names]
        except KeyError:
            pass
        errors = [
            self._undefined(found.group(), position + found.start())
            for found in scan.USE.finditer(text)
            if found.group() not in values
        ]
        error = next((one for one in errors if not one.is_silent), errors[0])
        error.more = tuple(one for one in errors if one is not error)
        raise error

    def _undefined(self, name: str, position: int) -> Malformed:
        """The error for a name that stands for nothing; the next use of it is none."""
        base = name.partition("#")[0]
        if self.lenient or base in self._poisoned or name in self._poisoned:
            return Poisoned(position, f"value {name} is not defined")
        self._poisoned.add(name)
        if any(name in outer for outer, _ in self._hidden):
            return Malformed(
                position, f"value {name} is not visible here: the op around is isolated from above"
            )
        if not self.has_hints:
            return Malformed(position, f"value {name} is not defined")
        later = re.compile(rf"{re.escape(base)}(?::[0-9]+)?\s*(?:,[^\n=]*)?=(?!=)")
        if later.search(self._text, position):
            return Malformed(position, f"value {name} is used before its definition")
        near = islice(reversed(self.values), MAX_GUESSES)
        return Malformed(position, f"value {name} is not defined", did_you_mean(name, near))

    def poison(self, token: tuple[int, str]) -> None:
        """Take the names of a failed op's results (`%a, %b:2 =`) for ones that have no value."""
        for name in token[1].rstrip("= \t\n").split(","):
            base = name.partition(":")[0].strip()
            self._poisoned.add(base)
            if base not in self.values:
                self._defined.append(base)

    def define(self, name: str, value: SSAValue, position: int) -> None:
        """Give a value its name.

        Raises: Malformed: the name is taken.
        """
        if name in self.values:
            # Which of the two a use means, nobody knows.
            self._poisoned.add(name)
            self.values.pop(name)
            raise self._redefined(name, position)
        self.values[name] = value
        self._where[name] = position
        self._defined.append(name)
        self._hint(name, value)

    def _hint(self, name: str, value: SSAValue) -> None:
        """Keep the name as a hint; a number is none."""
        if "0" <= name[1] <= "9":
            return
        hint = self._hints.get(name)
        if hint is None:
            value.name_hint = name[1:]
            self._hints[name] = value.name_hint or ""
        else:
            set_hint(value, hint)

    def define_pack(self, name: str, values: list[SSAValue], position: int) -> None:
        """`%r:2`: `%r` and `%r#0` are the first value, `%r#1` the second."""
        if not values:
            raise Malformed(position, "expected at least one result")
        self.define(name, values[0], position)
        for number, value in enumerate(values):
            self.values[f"{name}#{number}"] = value
            self._defined.append(f"{name}#{number}")
            self._hint(name, value)

    def _redefined(self, name: str, position: int) -> Malformed:
        line = self._text.count("\n", 0, self._where.get(name, 0)) + 1
        return Malformed(position, f"value {name} is already defined, at line {line}")

    def offset(self, name: str) -> int:
        """Where the value of this name is defined."""
        return self._where.get(name.partition("#")[0], 0)

    @property
    def depth(self) -> int:
        """How many scopes are open."""
        return len(self._frames)

    def enter(self, is_isolated: bool) -> None:
        """Open the scope of a region."""
        self._frames.append((self._defined, is_isolated))
        self._defined = []
        if is_isolated:
            self._hidden.append((self.values, self._poisoned))
            self.values = {}
            self._poisoned = set()

    def leave(self) -> None:
        """Close the innermost scope: its names are free again."""
        outer, is_isolated = self._frames.pop()
        if is_isolated:
            self.values, self._poisoned = self._hidden.pop()
        else:
            forget = self.values.pop
            for name in self._defined:
                forget(name, None)
            if self._poisoned:
                self._poisoned.difference_update(self._defined)
        self._defined = outer

    def unwind(self, depth: int) -> None:
        """Close the scopes that an op left open when it failed."""
        while len(self._frames) > depth:
            self.leave()


class Locations:
    """`file:line:col` of offsets that are asked for in ascending order, mostly."""

    def __init__(self, text: str, file: str):
        self._text = text
        self._file = StringAttr(file)
        self._numbers: dict[int, IntAttr] = {}
        self._line = 1
        self._line_start = 0

    def at(self, position: int) -> LocationAttr:
        """The location of an offset."""
        text = self._text
        if position < self._line_start:
            self._line = 1
            self._line_start = 0
        passed = text.count("\n", self._line_start, position)
        if passed:
            self._line += passed
            self._line_start = text.rfind("\n", 0, position) + 1
        return file_location(
            self._file, self._number(self._line), self._number(position - self._line_start + 1)
        )

    def _number(self, value: int) -> IntAttr:
        known = self._numbers.get(value)
        if known is None:
            known = self._numbers[value] = IntAttr(value)
        return known
