"""Typed access to xDSL's generic types: the one place where their type parameters are erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    ArrayAttr,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    NoneAttr,
    NoneType,
    StringAttr,
    TensorType,
    f32,
    i64,
)
from xdsl.ir import Attribute, Operation
from xdsl.irdl import IRDLOperation

if TYPE_CHECKING:
    from xdsl.parser import AttrParser


def tensor_shape(type_: Attribute) -> tuple[int, ...]:
    """Extents of a ranked tensor type, -1 where dynamic."""
    assert isinstance(type_, TensorType), f"expected a tensor type, got {type_}"
    extents = cast("TensorType[Any]", type_).get_shape()
    return tuple(-1 if extent == DYNAMIC_INDEX else extent for extent in extents)


def tensor_element(type_: Attribute) -> Attribute:
    """Element type of a ranked tensor type."""
    assert isinstance(type_, TensorType), f"expected a tensor type, got {type_}"
    return cast("Attribute", cast("TensorType[Any]", type_).element_type)


def is_defined(op_class: type[Operation]) -> bool:
    """Whether `@irdl_op_definition` stands above a class of ops."""
    own = vars(op_class).get("get_irdl_definition")
    return own is not None or not issubclass(op_class, IRDLOperation)


def int_attr(value: int) -> IntegerAttr[Any]:
    """An i64 attribute."""
    return IntegerAttr(value, i64)


def ints(values: Sequence[int]) -> ArrayAttr[IntegerAttr[Any]]:
    """An array of i64 attributes."""
    return ArrayAttr([int_attr(value) for value in values])


def float_attr(value: float) -> FloatAttr[Any]:
    """An f32 attribute."""
    return FloatAttr(value, f32)


def number_like(value: float, like: Attribute | None) -> Attribute:
    """The attribute of a number, in the type of another one; i64 or f32 like anything else."""
    if isinstance(like, FloatAttr):
        return FloatAttr(float(value), cast("FloatAttr[Any]", like).type)
    if isinstance(like, IntegerAttr):
        return IntegerAttr(int(value), cast("IntegerAttr[Any]", like).type)
    return as_attribute(value)


def as_attribute(value: Attribute | float | str | Sequence[int] | Sequence[float]) -> Attribute:
    """The attribute of a Python value: i64, f32, a string, or an array of i64 or of f32."""
    if isinstance(value, Attribute):
        return value
    if isinstance(value, str):
        return StringAttr(value)
    if isinstance(value, int):
        return int_attr(int(value))
    if isinstance(value, float):
        return float_attr(value)
    return ArrayAttr([as_attribute(item) for item in value])


def strings(values: Sequence[str]) -> ArrayAttr[StringAttr]:
    """An array of strings."""
    return ArrayAttr([StringAttr(value) for value in values])


def int_values(array: ArrayAttr[IntegerAttr]) -> tuple[int, ...]:
    """The numbers in an array of integer attributes."""
    return tuple(cast("IntegerAttr[Any]", item).value.data for item in array)


def parse_parameters(parser: AttrParser) -> list[Attribute]:
    """Parameters in `<...>`, where `none` is the absent attribute and not the type of that name.

    xDSL prints `NoneAttr` as `none` and reads that back as `NoneType`.
    """
    read = parser.parse_paramattr_parameters()
    return [NoneAttr() if isinstance(parameter, NoneType) else parameter for parameter in read]


def integer_width(type_: Attribute) -> int | None:
    """Bits of an integer type; `None` for any other."""
    if not isinstance(type_, IntegerType):
        return None
    return cast("IntegerType[Any, Any]", type_).width.data
