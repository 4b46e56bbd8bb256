"""Element types: the one table between xDSL types, NumPy dtypes and their names.

Signed integers are the signless `i8`..`i64`, unsigned ones `ui8`..`ui64`, `i1` is a boolean (one
byte in memory). NumPy is imported where it is used: tools start without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IndexType,
    IntegerType,
    Signedness,
)
from xdsl.ir import Attribute

from .errors import UnsupportedError

if TYPE_CHECKING:
    import numpy as np

_NAMES: dict[Attribute, str] = {
    Float16Type(): "float16",
    BFloat16Type(): "bfloat16",
    Float32Type(): "float32",
    Float64Type(): "float64",
    IntegerType(1): "bool",
    IndexType(): "int64",
    **{IntegerType(bits): f"int{bits}" for bits in (8, 16, 32, 64)},
    **{IntegerType(bits, Signedness.UNSIGNED): f"uint{bits}" for bits in (8, 16, 32, 64)},
}
_TYPES: dict[str, Attribute] = {
    name: type_ for type_, name in _NAMES.items() if not isinstance(type_, IndexType)
}
BY_TEXT: dict[str, Attribute] = {str(type_): type_ for type_ in _TYPES.values()}
"""Element types as IR prints them: `f32`, `ui8`."""


def dtype_name(element_type: Attribute) -> str:
    """NumPy's name of an element type: `f32` -> "float32".

    Raises: UnsupportedError: it has none.
    """
    try:
        return _NAMES[element_type]
    except KeyError:
        raise UnsupportedError(f"element type {element_type} has no NumPy dtype") from None


def numpy_dtype(element_type: Attribute) -> np.dtype[Any]:
    """The NumPy dtype of an element type (bfloat16 through ml_dtypes)."""
    import numpy as np

    name = dtype_name(element_type)
    if name == "bfloat16":
        import ml_dtypes

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(name)


def element_type(dtype: np.dtype[Any] | str) -> Attribute:
    """The element type of a NumPy dtype or its name.

    Raises: UnsupportedError: complex, string, structured and other dtypes.
    """
    name = dtype if isinstance(dtype, str) else dtype.name
    try:
        return _TYPES[name]
    except KeyError:
        raise UnsupportedError(
            f"dtype {name} is not supported", hint=f"supported: {', '.join(_TYPES)}"
        ) from None


def is_unsigned(type_: Attribute) -> bool:
    """Whether integer arithmetic on this graph-level element type is unsigned."""
    return dtype_name(type_).startswith("uint")


def signless(type_: Attribute) -> Attribute:
    """The te and loop element type of a graph element type: `ui8` -> `i8`."""
    return _TYPES[dtype_name(type_).removeprefix("u")]
