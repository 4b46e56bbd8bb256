"""Index arithmetic in LLVM IR: addresses and masks from affine expressions.

Expressions are over one numbering of the function: dimension 0 is the position within a vector,
dimension n > 0 the n-th loop variable. What an expression takes from outer loops is computed in
their scopes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from xdsl.ir import SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineConstantExpr, AffineExpr

from ...core.affine import Range, Ranges, bounds, dim, linear_terms, used
from .text import FunctionWriter, Scope

LANE = dim(0)
Terms = dict[AffineExpr, int]
"""Atoms (loop variables, their quotients and remainders) times factors, without the constant."""


@dataclass(frozen=True)
class Guard:
    """A scalar condition, and memory to point into where it fails: `size` bytes from `base` on."""

    condition: str
    base: str
    size: int


@dataclass
class Indices:
    """Loop variables of a function, by number, and what is computed from them.

    Attributes:
        names, depths, ranges: of each loop variable.
        conditions: scalar conditions, and the depth of the scope that computes them.
        pointer_depths: pointers that were computed in an inner scope.
    """

    writer: FunctionWriter
    numbers: dict[SSAValue, int] = field(default_factory=dict[SSAValue, int])
    names: list[str] = field(default_factory=lambda: [""])
    depths: list[int] = field(default_factory=lambda: [0])
    ranges: list[Range | None] = field(default_factory=lambda: [None])
    conditions: dict[str, int] = field(default_factory=dict[str, int])
    pointer_depths: dict[str, int] = field(default_factory=dict[str, int])

    def add(self, value: SSAValue, name: str, interval: Range | None) -> None:
        """A loop variable, defined in the innermost scope."""
        self.numbers[value] = len(self.names)
        self.names.append(name)
        self.depths.append(self.writer.scope.depth)
        self.ranges.append(interval)

    def dims(self, values: Sequence[SSAValue]) -> list[AffineExpr]:
        """The numbering's dimensions of these loop variables."""
        return [dim(self.numbers[value]) for value in values]

    def known(self, width: int = 1) -> Ranges:
        """Ranges of all dimensions, the position within a vector in [0, width)."""
        return Ranges(((0, width), *self.ranges[1:]))

    def depth(self, expr: AffineExpr) -> int:
        """The scope in which an expression can be computed."""
        return max((self.depths[n] for n in used(expr)[0]), default=0)

    def scope(self, depth: int) -> Scope:
        """The scope of this depth around the place of writing."""
        return self.writer.scopes[depth]

    def atom(self, expr: AffineExpr) -> str:
        """The value of a loop variable, quotient or remainder."""
        dims, _ = used(expr)
        if expr == dim(min(dims)) and len(dims) == 1:
            return self.names[next(iter(dims))]
        assert isinstance(expr, AffineBinaryOpExpr)
        assert isinstance(expr.rhs, AffineConstantExpr)
        scope = self.scope(self.depth(expr))
        key = ("atom", expr)
        if key not in scope.memo:
            inner, constant = self.value(split_constant(expr.lhs))
            total = self.add_constant(inner, constant, scope)
            scope.memo[key] = self._divide(expr, total, scope)
        return scope.memo[key]

    def _divide(self, expr: AffineBinaryOpExpr, value: str, scope: Scope) -> str:
        """Floor division or remainder by a positive constant."""
        interval = bounds(expr.lhs, self.known())
        if interval is not None and interval[0] >= 0:
            assert isinstance(expr.rhs, AffineConstantExpr)
            name = "udiv" if expr.kind is AffineBinaryOpKind.FloorDiv else "urem"
            return self.writer.define_at(scope, f"{name} i64 {value}, {expr.rhs.value}")
        return floored(lambda text: self.writer.define_at(scope, text), expr, value)

    def add_constant(self, value: str | None, constant: int, scope: Scope) -> str:
        """`value + constant`, in `scope`."""
        if value is None:
            return str(constant)
        return self.writer.define_at(scope, f"add i64 {value}, {constant}") if constant else value

    def value(self, split: tuple[Terms, int]) -> tuple[str | None, int]:
        """(name of the sum of the terms, constant); `None` when there are no terms."""
        terms, constant = split
        total: str | None = None
        done: list[tuple[AffineExpr, int]] = []
        for expr, factor in self.by_depth(terms):
            scope = self.scope(self.depth(expr))
            done.append((expr, factor))
            key = ("sum", tuple(done))
            if key not in scope.memo:
                product = self._scaled(expr, factor, scope)
                scope.memo[key] = (
                    product
                    if total is None
                    else self.writer.define_at(scope, f"add i64 {total}, {product}")
                )
            total = scope.memo[key]
        return total, constant

    def by_depth(self, terms: Terms) -> list[tuple[AffineExpr, int]]:
        """Terms, those of outer loops first."""
        return sorted(terms.items(), key=lambda item: (self.depth(item[0]), str(item[0])))

    def _scaled(self, expr: AffineExpr, factor: int, scope: Scope) -> str:
        name = self.atom(expr)
        return name if factor == 1 else self.writer.define_at(scope, f"mul i64 {name}, {factor}")

    def pointer(self, base: str, terms: Terms, constant: int, guard: Guard | None = None) -> str:
        """`base` plus a number of bytes; the part of outer loops is added in their scopes.

        Where a guard fails the result points somewhere into its memory. The choice is made in the
        scope of the condition if that is safe, so that inner loops do not pay for it.
        """
        ordered = self.by_depth(terms)
        late = ordered
        if guard is not None:
            at = self.conditions[guard.condition]
            late = [item for item in ordered if self.depth(item[0]) > at]
            if not self._stays_inside(late, guard.size):
                late = []
        early = ordered[: len(ordered) - len(late)] if guard is not None else []
        pointer = self._advance(base, base, early, ())
        if guard is not None:
            pointer = self._choose(guard, pointer, constant, early)
            constant = 0
        pointer = self._advance(pointer, pointer, late, ())
        if not constant:
            return pointer
        return self.writer.define(f"getelementptr inbounds i8, ptr {pointer}, i64 {constant}")

    def _advance(
        self,
        base: str,
        pointer: str,
        terms: Sequence[tuple[AffineExpr, int]],
        done: tuple[tuple[AffineExpr, int], ...],
    ) -> str:
        for expr, factor in terms:
            scope = self.scope(max(self.depth(expr), self.pointer_depths.get(base, 0)))
            done = (*done, (expr, factor))
            key = ("pointer", base, done)
            if key not in scope.memo:
                offset = self._scaled(expr, factor, scope)
                text = f"getelementptr inbounds i8, ptr {pointer}, i64 {offset}"
                scope.memo[key] = self.writer.define_at(scope, text)
            pointer = scope.memo[key]
        return pointer

    def _choose(
        self,
        guard: Guard,
        pointer: str,
        constant: int,
        terms: Sequence[tuple[AffineExpr, int]],
    ) -> str:
        """`pointer + constant` where the guard holds, else its own memory."""
        condition = guard.condition
        depth = max([self.conditions[condition], *(self.depth(expr) for expr, _ in terms)])
        scope = self.scope(depth)
        key = ("guarded", guard, pointer, constant)
        if key not in scope.memo:
            if constant:
                text = f"getelementptr inbounds i8, ptr {pointer}, i64 {constant}"
                pointer = self.writer.define_at(scope, text)
            text = f"select i1 {condition}, ptr {pointer}, ptr {guard.base}"
            scope.memo[key] = self.writer.define_at(scope, text)
            self.pointer_depths[scope.memo[key]] = depth
        return scope.memo[key]

    def _stays_inside(self, terms: Sequence[tuple[AffineExpr, int]], size: int) -> bool:
        """Whether a sum of bytes always lies in [0, size)."""
        known = self.known()
        low = high = 0
        for expr, factor in terms:
            interval = bounds(expr, known)
            if interval is None:
                return False
            ends = (interval[0] * factor, (interval[1] - 1) * factor)
            low, high = low + min(ends), high + max(ends)
        return low >= 0 and high < size

    def condition(self, split: tuple[Terms, int], predicate: str) -> str:
        """`terms + constant <predicate> 0` as a scalar, in the scope of the terms."""
        terms, constant = split
        depth = max((self.depth(expr) for expr in terms), default=0)
        scope = self.scope(depth)
        key = ("condition", tuple(self.by_depth(terms)), constant, predicate)
        if key not in scope.memo:
            value, _ = self.value((terms, 0))
            name = self.writer.name("c")
            scope.prologue.append(f"  {name} = icmp {predicate} i64 {value}, {-constant}")
            self.conditions[name] = depth
            scope.memo[key] = name
        return scope.memo[key]

    def conjunction(self, first: str, second: str) -> str:
        """Both of two scalar conditions."""
        depth = max(self.conditions[first], self.conditions[second])
        scope = self.scope(depth)
        key = ("and", first, second)
        if key not in scope.memo:
            name = self.writer.name("c")
            scope.prologue.append(f"  {name} = and i1 {first}, {second}")
            self.conditions[name] = depth
            scope.memo[key] = name
        return scope.memo[key]


