"""builtin.module, func.func, constants, graph.kernel: to text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    DenseResourceAttr,
    FloatAttr,
    FunctionType,
    IntegerAttr,
    StringAttr,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from .. import declared as decl
from ..attribute_text import symbol_text
from ..literals import number_text, type_of
from ..printer import FORMS, Task, TextPrinter, may_omit_label


def extra(
    p: TextPrinter, op: Operation, omit: Sequence[str], word: str = " attributes"
) -> str | None:
    """` attributes {...}` of what the form does not say; None: not exactly."""
    known = decl.declared(type(op))
    assert known is not None
    entries = p.entries(op, known, omit)
    if entries is None:
        return None
    return f"{word} {{{', '.join(entries)}}}" if entries else ""


def entry_block(op: Operation) -> Block | None:
    """The only block of the only region, None if it is another shape."""
    if len(op.regions) != 1 or len(op.regions[0].blocks) != 1:
        return None
    block = op.regions[0].block
    return block if may_omit_label(block) else None


def returns(p: TextPrinter, outputs: Sequence[Attribute]) -> str:
    """` -> f32`, nothing for no results."""
    return f" -> {p.attributes.returns(outputs)}" if outputs else ""


def _name(op: Operation) -> str | None:
    name = op.properties.get("sym_name")
    return symbol_text(name.data) if isinstance(name, StringAttr) else None


def _module(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    block = entry_block(op)
    more = extra(p, op, ("sym_name",))
    if block is None or block.args or more is None:
        return None
    name = _name(op)
    return _module_text(p, op, f"builtin.module{f' {name}' if name else ''}{more} ", indent)


def _module_text(p: TextPrinter, op: Operation, head: str, indent: str) -> Task:
    p.write(head)
    yield p.region(op.regions[0], indent, label=False, is_isolated=True)


def _func(p: TextPrinter, op: Operation, indent: str) -> Task | str | None:
    name, type_ = _name(op), op.properties.get("function_type")
    more = extra(p, op, ("sym_name", "function_type", "sym_visibility"))
    if name is None or not isinstance(type_, FunctionType) or more is None or len(op.regions) != 1:
        return None
    visibility = op.properties.get("sym_visibility")
    word = ""
    if visibility is not None:
        word = visibility.data if isinstance(visibility, StringAttr) else ""
        if word not in ("private", "public", "nested"):
            return None
        word = f" {word}"
    first = op.regions[0].blocks.first
    if first is None:
        inputs = p.attributes.many(type_.inputs.data)
        return f"func.func{word} {name}({inputs}){returns(p, type_.outputs.data)}{more}"
    if tuple(first.arg_types) != tuple(type_.inputs.data) or not may_omit_label(first):
        return None
    return _func_text(p, op, f"func.func{word} {name}(", type_, more, indent)


def _func_text(
    p: TextPrinter, op: Operation, head: str, type_: FunctionType, more: str, indent: str
) -> Task:
    mark = p.names.enter()
    block = cast("Block", op.regions[0].blocks.first)
    arguments = ", ".join(p.argument(argument) for argument in block.args)
    p.write(f"{head}{arguments}){returns(p, type_.outputs.data)}{more} ")
    yield p.open_region(op.regions[0], indent, label=False)
    p.names.leave(mark)


def _constant(p: TextPrinter, op: Operation, indent: str) -> str | None:
    value = op.properties.get("value")
    more = extra(p, op, ("value",), "")
    if value is None or more is None or len(op.results) != 1 or op.regions or op.operands:
        return None
    text = _value_text(p, value, op.results[0].type)
    return (
        None if text is None else f"{op.name} {text}{more} : {p.attributes.of(op.results[0].type)}"
    )


def _value_text(p: TextPrinter, value: Attribute, type_: Attribute) -> str | None:
    element = getattr(type_, "element_type", None) if type_.name == "loop.tile" else type_
    if isinstance(value, IntegerAttr | FloatAttr):
        number = cast("Attribute", value)
        same = type_of(number) == element
        return number_text(number) if same else f"({p.attributes.of(number)})"
    if isinstance(value, DenseIntOrFPElementsAttr):
        whole = p.attributes.of(cast("Attribute", value))
        same = cast("DenseIntOrFPElementsAttr[Any]", value).type == type_
        return whole.rpartition(" : ")[0] if same else f"({whole})"
    if isinstance(value, DenseResourceAttr):
        return None
    text = p.attributes.of(value)
    return text if text[0] in '#["@' else f"({text})"


def _yield(p: TextPrinter, op: Operation, indent: str) -> str | None:
    more = extra(p, op, (), "")
    if more is None or op.results or op.regions or op.successors:
        return None
    operands = p.operands(op)
    return f"{op.name}{' ' if operands else ''}{operands}{more}"


def binds(p: TextPrinter, block_args: Sequence[SSAValue], values: Sequence[SSAValue]) -> str:
    """`%a = %x, %b = %y`, with the locations of the arguments."""
    parts: list[str] = []
    for argument, value in zip(block_args, values, strict=True):
        outer = p.names.of(value)
        location = p.location(argument)  # pyright: ignore[reportArgumentType]
        parts.append(f"{p.names.of(argument)} = {outer}{location}")
    return ", ".join(parts)


def _graph_kernel(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    block, name = entry_block(op), _name(op)
    more = extra(p, op, ("sym_name",), "")
    if block is None or name is None or more is None:
        return None
    if list(block.arg_types) != list(op.operand_types):
        return None
    return _graph_kernel_text(p, op, name, more, indent)


def _graph_kernel_text(p: TextPrinter, op: Operation, name: str, more: str, indent: str) -> Task:
    mark = p.names.enter()
    arguments = binds(p, op.regions[0].block.args, list(op.operands))
    p.write(f"graph.kernel {name}({arguments}){more} ")
    yield p.open_region(op.regions[0], indent, label=False)
    p.names.leave(mark)
    if op.results:
        p.write(f" : {p.attributes.many(op.result_types)}")


FORMS["builtin.module"] = _module
FORMS["func.func"] = _func
for _op in ("arith.constant", "graph.constant", "loop.constant"):
    FORMS[_op] = _constant
for _op in ("te.yield", "loop.yield"):
    FORMS[_op] = _yield
FORMS["graph.kernel"] = _graph_kernel
