"""Tile form: what each op on n-D values does. A tile is an array, one dimension for each axis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineConstraintKind, AffineSet

from ..core.dtypes import numpy_dtype
from ..core.irtypes import tensor_shape
from ..dialects import loop
from ..dialects.intrinsics import INTRINSICS
from ..dialects.loop import TileType, tile_type
from ..dialects.loop.elementwise import ElementwiseOp
from .body import affine
from .memory import Memory
from .scalar import NAMED_COMBINERS, SCALAR_OPS, Array, attribute_value, dense_value
from .te import run_kernel

Memories = dict[SSAValue, Memory]
Values = dict[SSAValue, Array]
TileMeaning = Callable[[Operation, Memories, Values], None]


def aligned(value: SSAValue, values: Values, labels: Sequence[str]) -> Array:
    """A tile's array with its axes in the order of `labels`, 1 where it lacks one."""
    own = tile_type(value).labels
    order = [own.index(label) for label in labels if label in own]
    array = values[value].transpose(order)
    sizes = iter(array.shape)
    return array.reshape([next(sizes) if label in own else 1 for label in labels])


def shape_of(type_: TileType) -> tuple[int, ...]:
    """The sizes of a tile's axes."""
    return tuple(axis.extent for axis in type_.axes)


@lru_cache(maxsize=1024)
def _positions(type_: TileType) -> tuple[Array, ...]:
    rank = len(type_.axes)
    return tuple(
        np.arange(axis.extent).reshape([-1 if d == at else 1 for d in range(rank)])
        for at, axis in enumerate(type_.axes)
    )


def condition(set_: AffineSet, dims: Sequence[Array]) -> Array:
    """Where all constraints of an affine set hold."""
    holds: Array = np.asarray(True)
    for constraint in set_.constraints:
        lhs, rhs = affine(constraint.lhs, dims, []), affine(constraint.rhs, dims, [])
        match constraint.kind:
            case AffineConstraintKind.ge:
                holds = holds & (lhs >= rhs)
            case AffineConstraintKind.le:
                holds = holds & (lhs <= rhs)
            case AffineConstraintKind.eq:
                holds = holds & (lhs == rhs)
    return holds


def _access(
    op: loop.LoadOp | loop.StoreOp, type_: TileType, values: Values
) -> tuple[list[Array], Array | None]:
    """Logical indices of each element, and the mask."""
    dims = [*(values[iv] for iv in op.ivs), *_positions(type_)]
    symbols = [aligned(index, values, type_.labels) for index in op.indices]
    indices = [affine(expr, dims, symbols) for expr in op.map.data.results]
    mask = None if op.mask is None else aligned(op.mask, values, type_.labels)
    return indices, mask


def _load(op: Operation, memory: Memories, values: Values) -> None:
    assert isinstance(op, loop.LoadOp)
    type_, source = tile_type(op.res), memory[op.source]
    indices, mask = _access(op, type_, values)
    places = source.places(indices, where=mask)
    if mask is None:
        value = source.flat[places]
    else:
        dtype = source.flat.dtype
        fill = np.zeros((), dtype) if op.fill is None else attribute_value(op.fill)
        loaded = source.flat[places] if source.flat.size else fill
        value = np.where(mask, loaded, fill)
    values[op.res] = np.broadcast_to(value, shape_of(type_))


def _store(op: Operation, memory: Memories, values: Values) -> None:
    assert isinstance(op, loop.StoreOp)
    type_, dest = tile_type(op.value), memory[op.dest]
    indices, mask = _access(op, type_, values)
    shape = shape_of(type_)
    places = np.broadcast_to(dest.places(indices, where=mask), shape)
    value = values[op.value]
    if mask is None:
        dest.flat[places] = value
    else:
        kept = np.broadcast_to(mask, shape)
        dest.flat[places[kept]] = value[kept]


def _constant(op: Operation, memory: Memories, values: Values) -> None:
    assert isinstance(op, loop.ConstantOp)
    values[op.res] = np.broadcast_to(attribute_value(op.value), shape_of(tile_type(op.res)))


def _table(op: Operation, memory: Memories, values: Values) -> None:
    assert isinstance(op, loop.TableOp)
    values[op.res] = dense_value(op.values)


def _iota(op: Operation, memory: Memories, values: Values) -> None:
    assert isinstance(op, loop.IotaOp)
    type_ = tile_type(op.res)
    dims = [*(values[iv] for iv in op.ivs), *_positions(type_)]
    value = affine(op.map.data.results[0], dims, [])
    values[op.res] = np.broadcast_to(value, shape_of(type_)).astype(numpy_dtype(type_.element_type))


def _mask(op: Operation, memory: Memories, values: Values) -> None:
    assert isinstance(op, loop.MaskOp)
    type_ = tile_type(op.res)
    dims = [*(values[iv] for iv in op.ivs), *_positions(type_)]
    values[op.res] = np.broadcast_to(condition(op.condition.data, dims), shape_of(type_))


