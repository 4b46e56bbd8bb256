"""A module as JSON, for scripts: `nn-opt -t json`.

    {"format": "nnc-ir", "version": 1, "ops": [OP, ...]}      in program order, the module first

    OP        {"id": 7, "name": "graph.conv", "parent": 1,    the op around it, null for the first
               "operands": [VALUE_ID, ...],
               "results": [VALUE, ...],
               "properties": {NAME: ATTRIBUTE, ...},          declared by the op
               "attributes": {NAME: ATTRIBUTE, ...},          any others
               "successors": [BLOCK_ID, ...],
               "regions": [[BLOCK, ...], ...],
               "location": [PLACE, ...]}
    VALUE     {"id": 3, "name": "x", "type": "tensor<4xf32>"}
    BLOCK     {"id": 2, "arguments": [VALUE, ...], "ops": [OP_ID, ...]}
    ATTRIBUTE {"text": "2 : i32", "value": 2}                 the value where JSON has one for it
    PLACE     {"file": "net.nn", "line": 3, "col": 5} or {"name": "Conv_4"}

The ops stand in one flat list, regions name them by their ids: `jq '.ops[] | select(.name ==
"graph.conv")'`. Ids count from 0, each kind for itself; a name of null is none, names need not be
unique. Texts of types and attributes are those of the text form.
"""

from __future__ import annotations

import json
from typing import Any, cast

from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    FileLineColLoc,
    FloatAttr,
    IntegerAttr,
    NameLoc,
    StringAttr,
    SymbolRefAttr,
    UnitAttr,
    UnregisteredOp,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue

from ..core.locations import parts
from ..core.walk import blocks, walk
from .attribute_text import AttributeText
from .literals import dense_array

Json = dict[str, Any]
FORMAT = "nnc-ir"
VERSION = 1


def json_text(root: Operation, *, elide: int | None = None) -> str:
    """The JSON text, one op a line.

    Args:
        root: a module, or any op.
        elide: dense literals of more elements are left out.
    """
    ops = _Structure(root, elide).ops()
    lines = ",\n".join(json.dumps(op, ensure_ascii=False, allow_nan=False) for op in ops)
    return f'{{"format": "{FORMAT}", "version": {VERSION}, "ops": [\n{lines}\n]}}\n'


class _Structure:
    def __init__(self, root: Operation, elide: int | None):
        self._root = root
        self._texts = AttributeText(pretty=True, elide=elide)
        self._ops = {op: number for number, op in enumerate(walk(root))}
        self._blocks = {block: number for number, block in enumerate(blocks(root))}
        self._values: dict[SSAValue, int] = {}

    def ops(self) -> list[Json]:
        """Every op, the outer ones first."""
        return [self._op(op, number) for op, number in self._ops.items()]

    def _op(self, op: Operation, number: int) -> Json:
        attributes = dict(op.attributes)
        name = op.name
        if isinstance(op, UnregisteredOp):
            name = op.op_name.data
            attributes.pop("op_name__", None)
        parent = op.parent_op()
        return {
            "id": number,
            "name": name,
            "parent": None if parent is None or op is self._root else self._ops[parent],
            "operands": [self._id(operand) for operand in op.operands],
            "results": [self._value(result) for result in op.results],
            "properties": {key: self._attribute(value) for key, value in op.properties.items()},
            "attributes": {key: self._attribute(value) for key, value in attributes.items()},
            "successors": [self._blocks[block] for block in op.successors],
            "regions": [[self._block(block) for block in region.blocks] for region in op.regions],
            "location": [place_of(part) for part in parts(op.location)],
        }

    def _block(self, block: Block) -> Json:
        return {
            "id": self._blocks[block],
            "arguments": [self._value(argument) for argument in block.args],
            "ops": [self._ops[op] for op in block.ops],
        }

    def _value(self, value: SSAValue) -> Json:
        return {
            "id": self._id(value),
            "name": value.name_hint,
            "type": self._texts.of(value.type),
        }

    def _id(self, value: SSAValue) -> int:
        return self._values.setdefault(value, len(self._values))

    def _attribute(self, attribute: Attribute) -> Json:
        found: Json = {"text": self._texts.of(attribute)}
        value = plain(attribute)
        return found if value is None else {**found, "value": value}


def place_of(location: Attribute) -> Json:
    """A single location."""
    if isinstance(location, FileLineColLoc):
        return {
            "file": location.filename.data,
            "line": location.line.data,
            "col": location.column.data,
        }
    return {"name": cast("NameLoc", location).desc.data}


def plain(attribute: Attribute) -> Any:
    """The number, string, truth value or list that an attribute is; None: it is none of these."""
    match attribute:
        case UnitAttr():
            return True
        case IntegerAttr() if attribute.type == BoolAttr.from_bool(True).type:
            return bool(cast("IntegerAttr[Any]", attribute).value.data)
        case IntegerAttr():
            return cast("IntegerAttr[Any]", attribute).value.data
        case FloatAttr():
            value = cast("FloatAttr[Any]", attribute).value.data
            return value if abs(value) < float("inf") else None
        case StringAttr():
            return attribute.data
        case SymbolRefAttr() if not attribute.nested_references.data:
            return attribute.root_reference.data
        case ArrayAttr():
            values = [plain(one) for one in attribute]
            return None if None in values else values
        case _:
            dense = dense_array(attribute)
            values = [] if dense is None else list(dense.iter_values())
            finite = all(abs(value) < float("inf") for value in values)
            return values if dense is not None and finite else None
