"""Element types as users write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from xdsl.ir import Attribute

from ...core.dtypes import dtype_name, element_type
from ...core.errors import ExpressionError
from ...dialects.te_build import ops

if TYPE_CHECKING:
    import numpy as np

DType: TypeAlias = "str | np.dtype[Any] | type[Any] | Attribute"


def element_of(dtype: DType) -> Attribute:
    """The element type of a NumPy dtype, its name, or an IR type.

    Raises: UnsupportedError: there is none.
    """
    if isinstance(dtype, Attribute):
        return element_type(dtype_name(dtype))
    if isinstance(dtype, type):
        import numpy as np

        dtype = np.dtype(dtype)
    if not isinstance(dtype, str) and not hasattr(dtype, "name"):
        raise ExpressionError(f"expected a dtype, got {dtype!r}", hint="as 'float32'")
    return element_type(dtype)


def min_value(dtype: DType) -> float | int:
    """The least value of a type: minus infinity of floats."""
    return ops.lowest(element_of(dtype))


def max_value(dtype: DType) -> float | int:
    """The greatest value of a type: infinity of floats."""
    return ops.highest(element_of(dtype))
