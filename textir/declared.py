"""What an op's definition says, as the text needs it: groups of operands, types of properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from xdsl.dialects.builtin import (
    ArrayOfConstraint,
    DenseArrayBase,
    FloatAttr,
    IntegerAttr,
    StringAttr,
    SymbolRefAttr,
    f32,
    i64,
)
from xdsl.ir import Attribute, Operation
from xdsl.irdl import (
    AttrSizedOperandSegments,
    AttrSizedRegionSegments,
    AttrSizedResultSegments,
    AttrSizedSuccessorSegments,
    BaseAttr,
    EqAttrConstraint,
    IRDLOperation,
    OptionalDef,
    ParamAttrConstraint,
    RangeOf,
    VariadicDef,
)

from .literals import type_of

Count = tuple[int, int | None]
"""At least, at most."""
ONE, OPTIONAL, MANY = "one", "optional", "many"
SYMBOL_PROPERTIES = {"sym_name": StringAttr, "callee": SymbolRefAttr}
"""A property of this name and class is written `@name` after the op."""


@dataclass(frozen=True)
class Property:
    """A declared property.

    Attributes:
        number: the type that a bare number takes, if the property is a number.
        array: the element type that a bare list takes, if the property is a dense array.
        default: what the property is where the text does not give it.
    """

    number: Attribute | None
    array: Attribute | None
    default: Attribute | None
    is_optional: bool
    is_string: bool
    is_string_list: bool


@dataclass(frozen=True)
class Declared:
    """The definition of one op.

    Attributes:
        groups: ONE, OPTIONAL or MANY for each operand definition, in order.
        segments: where the sizes of operand groups are kept: (name, in the properties).
        results: as `groups`, for results.
        result_segments: as `segments`, for results.
        symbol: the property that is written `@name`.
        is_regular: regions and successors are told apart by their number alone.
        has_results: the op may have any.
        counts: how few and how many operands, results and regions it may have.
        has_results: whether it can have any.
    """

    properties: dict[str, Property]
    groups: tuple[str, ...]
    segments: tuple[str, bool] | None
    results: tuple[str, ...]
    result_segments: tuple[str, bool] | None
    symbol: str | None
    is_regular: bool
    has_results: bool
    counts: tuple[Count, Count, Count]

    def has_shape(self, op: Operation) -> bool:
        """Whether an op has as many operands, results and regions as declared, no successors."""
        parts: tuple[Sequence[object], ...] = (op.operands, op.results, op.regions)
        fits = all(
            low <= len(part) <= (len(part) if high is None else high)
            for (low, high), part in zip(self.counts, parts, strict=True)
        )
        return fits and not op.successors


@cache
def declared(op_class: type[Operation]) -> Declared | None:
    """What is known of an op's class, None for an op without a definition."""
    if not issubclass(op_class, IRDLOperation):
        return None
    definition = op_class.get_irdl_definition()
    properties = {name: _property(prop) for name, prop in definition.properties.items()}
    segments = result_segments = None
    irregular = False
    for option in definition.options:
        match option:
            case AttrSizedOperandSegments(as_property=as_property):
                segments = (AttrSizedOperandSegments.attribute_name, as_property)
            case AttrSizedResultSegments(as_property=as_property):
                result_segments = (AttrSizedResultSegments.attribute_name, as_property)
            case AttrSizedRegionSegments() | AttrSizedSuccessorSegments():
                irregular = True
            case _:
                pass
    symbol = next((name for name in SYMBOL_PROPERTIES if name in properties), None)
    groups = tuple(_group(operand) for _, operand in definition.operands)
    counts = (
        _count(definition.operands),
        _count(definition.results),
        _count(definition.regions),
    )
    return Declared(
        properties,
        groups,
        segments,
        tuple(_group(result) for _, result in definition.results),
        result_segments,
        symbol,
        not irregular,
        bool(definition.results),
        counts,
    )


def _count(definitions: Sequence[tuple[str, object]]) -> Count:
    variable = [part for _, part in definitions if isinstance(part, VariadicDef)]
    many = any(not isinstance(part, OptionalDef) for part in variable)
    return len(definitions) - len(variable), None if many else len(definitions)


def _group(part: object) -> str:
    if isinstance(part, OptionalDef):
        return OPTIONAL
    return MANY if isinstance(part, VariadicDef) else ONE


def _property(definition: Any) -> Property:
    constraint: object = definition.constr
    is_optional = isinstance(definition, OptionalDef)
    default = cast("Attribute | None", definition.default_value)
    base = _base(constraint)
    number: Attribute | None = None
    array: Attribute | None = None
    if base is IntegerAttr:
        number = _parameter(constraint, 1) or type_of(default) or i64
    elif base is FloatAttr:
        number = _parameter(constraint, 1) or type_of(default) or f32
    elif base is DenseArrayBase:
        array = _parameter(constraint, 0) or i64
    return Property(
        number,
        array,
        None if is_optional else default,
        is_optional,
        base is StringAttr,
        _is_string_list(constraint),
    )


def _is_string_list(constraint: object) -> bool:
    if not isinstance(constraint, ArrayOfConstraint):
        return False
    elements: object = cast("ArrayOfConstraint[Any]", constraint).elem_range_constraint
    return isinstance(elements, RangeOf) and _base(elements.constr) is (StringAttr)


def _base(constraint: object) -> object:
    if isinstance(constraint, BaseAttr):
        return cast("BaseAttr[Attribute]", constraint).attr
    if isinstance(constraint, ParamAttrConstraint):
        return cast("ParamAttrConstraint[Any]", constraint).base_attr
    return None


def _parameter(constraint: object, position: int) -> Attribute | None:
    """The only attribute that a parameter may be, if it is one."""
    if not isinstance(constraint, ParamAttrConstraint):
        return None
    inner: object = cast("ParamAttrConstraint[Any]", constraint).param_constrs[position]
    if isinstance(inner, EqAttrConstraint):
        return inner.attr
    return None


def flat_sizes(groups: tuple[str, ...], count: int) -> list[int] | None:
    """How `count` values without brackets fill the groups; None: it is not clear.

    In order, where no group takes many; then optional ones at the end may be absent. Otherwise the
    one group that takes many takes what the others leave.
    """
    rest = count - groups.count(ONE)
    if MANY not in groups:
        absent = groups[count:]
        if count > len(groups) or absent.count(OPTIONAL) != len(absent):
            return None
        return [1] * count + [0] * len(absent)
    if rest < 0 or (rest and len(groups) - groups.count(ONE) != 1):
        return None
    return [1 if group == ONE else rest for group in groups]
