"""Transposing in registers: vectors along one axis of memory become vectors across it.

Sixteen vectors of sixteen elements take four rounds of sixteen shuffles of two registers, each one
instruction on x86: within 128 bits first, then whole blocks of 128 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .text import FunctionWriter, vector_literal, vector_type


@dataclass(frozen=True)
class _Shuffles:
    """Two-register shuffles that do the same in every segment of `length` lanes."""

    writer: FunctionWriter
    scalar: str
    width: int
    length: int

    def pick(self, a: str, b: str, pattern: Sequence[int]) -> str:
        """Lanes of a segment: below `length` of a, from there on of b."""
        lanes = [
            start + lane if lane < self.length else self.width + start + lane - self.length
            for start in range(0, self.width, self.length)
            for lane in pattern
        ]
        type_ = vector_type(self.scalar, self.width)
        mask = vector_literal(lanes, "i32")
        return self.writer.define(
            f"shufflevector {type_} {a}, {type_} {b}, <{self.width} x i32> {mask}"
        )

    def zipped(self, a: str, b: str, unit: int) -> tuple[str, str]:
        """Units of a and b in turn, of the first and second halves of every four lanes."""
        found: list[str] = []
        for half in (0, 2):
            pattern = [
                source + block + half + step + k
                for block in range(0, self.length, 4)
                for step in range(0, 2, unit)
                for source in (0, self.length)
                for k in range(unit)
            ]
            found.append(self.pick(a, b, pattern))
        return found[0], found[1]

    def blocks(self, a: str, b: str, first: int) -> str:
        """Every second block of four lanes, of a and then of b."""
        pattern = [
            source + block * 4 + k
            for source in (0, self.length)
            for block in range(first, self.length // 4, 2)
            for k in range(4)
        ]
        return self.pick(a, b, pattern)

    def quads(self, rows: Sequence[str]) -> list[str]:
        """Four rows: in each block of four lanes, vector k holds lane k of the rows."""
        low01, high01 = self.zipped(rows[0], rows[1], 1)
        low23, high23 = self.zipped(rows[2], rows[3], 1)
        return [*self.zipped(low01, low23, 2), *self.zipped(high01, high23, 2)]

    def across(self, groups: Sequence[str]) -> list[str]:
        """Block q of every group, for each q: a transposition of blocks."""
        if len(groups) == 1:
            return list(groups)
        pairs = [
            [self.blocks(groups[i], groups[i + 1], first) for i in range(0, len(groups), 2)]
            for first in (0, 1)
        ]
        even, odd = (self.across(pair) for pair in pairs)
        return [block for both in zip(even, odd, strict=True) for block in both]


def transposed(writer: FunctionWriter, rows: Sequence[str], scalar: str, height: int) -> list[str]:
    """`height` vectors, the k-th of element k of each row.

    Rows have `height` elements; their number is a power of two and at least that.
    """
    width = len(rows)
    packed = [_joined(writer, rows[k::height], scalar, height) for k in range(height)]
    shuffles = _Shuffles(writer, scalar, width, height)
    if height == 1:
        return packed
    if height == 2:
        return [shuffles.pick(packed[0], packed[1], lanes) for lanes in ((0, 2), (1, 3))]
    quads = [shuffles.quads(packed[g : g + 4]) for g in range(0, height, 4)]
    columns = [shuffles.across([quad[k] for quad in quads]) for k in range(4)]
    return [columns[k][q] for q in range(height // 4) for k in range(4)]


def _joined(writer: FunctionWriter, parts: Sequence[str], scalar: str, length: int) -> str:
    """Short vectors, one after the other, as one."""
    while len(parts) > 1:
        type_ = vector_type(scalar, length)
        length *= 2
        mask = vector_literal(list(range(length)), "i32")
        parts = [
            writer.define(f"shufflevector {type_} {a}, {type_} {b}, <{length} x i32> {mask}")
            for a, b in zip(parts[::2], parts[1::2], strict=True)
        ]
    return parts[0]
