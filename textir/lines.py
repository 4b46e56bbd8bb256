"""Which line of a text each op is on: links between a text and what became of its ops."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import FileLineColLoc, IntAttr, StringAttr
from xdsl.ir import Operation

from ..core.walk import walk
from .looks import Look
from .printer import TextPrinter


@dataclass(frozen=True)
class Listing:
    """A text and the line of every op in it; lines count from 1.

    Attributes:
        lines: an op inside an expression has the line of that.
    """

    text: str
    lines: dict[Operation, int]

    def set_locations(self, name: str) -> None:
        """Make its line in a file `name` the location of every op: passes then carry it on."""
        for op, line in self.lines.items():
            op.location = FileLineColLoc(StringAttr(name), IntAttr(line), IntAttr(1))


def listing(op: Operation) -> Listing:
    """The text of a module or of any op, with the lines of its ops."""
    from .forms import print_core, print_loop, print_sched, print_te

    del print_core, print_loop, print_sched, print_te
    printer = TextPrinter(Look())
    text = printer.module(op)
    return Listing(text, {each: _line(each, printer.lines) for each in walk(op)})


def _line(op: Operation, lines: dict[Operation, int]) -> int:
    """Its own line, or that of the op beside it that uses it, or that of the op around it."""
    current: Operation | None = op
    while current is not None and current not in lines:
        uses = [use for result in current.results for use in result.uses]
        user = uses[0].operation if uses else None
        beside = user is not None and user.parent is current.parent
        current = user if beside else current.parent_op()
    return lines[current] if current is not None else 1