def _contract(op: Operation, memory: Memories, values: Values) -> None:
    """Acc + lhs * rhs, one summed point after the other, each rounded once."""
    assert isinstance(op, loop.ContractOp)
    labels = tile_type(op.acc).labels
    operands = (op.lhs, op.rhs)
    summed = [
        label
        for label in dict.fromkeys(lab for v in operands for lab in tile_type(v).labels)
        if label not in labels
    ]
    acc = values[op.acc]
    wide = np.float64 if acc.dtype.kind not in "iub" else acc.dtype
    if not summed and not any(map(_is_table, operands)):
        lhs, rhs = (aligned(v, values, labels).astype(wide) for v in operands)
        with np.errstate(all="ignore"):
            values[op.res] = (acc.astype(wide) + lhs * rhs).astype(acc.dtype)
        return
    lead = [*summed, *labels]
    lhs, rhs = (aligned(v, values, lead).astype(wide) for v in operands)
    count = np.broadcast_shapes(lhs.shape[: len(summed)], rhs.shape[: len(summed)])
    present = _present(op, values, lead)
    with np.errstate(all="ignore"):
        terms = np.broadcast_to(lhs * rhs, (*count, *acc.shape)).reshape((-1, *acc.shape))
        where = np.broadcast_to(present, (*count, *acc.shape)).reshape((-1, *acc.shape))
        for term, there in zip(terms, where, strict=True):
            added = (acc.astype(wide) + term).astype(acc.dtype)
            acc = np.where(there, added, acc)
    values[op.res] = acc


def _present(op: loop.ContractOp, values: Values, lead: Sequence[str]) -> Array:
    """Where the product is a term: zeros of a literal table are not."""
    present: Array = np.ones([1] * len(lead), bool)
    for value in (op.lhs, op.rhs):
        if _is_table(value):
            present = present & (aligned(value, values, lead) != 0)
    return present


def _is_table(value: SSAValue) -> bool:
    owner = value.owner
    while isinstance(owner, loop.PickOp):
        owner = owner.value.owner
    return isinstance(owner, loop.TableOp)


def _intrinsic(op: Operation, memory: Memories, values: Values) -> None:
    """The te compute that describes it, once for each position on the other axes."""
    assert isinstance(op, loop.IntrinsicOp)
    lanes, terms = (label.data for label in op.labels)
    type_ = tile_type(op.acc)
    outer = [label for label in type_.labels if label != lanes]
    kernel = INTRINSICS[op.intrinsic.data].kernel(values[op.acc].shape[-1])
    acc = np.array(aligned(op.acc, values, [*outer, lanes]))
    operands: list[Array] = []
    for value, labels, tensor in zip(
        op.args, ([terms], [lanes, terms]), kernel.function_type.inputs, strict=True
    ):
        array = aligned(value, values, [*outer, *labels])
        shape = acc.shape[: len(outer)] + tensor_shape(tensor)
        operands.append(np.broadcast_to(array, shape))
    add = NAMED_COMBINERS["sum"]
    with np.errstate(all="ignore"):
        for point in np.ndindex(*acc.shape[: len(outer)]):
            (result,) = run_kernel(kernel, [operand[point] for operand in operands])
            acc[point] = add(acc[point], result)
    values[op.res] = acc


def _reduce(op: Operation, memory: Memories, values: Values) -> None:
    assert isinstance(op, loop.ReduceOp)
    acc = values[op.acc]
    array = aligned(op.value, values, [op.axis.data, *tile_type(op.acc).labels])
    function = NAMED_COMBINERS[op.combiner.data]
    with np.errstate(all="ignore"):
        for part in array:
            acc = function(acc, part)
    values[op.res] = np.asarray(acc)


def _pick(op: Operation, memory: Memories, values: Values) -> None:
    assert isinstance(op, loop.PickOp)
    type_ = tile_type(op.res)
    indices = [affine(expr, _positions(type_), []) for expr in op.map.data.results]
    picked = values[op.value][tuple(indices)] if indices else values[op.value]
    values[op.res] = np.broadcast_to(picked, shape_of(type_))


def _elementwise(op: Operation, memory: Memories, values: Values) -> None:
    assert isinstance(op, ElementwiseOp)
    type_ = tile_type(op.res)
    args = [aligned(value, values, type_.labels) for value in op.args]
    with np.errstate(all="ignore"):
        result = np.asarray(SCALAR_OPS[op.SOURCE_NAME](op, args))
    values[op.res] = np.broadcast_to(result, shape_of(type_))


TILE_OPS: dict[str, TileMeaning] = {
    "loop.load": _load,
    "loop.store": _store,
    "loop.constant": _constant,
    "loop.table": _table,
    "loop.iota": _iota,
    "loop.mask": _mask,
    "loop.contract": _contract,
    "loop.intrinsic": _intrinsic,
    "loop.reduce": _reduce,
    "loop.pick": _pick,
    **{cls.name: _elementwise for cls in loop.ELEMENTWISE.values()},
}
"""By op name."""
