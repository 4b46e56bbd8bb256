"""Affine index arithmetic: what is linear, what is in range, what can be simplified.

xDSL's `AffineExpr` is the representation (it prints, parses and composes); this module is the
analysis that schedules and lowerings need. A *range* is a half-open interval `(low, high)` of a
dimension or symbol; `None` where nothing is known.

Types are asked for with `type(e) is`: xDSL's expressions are abstract base classes, whose
isinstance is slow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd

from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineMap,
    AffineSymExpr,
)

Kind = AffineBinaryOpKind
Range = tuple[int, int]
"""Half-open: (low, high)."""


def const(value: int) -> AffineExpr:
    """The constant `value`."""
    return AffineConstantExpr(value)


def dim(position: int) -> AffineExpr:
    """Dimension `d<position>`."""
    return AffineDimExpr(position)


def sym(position: int) -> AffineExpr:
    """Symbol `s<position>`."""
    return AffineSymExpr(position)


@dataclass(frozen=True)
class Ranges:
    """What is known of each dimension and symbol of a map, by position."""

    dims: tuple[Range | None, ...] = ()
    syms: tuple[Range | None, ...] = ()

    def of(self, expr: AffineDimExpr | AffineSymExpr) -> Range | None:
        """The range of one variable, `None` if unknown."""
        table = self.dims if type(expr) is AffineDimExpr else self.syms
        return table[expr.position] if expr.position < len(table) else None


def bounds(expr: AffineExpr, ranges: Ranges) -> Range | None:
    """The half-open interval that holds every value of `expr`, or `None` if unbounded.

    Terms of the same variable are collected first, so `d0 - d0` is exactly `[0, 1)`.

    >>> bounds(dim(0) * 8 + dim(1), Ranges(((0, 4), (0, 8))))
    (0, 32)
    """
    low = high = 0
    for term, factor in linear_terms(expr).items():
        if term is None:
            low += factor
            high += factor
            continue
        inner = _term_bounds(term, ranges)
        if inner is None:
            return None
        ends = (inner[0] * factor, (inner[1] - 1) * factor)
        low += min(ends)
        high += max(ends)
    return low, high + 1


def _term_bounds(term: AffineExpr, ranges: Ranges) -> Range | None:
    if type(term) is AffineDimExpr or type(term) is AffineSymExpr:
        return ranges.of(term)
    assert type(term) is AffineBinaryOpExpr
    inner = bounds(term.lhs, ranges)
    if type(term.rhs) is not AffineConstantExpr or term.rhs.value <= 0:
        return None
    divisor = term.rhs.value
    if term.kind is Kind.Mod:
        if inner is not None and inner[0] >= 0 and inner[1] <= divisor:
            return inner
        return 0, divisor
    if inner is None:
        return None
    if term.kind is Kind.FloorDiv:
        return inner[0] // divisor, (inner[1] - 1) // divisor + 1
    assert term.kind is Kind.CeilDiv
    return -(-inner[0] // divisor), -(-(inner[1] - 1) // divisor) + 1


def linear_terms(expr: AffineExpr) -> dict[AffineExpr | None, int]:
    """`expr` as a sum of atoms times factors; the constant stands under `None`.

    An atom is a dimension, a symbol, or a floordiv, ceildiv or mod of something. Zero factors are
    left out.

    >>> linear_terms(dim(0) * 3 + 5 + dim(0)) == {dim(0): 4, None: 5}
    True
    """
    terms: dict[AffineExpr | None, int] = {}
    _collect(expr, 1, terms)
    return {term: factor for term, factor in terms.items() if factor}


def _collect(expr: AffineExpr, factor: int, terms: dict[AffineExpr | None, int]) -> None:
    kind = expr.kind if type(expr) is AffineBinaryOpExpr else None
    if type(expr) is AffineConstantExpr:
        terms[None] = terms.get(None, 0) + expr.value * factor
    elif type(expr) is AffineBinaryOpExpr and kind is Kind.Add:
        _collect(expr.lhs, factor, terms)
        _collect(expr.rhs, factor, terms)
    elif type(expr) is AffineBinaryOpExpr and kind is Kind.Mul:
        assert type(expr.rhs) is AffineConstantExpr, "products are by constants on the right"
        _collect(expr.lhs, factor * expr.rhs.value, terms)
    else:
        terms[expr] = terms.get(expr, 0) + factor


def from_terms(terms: Mapping[AffineExpr | None, int]) -> AffineExpr:
    """The sum that `linear_terms` takes apart; the constant comes last."""
    total: AffineExpr | None = None
    for term, factor in terms.items():
        if term is not None and factor:
            product = term if factor == 1 else AffineBinaryOpExpr(Kind.Mul, term, const(factor))
            total = product if total is None else AffineBinaryOpExpr(Kind.Add, total, product)
    constant = terms.get(None, 0)
    if total is None:
        return const(constant)
    return AffineBinaryOpExpr(Kind.Add, total, const(constant)) if constant else total


@lru_cache(maxsize=1 << 14)
def simplify(expr: AffineExpr, ranges: Ranges) -> AffineExpr:
    """An equal expression with fewer divisions, given what is known of the variables.

    `(16*d0 + d1) floordiv 16` becomes `d0` and `(16*d0 + d1) mod 16` becomes `d1` when d1 is in
    [0, 16).
    """
    terms: dict[AffineExpr | None, int] = {}
    for term, factor in linear_terms(expr).items():
        if type(term) is AffineBinaryOpExpr:
            for inner, inner_factor in linear_terms(_simplify_division(term, ranges)).items():
                terms[inner] = terms.get(inner, 0) + factor * inner_factor
        else:
            terms[term] = terms.get(term, 0) + factor
    terms = {term: factor for term, factor in terms.items() if factor}
    while any(_join_remainder(term, terms, ranges) for term in list(terms)):
        pass  # what was joined may be the quotient that another remainder lacks
    return from_terms({term: factor for term, factor in terms.items() if factor})


def _join_remainder(
    rest: AffineExpr | None, terms: dict[AffineExpr | None, int], ranges: Ranges
) -> bool:
    """B * (x floordiv b) + x mod b becomes x; whether there was such a pair."""
    if type(rest) is not AffineBinaryOpExpr or rest.kind is not Kind.Mod:
        return False
    factor, divisor = terms.get(rest, 0), rest.rhs
    assert isinstance(divisor, AffineConstantExpr)
    wanted = {term for term, found in terms.items() if found == factor * divisor.value}
    quotient = _floordiv(rest.lhs, divisor.value)
    if quotient not in wanted:
        alike = (t for t in wanted if _is_quotient(t, rest.lhs, divisor.value, ranges))
        quotient = next(alike, None)
    if not factor or quotient is None:
        return False
    del terms[rest], terms[quotient]
    for inner, inner_factor in linear_terms(rest.lhs).items():
        terms[inner] = terms.get(inner, 0) + factor * inner_factor
    return True


def _is_quotient(term: AffineExpr | None, expr: AffineExpr, divisor: int, ranges: Ranges) -> bool:
    """Whether a term y floordiv (c*b) is x floordiv b, for y floordiv c simplifies to x.

    So `(14*d0 + d1) floordiv 21` is `(2*d0 + d1 floordiv 7) floordiv 3`.
    """
    if type(term) is not AffineBinaryOpExpr or term.kind is not Kind.FloorDiv:
        return False
    if type(term.rhs) is not AffineConstantExpr:
        return False
    first, left = divmod(term.rhs.value, divisor)
    return left == 0 and first > 1 and simplify(_floordiv(term.lhs, first), ranges) == expr


def _simplify_division(term: AffineBinaryOpExpr, ranges: Ranges) -> AffineExpr:
    lhs = simplify(term.lhs, ranges)
    if type(term.rhs) is not AffineConstantExpr or term.rhs.value <= 0:
        return AffineBinaryOpExpr(term.kind, lhs, term.rhs)
    divisor = term.rhs.value
    kind = term.kind
    if kind is Kind.CeilDiv:
        return _simplify_division(
            AffineBinaryOpExpr(Kind.FloorDiv, lhs + const(divisor - 1), term.rhs), ranges
        )
    multiple, rest = _split_multiples(lhs, divisor)
    rest_range = bounds(rest, ranges)
    if rest_range is not None and rest_range[0] // divisor == (rest_range[1] - 1) // divisor:
        carry = rest_range[0] // divisor
        if kind is Kind.FloorDiv:
            return from_terms(linear_terms(multiple + const(carry)))
        return from_terms(linear_terms(rest + const(-carry * divisor)))
    step, coarse, fine = _split_steps(rest, divisor, ranges)
    if kind is Kind.FloorDiv:
        return from_terms(linear_terms(multiple + _floordiv(coarse, divisor // step)))
    if step == 1:
        return AffineBinaryOpExpr(Kind.Mod, rest, const(divisor))
    remainder = AffineBinaryOpExpr(Kind.Mod, coarse, const(divisor // step))
    return from_terms(linear_terms(remainder * step + fine))


def _split_steps(
    expr: AffineExpr, divisor: int, ranges: Ranges
) -> tuple[int, AffineExpr, AffineExpr]:
    """(s, q, r) with expr = s*q + r, s a divisor of `divisor`, r in [0, s): the largest such s.

    So `(4*d0 + d1) floordiv 68` is `d0 floordiv 17` when d1 is in [0, 4).
    """
    terms = linear_terms(expr)
    step = divisor
    coarse: dict[AffineExpr | None, int] = {}
    fine = dict(terms)
    for term, factor in sorted(terms.items(), key=lambda item: -abs(item[1])):
        if term is None:
            continue
        step = gcd(step, factor)
        coarse[term] = fine.pop(term)
        if step == 1:
            break
        whole, left = divmod(terms.get(None, 0), step)
        rest = from_terms({**fine, None: left})
        interval = bounds(rest, ranges)
        if interval is not None and interval[0] >= 0 and interval[1] <= step:
            quotient = {t: f // step for t, f in coarse.items()}
            return step, from_terms({**quotient, None: whole}), rest
    return 1, expr, const(0)


def _floordiv(expr: AffineExpr, divisor: int) -> AffineExpr:
    """`expr floordiv divisor`, with (x floordiv a) floordiv b made one division."""
    if divisor == 1:
        return expr
    if (
        isinstance(expr, AffineBinaryOpExpr)
        and expr.kind is Kind.FloorDiv
        and isinstance(expr.rhs, AffineConstantExpr)
    ):
        return AffineBinaryOpExpr(Kind.FloorDiv, expr.lhs, const(expr.rhs.value * divisor))
    return AffineBinaryOpExpr(Kind.FloorDiv, expr, const(divisor))


def _split_multiples(expr: AffineExpr, divisor: int) -> tuple[AffineExpr, AffineExpr]:
    """(q, r) with expr = divisor*q + r, every term of q divisible."""
    multiple: dict[AffineExpr | None, int] = {}
    rest: dict[AffineExpr | None, int] = {}
    for term, factor in linear_terms(expr).items():
        quotient, remainder = divmod(factor, divisor)
        if term is None or remainder == 0:
            multiple[term] = quotient
            rest[term] = remainder
        else:
            rest[term] = factor
    return from_terms(multiple), from_terms(rest)


def simplify_map(map_: AffineMap, ranges: Ranges) -> AffineMap:
    """`simplify` on every result."""
    results = tuple(simplify(result, ranges) for result in map_.results)
    return AffineMap(map_.num_dims, map_.num_symbols, results)


def substitute(
    expr: AffineExpr, dims: Sequence[AffineExpr], syms: Sequence[AffineExpr] = ()
) -> AffineExpr:
    """`expr` with dimension i replaced by `dims[i]` and symbol i by `syms[i]`.

    As `expr.replace_dims_and_symbols`, where a list ends variables stay.
    """
    if type(expr) is AffineDimExpr:
        return dims[expr.position] if expr.position < len(dims) else expr
    if type(expr) is AffineSymExpr:
        return syms[expr.position] if expr.position < len(syms) else expr
    if type(expr) is not AffineBinaryOpExpr:
        return expr
    lhs, rhs = substitute(expr.lhs, dims, syms), substitute(expr.rhs, dims, syms)
    return expr if lhs is expr.lhs and rhs is expr.rhs else AffineExpr.binary(expr.kind, lhs, rhs)


def used(expr: AffineExpr) -> tuple[set[int], set[int]]:
    """Positions of the dimensions and of the symbols that `expr` mentions."""
    dims: set[int] = set()
    syms: set[int] = set()
    stack = [expr]
    while stack:
        node = stack.pop()
        if type(node) is AffineDimExpr:
            dims.add(node.position)
        elif type(node) is AffineSymExpr:
            syms.add(node.position)
        elif type(node) is AffineBinaryOpExpr:
            stack += (node.lhs, node.rhs)
    return dims, syms
