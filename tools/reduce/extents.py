"""Extents become smaller, everywhere where the same number stands.

Graph operators get their result types by inference; te and loop kernels have the number replaced
in every type, axis and index map. What does not fit together is refused by inference or by the
verifier.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, cast

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    FunctionType,
    IntegerAttr,
    ModuleOp,
    TensorType,
    UnrankedTensorType,
)
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineConstantExpr, AffineExpr, AffineMap
from xdsl.rewriter import Rewriter

from ...core.irtypes import int_attr, tensor_element, tensor_shape
from ...core.walk import walk
from ...dialects import loop, te
from ...dialects.graph import base as graph
from ...dialects.graph.types import dims, info, is_ranked, layout, tensor_type
from ...dialects.index_space import AxisAttr
from ...passes.graph.infer_shapes import infer_shapes
from .functions import Refused

SMALL = (1, 2, 3, 4)
Pairs = dict[int, int]


class BindExtents:
    """Extents that are not known, or have a name, are all 1, or the least number that fails."""

    name = "unknown extents"

    def sites(self, module: ModuleOp) -> Sequence[int]:
        return SMALL if any(map(_is_open, _arguments(module))) else ()

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        if len(sites) != 1:
            raise Refused
        (extent,) = cast("Sequence[int]", sites)
        for argument in filter(_is_open, _arguments(module)):
            known = [n if isinstance(n, int) else extent for n in dims(argument.type) or ()]
            of = tensor_element(argument.type)
            _set_type(argument, tensor_type(known, of, layout(argument.type)))
        _renew(module, {})


def _arguments(module: ModuleOp) -> Iterator[SSAValue]:
    for op in module.ops:
        if isinstance(op, func.FuncOp):
            yield from op.body.block.args


def _is_open(value: SSAValue) -> bool:
    """Whether it is a tensor of known rank, and not all its extents are numbers."""
    extents = dims(value.type) if is_ranked(value.type) else None
    return extents is not None and not all(isinstance(extent, int) for extent in extents)


class ShrinkExtents:
    """An extent v becomes w, for the smallest w that keeps the failure."""

    name = "extents"

    def sites(self, module: ModuleOp) -> Sequence[tuple[int, int]]:
        found: set[int] = set()
        for type_ in _types(module):
            found |= {extent for extent in _extents(type_) if extent > 1}
        pairs: list[tuple[int, int]] = []
        for old in sorted(found, reverse=True):
            smaller = dict.fromkeys((*SMALL, old // 8, old // 4, old // 2, old - 1))
            pairs += [(old, new) for new in sorted(smaller) if 0 < new < old]
        return pairs

    def apply(self, module: ModuleOp, sites: Sequence[Hashable]) -> None:
        pairs = dict(cast("Sequence[tuple[int, int]]", sites))
        if len(pairs) != len(sites):
            raise Refused
        _renew(module, pairs)


def infer_again(module: ModuleOp) -> None:
    """Infer the types of a graph anew from its arguments, if they were known.

    Raises: Refused: they no longer are. ModelError: operators do not take their operands.
    """
    if not _has_open(module):
        _renew(module, {})


def _renew(module: ModuleOp, pairs: Pairs) -> None:
    was_open = _has_open(module)
    for op in list(module.ops):
        if isinstance(op, func.FuncOp):
            _shrink_function(op, pairs)
        elif isinstance(op, te.KernelOp | loop.KernelOp):
            _shrink_kernel(op, pairs)
    infer_shapes(module)
    if _has_open(module) and not was_open:
        raise Refused


def _has_open(module: ModuleOp) -> bool:
    """Whether any shape is not known."""
    return any(
        isinstance(type_, UnrankedTensorType) or -1 in _extents(type_) for type_ in _types(module)
    )


def _types(module: ModuleOp) -> Iterator[Attribute]:
    for op in walk(module):
        yield from (result.type for result in op.results)
        for region in op.regions:
            for block in region.blocks:
                yield from block.arg_types
        if isinstance(op, te.ComputeOp):
            yield from op.axes


def _extents(type_: Attribute) -> tuple[int, ...]:
    match type_:
        case TensorType():
            return tensor_shape(cast("TensorType[Any]", type_))
        case loop.BufferType():
            return type_.extents
        case AxisAttr():
            return (type_.size,)
        case _:
            return ()


def _shrink_function(function: func.FuncOp, pairs: Pairs) -> None:
    """New types for arguments and constants; those of operators are forgotten, to be inferred."""
    for argument in function.body.block.args:
        _set_type(argument, _renewed(argument.type, pairs))
    for op in [op for op in walk(function) if op is not function]:
        if isinstance(op, graph.ConstantOp):
            _shrink_constant(op, pairs)
        elif isinstance(op, graph.GraphOp | graph.KernelOp):
            _follow(op, pairs)
            for value in (*op.results, *(a for r in op.regions for a in r.block.args)):
                _forget(value, pairs)
        elif not isinstance(op, func.ReturnOp):  # a call, an op of another dialect
            for result in op.results:
                _set_type(result, _renewed(result.type, pairs))


def _follow(op: Operation, pairs: Pairs) -> None:
    """Integers among the properties that are extents: the groups of a convolution, a window."""
    large = {old: new for old, new in pairs.items() if old > max(SMALL)}  # no axis, no stride
    for name, value in op.properties.items():
        op.properties[name] = _renewed_numbers(value, large)


def _renewed_numbers(attribute: Attribute, pairs: Pairs) -> Attribute:
    if isinstance(attribute, IntegerAttr):
        number = cast("IntegerAttr[Any]", attribute)
        return IntegerAttr(pairs.get(number.value.data, number.value.data), number.type)
    if isinstance(attribute, ArrayAttr):
        each = cast("ArrayAttr[Attribute]", attribute)
        return ArrayAttr([_renewed_numbers(item, pairs) for item in each])
    return attribute


def _forget(value: SSAValue, pairs: Pairs) -> None:
    """Leave the shape to inference; a layout stays, and so the rank."""
    if layout(value.type) is not None:
        _set_type(value, _renewed(value.type, pairs))
    else:
        _set_type(value, tensor_type(None, info(value).element, None))


def _set_type(value: SSAValue, type_: Attribute) -> None:
    if value.type != type_:
        Rewriter.replace_value_with_new_type(value, type_)


def _shrink_constant(op: graph.ConstantOp, pairs: Pairs) -> None:
    if not pairs:
        return
    if not op.is_loaded:
        raise Refused
    array = op.array
    if array.dtype.kind in "iu" and array.ndim <= 1 and array.size <= graph.INLINE_ELEMENTS:
        # perhaps a shape: the numbers in it follow
        for old, new in pairs.items():
            array = np.where(array == old, np.asarray(new, array.dtype), array)
    wanted = tuple(slice(0, pairs.get(extent, extent)) for extent in array.shape)
    made = graph.ConstantOp.of(np.ascontiguousarray(array[wanted]))
    op.properties["value"] = made.value
    _set_type(op.res, made.res.type)


def _shrink_kernel(kernel: Operation, pairs: Pairs) -> None:
    for op in walk(kernel):
        for table in (op.properties, op.attributes):
            for name, attribute in table.items():
                table[name] = _renewed(attribute, pairs)
        arguments = [a for region in op.regions for block in region.blocks for a in block.args]
        for value in (*op.results, *arguments):
            _set_type(value, _renewed(value.type, pairs))


def _renewed(attribute: Attribute, pairs: Pairs) -> Attribute:
    """An attribute with its extents and the constants of its index maps replaced."""
    match attribute:
        case TensorType():
            return _renewed_tensor(cast("TensorType[Any]", attribute), pairs)
        case loop.BufferType():
            shape = [pairs.get(extent, extent) for extent in attribute.extents]
            map_ = attribute.layout.data if isinstance(attribute.layout, AffineMapAttr) else None
            return loop.BufferType.get(shape, attribute.element_type, attribute.space.data, map_)
        case AxisAttr():
            size = pairs.get(attribute.size, attribute.size)
            return AxisAttr(attribute.axis_name, attribute.kind, int_attr(size))
        case AffineMapAttr():
            return AffineMapAttr(_renewed_map(attribute.data, pairs))
        case FunctionType():
            inputs, outputs = (
                [_renewed(type_, pairs) for type_ in types]
                for types in (attribute.inputs, attribute.outputs)
            )
            return FunctionType.from_lists(inputs, outputs)
        case ArrayAttr():
            return ArrayAttr([_renewed(each, pairs) for each in cast("ArrayAttr[Any]", attribute)])
        case _:
            return attribute


def _renewed_tensor(type_: TensorType[Any], pairs: Pairs) -> Attribute:
    shape = [pairs.get(extent, extent) for extent in tensor_shape(type_)]
    return tensor_type(shape, tensor_element(type_), layout(type_))


def _renewed_map(map_: AffineMap, pairs: Pairs) -> AffineMap:
    results = tuple(_renewed_expr(expr, pairs) for expr in map_.results)
    return AffineMap(map_.num_dims, map_.num_symbols, results)


def _renewed_expr(expr: AffineExpr, pairs: Pairs) -> AffineExpr:
    if isinstance(expr, AffineConstantExpr):
        return AffineExpr.constant(pairs.get(expr.value, expr.value))
    if isinstance(expr, AffineBinaryOpExpr):
        lhs, rhs = _renewed_expr(expr.lhs, pairs), _renewed_expr(expr.rhs, pairs)
        return AffineBinaryOpExpr(expr.kind, lhs, rhs)
    return expr
