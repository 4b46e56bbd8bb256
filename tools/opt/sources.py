"""Reading the input of nn-opt: bytes to text, text to parts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import NncError, TextError


@dataclass(frozen=True)
class Part:
    """One module's text: the lines before it are left empty, so that lines keep their numbers."""

    text: str
    first_line: int

    @property
    def padded(self) -> str:
        """The text, its first line at its place in the file."""
        return "\n" * (self.first_line - 1) + self.text


def read_text(path: str) -> str:
    """The text of a file, or of stdin for `-`.

    Raises: NncError: it cannot be read. TextError: it is not UTF-8.
    """
    raw = read_bytes(path)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - raw.rfind(b"\n", 0, error.start)
        raise TextError(
            f"invalid UTF-8: byte 0x{raw[error.start]:02x}",
            where=f"{shown(path)}:{line}:{column}",
            hint="nn-opt reads text; an ONNX file needs -f onnx",
        ) from None


def read_bytes(path: str) -> bytes:
    """The bytes of a file, or of stdin for `-`.

    Raises: NncError: it cannot be read.
    """
    if path == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise NncError(f"cannot read {path}: {error.strerror}") from None


def shown(path: str) -> str:
    """The name of a file in messages."""
    return "<stdin>" if path == "-" else path


def split(text: str, marker: str | None) -> list[Part]:
    """The parts between lines that are the marker; without a marker, the whole."""
    if marker is None:
        return [Part(text, 1)]
    parts: list[Part] = []
    lines: list[str] = []
    first = 1
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() == marker:
            parts.append(Part("\n".join(lines), first))
            lines, first = [], number + 1
        else:
            lines.append(line)
    parts.append(Part("\n".join(lines), first))
    return parts
