"""Names of a text: values and blocks, visible where MLIR says they are."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from xdsl.dialects.builtin import IntAttr, LocationAttr, StringAttr
from xdsl.ir import Block, SSAValue

from . import scan
from .errors import Malformed, did_you_mean
from .fastir import file_location, set_hint

_NUMBERED = re.compile(r"%[0-9]+")


@dataclass
class Blocks:
    """Blocks of one region, defined or only named so far."""

    known: dict[str, Block] = field(default_factory=dict[str, Block])
    awaited: dict[str, int] = field(default_factory=dict[str, int])


class Scopes:
    """Values by their names (`%x`, `%r#1`); regions see what is around them unless isolated."""

    def __init__(self, text: str):
        self._text = text
        self.values: dict[str, SSAValue] = {}
        self._where: dict[str, int] = {}
        self._defined: list[str] = []
        self._hidden: list[dict[str, SSAValue]] = []
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
        for found in scan.USE.finditer(text):
            if found.group() not in values:
                raise self._undefined(found.group(), position + found.start())
        raise AssertionError("a value went missing")

    def _undefined(self, name: str, position: int) -> Malformed:
        if any(name in outer for outer in self._hidden):
            return Malformed(
                position, f"value {name} is not visible here: the op around is isolated from above"
            )
        base = name.partition("#")[0]
        later = re.compile(rf"{re.escape(base)}(?::[0-9]+)?\s*(?:,[^\n=]*)?=(?!=)")
        if later.search(self._text, position):
            return Malformed(position, f"value {name} is used before its definition")
        return Malformed(position, f"value {name} is not defined", did_you_mean(name, self.values))

    def define(self, name: str, value: SSAValue, position: int) -> None:
        """Give a value its name.

        Raises: Malformed: the name is taken.
        """
        if name in self.values:
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

    def enter(self, is_isolated: bool) -> tuple[list[str], bool]:
        """Open the scope of a region; hand the result to `leave`."""
        mark = (self._defined, is_isolated)
        self._defined = []
        if is_isolated:
            self._hidden.append(self.values)
            self.values = {}
        return mark

    def leave(self, mark: tuple[list[str], bool]) -> None:
        """Close the scope: its names are free again."""
        outer, is_isolated = mark
        if is_isolated:
            self.values = self._hidden.pop()
        else:
            for name in self._defined:
                del self.values[name]
        self._defined = outer


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
