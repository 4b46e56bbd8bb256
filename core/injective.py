"""Whether affine expressions with div and mod tell every two points of a box apart.

A layout must be injective: two elements may not share a place. So must the points that a parallel
loop writes. The proof is structural (mixed radix; `x floordiv a` with `x mod a`); small boxes are
enumerated where it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from math import prod

from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
)

from .affine import Range, Ranges, bounds, from_terms, linear_terms, simplify

ENUMERATION_LIMIT = 1 << 16
"""Points that are enumerated where the structure proves nothing."""


def is_injective(exprs: Sequence[AffineExpr], extents: Sequence[Range]) -> bool | None:
    """Whether two points of the box `extents` never have the same values of all `exprs`.

    `None` where neither the structure nor an enumeration of at most ENUMERATION_LIMIT points
    decides. Symbols are taken as unknown constants.

    >>> from .affine import dim
    >>> is_injective([dim(0) * 8 + dim(1)], [(0, 4), (0, 8)])
    True
    >>> is_injective([dim(0) * 8 + dim(1)], [(0, 4), (0, 9)])
    False
    """
    if any(high - low <= 0 for low, high in extents):
        return True
    if _Decoder(exprs, extents).decodes():
        return True
    if prod(high - low for low, high in extents) > ENUMERATION_LIMIT:
        return None
    if any(node for expr in exprs for node in expr.dfs() if not _evaluates(node)):
        return None
    points = product(*(range(low, high) for low, high in extents))
    seen: set[tuple[int, ...]] = set()
    for point in points:
        image = tuple(expr.eval(point, ()) for expr in exprs)
        if image in seen:
            return False
        seen.add(image)
    return True


def follows(position: int, exprs: Sequence[AffineExpr], extents: Sequence[Range]) -> bool:
    """Whether the values of `exprs` tell dimension `position`, as far as their structure shows.

    >>> from .affine import dim
    >>> follows(0, [dim(0) * 8 + dim(1), dim(2) // 2], [(0, 4), (0, 8), (0, 4)])
    True
    """
    return position in _Decoder(exprs, extents).decoded()


def _evaluates(node: AffineExpr) -> bool:
    return isinstance(node, AffineBinaryOpExpr | AffineConstantExpr | AffineDimExpr)


class _Decoder:
    """Finds which dimensions follow from the values of the expressions."""

    def __init__(self, exprs: Sequence[AffineExpr], extents: Sequence[Range]):
        self.ranges = Ranges(tuple(extents))
        self.fixed = {i for i, (low, high) in enumerate(extents) if high - low <= 1}
        self.num_dims = len(extents)
        self.known: list[AffineExpr] = [simplify(expr, self.ranges) for expr in exprs]
        self.atoms: set[AffineExpr] = set()

    def decodes(self) -> bool:
        """Whether every dimension follows."""
        return self.decoded() >= set(range(self.num_dims))

    def decoded(self) -> set[int]:
        """The dimensions that follow."""
        changed = True
        while changed:
            before = len(self.atoms), len(self.known)
            for expr in list(self.known):
                self._decode(expr)
            self._join_divisions()
            changed = before != (len(self.atoms), len(self.known))
        return self.fixed | {a.position for a in self.atoms if isinstance(a, AffineDimExpr)}

    def _decode(self, expr: AffineExpr) -> None:
        """Mixed radix: each factor exceeds what all smaller terms together can reach."""
        terms: list[tuple[int, AffineExpr]] = []
        for atom, factor in linear_terms(expr).items():
            if atom is not None and atom not in self.atoms and not self._is_constant(atom):
                terms.append((abs(factor), atom))
        terms.sort(key=lambda term: term[0])
        reach = 0
        for number, (factor, atom) in enumerate(terms):
            if factor <= reach:
                return
            if number < len(terms) - 1:  # the largest one may be of any size
                interval = bounds(atom, self.ranges)
                if interval is None:
                    return
                reach += factor * (interval[1] - interval[0] - 1)
        self.atoms |= {atom for _, atom in terms}

    def _is_constant(self, atom: AffineExpr) -> bool:
        """A symbol, a dimension of one point, or an expression of such."""
        return all(
            node.position in self.fixed for node in atom.dfs() if isinstance(node, AffineDimExpr)
        )

    def _join_divisions(self) -> None:
        """`x floordiv a` and `x mod a` give x; so do `(x mod b) floordiv a` and `x mod a`.

        With x = `y floordiv c` the quotient is written `y floordiv (c * a)`.
        """
        divisions = [a for a in self.atoms if isinstance(a, AffineBinaryOpExpr)]
        for quotient in divisions:
            if quotient.kind is not AffineBinaryOpKind.FloorDiv:
                self._learn_remainder(quotient)
                continue
            for rest in divisions:
                if rest.kind is not AffineBinaryOpKind.Mod:
                    continue
                if rest.rhs == quotient.rhs:
                    self._learn_joined(quotient, rest)
                elif self._divides_further(quotient, rest):
                    self._learn(rest.lhs)

    def _learn_joined(self, quotient: AffineBinaryOpExpr, rest: AffineBinaryOpExpr) -> None:
        whole = quotient.lhs
        same = whole == rest.lhs or simplify(whole % rest.rhs, self.ranges) == rest
        if isinstance(whole, AffineBinaryOpExpr) and whole.kind is AffineBinaryOpKind.Mod:
            inner, outer = quotient.rhs, whole.rhs
            if isinstance(inner, AffineConstantExpr) and isinstance(outer, AffineConstantExpr):
                same = same or (whole.lhs == rest.lhs and outer.value % inner.value == 0)
        if same:
            self._learn(whole)

    def _learn(self, expr: AffineExpr) -> None:
        """One more expression whose value is known."""
        if expr in self.known:
            return
        self.known.append(expr)
        if isinstance(expr, AffineBinaryOpExpr | AffineDimExpr):
            self.atoms |= {expr} if len(linear_terms(expr)) == 1 else set()

    def _learn_remainder(self, known: AffineBinaryOpExpr) -> None:
        """`(c + x) mod b` tells x where c is a constant and x lies in an interval of b points."""
        terms = linear_terms(known.lhs)
        moving: dict[AffineExpr | None, int] = {
            t: f for t, f in terms.items() if t is not None and not self._is_constant(t)
        }
        interval = bounds(from_terms(moving), self.ranges)
        if known.kind is not AffineBinaryOpKind.Mod or not isinstance(
            known.rhs, AffineConstantExpr
        ):
            return
        if interval is not None and interval[1] - interval[0] <= known.rhs.value:
            self._learn(from_terms(moving))

    def _divides_further(self, quotient: AffineBinaryOpExpr, rest: AffineBinaryOpExpr) -> bool:
        """Whether the two are `y floordiv (c * a)` and `(y floordiv c) mod a`."""
        whole, second = quotient.rhs, rest.rhs
        if not isinstance(whole, AffineConstantExpr) or not isinstance(second, AffineConstantExpr):
            return False
        if whole.value % second.value:
            return False
        first = whole.value // second.value
        return simplify(quotient.lhs // first, self.ranges) == rest.lhs
