"""Whether different points have different affine indices: no element is touched twice.

The proof is by digits. An index `48*d0 + 16*d1 + d2` with d1 < 3 and d2 < 16 tells d0, d1 and d2,
as a number tells its digits. `d0 floordiv 4` and `d0 mod 4`, found anywhere, tell d0. The same goes
for a sum: `(16*d0 + d1) floordiv 9` and `(16*d0 + d1) mod 9` tell it, and it tells d0 and d1.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
)

from .affine import Ranges, bounds, dim, linear_terms, simplify

Kind = AffineBinaryOpKind
Digit = tuple[int, int | None]
"""(x floordiv first) mod second; without an end where it is not reduced."""


def is_one_to_one(indices: Sequence[AffineExpr], ranges: Ranges) -> bool:
    """Whether no two points of the dimensions in `ranges` have the same indices, provably.

    >>> is_one_to_one([dim(0) * 16 + dim(1)], Ranges(((0, 4), (0, 16))))
    True
    >>> is_one_to_one([dim(0) * 15 + dim(1)], Ranges(((0, 4), (0, 16))))
    False
    """
    proof = _Proof(ranges)
    waiting = [simplify(index, ranges) for index in indices]
    while waiting:
        found = proof.read(waiting.pop())
        if found is None:
            return False
        waiting += found
    return proof.is_complete()


class _Proof:
    """What the indices that have been read tell of each variable, or sum under a division."""

    def __init__(self, ranges: Ranges):
        self.ranges = ranges
        self.digits: dict[AffineExpr, list[Digit]] = {}

    def read(self, index: AffineExpr) -> list[AffineExpr] | None:
        """Take the digits that an index tells; the sums that are to be read next.

        `None` if its terms cannot be told apart.
        """
        spans: list[tuple[int, int]] = []
        sums: list[AffineExpr] = []
        for term, factor in linear_terms(index).items():
            if term is None:
                continue
            interval, place = bounds(term, self.ranges), _digit(term)
            if interval is None or place is None:
                return None
            value, digit = place
            if value not in self.digits and type(value) is not AffineDimExpr:
                sums.append(value)
            self.digits.setdefault(value, []).append(digit)
            spans.append((abs(factor), interval[1] - interval[0] - 1))
        below = 0
        for factor, span in sorted(spans):
            if span and factor <= below:
                return None
            below += factor * span
        return sums

    def is_complete(self) -> bool:
        """Whether the digits tell every sum and every variable that has several values."""
        variables = [dim(number) for number in range(len(self.ranges.dims))]
        return all(self._is_told(value) for value in (*variables, *self.digits))

    def _is_told(self, value: AffineExpr) -> bool:
        interval = bounds(value, self.ranges)
        if interval is None:
            return False
        if interval[1] - interval[0] <= 1:
            return True
        known: int | None = 1  # the value modulo this; `None`: the value
        digits = self.digits.get(value, [])
        for first, end in sorted(digits, key=lambda digit: (digit[0], digit[1] is not None)):
            if known == first:
                known = None if end is None else first * end
        return known is None or (interval[0] >= 0 and interval[1] <= known)


def _digit(term: AffineExpr) -> tuple[AffineExpr, Digit] | None:
    """Of what a term of a sum is a digit."""
    if type(term) is AffineDimExpr:
        return term, (1, None)
    if type(term) is not AffineBinaryOpExpr or type(term.rhs) is not AffineConstantExpr:
        return None
    by, inner = term.rhs.value, _only(term.lhs)
    if term.kind is Kind.Mod and inner is not None and inner[1][1] is None:
        return inner[0], (inner[1][0], by)
    if term.kind is Kind.Mod:
        return term.lhs, (1, by)
    if term.kind is not Kind.FloorDiv:
        return None
    if inner is not None and inner[1][1] is not None and inner[1][1] % by == 0:
        return inner[0], (inner[1][0] * by, inner[1][1] // by)
    if inner is not None and inner[1][1] is None:
        return inner[0], (inner[1][0] * by, None)
    return term.lhs, (by, None)


def _only(expr: AffineExpr) -> tuple[AffineExpr, Digit] | None:
    """The digit that an expression is, if it is one."""
    return None if type(expr) is AffineBinaryOpExpr and expr.kind is Kind.Add else _digit(expr)
