"""Whether an op is the left side of an equation, and what its names stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Any

from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import OptionalDef, VariadicDef

from ....core.explain import NearMiss
from ....core.irtypes import as_attribute
from ....dialects.graph.base import GraphOp, constant_value
from ..constants import is_splat, splat
from .syntax import Absent, Apply, AttributeExpression, Computed, Expression, Number, Variable

if TYPE_CHECKING:
    import numpy as np


class Operators(dict[str, tuple[type[GraphOp], ...]]):
    """The classes that an operator's name stands for; `families` are those with a choice."""

    def __init__(self, classes: dict[str, tuple[type[GraphOp], ...]], families: frozenset[str]):
        super().__init__(classes)
        self.families = families


@dataclass
class Match(NearMiss):
    """What the names of a left side stand for.

    Attributes:
        classes: the operator that each family's name is.
        origins: ops below the root that belong to the match.
    """

    values: dict[str, SSAValue] = field(default_factory=dict[str, SSAValue])
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    attributes: dict[str, Attribute | None] = field(default_factory=dict[str, "Attribute | None"])
    classes: dict[str, type[GraphOp]] = field(default_factory=dict[str, type[GraphOp]])
    origins: list[Operation] = field(default_factory=list[Operation])

    def get(self, name: str) -> SSAValue | Attribute | np.ndarray[Any, Any] | None:
        """What a name stands for, whatever it is."""
        for table in (self.constants, self.values, self.attributes):
            if name in table:
                return table[name]
        raise AssertionError(f"'{name}' is not bound")


def match_operator(pattern: Apply, op: Operation, match: Match, operators: Operators) -> bool:
    """Whether `op` is what `pattern` says; `match` is filled on the way."""
    if not isinstance(op, operators[pattern.operator]) or len(op.results) != 1:
        return False
    is_family = pattern.operator in operators.families
    if is_family and match.classes.setdefault(pattern.operator, type(op)) is not type(op):
        return False
    if pattern.label is not None:
        known = match.values.setdefault(pattern.label, op.results[0])
        if known is not op.results[0] and not match.differs(_twice(pattern.label)):
            return False
    operands = _operands(op, pattern)
    if operands is None or not _match_attributes(pattern, op, match):
        return False
    return all(
        _match_operand(arg, operand, match, operators)
        for arg, operand in zip(pattern.args, operands, strict=True)
    )


def _operands(op: GraphOp, pattern: Apply) -> Sequence[SSAValue | None] | None:
    """The operands by position; `None` if there are not as many as the pattern has.

    Optional ones at the end may be missing in both, with `...` in the pattern alone.
    """
    found: list[SSAValue | None] = []
    num_required = 0
    for name, definition in op.get_irdl_definition().operands:
        value: Any = getattr(op, name)
        if isinstance(definition, VariadicDef) and not isinstance(definition, OptionalDef):
            found += value
            num_required = len(found)
        else:
            found.append(value)
            num_required = num_required if isinstance(definition, OptionalDef) else len(found)
    count = len(pattern.args)
    while len(found) > max(count, num_required) and (pattern.takes_any or found[-1] is None):
        found.pop()
    return found if len(found) == count else None


def _match_operand(
    pattern: Expression, value: SSAValue | None, match: Match, operators: Operators
) -> bool:
    if isinstance(pattern, Absent) or value is None:
        return isinstance(pattern, Absent) and value is None
    if isinstance(pattern, Number):
        wanted = pattern.value
        return is_number(value, wanted) or match.differs(f"an operand is not {wanted} throughout")
    if isinstance(pattern, Variable):
        return _match_variable(pattern, value, match)
    owner = value.owner
    if not isinstance(owner, GraphOp) or not match_operator(pattern, owner, match, operators):
        return False
    match.origins.append(owner)
    return True


def _match_variable(pattern: Variable, value: SSAValue, match: Match) -> bool:
    name = pattern.name
    if match.values.setdefault(name, value) is not value:
        return match.differs(_twice(name))
    if pattern.is_constant:
        match.constants[name] = splat_or_array(value)
        return match.constants[name] is not None or match.differs(f"{name} is no constant")
    return True


def _twice(name: str) -> str:
    return f"{name} is not the same value in all its places"


def splat_or_array(value: SSAValue) -> np.ndarray[Any, Any] | None:
    """The numbers of a constant; one (0-d) where all are the same."""
    one = splat(value)
    return constant_value(value) if one is None else one


def is_number(value: SSAValue, number: float) -> bool:
    """Whether a constant is `number` throughout; `True` and `False` are booleans'."""
    found = splat(value)
    if found is None or (found.dtype.kind == "b") != isinstance(number, bool):
        return False
    if isinstance(number, float) and isnan(number):
        return bool(isnan(float(found)))
    return is_splat(value, number)


def _match_attributes(pattern: Apply, op: GraphOp, match: Match) -> bool:
    for name, definition in op.get_irdl_definition().properties.items():
        if name.endswith("SegmentSizes"):
            continue
        value = op.properties.get(name, definition.default_value)
        wanted = pattern.attributes.get(name)
        if wanted is not None:
            is_right = _match_attribute(wanted, value, match)
        else:
            is_right = pattern.takes_any or value == definition.default_value
        if not is_right and not match.differs(f"{name} is {_shown(value)}"):
            return False
    return True


def _shown(value: Attribute | None) -> str:
    return "absent" if value is None else str(value).removesuffix(" : i64").removesuffix(" : f32")


def _match_attribute(wanted: AttributeExpression, value: Attribute | None, match: Match) -> bool:
    if isinstance(wanted, Variable):
        return match.attributes.setdefault(wanted.name, value) == value
    assert not isinstance(wanted, Computed), "functions stand on the right"
    return as_attribute(wanted) == value
