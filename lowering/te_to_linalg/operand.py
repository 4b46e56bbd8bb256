"""How a read becomes an operand of linalg.generic, or an element taken in its body."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xdsl.dialects import scf, tensor
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineDimExpr, AffineExpr, AffineMap

from ...core.affine import Ranges, bounds, const, from_terms, linear_terms, simplify_map
from ...core.irtypes import tensor_element, tensor_shape
from ...dialects import te
from ...dialects.index_space import axis_ranges
from ..upstream.emit import INDEX, Emitter


def fit_operand(
    op: te.ReadOp, source: SSAValue, compute: te.ComputeOp, emitter: Emitter
) -> tuple[SSAValue, AffineMap] | None:
    """(tensor, map) that a read is, without its guard; `None` where the body must do it.

    The tensor is padded where the read may leave it, and cut where an axis covers a part of what
    it indexes: linalg wants them equal.
    """
    if op.symbols:
        return None
    ranges = Ranges(axis_ranges(compute.axes.data))
    map_ = simplify_map(op.map.data, ranges)
    low: list[int] = []
    high: list[int] = []
    for expr, size in zip(map_.results, tensor_shape(source.type), strict=True):
        interval = bounds(expr, ranges)
        assert interval is not None, "the extents of axes are known"
        low.append(max(0, -interval[0]))
        high.append(max(0, interval[1] - size))
    if any((*low, *high)):
        if op.fill is None or any(_divides(expr) for expr in map_.results):
            return None
        source = _pad(source, low, high, op.fill, emitter)
        map_ = _shifted(map_, low)
    if any(size == 0 for size in tensor_shape(source.type)):
        return None
    return _cut(source, map_, compute, emitter), map_


def _divides(expr: AffineExpr) -> bool:
    """Whether an index counts in divisions: what is outside is then not a border."""
    return any(isinstance(term, AffineBinaryOpExpr) for term in linear_terms(expr))


def _shifted(map_: AffineMap, low: Sequence[int]) -> AffineMap:
    results = [
        from_terms(linear_terms(expr + const(by))) if by else expr
        for expr, by in zip(map_.results, low, strict=True)
    ]
    return AffineMap(map_.num_dims, map_.num_symbols, tuple(results))


def _pad(
    source: SSAValue, low: Sequence[int], high: Sequence[int], fill: Attribute, emitter: Emitter
) -> SSAValue:
    shape = tensor_shape(source.type)
    padded = [low_ + n + high_ for low_, n, high_ in zip(low, shape, high, strict=True)]
    value = emitter.constant(fill)
    block = Block([tensor.YieldOp(value)], arg_types=[INDEX for _ in shape])
    type_: TensorType[Any] = TensorType(tensor_element(source.type), padded)
    return emitter.add(tensor.PadOp(source, [], [], Region(block), list(low), list(high), type_))


def _cut(source: SSAValue, map_: AffineMap, compute: te.ComputeOp, emitter: Emitter) -> SSAValue:
    """`source[:n]` along each dimension that one axis of n points indexes."""
    shape = tensor_shape(source.type)
    wanted = [
        compute.axes.data[expr.position].size if isinstance(expr, AffineDimExpr) else size
        for expr, size in zip(map_.results, shape, strict=True)
    ]
    if list(shape) == wanted:
        return source
    return emitter.add(
        tensor.ExtractSliceOp.from_static_parameters(source, [0 for _ in wanted], wanted)
    )


def extract(
    source: SSAValue, indices: Sequence[SSAValue], fill: Attribute | None, emitter: Emitter
) -> SSAValue:
    """One element, in the body; `fill` where an index is outside."""
    element = tensor_element(source.type)
    if fill is None:
        return emitter.add(tensor.ExtractOp(source, list(indices), element))
    shape = tensor_shape(source.type)
    ok = emitter.inside_of(indices, shape)
    assert ok is not None, "a scalar tensor is read without a guard"
    then = emitter.inside(Block())
    then.append(scf.YieldOp(then.add(tensor.ExtractOp(source, list(indices), element))))
    otherwise = emitter.inside(Block())
    otherwise.append(scf.YieldOp(otherwise.constant(fill)))
    regions = (Region(then.block), Region(otherwise.block))
    return emitter.add(scf.IfOp(ok, [element], *regions))
