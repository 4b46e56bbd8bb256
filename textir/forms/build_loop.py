"""loop: kernels, loops, statements, memory accesses from their nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import (
    AffineMapAttr,
    AffineSetAttr,
    ArrayAttr,
    DenseArrayBase,
    IndexType,
    StringAttr,
    i32,
)
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.ir.affine import (
    AffineConstraintExpr,
    AffineDimExpr,
    AffineExpr,
    AffineMap,
    AffineSet,
    AffineSymExpr,
)

from ...core.irtypes import int_attr, ints, strings
from ...dialects.index_space import PARALLEL
from ...dialects.loop import TileType
from ..builder import BUILDERS, Builder, Place, Task, symbol_name
from ..errors import Malformed
from ..expressions import BodyBuilder, Space
from ..index_text import IndexReader, position_of, read_constraints
from ..tables import Node
from .build_core import bind_arguments, bound_values, result_types, string_property
from .build_te import (
    argument_names,
    body_task,
    combine_task,
    const_positions,
    kind_of,
    read_axes,
    read_init,
    read_reduction,
)


def _segments(properties: dict[str, Attribute], *sizes: int) -> None:
    properties["operandSegmentSizes"] = DenseArrayBase.from_list(i32, sizes)


class Variables:
    """Loop variables of an access, numbered as they are defined (outer first) or as `over` says.

    Those of a statement (`by_use`) are numbered as the text first names them.
    """

    def __init__(
        self,
        builder: Builder,
        over: Node | None,
        axes: Sequence[str] = (),
        *,
        by_use: bool = False,
    ):
        self._builder = builder
        self._axes = {name: position for position, name in enumerate(axes)}
        self.values: list[SSAValue] = []
        self._offsets: list[int] = []
        self.opaque: list[SSAValue] = []
        self._fixed = over is not None
        self._keeps_order = by_use or self._fixed
        if over is not None:
            self.values = builder.scopes.many(over[1], over[0])

    def reader(self) -> IndexReader:
        """Reads index expressions: axes first, loop variables behind them, opaque as symbols."""
        return IndexReader(self._axis, self._value)

    def _axis(self, name: str, position: int) -> AffineExpr:
        if name not in self._axes:
            known = ", ".join(self._axes) or "none"
            raise Malformed(position, f"there is no axis '{name}' here (axes: {known})")
        return AffineDimExpr(self._axes[name])

    def _value(self, token: Node, in_parens: bool) -> AffineExpr:
        value = self._builder.scopes.value(token[1], token[0])
        if isinstance(value.type, TileType):
            return AffineSymExpr(_number(self.opaque, value))
        if not isinstance(value.type, IndexType):
            raise Malformed(token[0], f"expected an index, {token[1]} is {value.type}")
        if self._fixed and not any(value is known for known in self.values):
            raise Malformed(token[0], f"{token[1]} is not in the list after 'over'")
        number = _number(self.values, value)
        if number == len(self._offsets):
            self._offsets.append(self._builder.scopes.offset(token[1]))
        return AffineDimExpr(len(self._axes) + number)

    def finish(self) -> None:
        """Put the variables into the order of their definitions, when all have been read."""
        order = self._order()
        self.dims = [AffineDimExpr(len(order) + at) for at in range(len(self._axes))]
        self.dims += [AffineDimExpr(order.index(at)) for at in range(len(order))]
        self.values = [self.values[at] for at in order]

    def _order(self) -> list[int]:
        numbers = list(range(len(self.values)))
        return numbers if self._keeps_order else sorted(numbers, key=lambda at: self._offsets[at])

    def placed(self, exprs: Sequence[AffineExpr]) -> list[AffineExpr]:
        """After `finish`: variables as the first dimensions, axes behind them."""
        return [expr.replace_dims_and_symbols(self.dims, ()) for expr in exprs]

    @property
    def num_dims(self) -> int:
        """Dimensions of the map."""
        return len(self.values) + len(self._axes)


def _items(nodes: list[Node] | None) -> list[Node]:
    return nodes or []


def _number(values: list[SSAValue], value: SSAValue) -> int:
    for number, known in enumerate(values):
        if known is value:
            return number
    values.append(value)
    return len(values) - 1


def _kernel(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), symbol, args, attrs, region_node = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["sym_name"] = string_property(symbol)
    properties["arg_names"] = strings(argument_names(args))
    outputs = [node[0] == "out_arg" for node in args or ()]
    if outputs != sorted(outputs):
        raise Malformed(symbol[0], "outputs come after the inputs")
    properties["num_outputs"] = int_attr(sum(outputs))
    if const := const_positions(args):
        properties["const_args"] = ints(const)
    region = Region()
    yield builder.region(region_node, region, is_isolated=True, arguments=args or ())
    builder.finish(op_class.create(properties=properties, attributes=attributes), place, [region])


def _bound(builder: Builder, node: Node, word: str) -> tuple[AffineMapAttr, list[SSAValue]]:
    """One side of a loop: an expression, `min(...)` or `max(...)`, or a map with its operands."""
    if node[0] == "map_bound":
        _, text, operands = node
        attribute = builder.reader.attribute(text[1], text[0])
        return cast("AffineMapAttr", attribute), builder.scopes.many(operands[1], operands[0])
    nodes: list[Node]
    match node[1]:
        case ("call", (position, name), exprs):
            if name != word:
                raise Malformed(position, f"this bound is a single expression or '{word}(...)'")
            nodes = list(exprs or ())
        case expr:
            nodes = [expr]
    variables = Variables(builder, None)
    reader = variables.reader()
    read = [reader.read(expr) for expr in nodes]
    variables.finish()
    results = variables.placed(read)
    if variables.opaque:
        raise Malformed(position_of(node), "a bound depends on loop variables only")
    return AffineMapAttr(AffineMap(variables.num_dims, 0, tuple(results))), variables.values


def _for(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), variable, lower, upper, kind, carry, attrs, region_node = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs, {"name": "loop_name"})
    low, low_args = _bound(builder, lower, "max")
    high, high_args = _bound(builder, upper, "min")
    properties.setdefault("loop_name", StringAttr(variable[1][1:]))
    properties |= {"kind": kind_of(kind), "lower": low, "upper": high}
    inits = bound_values(builder, carry)
    _segments(properties, len(low_args), len(high_args), len(inits))

    def entry(block: Block) -> None:
        builder.scopes.define(variable[1], block.insert_arg(IndexType(), 0), variable[0])
        bind_arguments(builder, block, carry or [], inits)

    region = Region()
    yield builder.region(region_node, region, entry=entry)
    op = op_class.create(
        operands=[*low_args, *high_args, *inits],
        result_types=[init.type for init in inits],
        properties=properties,
        attributes=attributes,
    )
    builder.finish(op, place, [region])


def _stmt(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), symbol, axes_node, reduction, bind, over, refs, *rest = node
    attrs, body, init, combine = rest
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["sym_name"] = string_property(symbol)
    axes = read_axes(axes_node, PARALLEL)
    read_reduction(axes, reduction, properties)
    read_init(builder, init, properties)
    labels = tuple(axis.label for axis in axes)
    variables = Variables(builder, over, labels, by_use=True)
    reader = variables.reader()
    bind_exprs = [reader.read(expr) for expr in _items(bind)]
    outs = [builder.scopes.value(token[1], token[0]) for _, token, _ in refs]
    out_exprs = [[reader.read(expr) for expr in _items(indices)] for _, _, indices in refs]
    variables.finish()
    bind_exprs = variables.placed(bind_exprs)
    ivs = variables.values
    properties["bind"] = AffineMapAttr(AffineMap(len(ivs), 0, tuple(bind_exprs)))
    properties["out_maps"] = ArrayAttr(
        [_out_map(len(labels), len(ivs), variables.placed(exprs)) for exprs in out_exprs]
    )
    _segments(properties, len(ivs), len(outs))
    yields = tuple(getattr(out.type, "element_type", None) for out in outs)
    builder.spaces.append(Space("loop", labels, tuple(ivs), cast("Any", yields)))
    regions = [Region()]
    yield body_task(builder, body, regions[0], "loop.yield", position)
    if combine is not None:
        regions.append(Region())
        yield combine_task(builder, combine, regions[1], "loop.yield")
    builder.spaces.pop()
    op = op_class.create(operands=[*ivs, *outs], properties=properties, attributes=attributes)
    builder.finish(op, place, regions)


def _out_map(num_axes: int, num_ivs: int, exprs: Sequence[AffineExpr]) -> AffineMapAttr:
    """In an out map the axes are dimensions, the loop variables symbols."""
    dims: list[AffineExpr] = [AffineSymExpr(at) for at in range(num_ivs)]
    dims += [AffineDimExpr(at) for at in range(num_axes)]
    results = tuple(expr.replace_dims_and_symbols(dims, ()) for expr in exprs)
    return AffineMapAttr(AffineMap(num_axes, num_ivs, results))


def _if(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), condition, over, attrs, then, otherwise, types = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    variables = Variables(builder, over)
    properties["condition"] = _condition(variables, condition)
    regions = [Region()]
    yield builder.region(then, regions[0], arguments=())
    if otherwise is not None:
        regions.append(Region())
        yield builder.region(otherwise, regions[1], arguments=())
    op = op_class.create(
        operands=variables.values,
        result_types=result_types(builder, types),
        properties=properties,
        attributes=attributes,
    )
    builder.finish(op, place, regions)


def _condition(variables: Variables, node: Node) -> AffineSetAttr:
    constraints = read_constraints(node, variables.reader())
    if variables.opaque:
        raise Malformed(position_of(node), "a condition depends on loop variables and axes only")
    variables.finish()
    placed = [
        AffineConstraintExpr(
            constraint.kind, *variables.placed([constraint.lhs, constraint.rhs]), canonicalize=False
        )
        for constraint in constraints
    ]
    return AffineSetAttr(AffineSet(variables.num_dims, 0, tuple(placed)))


def _labels(type_: Attribute, position: int) -> tuple[str, ...]:
    if not isinstance(type_, TileType):
        raise Malformed(position, f"expected a tile, got {type_}")
    return type_.labels


def _access(
    builder: Builder, ref: Node, over: Node | None, labels: tuple[str, ...]
) -> tuple[SSAValue, Variables, AffineMapAttr]:
    _, token, indices = ref
    buffer = builder.scopes.value(token[1], token[0])
    variables = Variables(builder, over, labels)
    reader = variables.reader()
    read = [reader.read(index) for index in _items(indices)]
    variables.finish()
    results = variables.placed(read)
    map_ = AffineMap(variables.num_dims, len(variables.opaque), tuple(results))
    return buffer, variables, AffineMapAttr(map_)


def _mask(builder: Builder, token: Node | None) -> list[SSAValue]:
    return [] if token is None else [builder.scopes.value(token[1], token[0])]


def _load(builder: Builder, node: Node, place: Place) -> None:
    _, (position, name), ref, over, mask, fill, attrs, types = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    (type_,) = builder.reader.types(types[1], types[0])
    source, variables, map_ = _access(builder, ref, over, _labels(type_, types[0]))
    properties["map"] = map_
    if fill is not None:
        body = BodyBuilder(builder, place.block, Space("loop", ()))
        properties["fill"] = body.fill(fill, cast("TileType", type_).element_type)
    masks = _mask(builder, mask)
    ivs, opaque = variables.values, variables.opaque
    _segments(properties, 1, len(ivs), len(opaque), len(masks))
    op = op_class.create(
        operands=[source, *ivs, *opaque, *masks],
        result_types=[type_],
        properties=properties,
        attributes=attributes,
    )
    builder.finish(op, place)


def _store(builder: Builder, node: Node, place: Place) -> None:
    _, (position, name), token, ref, over, mask, attrs = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    value = builder.scopes.value(token[1], token[0])
    dest, variables, map_ = _access(builder, ref, over, _labels(value.type, token[0]))
    properties["map"] = map_
    masks = _mask(builder, mask)
    ivs, opaque = variables.values, variables.opaque
    _segments(properties, 1, 1, len(ivs), len(opaque), len(masks))
    op = op_class.create(
        operands=[value, dest, *ivs, *opaque, *masks],
        properties=properties,
        attributes=attributes,
    )
    builder.finish(op, place)


def _prefetch(builder: Builder, node: Node, place: Place) -> None:
    _, (position, name), ref, over, attrs = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    source, variables, map_ = _access(builder, ref, over, ())
    if variables.opaque:
        raise Malformed(position, "what is prefetched depends on loop variables only")
    properties["map"] = map_
    op = op_class.create(
        operands=[source, *variables.values], properties=properties, attributes=attributes
    )
    builder.finish(op, place)


def _over_tile(builder: Builder, node: Node, place: Place) -> None:
    """loop.mask and loop.iota."""
    _, (position, name), expr, over, attrs, types = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    (type_,) = builder.reader.types(types[1], types[0])
    variables = Variables(builder, over, _labels(type_, types[0]))
    if name == "loop.mask":
        properties["condition"] = _condition(variables, expr)
    else:
        read = variables.reader().read(expr)
        variables.finish()
        results = variables.placed([read])
        properties["map"] = AffineMapAttr(AffineMap(variables.num_dims, 0, tuple(results)))
    op = op_class.create(
        operands=variables.values,
        result_types=[type_],
        properties=properties,
        attributes=attributes,
    )
    builder.finish(op, place)


def _reduce(builder: Builder, node: Node, place: Place) -> None:
    _, (position, name), combiner, axis, operands, attrs, types = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["combiner"] = StringAttr(combiner[1])
    properties["axis"] = builder.reader.attribute(axis[1], axis[0])
    op = op_class.create(
        operands=builder.scopes.many(operands[1], operands[0]),
        result_types=builder.reader.types(types[1], types[0]),
        properties=properties,
        attributes=attributes,
    )
    builder.finish(op, place)


BUILDERS["loop_kernel"] = _kernel
BUILDERS["loop_for"] = _for
BUILDERS["loop_stmt"] = _stmt
BUILDERS["loop_if"] = _if
BUILDERS["loop_load"] = _load
BUILDERS["loop_store"] = _store
BUILDERS["loop_prefetch"] = _prefetch
BUILDERS["loop_condition"] = _over_tile
BUILDERS["loop_reduce"] = _reduce
__all__ = ["symbol_name"]
