"""Dataclasses as JSON values: what goes in comes out, and what does not belong is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from nnc.runtime.codec import decode, dtype_named, encode
from nnc.runtime.program import TensorSpec, Use


@dataclass(frozen=True)
class Cat:
    lives: int


@dataclass(frozen=True)
class Dog:
    name: str


@dataclass(frozen=True)
class House:
    pets: tuple[Cat | Dog, ...]
    sizes: tuple[tuple[int, str], ...]
    open: bool
    weight: float
    spec: TensorSpec | None
    use: Use | None
    extents: tuple[int | str, ...] | None
    dtype: np.dtype[Any] | None
    notes: object = None


def boxed(content: Any) -> list[Any]:
    return [content]


def unboxed(content: list[Any]) -> Any:
    return content[0]


FULL = House(
    (Cat(9), Dog("Rex"), Cat(7)),
    ((1, "a"), (2, "b")),
    True,
    0.1,
    TensorSpec("x", (2, 3), np.dtype(np.int8)),
    Use(3, (1,)),
    (1, "n", "?"),
    dtype_named("bfloat16"),
    "note",
)
EMPTY = House((), (), False, -0.0, None, None, None, None)


@pytest.mark.parametrize("house", [FULL, EMPTY])
def test_what_is_written_is_read(house: House):
    text = json.dumps(encode(house, {(House, "notes"): boxed}))
    again = decode(House, json.loads(text), {(House, "notes"): unboxed})
    assert again == house
    assert json.dumps(encode(again, {(House, "notes"): boxed})) == text


def test_dtypes_by_name():
    assert dtype_named("bfloat16") == np.dtype(ml_dtypes.bfloat16)
    assert dtype_named("bool") == np.dtype(np.bool_)
    with pytest.raises(TypeError):
        dtype_named("float33")


@pytest.mark.parametrize("value", [object(), b"bytes", {1: 2}, Dog, np.float32(1), [Cat(1)]])
def test_what_has_no_form_is_refused(value: object):
    with pytest.raises(TypeError, match="cannot be written"):
        encode((value,), {})


WRONG: dict[str, tuple[Any, Any]] = {
    "no list": (Cat, 9),
    "another class": (Cat, ["Dog", 9]),
    "too few": (Cat, ["Cat"]),
    "too many": (Cat, ["Cat", 1, 2]),
    "empty": (Cat, []),
    "string for int": (Cat, ["Cat", "9"]),
    "bool for int": (Cat, ["Cat", True]),
    "float for int": (Cat, ["Cat", 9.0]),
    "no member": (Cat | Dog, ["Fish", 1]),
    "none of a union": (Cat | None, 3),
    "pair of three": (tuple[int, int], [1, 2, 3]),
    "dtype": (np.dtype[Any], "float33"),
}


@pytest.mark.parametrize("case", WRONG)
def test_data_of_another_type_are_refused(case: str):
    type_, data = WRONG[case]
    with pytest.raises((TypeError, ValueError)):
        decode(type_, data, {})
