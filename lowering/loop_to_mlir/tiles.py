"""Tile ops, register by register."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, cast

from xdsl.dialects.builtin import AnyFloat, DenseIntOrFPElementsAttr, VectorType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.ir.affine import AffineConstantExpr, AffineDimExpr, AffineExpr

from ...core.affine import Ranges, const, dim, simplify, substitute
from ...core.errors import PassError
from ...core.locations import describe
from ...dialects import loop
from ...dialects.combiners import combine_op
from ...dialects.loop import TileType, tile_type
from ...dialects.loop.elementwise import ElementwiseOp
from ..upstream.emit import DIVISIONS, INDEX, Emitter, divide
from ..upstream.on_vectors import elementwise
from .access import COMPARISONS, load, store
from .values import Position, Tile, Values, lane_of, positions, register_type, splat, width_of

Write = Callable[[Any, Emitter, Values], None]


def _define(op: Operation, values: Values, registers: Sequence[SSAValue]) -> None:
    values.define(op.results, registers)


def _constant(op: loop.ConstantOp, emitter: Emitter, values: Values) -> None:
    type_ = tile_type(op.res)
    value = _widened(emitter.constant(op.value), width_of(type_), emitter)
    _define(op, values, [value for _ in positions(type_)])


def _widened(value: SSAValue, width: int | None, emitter: Emitter) -> SSAValue:
    return value if width is None else splat(value, width, emitter)


def _table(op: loop.TableOp, emitter: Emitter, values: Values) -> None:
    element = tile_type(op.res).element_type
    if tile_type(op.res).lanes is not None:
        raise PassError("a table of literals along lanes", where=describe(op))
    literals = cast("Sequence[Attribute]", list(op.values.iter_attrs()))
    assert all(getattr(literal, "type", element) == element for literal in literals)
    _define(op, values, [emitter.constant(literal) for literal in literals])


def positioned(
    exprs: Sequence[AffineExpr],
    variables: Sequence[SSAValue],
    type_: TileType,
    position: Position,
    values: Values,
) -> list[AffineExpr]:
    """Maps over (loop variables, axes) where the register axes are at a position.

    What is left are the loop variables, and one dimension after them for the lanes.
    """
    lane = dim(len(variables))
    axes = [lane if axis.is_lanes else const(position[axis.label]) for axis in type_.axes]
    dims = [*(dim(at) for at in range(len(variables))), *axes]
    known = values.known(variables).dims
    ranges = Ranges((*known, (0, width_of(type_) or 1)))
    return [simplify(substitute(expr, dims), ranges) for expr in exprs]


def _evaluated(
    expr: AffineExpr,
    variables: Sequence[SSAValue],
    width: int | None,
    emitter: Emitter,
    values: Values,
) -> SSAValue:
    """An expression of `positioned` in every lane."""
    dims = values.indices(variables)
    if width is None:
        return emitter.affine(expr, dims)
    type_ = VectorType(INDEX, [width])
    lanes = DenseIntOrFPElementsAttr.from_list(type_, list(range(width)))
    return emitter.widen(emitter.affine(expr, [*dims, emitter.constant(lanes)]), type_)


def _iota(op: loop.IotaOp, emitter: Emitter, values: Values) -> None:
    type_ = tile_type(op.res)
    if type_.element_type != INDEX:
        raise PassError(f"positions as {type_.element_type}", where=describe(op))
    registers: list[SSAValue] = []
    for position in positions(type_):
        (expr,) = positioned(op.map.data.results, op.ivs, type_, position, values)
        registers.append(_evaluated(expr, op.ivs, width_of(type_), emitter, values))
    _define(op, values, registers)


def _mask(op: loop.MaskOp, emitter: Emitter, values: Values) -> None:
    type_ = tile_type(op.res)
    width = width_of(type_)
    registers: list[SSAValue] = []
    for position in positions(type_):
        total: SSAValue | None = None
        for constraint in op.condition.data.constraints:
            sides = positioned((constraint.lhs, constraint.rhs), op.ivs, type_, position, values)
            lhs, rhs = (_evaluated(s, op.ivs, width, emitter, values) for s in sides)
            predicate = emitter.predicate(COMPARISONS[constraint.kind])
            result = register_type(type_.element_type, width)
            test = elementwise("arith.cmpi", [lhs, rhs], result, predicate, width is not None)
            value = emitter.add(test)
            total = value if total is None else emitter.arith("andi", total, value)
        assert total is not None, "a mask has constraints"
        registers.append(total)
    _define(op, values, registers)


def _elementwise(op: ElementwiseOp, emitter: Emitter, values: Values) -> None:
    type_ = tile_type(op.res)
    width = width_of(type_)
    result = register_type(type_.element_type, width)
    registers: list[SSAValue] = []
    for position in positions(type_):
        args = [values.tiles[arg].wide(position, width, emitter) for arg in op.args]
        if op.SOURCE_NAME in DIVISIONS:
            registers.append(divide(op.SOURCE_NAME, args, emitter))
        else:
            made = elementwise(op.SOURCE_NAME, args, result, op.predicate, width is not None)
            registers.append(emitter.add(made))
    _define(op, values, registers)


def _contract(op: loop.ContractOp, emitter: Emitter, values: Values) -> None:
    """One fused multiply-add for each register and each summed point, in order."""
    type_ = tile_type(op.acc)
    operands = (values.tiles[op.lhs], values.tiles[op.rhs])
    summed = {
        axis.label: axis
        for tile in operands
        for axis in tile.type.axes
        if axis.label not in type_.labels
    }
    if any(axis.is_lanes for axis in summed.values()):
        raise PassError("a product that is summed along lanes", where=describe(op))
    registers: list[SSAValue] = []
    for position in positions(type_):
        acc = values.tiles[op.acc].at(position)
        for point in product(*(range(axis.extent) for axis in summed.values())):
            place = {**position, **dict(zip(summed, point, strict=True))}
            if any(_is_absent(tile.at(place)) for tile in operands):
                continue
            lhs, rhs = (tile.wide(place, width_of(type_), emitter) for tile in operands)
            if not lhs.type == rhs.type == acc.type:
                raise PassError(
                    f"a product of {lhs.type} and {rhs.type} summed in {acc.type}",
                    where=describe(op),
                )
            acc = _multiply_add(lhs, rhs, acc, type_.element_type, emitter)
        registers.append(acc)
    _define(op, values, registers)


def _is_absent(value: SSAValue) -> bool:
    """Whether a value is a literal zero, which is no term of a sum."""
    owner = value.owner
    if not isinstance(owner, Operation) or owner.name != "arith.constant":
        return False
    number: Any = getattr(owner.properties["value"], "value", None)
    return number is not None and number.data == 0


def _multiply_add(
    lhs: SSAValue, rhs: SSAValue, acc: SSAValue, element: Attribute, emitter: Emitter
) -> SSAValue:
    if isinstance(element, AnyFloat):
        wide = isinstance(acc.type, VectorType)
        return emitter.add(elementwise("math.fma", [lhs, rhs, acc], acc.type, None, wide))
    return emitter.arith("addi", acc, emitter.arith("muli", lhs, rhs))


def _reduce(op: loop.ReduceOp, emitter: Emitter, values: Values) -> None:
    """In order, over registers or over the lanes of one."""
    tile, type_ = values.tiles[op.value], tile_type(op.acc)
    width = width_of(type_)
    mnemonic = combine_op(op.combiner.data, type_.element_type).removeprefix("arith.")
    axis = next(axis for axis in tile.type.axes if axis.label == op.axis.data)
    registers: list[SSAValue] = []
    for position in positions(type_):
        acc = values.tiles[op.acc].at(position)
        for at in range(axis.extent):
            if axis.is_lanes:
                part = lane_of(tile.at(position), at, emitter)
            else:
                part = tile.wide({**position, axis.label: at}, width, emitter)
            acc = emitter.arith(mnemonic, acc, part)
        registers.append(acc)
    _define(op, values, registers)


def _pick(op: loop.PickOp, emitter: Emitter, values: Values) -> None:
    tile, type_ = values.tiles[op.value], tile_type(op.res)
    width = width_of(type_)
    registers: list[SSAValue] = []
    for position in positions(type_):
        exprs = positioned(op.map.data.results, [], type_, position, values)
        registers.append(_picked(op, tile, exprs, width, emitter))
    _define(op, values, registers)


def _picked(
    op: loop.PickOp, tile: Tile, exprs: Sequence[AffineExpr], width: int | None, emitter: Emitter
) -> SSAValue:
    """The register, or the lane of one, at these positions on the value's axes."""
    place: dict[str, int] = {}
    lane: int | None = None
    for axis, expr in zip(tile.type.axes, exprs, strict=True):
        if isinstance(expr, AffineConstantExpr):
            place[axis.label] = expr.value
            lane = expr.value if axis.is_lanes else lane
        elif not (axis.is_lanes and isinstance(expr, AffineDimExpr) and width == axis.extent):
            raise PassError(f"axis '{axis.label}' is picked lane by lane", where=describe(op))
    register = tile.at(place)
    if lane is not None:
        register = lane_of(register, lane, emitter)
    return register if isinstance(register.type, VectorType) else _widened(register, width, emitter)


def _intrinsic(op: loop.IntrinsicOp, emitter: Emitter, values: Values) -> None:
    raise PassError(
        f"the machine instruction '{op.intrinsic.data}' has no counterpart in upstream MLIR",
        where=describe(op),
        hint="convert the kernel before form-tiles: in nest form it is still loops",
    )


TILE_OPS: dict[str, Write] = {
    "loop.load": load,
    "loop.store": store,
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
