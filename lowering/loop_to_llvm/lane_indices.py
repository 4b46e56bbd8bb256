"""Index expressions and conditions of a register: a value for each lane."""

from __future__ import annotations

from math import gcd

from xdsl.ir.affine import AffineConstraintKind, AffineExpr

from ...core.affine import bounds, const, dim, simplify, substitute, used
from .indices import LANE, Indices, Terms, split_constant
from .text import FunctionWriter, splat, vector_literal

_NARROW = 2**30
"""Indices below this, and sums of two of them, fit 32 bits."""


class LaneIndices:
    """Writes what depends on the lane.

    A condition is "true", "false", one i1 for all lanes or a vector of them.
    """

    def __init__(self, writer: FunctionWriter, indices: Indices):
        self.writer = writer
        self.indices = indices

    def index_vector(self, expr: AffineExpr, width: int) -> str:
        """An index expression as i64, lane by lane."""
        terms, constant = split_constant(expr)
        factor = terms.pop(LANE, 0)
        if any(0 in used(term)[0] for term in terms):
            return self.lanes_of_index(expr, width)
        name, constant = self.indices.value((terms, constant))
        if width == 1:
            if name is None:
                return str(constant)
            return self.writer.define(f"add i64 {name}, {constant}") if constant else name
        steps = vector_literal([constant + factor * lane for lane in range(width)], "i64")
        if name is None:
            return steps
        base = splat(self.writer, name, "i64", width)
        return self.writer.define(f"add <{width} x i64> {base}, {steps}")

    def lanes_of_index(self, expr: AffineExpr, width: int) -> str:
        """An index expression that is not linear in the lane."""
        result = "poison"
        for lane in range(width):
            at_lane = substitute(expr, [const(lane), *self._same_dims()])
            value = self.index_vector(simplify(at_lane, self.indices.known()), 1)
            result = self.writer.define(
                f"insertelement <{width} x i64> {result}, i64 {value}, i32 {lane}"
            )
        return result

    def _same_dims(self) -> list[AffineExpr]:
        return [dim(n) for n in range(1, len(self.indices.names))]

    def constraint(self, expr: AffineExpr, kind: AffineConstraintKind, width: int) -> str:
        """`expr >= 0` or `expr == 0` for one register."""
        interval = bounds(expr, self.indices.known(width))
        is_equal = kind is AffineConstraintKind.eq
        if interval is not None:
            low, high = interval
            if (not is_equal and low >= 0) or (is_equal and (low, high) == (0, 1)):
                return "true"
            if high <= 0 or (is_equal and low > 0):
                return "false"
        predicate = "eq" if is_equal else "sge"
        split = split_constant(expr)
        if not is_equal:
            split = self.for_all_lanes(split, width)
        if not any(0 in used(term)[0] for term in split[0]):
            return self.indices.condition(split, predicate)
        if interval is not None and max(abs(end) for end in interval) < _NARROW:
            return self.narrow_constraint(expr, predicate, width)
        value = self.index_vector(expr, width)
        return self.writer.define(f"icmp {predicate} <{width} x i64> {value}, zeroinitializer")

    def for_all_lanes(self, split: tuple[Terms, int], width: int) -> tuple[Terms, int]:
        """`expr >= 0` without the lane, where the other terms decide it for all lanes alike.

        With terms in steps of 16, `16 * x + 15 - lane >= 0` is `16 * x >= 0`.
        """
        terms, constant = split
        lane = terms.get(LANE, 0)
        step = gcd(*(factor for term, factor in terms.items() if term != LANE))
        ends = (constant, constant + lane * (width - 1))
        if not lane or not step or ends[0] // step != ends[1] // step:
            return split
        rest = {term: factor for term, factor in terms.items() if term != LANE}
        return rest, ends[0] // step * step

    def narrow_constraint(self, expr: AffineExpr, predicate: str, width: int) -> str:
        """A comparison of `expr` with 0, lane by lane in 32 bits, the constants on one side."""
        terms, constant = split_constant(expr)
        factor = terms.pop(LANE, 0)
        is_linear = not any(0 in used(term)[0] for term in terms)
        if not is_linear or abs(constant) + abs(factor) * width >= _NARROW:
            value = self.index_vector(expr, width)
            return self.writer.define(f"icmp {predicate} <{width} x i64> {value}, zeroinitializer")
        name, constant = self.indices.value((terms, constant))
        if name is None:
            values = [constant + factor * lane for lane in range(width)]
            held = [int(v >= 0 if predicate == "sge" else v == 0) for v in values]
            return vector_literal(held, "i1")
        base = splat(self.writer, self.writer.define(f"trunc i64 {name} to i32"), "i32", width)
        steps = vector_literal([-constant - factor * lane for lane in range(width)], "i32")
        return self.writer.define(f"icmp {predicate} <{width} x i32> {base}, {steps}")

    def both(self, first: str, second: str, width: int) -> str:
        """The conjunction of two masks."""
        if first == "true":
            return second
        if second == "true":
            return first
        if all(mask in self.indices.conditions for mask in (first, second)):
            return self.indices.conjunction(first, second)
        first = self.vector_mask(first, width)
        second = self.vector_mask(second, width)
        return self.writer.define(f"and <{width} x i1> {first}, {second}")

    def vector_mask(self, mask: str, width: int) -> str:
        """A mask for each lane."""
        return splat(self.writer, mask, "i1", width) if mask in self.indices.conditions else mask
