"""A text that cannot be read: where, what was expected, and the line with a caret."""

from __future__ import annotations

from ..core.errors import TextError

_SHOWN = 160
"""Longer source lines are cut around the caret."""


class ParseTextError(TextError):
    """A place in a text and what is wrong there.

    Attributes:
        file, line, col: the place; lines and columns count from 1.
        source: the line of the text, without its end.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str,
        line: int,
        col: int,
        source: str = "",
        hint: str | None = None,
    ):
        super().__init__(message, where=f"{file}:{line}:{col}", hint=hint)
        self.file = file
        self.line = line
        self.col = col
        self.source = source

    def __str__(self) -> str:
        lines = [f"{self.where}: error: {self.message}"]
        if self.source.strip():
            lines += _excerpt(self.source, self.col)
        if self.hint:
            lines.append(f"  help: {self.hint}")
        return "\n".join(lines)


def _excerpt(source: str, col: int) -> list[str]:
    start = max(0, col - 1 - _SHOWN // 2) if len(source) > _SHOWN else 0
    shown = source[start : start + _SHOWN]
    shown = "".join(c if c.isprintable() or c == "\t" else "?" for c in shown)
    pad = "".join("\t" if c == "\t" else " " for c in shown[: col - 1 - start])
    return [shown, f"{pad}^"]


NOWHERE = -1
"""The offset of an error that is somewhere in its op."""


class Malformed(Exception):
    """Raised inside textir where only an offset is known; `at` makes it a ParseTextError.

    Attributes:
        more: other errors of the same op.
        is_silent: it follows from an error that was told before: nobody need hear of it.
    """

    is_silent = False

    def __init__(self, position: int, message: str, hint: str | None = None):
        super().__init__(message)
        self.position = position
        self.message = message
        self.hint = hint
        self.more: tuple[Malformed, ...] = ()


class Poisoned(Malformed):
    """A value that is not there because the op that gives it failed, or was told of before."""

    is_silent = True


def at(
    text: str, file: str, position: int, message: str, hint: str | None = None
) -> ParseTextError:
    """The error at an offset of a text."""
    position = min(position, len(text))
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return ParseTextError(
        message,
        file=file,
        line=text.count("\n", 0, position) + 1,
        col=position - start + 1,
        source=text[start : end if end >= 0 else len(text)].rstrip("\r"),
        hint=hint,
    )
