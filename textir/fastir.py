"""Making ops at the speed of a parser: what xDSL's constructors do, without their detours.

A border to xDSL's private fields, in one place: `Operation.create` and `Block.add_op` cost three
times as much, and parsing is made of them. Tests compare both ways.
"""
# pyright: reportPrivateUsage=false

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

from xdsl.dialects.builtin import (
    FileLineColLoc,
    IndexType,
    IntAttr,
    IntegerAttr,
    IntegerType,
    LocationAttr,
    StringAttr,
    UnknownLoc,
)
from xdsl.ir import Attribute, Block, Operation, OpResult, SSAValue, Use
from xdsl.ir.core import SSAValues
from xdsl.irdl import IRDLOperation, OptionalDef

_UNKNOWN = UnknownLoc()
_NO_VALUES: Any = SSAValues()
_set = object.__setattr__
Defaults = tuple[tuple[str, Attribute], ...]


@cache
def _defaults(op_class: type[Operation]) -> tuple[Defaults, Defaults] | None:
    """(properties, attributes) that xDSL fills in; None: the class has its own ways."""
    if not issubclass(op_class, IRDLOperation):
        return None
    if op_class.__post_init__ is not IRDLOperation.__post_init__:
        return None
    if cast("Any", op_class.create).__func__ is not cast("Any", Operation.create).__func__:
        return None
    definition = op_class.get_irdl_definition()
    return _given(definition.properties), _given(definition.attributes)


def _given(definitions: dict[str, Any]) -> Defaults:
    return tuple(
        (name, definition.default_value)
        for name, definition in definitions.items()
        if definition.default_value is not None and not isinstance(definition, OptionalDef)
    )


def create(
    op_class: type[Operation],
    operands: Sequence[SSAValue],
    result_types: Sequence[Attribute],
    properties: dict[str, Attribute],
    attributes: dict[str, Attribute],
    successors: Sequence[Block] = (),
) -> Operation:
    """As `op_class.create(...)`; the dictionaries now belong to the op."""
    defaults = _defaults(op_class)
    if defaults is None or successors:
        return op_class.create(
            operands=operands,
            result_types=result_types,
            properties=properties,
            attributes=attributes,
            successors=successors,
        )
    for name, value in defaults[0]:
        properties.setdefault(name, value)
    for name, value in defaults[1]:
        attributes.setdefault(name, value)
    op = op_class.__new__(op_class)
    op._operands = _NO_VALUES
    op._operand_uses = ()
    op.results = _NO_VALUES
    op._successors = ()
    op._successor_uses = ()
    op.properties = properties
    op.attributes = attributes
    op.location = _UNKNOWN
    op.regions = ()
    op.parent = op._next_op = op._prev_op = None
    if operands:
        op._operands = SSAValues(operands)
        uses = tuple([Use(op, index) for index in range(len(operands))])
        op._operand_uses = uses
        for value, use in zip(operands, uses, strict=True):
            value.add_use(use)
    if result_types:
        op.results = SSAValues(
            [OpResult(type_, op, index) for index, type_ in enumerate(result_types)]
        )
    return op


def append(block: Block, op: Operation) -> None:
    """As `block.add_op(op)` for an op that was just made."""
    last = block._last_op
    if last is None:
        block._first_op = op
    else:
        last._next_op = op
        op._prev_op = last
    block._last_op = op
    op.parent = block


def set_hint(value: SSAValue, hint: str) -> None:
    """As `value.name_hint = ...` for a hint that the setter gave back before."""
    value._name = hint


def file_location(file: StringAttr, line: IntAttr, column: IntAttr) -> LocationAttr:
    """As `FileLineColLoc(...)`: the parameters are known to be right."""
    location = FileLineColLoc.__new__(FileLineColLoc)
    _set(location, "filename", file)
    _set(location, "line", line)
    _set(location, "column", column)
    return location


def integer(value: int, type_: IntegerType | IndexType) -> IntegerAttr[Any]:
    """As `IntegerAttr(value, type_)`, without verifying what fits into any signed type."""
    if isinstance(type_, IntegerType):
        limit = 1 << (type_.width.data - 1) if type_.width.data > 1 else 0
        if not 0 <= value < limit:
            return IntegerAttr(value, type_)
    attribute: IntegerAttr[Any] = IntegerAttr.__new__(IntegerAttr)
    number = IntAttr.__new__(IntAttr)
    _set(number, "data", value)
    _set(attribute, "value", number)
    _set(attribute, "type", type_)
    return attribute
