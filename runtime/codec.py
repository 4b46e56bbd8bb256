"""Dataclasses of the runtime as JSON values and back, driven by their annotations.

A dataclass is the list of its fields' values; one out of a union has its class's name before it.
Dtypes are names. There is no code in it, as a pickle has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import numpy as np

_PLAIN = (int, str, bool, float, NoneType)
Special = Mapping[tuple[type, str], Callable[[Any], Any]]
"""How to write, or read, a field that has no form of its own: by dataclass and name."""


def dtype_named(name: str) -> np.dtype[Any]:
    """The dtype of this name (bfloat16 through ml_dtypes).

    Raises: TypeError: there is none.
    """
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def encode(value: Any, special: Special) -> Any:
    """`value` as lists, strings, numbers and None.

    Raises: TypeError: something in it has no form.
    """
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, np.dtype):
        return value.name
    if isinstance(value, tuple):
        return [encode(each, special) for each in cast("tuple[Any, ...]", value)]
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, *_encoded_fields(value, special)]
    raise TypeError(f"a {type(value).__name__} cannot be written")


def _encoded_fields(value: Any, special: Special) -> list[Any]:
    class_: type = value.__class__
    return [
        special[class_, name](content) if (class_, name) in special else encode(content, special)
        for name in _hints(class_)
        for content in [getattr(value, name)]
    ]


def decode(type_: Any, data: Any, special: Special) -> Any:
    """The value of this type that `encode` wrote.

    Raises: TypeError, ValueError, LookupError: the data are not of this type.
    """
    origin, args = get_origin(type_), get_args(type_)
    if origin in (Union, UnionType):
        return decode(_member(args, data), data, special)
    if origin is tuple:
        return _decoded_tuple(args, data, special)
    if type_ is np.dtype or origin is np.dtype:
        return dtype_named(data)
    if is_dataclass(type_) and isinstance(type_, type):
        return _decoded_dataclass(type_, data, special)
    if type_ not in _PLAIN or type(data) is not type_:
        raise TypeError(f"expected {type_}, got {data!r:.40}")
    return data


def _member(types: tuple[Any, ...], data: Any) -> Any:
    """Which type of a union the data are of."""
    found = type(cast(object, data))
    is_list = found is list
    for type_ in types:
        if is_dataclass(type_) and isinstance(type_, type):
            if is_list and _items(data)[:1] == [type_.__name__]:
                return type_
        elif get_origin(type_) is tuple:
            if is_list:
                return type_
        elif found is (str if get_origin(type_) is np.dtype else type_):
            return type_
    raise TypeError(f"expected one of {types}, got {data!r:.40}")


def _decoded_tuple(types: tuple[Any, ...], data: Any, special: Special) -> tuple[Any, ...]:
    items = _items(data)
    if types[1:] == (Ellipsis,):
        types = (types[0],) * len(items)
    return tuple(decode(type_, each, special) for type_, each in zip(types, items, strict=True))


def _decoded_dataclass(class_: type, data: Any, special: Special) -> Any:
    name, *contents = _items(data)
    if name != class_.__name__:
        raise TypeError(f"expected a {class_.__name__}, got {name!r:.40}")
    values = [
        special[class_, name](content)
        if (class_, name) in special
        else decode(type_, content, special)
        for (name, type_), content in zip(_hints(class_).items(), contents, strict=True)
    ]
    return class_(*values)


def _items(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise TypeError(f"expected a list, got {data!r:.40}")
    return cast("list[Any]", data)


@cache
def _hints(class_: type) -> dict[str, Any]:
    """The fields of a dataclass with their types."""
    types = get_type_hints(class_)
    return {field.name: types[field.name] for field in fields(class_)}
