"""builtin.module, func.func, constants, yields, assignments, graph.kernel: from their nodes."""

from __future__ import annotations

from typing import Any, cast

from xdsl.dialects.builtin import FunctionType, ModuleOp, StringAttr
from xdsl.ir import Attribute, Block, Region, SSAValue

from ..builder import BUILDERS, Builder, Place, Task, symbol_name
from ..errors import Malformed, Poisoned
from ..expressions import BodyBuilder
from ..literals import bare_number
from ..recovery import FAILED
from ..tables import Node


def string_property(token: Node) -> StringAttr:
    """The name after `@`."""
    return StringAttr(symbol_name(token[1]))


def argument_types(builder: Builder, nodes: list[Node] | None) -> list[Attribute]:
    """The types of `arg` nodes."""
    return [builder.reader.type(node[-3][1], node[-3][0]) for node in nodes or ()]


def return_types(builder: Builder, token: Node | None) -> tuple[Attribute, ...]:
    """The types after `->`."""
    return () if token is None else builder.reader.results(token[1], token[0])


def result_types(builder: Builder, token: Node | None) -> tuple[Attribute, ...]:
    """The types after `:`."""
    return () if token is None else builder.reader.types(token[1], token[0])


def bind_arguments(
    builder: Builder, block: Block, binds: list[Node], values: list[SSAValue]
) -> None:
    """Add an argument for each `%a = %x`, of the type of what it is bound to."""
    for (_, (position, name), _, location), value in zip(binds, values, strict=True):
        where = builder.explicit(location) or builder.locations.at(position)
        argument = block.insert_arg(value.type, len(block.args), where)
        builder.scopes.define(name, argument, position)


def bound_values(builder: Builder, binds: list[Node] | None) -> list[SSAValue]:
    """The values on the right of `%a = %x`."""
    return [builder.scopes.value(name, position) for _, _, (position, name), _ in binds or ()]


def _module(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), symbol, attrs, region_node = node
    if name == FAILED:
        raise Poisoned(position, "the head of the op could not be parsed")
    properties, attributes = builder.properties(ModuleOp, attrs)
    if symbol is not None:
        properties["sym_name"] = string_property(symbol)
    op = ModuleOp.create(properties=properties, attributes=attributes)
    region = Region()
    yield builder.region(region_node, region, arguments=(), is_isolated=True)
    builder.finish(op, place, [region])


def _func(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), visibility, symbol, args, returns, attrs, region_node = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["sym_name"] = string_property(symbol)
    properties["function_type"] = FunctionType.from_lists(
        argument_types(builder, args), return_types(builder, returns)
    )
    if visibility is not None:
        properties["sym_visibility"] = StringAttr(visibility[1])
    region = Region()
    if region_node is not None:
        yield builder.region(region_node, region, is_isolated=True, arguments=args or ())
    op = op_class.create(properties=properties, attributes=attributes)
    builder.finish(op, place, [region])


def _func_declaration(builder: Builder, node: Node, place: Place) -> None:
    _, (position, name), visibility, symbol, inputs, returns, attrs = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["sym_name"] = string_property(symbol)
    properties["function_type"] = FunctionType.from_lists(
        result_types(builder, inputs), return_types(builder, returns)
    )
    if visibility is not None:
        properties["sym_visibility"] = StringAttr(visibility[1])
    op = op_class.create(properties=properties, attributes=attributes)
    builder.finish(op, place, [Region()])


def constant_value(builder: Builder, token: Node, type_: Attribute) -> Attribute:
    """The value of a constant of this type: a number or `dense<...>` takes the type.

    Anything else is written whole: in parentheses if it has a type of its own.
    """
    position, text = token
    element = cast("Any", type_).element_type if type_.name == "loop.tile" else type_
    number = bare_number(text, element)
    if number is not None:
        return number
    if text.startswith(("dense<", "dense_resource<")):
        return builder.reader.attribute(f"{text} : {_text(type_)}", position)
    if text.startswith("("):
        return builder.reader.attribute(text[1:-1].strip(), position + 1)
    return builder.reader.attribute(text, position)


def _text(type_: Attribute) -> str:
    return str(type_)


def _constant(builder: Builder, node: Node, place: Place) -> None:
    _, (position, name), value, attrs, types = node
    op_class = builder.op_class(name, position)
    (type_,) = builder.reader.types(types[1], types[0])
    properties, attributes = builder.properties(op_class, attrs)
    if value[1].startswith(("dense<", "dense_resource<")):
        properties["value"] = builder.reader.attribute(f"{value[1]} : {types[1]}", value[0])
    else:
        properties["value"] = constant_value(builder, value, type_)
    op = op_class.create(result_types=[type_], properties=properties, attributes=attributes)
    builder.finish(op, place)


def _yield(builder: Builder, node: Node, place: Place) -> None:
    _, (position, name), exprs, attrs = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    op = op_class.create(
        operands=yielded_values(builder, exprs or [], place.block, position),
        properties=properties,
        attributes=attributes,
    )
    builder.finish(op, place)


def yielded_values(
    builder: Builder, exprs: list[Node], block: Block, position: int
) -> list[SSAValue]:
    """Build what a yield names: values, or expressions in the body of an index space."""
    plain = all(expr[0] == "value" for expr in exprs)
    if plain:
        return [builder.scopes.value(name, where) for _, (where, name) in exprs]
    if not builder.spaces:
        raise Malformed(position, "an expression stands only in a body over named axes")
    space = builder.spaces[-1]
    body = BodyBuilder(builder, block, space)
    expected: list[Any] = [*space.yields, *[None] * len(exprs)]
    return [body.build(expr, type_) for expr, type_ in zip(exprs, expected, strict=False)]


def _assign(builder: Builder, node: Node, place: Place) -> None:
    """`%0 = %x[i] * 2.0`."""
    _, results, expr, location = node
    if not builder.spaces:
        raise Malformed(results[0], "an expression stands only in a body over named axes")
    if expr[0] == "value":
        raise Malformed(results[0], "a value cannot be given a second name")
    body = BodyBuilder(builder, place.block, builder.spaces[-1])
    value = body.build(expr, None)
    owner = place.block.last_op
    if location is not None and owner is not None:
        owner.location = builder.reader.location(location[1], location[0])
    builder.name_results([value], results)


def _graph_kernel(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), symbol, binds, attrs, region_node, types = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["sym_name"] = string_property(symbol)
    values = bound_values(builder, binds)
    region = Region()
    yield builder.region(
        region_node,
        region,
        is_isolated=True,
        entry=lambda block: bind_arguments(builder, block, binds or [], values),
    )
    op = op_class.create(
        operands=values,
        result_types=result_types(builder, types),
        properties=properties,
        attributes=attributes,
    )
    builder.finish(op, place, [region])


BUILDERS["builtin_module"] = _module
BUILDERS["func_func"] = _func
BUILDERS["func_declaration"] = _func_declaration
BUILDERS["constant"] = _constant
BUILDERS["yield_values"] = _yield
BUILDERS["assign"] = _assign
BUILDERS["graph_kernel"] = _graph_kernel