def floored(define: Callable[[str], str], expr: AffineBinaryOpExpr, value: str) -> str:
    """A floordiv or mod of an i64 of either sign, by a positive constant.

    `define` writes an instruction and gives its result's name.
    """
    assert isinstance(expr.rhs, AffineConstantExpr)
    divisor = expr.rhs.value
    # floor: (x - (x mod d)) / d with a remainder made non-negative
    remainder = define(f"srem i64 {value}, {divisor}")
    shifted = define(f"add i64 {remainder}, {divisor}")
    positive = define(f"urem i64 {shifted}, {divisor}")
    if expr.kind is not AffineBinaryOpKind.FloorDiv:
        return positive
    rounded = define(f"sub i64 {value}, {positive}")
    return define(f"sdiv i64 {rounded}, {divisor}")


def split_constant(expr: AffineExpr) -> tuple[Terms, int]:
    """(terms, constant) of an expression."""
    terms = linear_terms(expr)
    constant = terms.pop(None, 0)
    return {expr: factor for expr, factor in terms.items() if expr is not None}, constant


@dataclass(frozen=True)
class Position:
    """Where a register lies within a tile: positions on register axes, and its part of the lanes.

    Attributes:
        axes: position by axis name, as a sorted tuple.
        offset: first lane.
        width: how many lanes.
    """

    axes: tuple[tuple[str, int], ...]
    offset: int = 0
    width: int = 1

    def at(self, label: str) -> int:
        """Position on one register axis."""
        return dict(self.axes)[label]

    def moved(self, label: str, place: int) -> Position:
        """Another position on one register axis."""
        axes = tuple((name, place if name == label else at) for name, at in self.axes)
        return Position(axes, self.offset, self.width)

    def lane(self, lane: int) -> Position:
        """One of its lanes, alone."""
        return Position(self.axes, self.offset + lane, 1)


def lane_stride(terms: Mapping[AffineExpr, int]) -> int | None:
    """Elements between two lanes, or `None` where that is no constant."""
    if any(0 in used(expr)[0] for expr in terms if expr != LANE):
        return None
    return terms.get(LANE, 0)
