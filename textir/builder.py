"""Ops from nodes, from the outside in: names, regions, the generic and the uniform form.

Structured ops add their own builders to `BUILDERS` (`forms_*.py`). A builder is a function; where
an op has regions it is a generator that yields what is to be built before it goes on, so that
nesting costs no stack.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Any

from xdsl.context import Context
from xdsl.dialects.builtin import DenseArrayBase, FloatAttr, IntegerAttr, LocationAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from ..core.errors import did_you_mean
from . import declared as decl
from . import fastir
from .attributes import AttributeReader, unescape
from .errors import Malformed, Poisoned
from .failures import Failures, placed, start_of
from .literals import bare_list, bare_number
from .recovery import FAILED, Problems, is_token
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


_OPNAME = re.compile(r'"?[A-Za-z_]\w*\.[\w$.]+"?')
Build = Callable[["Builder", Node, Place], Task | None]
_NAMING = frozenset({"op", "assign", FAILED})
"""Nodes whose first part is the token with the names of results."""
BUILDERS: dict[str, Build] = {}
"""The builder of each kind of node; plug-ins add theirs through `textir.register_syntax`."""


class Builder:
    """Builds the ops of one text.

    Args:
        text: all of it.
        file: its name, for locations.
        context: what ops there are.
        problems: where errors go, so that the other ops are read too; None: the first is raised.
    """

    def __init__(self, text: str, file: str, context: Context, problems: Problems | None = None):
        self.context = context
        self.failures = Failures(problems)
        self.reader = AttributeReader(context)
        self.scopes = Scopes(text)
        self.locations = Locations(text, file)
        self.builders = builders()
        self.spaces: list[Any] = []
        """The index spaces around the op that is built (`expressions.Space`)."""
        self._blocks = Blocks()
        self._classes: dict[str, type[Operation]] = {}

    def run(self, task: Task) -> None:
        """Build to the end, without recursion; an error goes to the task that waits for it."""
        stack = [task]
        error: Exception | None = None
        while stack:
            try:
                inner = next(stack[-1], None) if error is None else stack[-1].throw(error)
                error = None
            except StopIteration:
                inner = error = None
            except Exception as raised:
                stack.pop()
                if not stack:
                    raise
                error = raised
                continue
            if inner is None:
                stack.pop()
            else:
                stack.append(inner)

    # --- ops and regions

    def ops(self, nodes: Iterable[Node], block: Block) -> Task:
        """Append ops to a block; of one that fails, what is inside of it is still read."""
        builders = self.builders
        failures = self.failures
        outside = (len(self.spaces), self.scopes.depth, self._blocks)
        for node in nodes:
            before = failures.count
            try:
                if node[0] == "op":
                    _, results, statement, location = node
                    place = Place(block, results, location, statement[1][0])
                    task = builders[statement[0]](self, statement, place)
                else:
                    task = builders[node[0]](self, node, Place(block, None, None, 0))
                if task is not None:
                    yield task
                continue
            except Exception as raised:
                error = placed(raised, node)
                if not failures.take(error, before):
                    raise error from raised.__cause__
            del self.spaces[outside[0] :]
            self.scopes.unwind(outside[1])
            self._blocks = outside[2]
            yield self.failed(node, block)

    def failed(self, node: Node, block: Block) -> Task:
        """Put something in the place of an op that failed, and look for errors inside of it."""
        self.scopes.has_hints = not self.failures.is_full
        op = self.failures.replace(node)
        op.location = self.locations.at(start_of(node))
        block.add_op(op)
        if node[1] is not None and isinstance(node[1][0], int) and node[0] in _NAMING:
            self.scopes.poison(node[1])
        for inner in self.failures.unread_regions(node):
            before = self.failures.count
            depth, blocks = self.scopes.depth, self._blocks
            self.scopes.lenient += 1
            try:
                yield self.region(inner, Region(), is_isolated=True)
            except Exception as raised:
                if not self.failures.take(placed(raised, inner), before):
                    raise
                self.scopes.unwind(depth)
                self._blocks = blocks
            self.scopes.lenient -= 1

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
        self.failures.enter(node)
        self.scopes.enter(is_isolated)
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
            error = Malformed(position, f"block {name} is not defined in this region")
            if not self.failures.take(error, self.failures.count_for(name)):
                raise error
            self._blocks.known[name].add_op(self.failures.replace())
            region.add_block(self._blocks.known[name])
        self._blocks = outer
        self.scopes.leave()

    def arguments(self, nodes: Iterable[Node], block: Block) -> None:
        """Add arguments to a block and name them."""
        for node in nodes:
            (position, name), type_, location = node[1], node[-3], node[-1]
            argument = block.insert_arg(
                self.reader.type(type_[1], type_[0]),
                len(block.args),
                self.explicit(location) or self.locations.at(position),
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
                position, f"the op has {count_of(results, 'result')}, but {sum(counts)} are named"
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
                raise self.unknown_op(name, position)
            known = self._classes[name] = found
        return known

    def unknown_op(self, name: str, position: int) -> Malformed:
        """The error for an op that there is not, told of once for each name."""
        if self.failures.is_first(name):
            return self._unknown_op(name, position)
        return Poisoned(position, f"there is no op '{name}'")

    def _unknown_op(self, name: str, position: int) -> Malformed:
        dialect, _, _ = name.partition(".")
        dialects = list(self.context.registered_dialect_names)
        if dialect not in dialects:
            message = f"there is no dialect '{dialect}' (op '{name}')"
            return Malformed(position, message, did_you_mean(dialect, dialects))
        head = f"{dialect}."
        ops = [op.name for op in self.context.loaded_ops if op.name.startswith(head)]
        word = name.removeprefix(head)
        hint = did_you_mean(word, [op.removeprefix(head) for op in ops], head, most=2)
        return Malformed(position, f"dialect '{dialect}' has no op '{word}'", hint)

    # --- properties

    def properties(
        self, op_class: type[Operation], node: Node | None, spelt: Mapping[str, str] | None = None
    ) -> tuple[dict[str, Attribute], dict[str, Attribute]]:
        """(properties, attributes) of a dictionary: declared names are properties.

        Args: spelt: properties by their names in the text, where those differ.
        """
        known = decl.declared(op_class)
        if known is None:
            return {}, {} if node is None else self.reader.dictionary(node[1], node[0])
        properties: dict[str, Attribute] = {}
        attributes: dict[str, Attribute] = {}
        if node is not None:
            position, text = node
            for written, value, where in self.reader.entries(text, position):
                name = written if spelt is None else spelt.get(written, written)
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


def count_of(values: Sequence[object], noun: str) -> str:
    """`no results`, `1 result`, `2 results`."""
    return f"{len(values) or 'no'} {noun}{'' if len(values) == 1 else 's'}"


def symbol_name(text: str) -> str:
    """`@name` or `@"any name"` without its mark."""
    return unescape(text[2:-1]) if text.startswith('@"') else text[1:]


def _failed(builder: Builder, node: Node, place: Place) -> None:
    """An op that was told of when it was parsed; if there is no such op, that is the reason."""
    _, _, position, parts, error = node
    head = next((part for part in parts[:2] if is_token(part) and not part[1].endswith("=")), None)
    if error is not None and head is not None and _OPNAME.fullmatch(head[1]):
        name = unescape(head[1].strip('"'))
        is_known = builder.context.get_optional_op(name) is not None
        if not is_known and builder.failures.withdraw(error):
            raise builder.unknown_op(name, head[0])
    raise Poisoned(position, "the op could not be parsed")


BUILDERS[FAILED] = _failed
