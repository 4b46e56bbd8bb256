"""sched: schedules to text; a primitive is its mnemonic and its properties in order."""

from __future__ import annotations

import re

from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    IntegerAttr,
    StringAttr,
    SymbolRefAttr,
    i64,
)
from xdsl.ir import Attribute, Operation

from ...dialects.sched import PrimitiveOp
from .. import declared as decl
from ..attribute_text import quoted, symbol_text
from ..index_text import map_is_stable, map_text
from ..literals import number_text, type_of
from ..printer import FORMS, Task, TextPrinter
from .print_core import entry_block, extra

_WORD = re.compile(r"[A-Za-z_$][\w$.]*(?:-[\w$.]+)*", re.ASCII)


def _schedule(p: TextPrinter, op: Operation, indent: str) -> Task | None:
    block, kernel = entry_block(op), op.properties.get("kernel")
    more = extra(p, op, ("kernel",))
    if block is None or block.args or more is None or not isinstance(kernel, SymbolRefAttr):
        return None
    if kernel.nested_references.data:
        return None
    return _schedule_text(
        p, op, f"sched.schedule {symbol_text(kernel.root_reference.data)}{more}", indent
    )


def _schedule_text(p: TextPrinter, op: Operation, head: str, indent: str) -> Task:
    if p.skip_regions:
        p.write(f"{head} {{...}}")
        return
    p.write(f"{head} {{\n")
    for inner in op.regions[0].block.ops:
        text = _primitive(p, inner)
        if text is not None:
            p.note(inner)
            p.write(f"{indent}  {text}{p.location(inner)}\n")
        elif (task := p.op(inner, indent + "  ")) is not None:
            yield task
    p.write(indent + "}")


def _primitive(p: TextPrinter, op: Operation) -> str | None:
    if not isinstance(op, PrimitiveOp) or op.dialect_name() != "sched":
        return None
    known = decl.declared(type(op))
    assert known is not None
    if op.operands or op.results or op.regions or set(op.properties) - set(known.properties):
        return None
    texts: list[str] = []
    names = list(known.properties)
    for position, name in enumerate(names):
        value = op.properties.get(name)
        if value is None:
            if any(later in op.properties for later in names[position:]):
                return None
            break
        text = _argument(p, known.properties[name], value, position == len(names) - 1)
        if text is None:
            return None
        texts.append(text)
    if not texts or any(name in known.properties for name in op.attributes):
        return None
    more = f" {p.attributes.dictionary(op.attributes)}" if op.attributes else ""
    return f"{op.name.partition('.')[2]} {', '.join(texts)}{more}"


def _argument(p: TextPrinter, kind: decl.Property, value: Attribute, is_last: bool) -> str | None:
    match value:
        case StringAttr():
            return None if kind.is_string_list else _word(value.data)
        case IntegerAttr() if type_of(value) == i64:
            return number_text(value)
        case AffineMapAttr() if map_is_stable(value.data):
            return map_text(value.data)
        case ArrayAttr():
            return _list(p, kind, value, is_last)
        case _:
            return None


def _list(
    p: TextPrinter, kind: decl.Property, value: ArrayAttr[Attribute], is_last: bool
) -> str | None:
    words = [item.data for item in value if isinstance(item, StringAttr)]
    if kind.is_string_list and is_last and words and len(words) == len(value):
        return ", ".join(_word(word) for word in words)
    return p.attributes.of(value)


def _word(text: str) -> str:
    return text if _WORD.fullmatch(text) else quoted(text)


FORMS["sched.schedule"] = _schedule
