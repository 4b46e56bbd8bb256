"""sched: a schedule's primitives by one rule, the order of their properties.

split y.j, 48        StringAttr, IntegerAttr
reorder y.i, y.j     a list of strings that stands last takes the rest of the words
partition y.w, [1, 55]
pack w, (d0, d1) -> (d1, d0)
"""

from __future__ import annotations

from xdsl.dialects.builtin import ArrayAttr, StringAttr, SymbolRefAttr
from xdsl.ir import Attribute, Region

from ..attributes import unescape
from ..builder import BUILDERS, Builder, Place, Task, symbol_name
from ..declared import Property, declared
from ..errors import Malformed
from ..tables import Node


def _schedule(builder: Builder, node: Node, place: Place) -> Task:
    _, (position, name), symbol, attrs, primitives = node
    op_class = builder.op_class(name, position)
    properties, attributes = builder.properties(op_class, attrs)
    properties["kernel"] = SymbolRefAttr(symbol_name(symbol[1]))
    region = Region()
    yield builder.region(("region", primitives, []), region, arguments=())
    builder.finish(op_class.create(properties=properties, attributes=attributes), place, [region])


def _primitive(builder: Builder, node: Node, place: Place) -> None:
    _, (position, word), arguments, attrs, location = node
    op_class = builder.op_class(f"sched.{word}", position)
    properties, attributes = builder.properties(op_class, attrs)
    known = declared(op_class)
    if known is None:  # unregistered ops have the generic form only
        raise builder.unknown_op(f"sched.{word}", position)
    names = list(known.properties)
    takes_rest = bool(names) and known.properties[names[-1]].is_string_list
    if len(arguments) > len(names) and not takes_rest:
        raise Malformed(arguments[len(names)][0], f"'{word}' takes {len(names)} arguments")
    for at, name in enumerate(names):
        given = arguments[at:] if at == len(names) - 1 else arguments[at : at + 1]
        if given:
            properties[name] = _argument(builder, known.properties[name], given)
        elif not known.properties[name].is_optional:
            raise Malformed(position, f"'{word}' needs its argument '{name}'")
    place = Place(place.block, None, location, position)
    builder.finish(op_class.create(properties=properties, attributes=attributes), place)


def _argument(builder: Builder, kind: Property, tokens: list[Node]) -> Attribute:
    position, text = tokens[0]
    if kind.is_string_list and not text.startswith("["):
        return ArrayAttr([StringAttr(_word(token[1])) for token in tokens])
    if text.startswith("("):
        return builder.reader.attribute(f"affine_map<{text}>", position)
    if (text[0].isalpha() or text[0] in "_$") and "<" not in text:
        return StringAttr(text)
    return builder.reader.attribute(text, position)


def _word(text: str) -> str:
    return unescape(text[1:-1]) if text.startswith('"') else text


BUILDERS["sched_schedule"] = _schedule
BUILDERS["primitive"] = _primitive
