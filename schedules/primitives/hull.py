"""The rectangular hull of what the iterations inside a loop touch.

For `x[14 * o + i + kw - 1]` with o fixed, i in [0, 14) and kw in [0, 3) it starts at `14 * o - 1`
and has 16 places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineSymExpr,
)

from ...core.affine import (
    Range,
    Ranges,
    bounds,
    const,
    dim,
    from_terms,
    linear_terms,
    simplify,
    substitute,
    used,
)
from ...dialects.loop import ForOp, ReadOp, StmtOp
from .space import loop_of, loop_range, loops_around, through_bind

Terms = dict[AffineExpr | None, int]


@dataclass(frozen=True)
class Interval:
    """Places [base + low, base + high): `base` has no constant and is over the fixed loops."""

    base: AffineExpr
    low: int
    high: int

    @property
    def start(self) -> AffineExpr:
        """The first place."""
        return from_terms(linear_terms(self.base + const(self.low)))

    @property
    def extent(self) -> int:
        """How many places."""
        return self.high - self.low


class Fixed:
    """The loops that stand still: `loop` and those around it, as dimensions 0, 1, ..."""

    def __init__(self, loop: ForOp):
        self.loops = [*loops_around(loop), loop]
        self.variables = [each.variable for each in self.loops]
        self.ranges = Ranges(tuple(loop_range(each) for each in self.loops))

    def of_stmt(self, stmt: StmtOp, expr: AffineExpr, num_opaque: int = 0) -> Interval | None:
        """The hull of an expression of a map of `stmt`; `None`: opaque."""
        at = list(range(len(self.variables)))
        ranges: list[Range | None] = list(self.ranges.dims)
        mapping: list[AffineExpr] = []
        for iv in stmt.ivs:
            position = next((i for i in at if self.variables[i] is iv), None)
            if position is None:
                position = len(ranges)
                ranges.append(loop_range(loop_of(iv)))
            mapping.append(dim(position))
        over = substitute(through_bind(stmt, expr, num_opaque), mapping)
        return self._interval(simplify(over, Ranges(tuple(ranges))), Ranges(tuple(ranges)))

    def of_read(self, stmt: StmtOp, read: ReadOp, position: int) -> Interval | None:
        """The hull of one index of a read."""
        return self.of_stmt(stmt, read.map.data.results[position], len(read.symbols))

    def _interval(self, expr: AffineExpr, ranges: Ranges) -> Interval | None:
        base: Terms = {}
        low = high = 0
        for atom, factor in linear_terms(expr).items():
            part = self._atom(atom, factor, ranges)
            if part is None:
                return None
            for term, inner in linear_terms(part.base).items():
                base[term] = base.get(term, 0) + inner
            low += part.low
            high += part.high - 1
        return Interval(from_terms(base), low, high + 1)

    def _atom(self, atom: AffineExpr | None, factor: int, ranges: Ranges) -> Interval | None:
        if atom is None:
            return Interval(const(0), factor, factor + 1)
        if any(isinstance(node, AffineSymExpr) for node in atom.dfs()):
            return None
        dims = used(atom)[0]
        if all(position < len(self.variables) for position in dims):
            return Interval(from_terms({atom: factor}), 0, 1)
        if not any(position < len(self.variables) for position in dims) or isinstance(
            atom, AffineDimExpr
        ):
            return _scaled(bounds(atom, ranges), factor)
        return self._mixed(atom, factor, ranges)

    def _mixed(self, atom: AffineExpr, factor: int, ranges: Ranges) -> Interval | None:
        """A division of fixed and moving terms: F + V in places of V from `low` on."""
        assert isinstance(atom, AffineBinaryOpExpr)
        if atom.kind is not AffineBinaryOpKind.FloorDiv:
            return _scaled(bounds(atom, ranges), factor)
        inner = self._interval(atom.lhs, ranges)
        if inner is None or not isinstance(atom.rhs, AffineConstantExpr):
            return None
        divisor = atom.rhs.value
        first = simplify(AffineBinaryOpExpr(atom.kind, inner.start, atom.rhs), ranges)
        steps = -(-(inner.extent - 1) // divisor)
        scaled = _scaled((0, steps + 1), factor)
        assert scaled is not None
        terms = {term: f * factor for term, f in linear_terms(first).items()}
        constant = terms.pop(None, 0)
        return Interval(from_terms(terms), scaled.low + constant, scaled.high + constant)


def _scaled(interval: Range | None, factor: int) -> Interval | None:
    if interval is None:
        return None
    ends = interval[0] * factor, (interval[1] - 1) * factor
    return Interval(const(0), min(ends), max(ends) + 1)


def join(intervals: Sequence[Interval | None], size: int, ranges: Ranges) -> Interval:
    """The hull of several intervals, clipped to [0, size); the whole where one is unknown."""
    whole = Interval(const(0), 0, size)
    result: Interval | None = None
    for interval in intervals:
        if interval is None:
            return whole
        result = interval if result is None else _join_two(result, interval, ranges)
        if result is None or result.extent >= size:
            return whole
    return result or whole


def _join_two(first: Interval, second: Interval, ranges: Ranges) -> Interval | None:
    apart = bounds(simplify(second.base + first.base * -1, ranges), ranges)
    if apart is None:
        return None
    low = min(first.low, apart[0] + second.low)
    high = max(first.high, apart[1] - 1 + second.high)
    return Interval(first.base, low, high)
