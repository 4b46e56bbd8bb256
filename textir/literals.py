"""Numbers as text: exact in both directions, NaN by its bits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects.builtin import (
    AnyFloat,
    BFloat16Type,
    DenseArrayBase,
    Float16Type,
    Float32Type,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
)
from xdsl.ir import Attribute
from xdsl.utils.exceptions import VerifyException

_INTEGER = re.compile(r"-?[0-9]+")
_FLOAT = re.compile(r"-?[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?")
_BITS = re.compile(r"0x[0-9A-Fa-f]+")
_LIST = re.compile(
    r"\[\s*(?:-?[0-9.][0-9.eE+-]*|true|false)?"
    r"(?:\s*,\s*(?:-?[0-9.][0-9.eE+-]*|true|false))*\s*\]"
)


def type_of(value: Attribute | None) -> Attribute | None:
    """The type of an integer or float attribute, None for anything else."""
    return cast("Any", value).type if isinstance(value, IntegerAttr | FloatAttr) else None


def dense_array(value: Attribute | None) -> DenseArrayBase[Any] | None:
    """The value, if it is a dense array."""
    return cast("DenseArrayBase[Any]", value) if isinstance(value, DenseArrayBase) else None


def is_float(type_: Attribute) -> bool:
    """Whether this is a floating-point type."""
    return isinstance(type_, AnyFloat)


def bare_number(text: str, type_: Attribute) -> IntegerAttr[Any] | FloatAttr[Any] | None:
    """A number that takes its type from where it stands; None: the text is no number of it."""
    if isinstance(type_, IntegerType | IndexType):
        integer_type = cast("Any", type_)
        if type_ == IntegerType(1) and text in ("true", "false"):
            return IntegerAttr(int(text == "true"), integer_type)
        if _INTEGER.fullmatch(text) is None or type_ == IntegerType(1):
            return None
        try:
            return IntegerAttr(int(text), integer_type)
        except VerifyException:
            return None
    if not is_float(type_):
        return None
    float_type = cast("Any", type_)
    if _FLOAT.fullmatch(text):
        try:
            return FloatAttr(float(text), float_type)
        except OverflowError:
            return None
    if _BITS.fullmatch(text):
        return _from_bits(text, float_type)
    return None


def _from_bits(text: str, type_: Any) -> FloatAttr[Any] | None:
    size: int = type_.compile_time_size
    value = int(text, 16)
    if value >= 1 << (8 * size):
        return None
    return FloatAttr(next(type_.iter_unpack(value.to_bytes(size, "little"))), type_)


def number_text(attribute: Attribute) -> str | None:
    """The text that `bare_number` reads back, None for what is no number."""
    if isinstance(attribute, IntegerAttr):
        value = cast("IntegerAttr[Any]", attribute)
        if value.type == IntegerType(1):
            return "true" if value.value.data else "false"
        return str(value.value.data)
    if isinstance(attribute, FloatAttr):
        float_attr = cast("FloatAttr[Any]", attribute)
        return float_text(float_attr.value.data, float_attr.type)
    return None


def float_text(value: float, type_: Any) -> str:
    """The shortest decimal that reads back to the same bits; hexadecimal for NaN and infinity."""
    if not math.isfinite(value):
        return f"0x{type_.pack((value,))[::-1].hex().upper()}"
    text = repr(value)
    if isinstance(type_, Float32Type | Float16Type | BFloat16Type) and len(text) > 5:
        packed = type_.pack((value,))
        for digits in range(3, 10):
            short = f"{value:.{digits}g}"
            if _packed(type_, float(short)) == packed:
                text = short
                break
    mantissa, exponent, power = text.partition("e")
    if "." not in mantissa:
        mantissa += ".0"
    return f"{mantissa}{exponent}{power}"


def _packed(type_: Any, value: float) -> bytes | None:
    """The bits, `None` where rounding up the largest number has left the type."""
    try:
        return type_.pack((value,))
    except OverflowError:
        return None


def bare_list(text: str, element: Attribute) -> DenseArrayBase[Any] | None:
    """A list for a dense array property; None: no plain list of such numbers."""
    if _LIST.fullmatch(text) is None:
        return None
    items = [item.strip() for item in text.strip()[1:-1].split(",")]
    if items == [""]:
        items = []
    numbers: list[Any] = []
    for item in items:
        number = bare_number(item, element)
        if number is None:
            return None
        numbers.append(number.value.data)
    return DenseArrayBase.from_list(cast("Any", element), numbers)


def list_text(values: Sequence[Any], element: Attribute) -> str:
    """The text that `bare_list` reads back."""
    if is_float(element):
        return f"[{', '.join(float_text(value, element) for value in values)}]"
    if element == IntegerType(1):
        return f"[{', '.join('true' if value else 'false' for value in values)}]"
    return f"[{', '.join(str(value) for value in values)}]"
