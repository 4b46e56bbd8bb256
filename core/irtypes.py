"""Typed access to xDSL's generic types: the one place where their type parameters are erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, StringAttr, TensorType, i64
from xdsl.ir import Attribute


def tensor_shape(type_: Attribute) -> tuple[int, ...]:
    """Extents of a ranked tensor type, -1 where dynamic."""
    assert isinstance(type_, TensorType), f"expected a tensor type, got {type_}"
    return tuple(cast("TensorType[Any]", type_).get_shape())


def tensor_element(type_: Attribute) -> Attribute:
    """Element type of a ranked tensor type."""
    assert isinstance(type_, TensorType), f"expected a tensor type, got {type_}"
    return cast("Attribute", cast("TensorType[Any]", type_).element_type)


def int_attr(value: int) -> IntegerAttr[Any]:
    """An i64 attribute."""
    return IntegerAttr(value, i64)


def ints(values: Sequence[int]) -> ArrayAttr[IntegerAttr[Any]]:
    """An array of i64 attributes."""
    return ArrayAttr([int_attr(value) for value in values])


def strings(values: Sequence[str]) -> ArrayAttr[StringAttr]:
    """An array of strings."""
    return ArrayAttr([StringAttr(value) for value in values])
