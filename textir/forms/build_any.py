"""The generic and the uniform form, which every op has: from their nodes."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import DenseArrayBase, StringAttr, SymbolRefAttr, i32
from xdsl.ir import Attribute, Operation, Region, SSAValue
from xdsl.irdl import IRDLOperation
from xdsl.traits import IsolatedFromAbove

from .. import declared as decl
from .. import fastir
from ..attributes import unescape
from ..builder import BUILDERS, Builder, Place, Task, count_of, symbol_name
from ..errors import Malformed
from ..tables import Node

# --- the generic form


def _generic(builder: Builder, node: Node, place: Place) -> Task | None:
    _, (position, name), operands, successors, props, regions, attrs, signature = node
    op_class = builder.op_class(unescape(name[1:-1]), position)
    inputs, outputs = builder.reader.signature(signature[1], signature[0])
    values = builder.scopes.many(operands[1], operands[0])
    _check_types(values, inputs, operands, signature[0])
    attributes = {} if attrs is None else builder.reader.dictionary(attrs[1], attrs[0])
    if props is not None:
        properties = builder.reader.dictionary(props[1], props[0] + 1)
    else:
        properties = _take_properties(op_class, attributes)
    blocks = builder.successors(successors) if successors else ()
    op = fastir.create(op_class, values, outputs, properties, attributes, blocks)
    return _finished(builder, op, regions, place)


def _take_properties(
    op_class: type[Operation], attributes: dict[str, Attribute]
) -> dict[str, Attribute]:
    """As MLIR and xDSL do: without `<{...}>`, declared names in `{...}` are properties."""
    if not attributes or not issubclass(op_class, IRDLOperation):
        return {}
    known = decl.declared(op_class)
    assert known is not None
    declared_names = set(known.properties)
    if known.segments is not None and known.segments[1]:
        declared_names.add(known.segments[0])
    return {name: attributes.pop(name) for name in list(attributes) if name in declared_names}


def _finished(
    builder: Builder, op: Operation, regions: Sequence[Node] | None, place: Place
) -> Task | None:
    """Place an op; one with regions is a task of its own."""
    if regions is None:
        builder.finish(op, place)
        return None
    return _with_regions(builder, op, regions, place)


def _with_regions(builder: Builder, op: Operation, nodes: Sequence[Node], place: Place) -> Task:
    is_isolated = op.has_trait(IsolatedFromAbove, value_if_unregistered=False)
    regions = [Region() for _ in nodes]
    for node, region in zip(nodes, regions, strict=True):
        yield builder.region(node, region, is_isolated=is_isolated)
    builder.finish(op, place, regions)


def _check_types(
    values: Sequence[SSAValue], types: Sequence[Attribute], operands: Node, position: int
) -> None:
    if [value.type for value in values] == list(types):
        return
    if len(values) != len(types):
        raise Malformed(
            position, f"{count_of(values, 'operand')} and {count_of(types, 'type')} for them"
        )
    names = operands[1].strip("()").split(",")
    for value, type_, name in zip(values, types, names, strict=False):
        if value.type != type_:
            raise Malformed(
                operands[0], f"{name.strip()} has type {value.type}, the signature says {type_}"
            )


# --- the uniform form


def _uniform(builder: Builder, node: Node, place: Place) -> Task | None:
    _, (position, name), symbol, operands, successors, regions, attrs, types = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    if symbol is not None:
        _set_symbol(op_class, symbol, properties)
    values = _operands(builder, op_class, operands, position, properties, attributes)
    result_types = () if types is None else builder.reader.types(types[1], types[0])
    known = decl.declared(op_class)
    if types is not None and known is not None and not known.has_results:
        _check_operand_types(op_class, values, result_types, types[0])
        result_types = ()
    if known is not None and known.result_segments is not None:
        name, as_property = known.result_segments
        sizes = decl.flat_sizes(known.results, len(result_types))
        if sizes is not None:
            kept = properties if as_property else attributes
            kept.setdefault(name, DenseArrayBase.from_list(i32, sizes))
    blocks = builder.successors(successors) if successors else ()
    op = fastir.create(op_class, values, result_types, properties, attributes, blocks)
    return _finished(builder, op, regions, place)


def _check_operand_types(
    op_class: type[Operation],
    values: Sequence[SSAValue],
    types: Sequence[Attribute],
    position: int,
) -> None:
    """Upstream's `func.return %a : i32`: an op without results may name its operands' types."""
    if [value.type for value in values] != list(types):
        have = ", ".join(str(value.type) for value in values) or "none"
        raise Malformed(
            position, f"'{op_class.name}' has no results, and its operands' types are: {have}"
        )


def _set_symbol(op_class: type[Operation], symbol: Node, properties: dict[str, Attribute]) -> None:
    known = decl.declared(op_class)
    if known is None or known.symbol is None:
        raise Malformed(symbol[0], f"'{op_class.name}' has no symbol name")
    name = symbol_name(symbol[1])
    is_name = decl.SYMBOL_PROPERTIES[known.symbol] is StringAttr
    properties[known.symbol] = StringAttr(name) if is_name else SymbolRefAttr(name)


def _operands(
    builder: Builder,
    op_class: type[Operation],
    node: Node | None,
    position: int,
    properties: dict[str, Attribute],
    attributes: dict[str, Attribute],
) -> list[SSAValue]:
    known = decl.declared(op_class)
    segments = None if known is None else known.segments
    if node is None or node[0] == "flat_operands":
        values = [] if node is None else builder.scopes.many(node[1][1], node[1][0])
        if known is None or segments is None:
            return values
        sizes = _flat_sizes(known, len(values), position)
    else:
        groups = [_group(builder, group) for group in node[1]]
        values = [value for group in groups for value in group]
        sizes = [len(group) for group in groups]
        if known is None or len(sizes) != len(known.groups):
            count = 0 if known is None else len(known.groups)
            raise Malformed(
                position, f"'{op_class.name}' has {count} operand groups, got {len(sizes)}"
            )
        if segments is None:
            return values
    target = properties if segments[1] else attributes
    target[segments[0]] = DenseArrayBase.from_list(i32, sizes)
    return values


def _flat_sizes(known: decl.Declared, count: int, position: int) -> list[int]:
    sizes = decl.flat_sizes(known.groups, count)
    if sizes is None:
        raise Malformed(
            position,
            f"expected {len(known.groups)} operand groups: '%a' for one value, '_' for an absent "
            "one, '[%a, %b]' for several",
        )
    return sizes


def _group(builder: Builder, node: Node) -> list[SSAValue]:
    match node:
        case ("one_value", (position, name)):
            return [builder.scopes.value(name, position)]
        case ("many_values", (position, text)):
            return builder.scopes.many(text, position)
        case _:
            return []


BUILDERS["generic"] = _generic
BUILDERS["uniform"] = _uniform
