"""Operators that users have registered, as symbols: `sym.soft_clip(x, limit=2.0)`.

Operands of the class are inputs, its properties are attributes with their defaults. As everywhere
in this API, values are plain Python: numbers, strings, tuples, NumPy's names of element types.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import lru_cache
from inspect import Parameter
from typing import Any

from xdsl.dialects.builtin import ArrayAttr, FloatAttr, IntegerAttr, StringAttr
from xdsl.ir import Attribute
from xdsl.irdl import OptionalDef, OptPropertyDef, PropertyDef, VariadicDef

from ...core import extensions
from ...core.dtypes import element_type
from ...core.irtypes import as_attribute, number_like
from ...dialects.graph.base import GraphOp
from ...dialects.graph.registry import KIND
from .emit import Emitter, Value
from .operators import Operator

ANNOTATIONS: Mapping[type[Attribute], str] = {
    FloatAttr: "float",
    IntegerAttr: "int",
    StringAttr: "str",
    ArrayAttr: "tuple",
}
"""What Python value stands for a property, by the property's class."""


def registered() -> Mapping[str, Operator]:
    """Operators of users by name, without `graph.`; plug-ins are loaded first."""
    return _registered(extensions.version())


@lru_cache(maxsize=4)
def _registered(version: int) -> Mapping[str, Operator]:
    del version
    classes: list[type[GraphOp]] = [made.value.cls for made in extensions.table(KIND).values()]
    made = (_operator(cls) for cls in classes)
    return {operator.name: operator for operator in made}


def _operator(cls: type[GraphOp]) -> Operator:
    definition = cls.get_irdl_definition()
    optional = tuple(name for name, one in definition.operands if isinstance(one, OptionalDef))
    results = sum(not isinstance(one, VariadicDef) for _, one in definition.results)
    name = cls.name.removeprefix("graph.")
    return Operator(name, _Emit(cls), outputs=lambda _: results, optional=optional)


class _Emit:
    """Emits an operator of a class; its signature is that of the class."""

    def __init__(self, cls: type[GraphOp]):
        self._cls = cls
        self._properties = {
            name: one
            for name, one in cls.get_irdl_definition().properties.items()
            if not name.endswith("SegmentSizes")
        }
        self.__doc__ = inspect.getdoc(cls)
        self.__signature__ = inspect.Signature(self._parameters())

    def __call__(self, emit: Emitter, *inputs: Value | None, **attributes: Any) -> Sequence[Value]:
        given = {
            name: self._attribute(name, value)
            for name, value in attributes.items()
            if value is not None and value != _default(self._properties[name])
        }
        return emit.add(self._cls.of(*inputs, results=None, **given))

    def _parameters(self) -> list[Parameter]:
        made = [Parameter("emit", Parameter.POSITIONAL_OR_KEYWORD)]
        for name, one in self._cls.get_irdl_definition().operands:
            is_list = isinstance(one, VariadicDef) and not isinstance(one, OptionalDef)
            kind = Parameter.VAR_POSITIONAL if is_list else Parameter.POSITIONAL_OR_KEYWORD
            made.append(Parameter(name, kind))
        for name, one in self._properties.items():
            is_optional = isinstance(one, OptPropertyDef)
            default = _default(one) if is_optional else Parameter.empty
            annotation = self._annotation(name)
            made.append(
                Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
            )
        return made

    def _annotation(self, name: str) -> str:
        if name in self._cls.DTYPE_PROPERTIES:
            return "str"
        bases = self._properties[name].constr.get_bases() or set()
        return next((ANNOTATIONS[base] for base in bases if base in ANNOTATIONS), "object")

    def _attribute(self, name: str, value: Any) -> Attribute:
        """A property's attribute; a number has the type of the property's default."""
        if isinstance(value, Attribute):
            return value
        if name in self._cls.DTYPE_PROPERTIES:
            return element_type(value)
        if self._annotation(name) == "float":
            value = float(value)
        if isinstance(value, int | float):
            return number_like(value, self._properties[name].default_value)
        return as_attribute(value)


def _default(one: PropertyDef) -> Any:
    """The Python value of a property's default; `None` without one."""
    return _python(one.default_value)


def _python(attribute: Attribute | None) -> Any:
    match attribute:
        case FloatAttr() | IntegerAttr():
            return attribute.value.data
        case StringAttr():
            return attribute.data
        case ArrayAttr():
            return tuple(_python(item) for item in attribute)
        case _:
            return attribute
