"""Expressions of a tile op for each of its registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineExpr

from ...core.affine import (
    Ranges,
    const,
    dim,
    from_terms,
    linear_terms,
    simplify,
    substitute,
    sym,
    used,
)
from ...dialects.loop import TileType
from .indices import LANE, Position


@dataclass(frozen=True)
class _Sum:
    """`rest + constant`, and what a step along each register axis adds."""

    rest: AffineExpr
    constant: int
    steps: dict[str, int]

    def at(self, axes: dict[str, int]) -> AffineExpr:
        """The sum for one register."""
        constant = self.constant + sum(step * axes[label] for label, step in self.steps.items())
        if self.rest == const(0):
            return const(constant)
        if not constant:
            return self.rest
        return AffineBinaryOpExpr(AffineBinaryOpKind.Add, self.rest, const(constant))


class Places:
    """Expressions over an op's own dimensions: first loop variables, then the axes of its tile.

    A register axis outside of quotients adds a constant to what is simplified once for all.
    """

    def __init__(
        self, exprs: Sequence[AffineExpr], loop_dims: Sequence[AffineExpr], tile: TileType
    ):
        self.exprs = exprs
        self.loop_dims = loop_dims
        self.labels = [(axis.label, axis.is_lanes) for axis in tile.axes]
        self._sums: dict[tuple[int, int], list[_Sum | None]] = {}

    def at(self, position: Position, known: Ranges) -> list[AffineExpr]:
        """The expressions for one register; dimension 0 is the lane."""
        key = (position.offset, position.width)
        if key not in self._sums:
            self._sums[key] = [self._sum(expr, position, known) for expr in self.exprs]
        axes = dict(position.axes)
        return [
            self._simplified(expr, position, known, {label: const(p) for label, p in axes.items()})
            if found is None
            else found.at(axes)
            for expr, found in zip(self.exprs, self._sums[key], strict=True)
        ]

    def _sum(self, expr: AffineExpr, position: Position, known: Ranges) -> _Sum | None:
        first = len(known.dims)
        registers = [label for label, is_lanes in self.labels if not is_lanes]
        axes = {label: dim(first + number) for number, label in enumerate(registers)}
        terms = linear_terms(self._simplified(expr, position, known, axes))
        steps = {label: terms.pop(axis, 0) for label, axis in axes.items()}
        constant = terms.pop(None, 0)
        rest = from_terms(terms)
        if any(number >= first for number in used(rest)[0]):
            return None
        return _Sum(rest, constant, {label: step for label, step in steps.items() if step})

    def _simplified(
        self,
        expr: AffineExpr,
        position: Position,
        known: Ranges,
        registers: dict[str, AffineExpr],
    ) -> AffineExpr:
        lane = LANE + position.offset if position.width > 1 else const(position.offset)
        axes = [lane if is_lanes else registers[label] for label, is_lanes in self.labels]
        symbols = [sym(i) for i in range(max(used(expr)[1], default=-1) + 1)]
        return simplify(substitute(expr, [*self.loop_dims, *axes], symbols), known)
