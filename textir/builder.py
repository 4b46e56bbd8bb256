"""Ops from nodes, from the outside in: names, regions, the generic and the uniform form.

Structured ops add their own builders to `BUILDERS` (`forms_*.py`). A builder is a function; where
an op has regions it is a generator that yields what is to be built before it goes on, so that
nesting costs no stack.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import (
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    LocationAttr,
    StringAttr,
    SymbolRefAttr,
    i32,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.irdl import IRDLOperation
from xdsl.traits import IsolatedFromAbove

from . import declared as decl
from . import fastir
from .attributes import AttributeReader, unescape
from .errors import Malformed, did_you_mean
from .literals import bare_list, bare_number
from .scopes import Blocks, Locations, Scopes
from .syntax import builders
from .tables import Node

Task = Generator["Task", None, None]
"""Something to build; it yields what must be built before it goes on."""


class Place:
    """Where an op goes: its block, the names of its results, its location in the text."""

    __slots__ = ("block", "location", "position", "results")

    def __init__(self, block: Block, results: Node | None, location: Node | None, position: int):
        self.block = block
        self.results = results
        self.location = location
        self.position = position


Build = Callable[["Builder", Node, Place], Task | None]
BUILDERS: dict[str, Build] = {}
"""The builder of each kind of node; plug-ins add theirs through `textir.register_syntax`."""


class Builder:
    """Builds the ops of one text."""

    def __init__(self, text: str, file: str, context: Context):
        self.context = context
        self.reader = AttributeReader(context)
        self.scopes = Scopes(text)
        self.locations = Locations(text, file)
        self.builders = builders()
        self.spaces: list[Any] = []
        """The index spaces around the op that is built (`expressions.Space`)."""
        self._blocks = Blocks()
        self._classes: dict[str, type[Operation]] = {}

    def run(self, task: Task) -> None:
        """Build to the end, without recursion."""
        stack = [task]
        while stack:
            inner = next(stack[-1], None)
            if inner is None:
                stack.pop()
            else:
                stack.append(inner)

    # --- ops and regions

    def ops(self, nodes: Iterable[Node], block: Block) -> Task:
        """Append ops to a block."""
        builders = self.builders
        for node in nodes:
            if node[0] == "op":
                _, results, statement, location = node
                place = Place(block, results, location, statement[1][0])
                task = builders[statement[0]](self, statement, place)
            else:
                task = builders[node[0]](self, node, Place(block, None, None, 0))
            if task is not None:
                yield task

    def region(
        self,
        node: Node,
        region: Region,
        *,
        is_isolated: bool = False,
        arguments: Sequence[Node] | None = None,
        entry: Callable[[Block], None] | None = None,
    ) -> Task:
        """Fill a region.

        Args:
            node: what is in its braces.
            region: an empty one.
            is_isolated: whether values from outside are hidden.
            arguments: `arg` nodes of the entry block that the op's own syntax gives.
            entry: called with the entry block when its arguments are there, before its ops.
        """
        _, nodes, labelled = node
        mark = self.scopes.enter(is_isolated)
        outer, self._blocks = self._blocks, Blocks()
        if nodes or arguments is not None or entry is not None:
            block = Block()
            self.arguments(arguments or (), block)
            if entry is not None:
                entry(block)
            region.add_block(block)
            yield self.ops(nodes, block)
        for block_node in labelled:
            _, label, block_args, ops = block_node
            block = self._define_block(label)
            self.arguments(block_args[1] or () if block_args else (), block)
            region.add_block(block)
            yield self.ops(ops, block)
        for name, position in self._blocks.awaited.items():
            raise Malformed(position, f"block {name} is not defined in this region")
        self._blocks = outer
        self.scopes.leave(mark)

    def arguments(self, nodes: Iterable[Node], block: Block) -> None:
        """Add arguments to a block and name them."""
        for node in nodes:
            (position, name), type_, location = node[1], node[-3], node[-1]
            argument = block.insert_arg(
                self.reader.type(type_[1], type_[0]), len(block.args), self.explicit(location)
            )
            self.scopes.define(name, argument, position)

    def _define_block(self, label: Node) -> Block:
        position, name = label
        blocks = self._blocks
        if name in blocks.known and name not in blocks.awaited:
            raise Malformed(position, f"block {name} is already defined")
        block = self._block(name)
        blocks.awaited.pop(name, None)
        return block

    def _block(self, name: str) -> Block:
        block = self._blocks.known.get(name)
        if block is None:
            block = self._blocks.known[name] = Block()
            if not name[1].isdigit() and not Block.is_default_block_name(name[1:]):
                block.name_hint = name[1:]
        return block

    def successors(self, nodes: Sequence[Node] | None) -> list[Block]:
        """Blocks to go on in, defined or still to come."""
        found: list[Block] = []
        for position, name in nodes or ():
            if name not in self._blocks.known:
                self._blocks.awaited[name] = position
            found.append(self._block(name))
        return found

    def finish(self, op: Operation, place: Place, regions: Sequence[Region] = ()) -> None:
        """Put an op into its block and name its results."""
        for region in regions:
            op.add_region(region)
        explicit = self.explicit(place.location)
        op.location = self.locations.at(place.position) if explicit is None else explicit
        fastir.append(place.block, op)
        if place.results is not None:
            self.name_results(op.results, place.results)

    def name_results(self, results: Sequence[SSAValue], token: Node) -> None:
        """Name what an op gives: `%a, %b:2 =`."""
        position, text = token
        if len(results) == 1 and "," not in text and ":" not in text:
            self.scopes.define(text[:-1].rstrip(), results[0], position)
            return
        names = [name.strip().partition(":") for name in text[:-1].split(",")]
        counts = [int(count) if colon else 1 for _, colon, count in names]
        if sum(counts) != len(results):
            raise Malformed(
                position, f"the op has {_count(results, 'result')}, but {sum(counts)} are named"
            )
        at = 0
        for (name, colon, _), count in zip(names, counts, strict=True):
            if colon:
                self.scopes.define_pack(name, list(results[at : at + count]), position)
            else:
                self.scopes.define(name, results[at], position)
            at += count

    def explicit(self, location: Node | None) -> LocationAttr | None:
        """The location that the text gives, if it does."""
        return None if location is None else self.reader.location(location[1], location[0])

    def op_class(self, name: str, position: int) -> type[Operation]:
        """The class of an op.

        Raises: Malformed: no such op.
        """
        known = self._classes.get(name)
        if known is None:
            found = self.context.get_optional_op(name)
            if found is None:
                raise self._unknown_op(name, position)
            known = self._classes[name] = found
        return known

    def _unknown_op(self, name: str, position: int) -> Malformed:
        dialect, _, _ = name.partition(".")
        dialects = list(self.context.registered_dialect_names)
        if dialect not in dialects:
            message = f"there is no dialect '{dialect}' (op '{name}')"
            return Malformed(position, message, did_you_mean(dialect, dialects))
        head = f"{dialect}."
        ops = [op.name for op in self.context.loaded_ops if op.name.startswith(head)]
        word = name.removeprefix(head)
        hint = did_you_mean(word, [op.removeprefix(head) for op in ops], head)
        return Malformed(position, f"dialect '{dialect}' has no op '{word}'", hint)

    # --- properties

    def properties(
        self, op_class: type[Operation], node: Node | None
    ) -> tuple[dict[str, Attribute], dict[str, Attribute]]:
        """(properties, attributes) of a dictionary: declared names are properties."""
        known = decl.declared(op_class)
        if known is None:
            return {}, {} if node is None else self.reader.dictionary(node[1], node[0])
        properties: dict[str, Attribute] = {}
        attributes: dict[str, Attribute] = {}
        if node is not None:
            position, text = node
            for name, value, where in self.reader.entries(text, position):
                if name in known.properties:
                    kind = known.properties[name]
                    properties[name] = self._declared_value(kind, value, position + where)
                elif value is None:
                    attributes[name] = self.reader.attribute("unit", position + where)
                else:
                    attributes[name] = self.reader.attribute(value, position + where)
        for name, kind in known.properties.items():
            if kind.default is not None and name not in properties:
                properties[name] = kind.default
        return properties, attributes

    def _declared_value(self, kind: decl.Property, text: str | None, position: int) -> Attribute:
        if text is None:
            return self.reader.attribute("unit", position)
        value: IntegerAttr[Any] | FloatAttr[Any] | DenseArrayBase[Any] | None = None
        if kind.number is not None:
            value = bare_number(text, kind.number)
        elif kind.array is not None:
            value = bare_list(text, kind.array)
        return self.reader.attribute(text, position) if value is None else value


def _count(values: Sequence[object], noun: str) -> str:
    return f"{len(values) or 'no'} {noun}{'' if len(values) == 1 else 's'}"


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
    if regions is None:
        builder.finish(op, place)
        return None
    return _with_regions(builder, op, regions, place)


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
            position, f"{_count(values, 'operand')} and {_count(types, 'type')} for them"
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
    blocks = builder.successors(successors) if successors else ()
    op = fastir.create(op_class, values, result_types, properties, attributes, blocks)
    if regions is None:
        builder.finish(op, place)
        return None
    return _with_regions(builder, op, regions, place)


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


def symbol_name(text: str) -> str:
    """`@name` or `@"any name"` without its mark."""
    return unescape(text[2:-1]) if text.startswith('@"') else text[1:]


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
