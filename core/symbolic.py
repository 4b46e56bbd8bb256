"""Symbolic extents: integers and expressions of named sizes.

A `Dim` is an `int` or an `Expr`: a polynomial with integer coefficients over *atoms*, which are
named symbols and, opaque, floor divisions, maxima and minima. Arithmetic keeps the normal form, so
equal polynomials are equal objects, and a constant is always an `int`. A symbol is the size of
something: never negative. `core/symbolic_text.py` reads what `str` prints.

>>> n = symbol("seq")
>>> str((2 * n + 4) // 2), (n + 1) - n, str(ceildiv(n, 8))
('seq + 2', 1, '(seq + 7) floordiv 8')
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import gcd

from .errors import ModelError

_NAME = re.compile(r"[A-Za-z_][\w.$]*\Z")
KEYWORDS = frozenset(("floordiv", "ceildiv", "mod", "max", "min"))


@dataclass(frozen=True)
class Symbol:
    """A named size, printed as it is or, when it is no identifier, in single quotes."""

    name: str

    def __str__(self) -> str:
        if _NAME.match(self.name) and self.name not in KEYWORDS:
            return self.name
        escaped = self.name.replace("\\", "\\\\").replace("'", "\\'")
        return f"'{escaped}'"


@dataclass(frozen=True)
class Opaque:
    """`lhs floordiv rhs`, or `max(...)` or `min(...)` of two and more."""

    kind: str
    args: tuple[Dim, ...]

    def __str__(self) -> str:
        if self.kind == "floordiv":
            return " floordiv ".join(_parenthesised(arg) for arg in self.args)
        return f"{self.kind}({', '.join(map(str, self.args))})"


Atom = Symbol | Opaque
Monomial = tuple[Atom, ...]
"""A product of atoms, sorted by their text; the empty one is 1."""


@dataclass(frozen=True)
class Expr:
    """A polynomial that is not constant: (product of atoms, factor), without zero factors."""

    terms: tuple[tuple[Monomial, int], ...]

    def __str__(self) -> str:
        text = ""
        for monomial, factor in self.terms:
            product = _product_text(monomial, abs(factor), negated=factor < 0)
            if not text:
                text = product if factor > 0 else f"-{product}"
            else:
                text += f" + {product}" if factor > 0 else f" - {product}"
        return text

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Dim) -> Dim:
        return _sum(_terms(self), _terms(other), 1)

    def __radd__(self, other: int) -> Dim:
        return self + other

    def __sub__(self, other: Dim) -> Dim:
        return _sum(_terms(self), _terms(other), -1)

    def __rsub__(self, other: int) -> Dim:
        return _sum(_terms(other), _terms(self), -1)

    def __neg__(self) -> Dim:
        return 0 - self

    def __mul__(self, other: Dim) -> Dim:
        return _product(self, other)

    def __rmul__(self, other: int) -> Dim:
        return _product(self, other)

    def __floordiv__(self, other: Dim) -> Dim:
        return floordiv(self, other)

    def __rfloordiv__(self, other: int) -> Dim:
        return floordiv(other, self)

    def __mod__(self, other: Dim) -> Dim:
        return mod(self, other)


Dim = int | Expr
"""An extent."""


def symbol(name: str) -> Expr:
    """The size called `name`."""
    return Expr((((Symbol(name),), 1),))


def floordiv(lhs: Dim, rhs: Dim) -> Dim:
    """`lhs` divided by `rhs`, rounded down.

    Raises: ModelError: division by zero.
    """
    if isinstance(rhs, int):
        return _floordiv_const(lhs, rhs)
    exact = _long_division(lhs, rhs)
    return exact if exact is not None else _opaque("floordiv", (lhs, rhs))


def ceildiv(lhs: Dim, rhs: Dim) -> Dim:
    """`lhs` divided by a positive `rhs`, rounded up."""
    return floordiv(lhs + rhs - 1, rhs)


def mod(lhs: Dim, rhs: Dim) -> Dim:
    """What `floordiv` leaves; of the sign of `rhs`."""
    return lhs - rhs * floordiv(lhs, rhs)


def maximum(*dims: Dim) -> Dim:
    """The largest; opaque where that is not provable."""
    return _extremum("max", dims)


def minimum(*dims: Dim) -> Dim:
    """The smallest; opaque where that is not provable."""
    return _extremum("min", dims)


def product(dims: Iterable[Dim]) -> Dim:
    """The product of all, 1 of none."""
    start: Dim = 1
    return reduce(lambda total, dim: total * dim, dims, start)


def exact_div(lhs: Dim, rhs: Dim) -> Dim:
    """`lhs / rhs` where the division is known to leave nothing (so common factors cancel).

    >>> n = symbol("n")
    >>> exact_div(64 * n, 8 * n)
    8
    """
    quotient = _long_division(lhs, rhs)
    return quotient if quotient is not None else floordiv(lhs, rhs)


def is_divisible(lhs: Dim, rhs: Dim) -> bool:
    """Whether `rhs` provably divides `lhs`."""
    return _long_division(lhs, rhs) is not None


def bounds(dim: Dim) -> tuple[int | None, int | None]:
    """The least and the greatest value that are provable; symbols are at least 0."""
    low: int | None = 0
    high: int | None = 0
    for monomial, factor in _terms(dim).items():
        least, most = _monomial_bounds(monomial)
        if factor < 0:
            least, most = most, least
        low = None if low is None or least is None else low + factor * least
        high = None if high is None or most is None else high + factor * most
    return low, high


def less_equal(lhs: Dim, rhs: Dim) -> bool | None:
    """Whether `lhs <= rhs`; `None` where neither answer is provable."""
    low, high = bounds(rhs - lhs)
    if low is not None and low >= 0:
        return True
    return False if high is not None and high < 0 else None


def equal(lhs: Dim, rhs: Dim) -> bool | None:
    """Whether `lhs == rhs`; `None` where neither answer is provable."""
    if lhs == rhs:
        return True
    low, high = bounds(lhs - rhs)
    return False if (low is not None and low > 0) or (high is not None and high < 0) else None


def is_clamp_of(dim: Dim, other: Dim) -> bool:
    """Whether `dim` is `min(other, c, ...)` of positive numbers c: 1 or `other` means `other`.

    >>> n = symbol("n")
    >>> is_clamp_of(minimum(n, 512), n)
    True
    """
    if isinstance(dim, int) or len(dim.terms) != 1 or dim.terms[0][1] != 1:
        return False
    atoms = dim.terms[0][0]
    if len(atoms) != 1 or not isinstance(atoms[0], Opaque) or atoms[0].kind != "min":
        return False
    others = [arg for arg in atoms[0].args if arg != other]
    positive = all(isinstance(arg, int) and arg > 0 for arg in others)
    return positive and len(others) < len(atoms[0].args)


def symbols(dim: Dim) -> frozenset[str]:
    """Names of the symbols in `dim`."""
    found: set[str] = set()
    for monomial in _terms(dim):
        for atom in monomial:
            if isinstance(atom, Symbol):
                found.add(atom.name)
            else:
                found.update(*(symbols(arg) for arg in atom.args))
    return frozenset(found)


def substitute(dim: Dim, values: Mapping[str, Dim]) -> Dim:
    """`dim` with symbols replaced by name; names without a value stay."""
    if isinstance(dim, int):
        return dim
    total: Dim = 0
    for monomial, factor in dim.terms:
        atoms = [_substitute_atom(atom, values) for atom in monomial]
        total = total + factor * product(atoms)
    return total


def _substitute_atom(atom: Atom, values: Mapping[str, Dim]) -> Dim:
    if isinstance(atom, Symbol):
        return values.get(atom.name, _of_atom(atom))
    return BUILD[atom.kind](*(substitute(arg, values) for arg in atom.args))


def _of_atom(atom: Atom) -> Expr:
    return Expr((((atom,), 1),))


def _terms(dim: Dim) -> dict[Monomial, int]:
    if isinstance(dim, int):
        return {(): dim} if dim else {}
    return dict(dim.terms)


def _from_terms(terms: Mapping[Monomial, int]) -> Dim:
    kept = [(monomial, factor) for monomial, factor in terms.items() if factor]
    if not kept:
        return 0
    if len(kept) == 1 and not kept[0][0]:
        return kept[0][1]
    return Expr(tuple(sorted(kept, key=lambda term: _order(term[0]))))


def _order(monomial: Monomial) -> tuple[int, tuple[str, ...]]:
    """Higher degrees first, so the constant comes last."""
    return -len(monomial), tuple(map(str, monomial))


def _sum(lhs: dict[Monomial, int], rhs: dict[Monomial, int], sign: int) -> Dim:
    for monomial, factor in rhs.items():
        lhs[monomial] = lhs.get(monomial, 0) + sign * factor
    return _from_terms(lhs)


def _product(lhs: Dim, rhs: Dim) -> Dim:
    terms: dict[Monomial, int] = {}
    for left, left_factor in _terms(lhs).items():
        for right, right_factor in _terms(rhs).items():
            monomial = tuple(sorted((*left, *right), key=str))
            terms[monomial] = terms.get(monomial, 0) + left_factor * right_factor
    return _from_terms(terms)


def _floordiv_const(lhs: Dim, divisor: int) -> Dim:
    """(d*q + r) floordiv d = q + r floordiv d, then common factors and nested divisions go."""
    if divisor == 0:
        raise ModelError("division by zero in an extent")
    if divisor < 0:
        return _floordiv_const(-lhs, -divisor)
    if isinstance(lhs, int):
        return lhs // divisor
    whole: dict[Monomial, int] = {}
    rest: dict[Monomial, int] = {}
    for monomial, factor in _terms(lhs).items():
        whole[monomial], rest[monomial] = divmod(factor, divisor)
        if monomial and rest[monomial]:  # keep the sign and the size of what cannot be divided
            whole[monomial], rest[monomial] = 0, factor
    common = gcd(divisor, *(factor for monomial, factor in rest.items() if monomial))
    reduced = {monomial: factor // common for monomial, factor in rest.items()}
    return _from_terms(whole) + _nested_floordiv(_from_terms(reduced), divisor // common)


def _nested_floordiv(lhs: Dim, divisor: int) -> Dim:
    """(x floordiv a + c) floordiv b = (x + a*c) floordiv (a*b)."""
    if isinstance(lhs, int):
        return lhs // divisor
    if divisor == 1:
        return lhs
    head, *others = lhs.terms
    constant = others[0][1] if others else 0
    if head[1] == 1 and len(head[0]) == 1 and (not others or not others[0][0]):
        atom = head[0][0]
        if isinstance(atom, Opaque) and atom.kind == "floordiv" and isinstance(atom.args[1], int):
            inner, inner_divisor = atom.args[0], atom.args[1]
            return _floordiv_const(inner + inner_divisor * constant, inner_divisor * divisor)
    low, high = bounds(lhs)
    if low is not None and high is not None and low // divisor == high // divisor:
        return low // divisor
    return _opaque("floordiv", (lhs, divisor))


def _long_division(lhs: Dim, rhs: Dim) -> Dim | None:
    """The quotient of polynomials when nothing is left over, else `None`."""
    divisor = _terms(rhs)
    rest: Dim = lhs
    quotient: Dim = 0
    if not divisor:
        return None
    lead = min(divisor, key=_order)
    while rest != 0:
        terms = _terms(rest)
        head = min(terms, key=_order)
        monomial = _cancel(head, lead)
        factor, remainder = divmod(terms[head], divisor[lead])
        if monomial is None or remainder:
            return None
        step = _from_terms({monomial: factor})
        quotient = quotient + step
        following = rest - step * rhs
        if following != 0 and not _comes_later(following, head):
            return None
        rest = following
    return quotient


def _comes_later(dim: Dim, head: Monomial) -> bool:
    """Whether the leading term of `dim` stands after `head`: a long division makes progress."""
    return _order(min(_terms(dim), key=_order)) > _order(head)


def _cancel(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    rest = list(monomial)
    for atom in divisor:
        if atom not in rest:
            return None
        rest.remove(atom)
    return tuple(rest)


def _extremum(kind: str, dims: tuple[Dim, ...]) -> Dim:
    kept: list[Dim] = []
    for dim in _flattened(kind, dims):
        if any(_dominates(kind, other, dim) for other in kept):
            continue
        kept = [other for other in kept if not _dominates(kind, dim, other)]
        kept.append(dim)
    return kept[0] if len(kept) == 1 else _opaque(kind, tuple(sorted(kept, key=str)))


def _flattened(kind: str, dims: tuple[Dim, ...]) -> Iterable[Dim]:
    for dim in dims:
        if isinstance(dim, Expr) and len(dim.terms) == 1 and dim.terms[0][1] == 1:
            atoms = dim.terms[0][0]
            if len(atoms) == 1 and isinstance(atoms[0], Opaque) and atoms[0].kind == kind:
                yield from atoms[0].args
                continue
        yield dim


def _dominates(kind: str, winner: Dim, loser: Dim) -> bool:
    if kind == "max":
        return less_equal(loser, winner) is True
    return less_equal(winner, loser) is True


def _opaque(kind: str, args: tuple[Dim, ...]) -> Expr:
    return _of_atom(Opaque(kind, args))


def _monomial_bounds(monomial: Monomial) -> tuple[int | None, int | None]:
    low = 1
    high: int | None = 1
    for atom in monomial:
        least, most = _atom_bounds(atom)
        if least is None or least < 0 or low < 0:
            return (least, most) if len(monomial) == 1 else (None, None)
        low *= least
        high = None if high is None or most is None else high * most
    return low, high


def _atom_bounds(atom: Atom) -> tuple[int | None, int | None]:
    if isinstance(atom, Symbol):
        return 0, None
    if atom.kind == "floordiv":
        numerator, denominator = atom.args
        low, high = bounds(numerator)
        if isinstance(denominator, int):
            return (
                None if low is None else low // denominator,
                None if high is None else high // denominator,
            )
        positive = bounds(denominator)[0]
        return (0 if low is not None and low >= 0 and (positive or 0) >= 0 else None), None
    ends = [bounds(arg) for arg in atom.args]
    lows, highs = [end[0] for end in ends], [end[1] for end in ends]
    if atom.kind == "max":
        return _known(lows, max), _all_known(highs, max)
    return _all_known(lows, min), _known(highs, min)


def _known(ends: Sequence[int | None], pick: Callable[[list[int]], int]) -> int | None:
    known = [end for end in ends if end is not None]
    return pick(known) if known else None


def _all_known(ends: Sequence[int | None], pick: Callable[[list[int]], int]) -> int | None:
    known = [end for end in ends if end is not None]
    return pick(known) if len(known) == len(ends) else None


BUILD: dict[str, Callable[..., Dim]] = {"floordiv": floordiv, "max": maximum, "min": minimum}
"""Makes the value of an opaque atom of each kind."""


def _parenthesised(dim: Dim) -> str:
    text = str(dim)
    simple = re.fullmatch(r"\d+|[\w.$]+|'[^']*'", text)
    return text if simple else f"({text})"


def _product_text(monomial: Monomial, factor: int, *, negated: bool) -> str:
    parts = [str(factor)] if factor != 1 or not monomial else []
    alone = len(parts) + len(monomial) == 1 and not negated
    for atom in monomial:
        is_division = isinstance(atom, Opaque) and atom.kind == "floordiv"
        parts.append(f"({atom})" if is_division and not alone else str(atom))
    return " * ".join(parts)
