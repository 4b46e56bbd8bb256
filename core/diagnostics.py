"""Diagnostics: a severity, a place and a sentence, printed as `file:line:col: error: ...`.

A pass reports a warning or a remark with `report`; whoever runs passes listens with `collecting`.
Errors travel as exceptions (core/errors) and become diagnostics at the edge, in `from_exception`.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from .errors import NncError

if TYPE_CHECKING:
    from xdsl.ir import Attribute, Operation


class Severity(StrEnum):
    """How bad, in MLIR's words."""

    ERROR = "error"
    WARNING = "warning"
    REMARK = "remark"
    NOTE = "note"


@dataclass(frozen=True)
class Place:
    """A line of a text, counted from 1; column 0 stands for an unknown one."""

    file: str
    line: int
    col: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}" if self.col else f"{self.file}:{self.line}"


_SHOWN = 160
"""Longer source lines are cut around the caret."""
_PLACE = re.compile(r"(?P<file>[^,\n]+?):(?P<line>\d+)(?::(?P<col>\d+))?(?:, .*)?")


@dataclass(frozen=True)
class Diagnostic:
    """One thing to tell the user.

    Attributes:
        place: where in a text, if it came from one.
        name: an ONNX node's name or another place that is no text.
        help: what would mend it.
        op: what it is about, if the one who reports has it at hand.
    """

    severity: Severity
    message: str
    place: Place | None = None
    name: str | None = None
    help: str | None = None
    op: Operation | None = field(default=None, compare=False, repr=False)

    def render(self, sources: Mapping[str, str]) -> str:
        """The message, and the source line with a caret where the text is among `sources`."""
        where = self.place or self.name
        head = f"{where}: " if where else ""
        lines = [f"{head}{self.severity}: {self.message}"]
        if self.place is not None and "\n" not in self.message:
            lines += _excerpt(self.place, sources.get(self.place.file))
        if self.help:
            lines.append(f"  help: {self.help}")
        return "\n".join(lines)


def _excerpt(place: Place, source: str | None) -> list[str]:
    if source is None:
        return []
    lines = source.split("\n")
    if not 0 < place.line <= len(lines):
        return []
    line = lines[place.line - 1].rstrip("\r")
    start = max(0, place.col - 1 - _SHOWN // 2) if len(line) > _SHOWN else 0
    cut = "".join(c if c.isprintable() or c == "\t" else "?" for c in line[start:][:_SHOWN])
    if not cut.strip():
        return []
    if not 0 < place.col <= len(line) + 1:
        return [cut]
    pad = "".join("\t" if c == "\t" else " " for c in cut[: place.col - 1 - start])
    return [cut, f"{pad}^"]


def place_of(location: Attribute) -> Place | None:
    """The first place in a text that a location names."""
    from xdsl.dialects.builtin import FileLineColLoc

    from .locations import parts

    for part in parts(location):
        if isinstance(part, FileLineColLoc):
            return Place(part.filename.data, part.line.data, part.column.data)
    return None


def at(
    severity: Severity,
    message: str,
    location: Attribute,
    *,
    help: str | None = None,
    op: Operation | None = None,
) -> Diagnostic:
    """A diagnostic at a location of any kind."""
    from .locations import describe_location

    place = place_of(location)
    name = None if place else describe_location(location)
    return Diagnostic(severity, message, place, name, help, op)


def from_exception(error: BaseException) -> Diagnostic:
    """An exception that is meant for a user, as a diagnostic.

    Ours carry their place in `where`, xDSL's parse errors in a span; the others have none.
    """
    from xdsl.utils.exceptions import ParseError

    if isinstance(error, ParseError):
        found = error.span.get_location()
        return Diagnostic(Severity.ERROR, error.msg, Place(found.file, found.line, found.col))
    if not isinstance(error, NncError):
        message = str(error) or type(error).__name__
        return Diagnostic(Severity.ERROR, message)
    match = _PLACE.fullmatch(error.where or "")
    if match is None:
        return Diagnostic(Severity.ERROR, error.message, None, error.where, error.hint)
    place = Place(match["file"], int(match["line"]), int(match["col"] or 0))
    return Diagnostic(Severity.ERROR, error.message, place, None, error.hint)


_LISTENER: ContextVar[list[Diagnostic] | None] = ContextVar("nnc_diagnostics", default=None)


@contextmanager
def collecting() -> Generator[list[Diagnostic]]:
    """Collect what is reported while the block runs."""
    diagnostics: list[Diagnostic] = []
    token = _LISTENER.set(diagnostics)
    try:
        yield diagnostics
    finally:
        _LISTENER.reset(token)


def report(severity: Severity, op: Operation, message: str) -> None:
    """Tell the user something about an op, without stopping: a warning, a remark, a note."""
    if (diagnostics := _LISTENER.get()) is not None:
        diagnostics.append(at(severity, message, op.location, op=op))
