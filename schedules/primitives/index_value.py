"""Affine expressions as scalar ops of a statement's body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects import arith
from xdsl.dialects.builtin import FloatAttr, IndexType, IntegerAttr, IntegerType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineSymExpr,
)

from ...core.errors import ScheduleError
from ...dialects.loop import IndexOp, StmtOp

Kind = AffineBinaryOpKind
Guard = tuple[AffineExpr, str, int]
"""An index, a comparison (`sge`, `slt`) and what it is compared with."""


def zero_of(element_type: Attribute) -> Attribute:
    """Zero, as an attribute of a scalar type."""
    if isinstance(element_type, IntegerType | IndexType):
        return IntegerAttr(0, cast("Any", element_type))
    return FloatAttr(0.0, cast("Any", element_type))


class IndexBuilder:
    """Inserts index arithmetic before `anchor`, over the axes of its statement as dimensions.

    Symbols are the values `opaque`, then loop variables.
    """

    def __init__(self, stmt: StmtOp, anchor: Operation, opaque: Sequence[SSAValue] = ()):
        self.stmt = stmt
        self.anchor = anchor
        self.opaque = opaque

    def value(self, expr: AffineExpr) -> SSAValue:
        """The value of an expression of the read's map.

        Raises: ScheduleError: it names a loop variable, which a body cannot use.
        """
        if isinstance(expr, AffineConstantExpr):
            return self._constant(expr.value)
        if isinstance(expr, AffineDimExpr):
            return self._add(IndexOp(self.stmt.axes.data[expr.position].label))
        if isinstance(expr, AffineSymExpr):
            if expr.position < len(self.opaque):
                return self.opaque[expr.position]
            raise ScheduleError(
                "compute_inline: an index relative to a loop would be a value of the body",
                hint="compute_inline before compute_at",
            )
        assert isinstance(expr, AffineBinaryOpExpr)
        return self._binary(expr.kind, self.value(expr.lhs), self.value(expr.rhs))

    def guarded(self, guards: Sequence[Guard], value: SSAValue, fill: Attribute) -> SSAValue:
        """`value` where every guard holds, else `fill`."""
        condition: SSAValue | None = None
        for expr, predicate, limit in guards:
            comparison = arith.CmpiOp(self.value(expr), self._constant(limit), predicate)
            test = self._add(comparison)
            both = test if condition is None else self._add(arith.AndIOp(condition, test))
            condition = both
        if condition is None:
            return value
        other = self._add(arith.ConstantOp(cast("Any", fill)))
        return self._add(arith.SelectOp(condition, value, other))

    def _binary(self, kind: AffineBinaryOpKind, lhs: SSAValue, rhs: SSAValue) -> SSAValue:
        if kind is Kind.Add:
            return self._add(arith.AddiOp(lhs, rhs))
        if kind is Kind.Mul:
            return self._add(arith.MuliOp(lhs, rhs))
        if kind is Kind.CeilDiv:
            return self._add(arith.CeilDivSIOp(lhs, rhs))
        quotient = self._add(arith.FloorDivSIOp(lhs, rhs))
        if kind is Kind.FloorDiv:
            return quotient
        return self._add(arith.SubiOp(lhs, self._add(arith.MuliOp(quotient, rhs))))

    def _constant(self, value: int) -> SSAValue:
        return self._add(arith.ConstantOp(IntegerAttr(value, IndexType())))

    def _add(self, op: Operation) -> SSAValue:
        block = self.anchor.parent
        assert block is not None
        op.location = self.anchor.location
        block.insert_op_before(op, self.anchor)
        return op.results[0]
