"""Whether an op is what a pdl pattern describes, and what its values stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from xdsl.dialects import pdl
from xdsl.dialects.builtin import ArrayAttr
from xdsl.ir import Attribute, Operation, OpResult, SSAValue
from xdsl.irdl import IRDLOperation

from ....core.explain import NearMiss

Found = Operation | Attribute | SSAValue | tuple[SSAValue, ...] | tuple[Attribute, ...]
"""What a value of the pdl dialect stands for; a tuple for a range."""


def attribute_of(op: Operation, name: str) -> Attribute | None:
    """An attribute or property, with the default of one that is absent."""
    found = op.get_attr_or_prop(name)
    if found is None and isinstance(op, IRDLOperation):
        definition = op.get_irdl_definition().properties.get(name)
        return None if definition is None else definition.default_value
    return found


def is_range(value: SSAValue) -> bool:
    """Whether it stands for any number of things."""
    return isinstance(value.type, pdl.RangeType)


@dataclass
class Match(NearMiss):
    """What a pattern's values stand for.

    Attributes:
        found: by value of the pattern.
    """

    found: dict[SSAValue, Found] = field(default_factory=dict[SSAValue, Found])

    def operation(self, value: SSAValue, op: Operation) -> bool:
        """Whether `op` is the operation that `value` is the handle of."""
        if value in self.found:
            return self.found[value] is op or self.differs("one operation is two")
        pattern = value.owner
        assert isinstance(pattern, pdl.OperationOp), "checked when the rule is made"
        if pattern.opName is not None and op.name != pattern.opName.data:
            return False
        self.found[value] = op
        return (
            self._attributes(pattern, op)
            and self._list(pattern.operand_values, op.operands, self._operand, "operand")
            and self._list(pattern.type_values, op.result_types, self._type, "result")
        )

    @property
    def operations(self) -> list[Operation]:
        """The ops that were matched, the root first."""
        return [each for each in self.found.values() if isinstance(each, Operation)]

    def _attributes(self, pattern: pdl.OperationOp, op: Operation) -> bool:
        for name, value in zip(pattern.attributeValueNames, pattern.attribute_values, strict=True):
            found = attribute_of(op, name.data)
            if found is None:
                if not self.differs(f"it has no attribute '{name.data}'"):
                    return False
            elif not self._attribute(value, found) and not self.differs(f"{name.data} is {found}"):
                return False
        return True

    def _attribute(self, value: SSAValue, found: Attribute) -> bool:
        if self.found.setdefault(value, found) != found:
            return False
        pattern = value.owner
        assert isinstance(pattern, pdl.AttributeOp)
        if pattern.value is not None and pattern.value != found:
            return False
        if pattern.value_type is None:
            return True
        type_: Attribute | None = getattr(found, "type", None)
        return type_ is not None and self._type(pattern.value_type, type_)

    def _list(
        self,
        patterns: Sequence[SSAValue],
        found: Sequence[Any],
        match: Callable[[SSAValue, Any], bool],
        what: str,
    ) -> bool:
        """Values one by one; a range, of which there is at most one, takes what is left."""
        spare = len(found) - sum(not is_range(each) for each in patterns)
        if spare < 0 or (spare and not any(map(is_range, patterns))):
            wanted = "more" if spare < 0 and any(map(is_range, patterns)) else len(patterns)
            things = what if len(found) == 1 else f"{what}s"
            return self.differs(f"it has {len(found)} {things}, the pattern {wanted}")
        at = 0
        for each in patterns:
            if is_range(each):
                if not self._range(each, tuple(found[at : at + spare])):
                    return False
                at += spare
                continue
            if not match(each, found[at]):
                return False
            at += 1
        return True

    def _range(self, value: SSAValue, found: tuple[Any, ...]) -> bool:
        if self.found.setdefault(value, found) != found:
            return self.differs("a range is not the same in all its places")
        pattern = value.owner
        if isinstance(pattern, pdl.OperandsOp) and pattern.value_type is not None:
            return self._range(pattern.value_type, tuple(each.type for each in found))
        if isinstance(pattern, pdl.TypesOp) and pattern.constantTypes is not None:
            types = tuple(pattern.constantTypes)
            return types == found or self.differs("types are not those of the pattern")
        if isinstance(pattern, pdl.ResultsOp):
            return self._results(pattern, found)
        return True

    def _results(self, pattern: pdl.ResultsOp, found: tuple[SSAValue, ...]) -> bool:
        owner = found[0].owner if found else None
        if not isinstance(owner, Operation) or tuple(owner.results) != found:
            return False
        return self.operation(pattern.parent_, owner)

    def _operand(self, value: SSAValue, found: SSAValue) -> bool:
        if value in self.found:
            same = self.found[value] is found
            return same or self.differs("an operand is not the same value in all its places")
        self.found[value] = found
        pattern = value.owner
        if isinstance(pattern, pdl.ResultOp):
            if not isinstance(found, OpResult) or found.index != pattern.index.value.data:
                return False
            return self.operation(pattern.parent_, found.op)
        assert isinstance(pattern, pdl.OperandOp)
        return pattern.value_type is None or self._type(pattern.value_type, found.type)

    def _type(self, value: SSAValue, found: Attribute) -> bool:
        if self.found.setdefault(value, found) != found:
            return self.differs(f"{found} is not the type that another value has")
        pattern = value.owner
        assert isinstance(pattern, pdl.TypeOp)
        wanted = pattern.constantType
        return wanted is None or wanted == found or self.differs(f"{found} is not {wanted}")


def constant(value: SSAValue) -> Found | None:
    """What a value of the rewrite part stands for by itself."""
    match value.owner:
        case pdl.AttributeOp(value=Attribute() as attribute):
            return attribute
        case pdl.TypeOp(constantType=Attribute() as type_):
            return type_
        case pdl.TypesOp(constantTypes=ArrayAttr() as types):
            return tuple(types)
        case _:
            return None
