"""Evaluation of scalar bodies over many points at once.

Every value of a body is a NumPy array that broadcasts over the points; a value that depends on few
axes stays small. Beside its value an SSA value may have

* an *error*: how far another order of the same arithmetic may bring it (float64, elementwise). It
  starts at reductions and goes through an op by evaluating the op at both ends of the interval;
* an *absent* mask: where a factor is a structural zero of a literal matrix (`te.coeff`), the
  product is no term at all. Absent terms are -0.0, which changes no sum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineSymExpr,
)

from .scalar import Array, attribute_value, evaluate
from .steps import OutsideDomain


@dataclass
class Scope:
    """Values of a body, their errors and absent masks (only where there are any)."""

    values: dict[SSAValue, Array] = field(default_factory=dict[SSAValue, Array])
    errors: dict[SSAValue, Array] = field(default_factory=dict[SSAValue, Array])
    absent: dict[SSAValue, Array] = field(default_factory=dict[SSAValue, Array])


Handler = Callable[[Operation, Scope], None]


def run_body(block: Block, scope: Scope, handlers: Mapping[str, Handler]) -> list[SSAValue]:
    """Evaluate the ops of a block; returns the operands of its terminator.

    `handlers` gives by op name what is no scalar op: reads, positions, literal matrices.
    """
    for op in block.ops:
        if op.name.endswith(".yield"):
            return list(op.operands)
        handler = handlers.get(op.name)
        if handler is not None:
            handler(op, scope)
        else:
            apply(op, scope)
    return []


def apply(op: Operation, scope: Scope) -> None:
    """Evaluate one scalar op, its error and its absent mask."""
    result = op.results[0]
    args = [scope.values[operand] for operand in op.operands]
    value = evaluate(op, args)
    scope.values[result] = value
    if scope.errors:
        _apply_error(op, args, value, scope)
    masks = [scope.absent[o] for o in op.operands if o in scope.absent]
    if masks and op.name in ("arith.mulf", "arith.muli", "arith.extf", "arith.truncf"):
        mask = masks[0] if len(masks) == 1 else np.logical_or(*masks)
        scope.absent[result] = mask
        nothing = np.asarray(-0.0).astype(value.dtype)
        scope.values[result] = np.where(mask, nothing, value)


def _apply_error(op: Operation, args: Sequence[Array], value: Array, scope: Scope) -> None:
    total: Array | None = None
    for position, operand in enumerate(op.operands):
        error = scope.errors.get(operand)
        if error is None:
            continue
        spread = _spread(op, args, position, error, value)
        total = spread if total is None else total + spread
    if total is not None:
        scope.errors[op.results[0]] = total


def _spread(
    op: Operation, args: Sequence[Array], position: int, error: Array, value: Array
) -> Array:
    """How far the result moves when one operand moves by its error."""
    spread: Array = np.zeros((), np.float64)
    for end in _ends(args[position], error):
        moved = evaluate(op, [*args[:position], end, *args[position + 1 :]])
        spread = np.maximum(spread, difference(moved, value))
    return spread


def _ends(value: Array, error: Array) -> tuple[Array, Array]:
    if value.dtype == np.bool_:
        return value, np.where(error > 0, ~value, value)
    wide = value.astype(np.float64)
    with np.errstate(all="ignore"):
        return (wide - error).astype(value.dtype), (wide + error).astype(value.dtype)


def difference(x: Array, y: Array) -> Array:
    """|x - y| as float64: 0 where they are the same, NaN and infinities included."""
    with np.errstate(all="ignore"):
        gap = np.abs(x.astype(np.float64) - y.astype(np.float64))
    same = (x == y) | ((x != x) & (y != y))
    return np.where(same, 0.0, np.where(np.isnan(gap), np.inf, gap))


def affine(expr: AffineExpr, dims: Sequence[Array], syms: Sequence[Array]) -> Array:
    """An index expression at many points."""
    if isinstance(expr, AffineDimExpr):
        return dims[expr.position]
    if isinstance(expr, AffineSymExpr):
        return syms[expr.position]
    if isinstance(expr, AffineConstantExpr):
        return np.asarray(expr.value)
    assert isinstance(expr, AffineBinaryOpExpr)
    lhs, rhs = affine(expr.lhs, dims, syms), affine(expr.rhs, dims, syms)
    kind = expr.kind
    if kind is AffineBinaryOpKind.Add:
        return np.asarray(lhs + rhs)
    if kind is AffineBinaryOpKind.Mul:
        return np.asarray(lhs * rhs)
    if kind is AffineBinaryOpKind.FloorDiv:
        return np.asarray(lhs // rhs)
    if kind is AffineBinaryOpKind.Mod:
        return np.asarray(lhs % rhs)
    return np.asarray(-(-lhs // rhs))


def inside(indices: Sequence[Array], shape: Sequence[int]) -> Array:
    """Where every index is inside its dimension."""
    ok: Array = np.asarray(True)
    for index, size in zip(indices, shape, strict=True):
        ok = ok & (index >= 0) & (index < size)
    return ok


def gather(source: Array, indices: Sequence[Array], fill: Attribute | None, where: str) -> Array:
    """Elements of `source`; `fill` outside of it.

    Raises: OutsideDomain: an index is outside and there is no fill.
    """
    ok = inside(indices, source.shape)
    if bool(ok.all()):
        return np.asarray(source[tuple(indices)])
    if fill is None:
        raise OutsideDomain(_outside_message(indices, source.shape), where=where)
    value = attribute_value(fill)
    if 0 in source.shape:
        return np.broadcast_to(value, ok.shape)
    clipped = [
        np.clip(index, 0, size - 1) for index, size in zip(indices, source.shape, strict=True)
    ]
    return np.where(ok, source[tuple(clipped)], value)


def _outside_message(indices: Sequence[Array], shape: Sequence[int]) -> str:
    spans = ", ".join(f"[{int(i.min())}, {int(i.max())}]" if i.size else "[]" for i in indices)
    return f"indices reach {spans} of a tensor of shape {tuple(shape)}"
