"""Modules to text, iteratively.

An op is written in its structured form where it has one, in the uniform form else; what a form
cannot say exactly goes to the next one, at last to the generic form, which says everything.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, cast

from xdsl.dialects.builtin import (
    DenseArrayBase,
    ModuleOp,
    StringAttr,
    SymbolRefAttr,
    UnregisteredOp,
    i32,
)
from xdsl.ir import Attribute, Block, BlockArgument, Operation, Region
from xdsl.traits import IsolatedFromAbove, IsTerminator

from . import declared as decl
from .attribute_text import IDENTIFIER, AttributeText, key_text, quoted, symbol_text
from .literals import dense_array, list_text, number_text, type_of
from .looks import Look
from .names import Names, block_names
from .syntax import forms
from .users import Users

Task = Generator["Task", None, None]
Form = Callable[["TextPrinter", Operation, str], "Task | str | None"]
"""Text of an op after its results: a line, a task that writes several, or None: not exactly."""
FORMS: dict[str, Form] = {}
"""Structured forms by op name."""
_BARE_DIALECTS = frozenset({"loop"})


class TextPrinter:
    """Writes one module.

    Args:
        look: how.
        users: what the comments about uses say, once it is known.
    """

    def __init__(self, look: Look, users: Users | None = None):
        self.generic = look.generic
        self.has_properties = look.properties
        self.locations = look.locations or look.pretty_locations
        self.each_op = self.locations or look.users
        """Whether there is something to say of every op, so that each needs a line."""
        self.skip_regions = look.skip_regions
        self.attributes = AttributeText(
            pretty=not look.generic,
            elide=look.elide,
            elide_strings=look.elide_strings,
            hex_from=look.hex_from,
            pretty_locations=look.pretty_locations,
        )
        self.names = Names(unique=look.unique_names, node_names=look.node_names)
        self.forms = forms()
        self.lines: dict[Operation, int] = {}
        """The line of each op that has one of its own, once it is written; lines count from 1."""
        self._users = users
        self._blocks: dict[Block, str] = {}
        self._out: list[str] = []
        self._counted, self._line = 0, 1

    def module(self, op: Operation) -> str:
        """The text of an op; of a plain module, only what is in it."""
        if self._is_implicit(op):
            self._run(self.ops(op.regions[0].block, ""))
        else:
            task = self.op(op, "")
            if task is not None:
                self._run(task)
        return "".join(self._out)

    def _is_implicit(self, op: Operation) -> bool:
        if self.generic or self.locations or not isinstance(op, ModuleOp):
            return False
        if op.attributes or op.properties or len(op.body.blocks) != 1 or op.body.block.args:
            return False
        first = op.body.block.first_op
        return not (isinstance(first, ModuleOp) and first.next_op is None)

    @staticmethod
    def _run(task: Task) -> None:
        stack = [task]
        while stack:
            inner = next(stack[-1], None)
            if inner is None:
                stack.pop()
            else:
                stack.append(inner)

    def write(self, text: str) -> None:
        """Add text."""
        self._out.append(text)

    def note(self, op: Operation) -> None:
        """Remember that `op` begins on the line that is being written."""
        for text in self._out[self._counted :]:
            self._line += text.count("\n")
        self._counted = len(self._out)
        self.lines[op] = self._line

    # --- ops and regions

    def ops(self, block: Block, indent: str) -> Task:
        """The ops of a block, a line or more each."""
        op = block.first_op
        while op is not None:
            task = self.op(op, indent)
            if task is not None:
                yield task
            op = op.next_op

    def op(self, op: Operation, indent: str) -> Task | None:
        """One op."""
        self.note(op)
        results = op.results
        named = self.names.known(op.operands) and not self.generic
        head = indent
        if results:
            head += ", ".join([self.names.of(result) for result in results]) + " = "
        form: Task | str | None = None
        if named:
            special = self.forms.get(op.name)
            if special is None:
                form = self.uniform(op, indent)
            elif (known := decl.declared(type(op))) is not None and known.has_shape(op):
                form = special(self, op, indent)
        if form is None:
            form = self._generic(op, indent)
        if isinstance(form, str):
            self._out.append(f"{head}{form}{self.end(op)}\n")
            return None
        self._out.append(head)
        return self._finish(form, op)

    def line(self, op: Operation) -> str | None:
        """A whole op without regions as one line, in the uniform or the generic form."""
        if op.regions:
            return None
        special = self.forms.get(op.name)
        form = self.uniform(op, "") if special is None else special(self, op, "")
        if form is None:
            form = self._generic(op, "")
        if not isinstance(form, str):
            return None
        results = ", ".join([self.names.of(result) for result in op.results])
        return f"{results} = {form}" if results else form

    def _finish(self, form: Task, op: Operation) -> Task:
        yield form
        self._out.append(f"{self.end(op)}\n")

    def end(self, op: Operation) -> str:
        """What follows an op: its location and a comment about its uses, where asked for."""
        location = self.location(op)
        return location if self._users is None else f"{location}{self._users.of_op(op)}"

    def location(self, op: Operation | BlockArgument) -> str:
        """` loc(...)` where locations are asked for."""
        return f" {self.attributes.of(op.location)}" if self.locations else ""

    def region(
        self, region: Region, indent: str, *, label: bool = True, is_isolated: bool = False
    ) -> Task:
        """`{ ... }`, from brace to brace.

        Args: label: write the entry block's label where it has arguments or nothing else.
        """
        mark = self.names.enter() if is_isolated else None
        yield self.open_region(region, indent, label=label)
        if mark is not None:
            self.names.leave(mark)

    def open_region(self, region: Region, indent: str, *, label: bool = True) -> Task:
        """As `region`, in the scope of names that is open."""
        if self.skip_regions:
            self._out.append("{...}")
            return
        self._blocks.update(block_names(region))
        self._out.append("{\n")
        for block in region.blocks:
            is_entry = block.prev_block is None
            if not is_entry or (label and needs_label(block)):
                self._out.append(f"{indent}{self._blocks[block]}{self._arguments(block)}:\n")
            if self._users is not None:
                self._out += [f"{indent}  {line}\n" for line in self._users.of_arguments(block)]
            yield self.ops(block, indent + "  ")
        self._out.append(indent + "}")

    def _arguments(self, block: Block) -> str:
        if not block.args:
            return ""
        return f"({', '.join(self.argument(argument) for argument in block.args)})"

    def argument(self, argument: BlockArgument) -> str:
        """`%x: f32`."""
        type_ = self.attributes.of(argument.type)
        return f"{self.names.of(argument)}: {type_}{self.location(argument)}"

    def operands(self, op: Operation) -> str:
        """`%a, %b`."""
        return ", ".join([self.names.of(operand) for operand in op.operands])

    def _successors(self, op: Operation) -> str:
        if not op.successors:
            return ""
        return f"[{', '.join(self._blocks.get(block, '^unknown') for block in op.successors)}]"

    def _regions(self, op: Operation, indent: str) -> Task:
        is_isolated = op.has_trait(IsolatedFromAbove, value_if_unregistered=False)
        self._out.append(" (")
        for position, region in enumerate(op.regions):
            if position:
                self._out.append(", ")
            yield self.region(region, indent, is_isolated=is_isolated)
        self._out.append(")")

    # --- the generic form

    def _generic(self, op: Operation, indent: str) -> Task | str:
        name = op.name
        attributes = dict(op.attributes)
        if isinstance(op, UnregisteredOp):
            name = op.op_name.data
            attributes.pop("op_name__", None)
        head = f"{quoted(name)}({self.operands(op)}){self._successors(op)}"
        if not self.has_properties:
            attributes = {**op.properties, **attributes}
        elif op.properties or self._needs_empty_properties(op):
            head += f" <{self.attributes.dictionary(op.properties)}>"
        tail = f" {self.attributes.dictionary(attributes)}" if attributes else ""
        tail += f" : {self.attributes.signature(op.operand_types, op.result_types)}"
        if not op.regions:
            return head + tail
        return self._around_regions(op, indent, head, tail)

    @staticmethod
    def _needs_empty_properties(op: Operation) -> bool:
        """Whether an attribute would be read as the property of its name."""
        known = decl.declared(type(op)) if op.attributes else None
        if known is None:
            return False
        names = set(known.properties)
        if known.segments is not None and known.segments[1]:
            names.add(known.segments[0])
        return any(name in names for name in op.attributes)

    def _around_regions(self, op: Operation, indent: str, head: str, tail: str) -> Task:
        self._out.append(head)
        yield self._regions(op, indent)
        self._out.append(tail)

    # --- the uniform form

    def uniform(self, op: Operation, indent: str) -> Task | str | None:
        known = decl.declared(type(op))
        if known is None or not known.is_regular or isinstance(op, UnregisteredOp):
            return None
        if op.results and not known.has_results:
            return None
        if "." not in op.name or IDENTIFIER.fullmatch(op.name) is None:
            return None
        entries = self.entries(op, known)
        operands = self._grouped(op, known)
        if entries is None or operands is None:
            return None
        symbol = self._symbol(op, known)
        head = f"{op.name}{symbol}{operands}{self._successors(op)}"
        tail = f" {{{', '.join(entries)}}}" if entries else ""
        if op.results:
            tail += f" : {self.attributes.many([result.type for result in op.results])}"
        if not op.regions:
            return head + tail
        return self._around_regions(op, indent, head, tail)

    def _symbol(self, op: Operation, known: decl.Declared) -> str:
        name = self._symbol_name(op, known)
        return "" if name is None else f" {symbol_text(name)}"

    @staticmethod
    def _symbol_name(op: Operation, known: decl.Declared) -> str | None:
        value = None if known.symbol is None else op.properties.get(known.symbol)
        if isinstance(value, StringAttr) and known.symbol == "sym_name":
            return value.data
        if isinstance(value, SymbolRefAttr) and known.symbol == "callee":
            return None if value.nested_references.data else value.root_reference.data
        return None

    def entries(
        self, op: Operation, known: decl.Declared, omit: Sequence[str] = ()
    ) -> list[str] | None:
        """The dictionary of the uniform form; None: it would not read back exactly."""
        skipped = set(omit)
        if self._symbol_name(op, known) is not None and known.symbol is not None:
            skipped.add(known.symbol)
        segments = known.segments[0] if known.segments is not None else None
        if known.result_segments is not None:
            name, as_property = known.result_segments
            if not self._has_flat_results(op, known, name, as_property):
                return None
            skipped.add(name)
        entries: list[str] = []
        for name, value in op.properties.items():
            if name in skipped or name == segments:
                continue
            entry = self._property(known.properties.get(name), name, value)
            if entry is None:
                return None
            entries += entry
        if any(
            kind.default is not None and name not in op.properties and name not in skipped
            for name, kind in known.properties.items()
        ):
            return None
        if any(name in known.properties or name in skipped for name in op.attributes):
            return None
        entries += [
            self.attributes.entry(name, value)
            for name, value in op.attributes.items()
            if name != segments
        ]
        return entries

    @staticmethod
    def _has_flat_results(
        op: Operation, known: decl.Declared, name: str, as_property: bool
    ) -> bool:
        """Whether the number of results says which are absent."""
        sizes = decl.flat_sizes(known.results, len(op.results))
        found = (op.properties if as_property else op.attributes).get(name)
        return sizes is not None and found == DenseArrayBase.from_list(i32, sizes)

    def _property(
        self, kind: decl.Property | None, name: str, value: Attribute
    ) -> list[str] | None:
        """A property's entry, none for its default; None: it would not read back."""
        if kind is None:
            return None
        if kind.default is not None and value == kind.default:
            return []
        text = self.declared_value(kind, value)
        if text is None:
            return None
        return [f"{key_text(name)} = {text}" if text else key_text(name)]

    def declared_value(self, kind: decl.Property, value: Attribute) -> str | None:
        """A property's value as its declaration lets it be written; empty for a unit."""
        if value.name == "unit":
            return ""
        number = number_text(value)
        if number is not None:
            type_ = cast("Attribute", type_of(value))
            if type_ == kind.number or number in ("true", "false"):
                return number
            return f"{number} : {self.attributes.of(type_)}"
        array = dense_array(value)
        if array is not None and kind.array is not None:
            return self._array(array, kind.array)
        text = self.attributes.of(value)
        return None if kind.array is not None and text.startswith("[") else text

    def _array(self, value: DenseArrayBase[Any], element: Attribute) -> str:
        text = list_text(list(value.iter_values()), value.elt_type)
        if value.elt_type != element or "x" in text:
            return self.attributes.of(value)
        return text

    def _grouped(self, op: Operation, known: decl.Declared) -> str | None:
        """Operands, in groups where their number alone would not tell."""
        values = [self.names.of(operand) for operand in op.operands]
        sizes = self._sizes(op, known)
        if sizes is None:
            return None
        if sizes == [] or sizes == decl.flat_sizes(known.groups, len(values)):
            return self._flat(op, values)
        parts: list[str] = []
        at = 0
        for group, size in zip(known.groups, sizes, strict=True):
            taken = ", ".join(values[at : at + size])
            at += size
            if group == decl.MANY:
                parts.append(f"[{taken}]")
            elif size > 1 or (group == decl.ONE and size != 1):
                return None
            else:
                parts.append(taken or "_")
        return f"({', '.join(parts)})"

    @staticmethod
    def _sizes(op: Operation, known: decl.Declared) -> list[int] | None:
        """The sizes of the groups; [] where the text need not tell; None: they are not right."""
        if known.segments is None:
            return []
        name, as_property = known.segments
        dense = dense_array((op.properties if as_property else op.attributes).get(name))
        if dense is None or dense.elt_type != i32:
            return None
        sizes = [int(size) for size in dense.iter_values()]
        if len(sizes) != len(known.groups) or sum(sizes) != len(op.operands):
            return None
        return sizes if sizes else None

    def _flat(self, op: Operation, values: list[str]) -> str:
        bare = op.dialect_name() in _BARE_DIALECTS or op.has_trait(IsTerminator)
        text = ", ".join(values)
        if bare:
            return f" {text}" if text else ""
        return f"({text})"


def may_omit_label(block: Block) -> bool:
    """Whether nothing refers to an entry block, and it has no name of its own."""
    return block.first_use is None and block.name_hint is None


def needs_label(block: Block) -> bool:
    """Whether an entry block cannot go without its label."""
    return bool(block.args) or block.first_op is None or not may_omit_label(block)
