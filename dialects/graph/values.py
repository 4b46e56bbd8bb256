"""What small integer tensors contain, as extents: the arithmetic that computes shapes.

    %s = graph.shape(%x)            [batch, 3, 224]
    %g = graph.gather(%s, %zero)    batch
    %c = graph.concat(%g1, %m1)     [batch, -1]
    %y = graph.reshape(%x, %c)      so y is tensor<[batch]x672xf32>

A `ShapeValue` is a NumPy array of objects: `int`, `bool`, `Expr`, or `None` where an element is
not known. Operators say theirs in `GraphOp.infer_values`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import IntegerType
from xdsl.ir import OpResult, SSAValue

from ...core.errors import ModelError, NncError
from .base import ConstantOp, GraphOp, constant_value
from .types import Dims, dims, element

if TYPE_CHECKING:
    from .base import ShapeValue, ValueReader

MAX_ELEMENTS = 256
"""Shapes are short; longer tensors are data."""

MAX_LENGTH = 1 << 16
"""Shapes, axes and lists of sizes are shorter; a model that says more is broken."""

MAX_DEPTH = 200
"""Operators between a shape and what computes with it; a longer chain counts as unknown."""


def shape_value(value: SSAValue | None) -> ShapeValue | None:
    """The content of a small integer or boolean tensor, as far as the graph above it says."""
    return _Reader()(value)


def extents(value: SSAValue | None, read: ValueReader | None = None) -> Dims | None:
    """The content of a 1-D shape operand as extents; `None` if not even its length is known.

    A one-element 0-D tensor counts as 1-D.
    """
    found = (read or shape_value)(value)
    return None if found is None or found.ndim > 1 else tuple(found.reshape(-1).tolist())


def integers(value: SSAValue | None) -> tuple[int, ...] | None:
    """The content of a 1-D or 0-D operand if all of it is known as numbers, else `None`."""
    found = extents(value)
    if found is None or not all(isinstance(entry, int) for entry in found):
        return None
    return tuple(entry for entry in found if isinstance(entry, int))


def length(value: SSAValue | None) -> int | None:
    """The number of elements of a 1-D shape operand, if known.

    Raises: ModelError: it is longer than any list of extents.
    """
    shape = dims(value.type) if value is not None else None
    if shape is None or len(shape) != 1 or not isinstance(shape[0], int):
        return None
    if shape[0] > MAX_LENGTH:
        raise ModelError(f"a list of {shape[0]} extents, expected at most {MAX_LENGTH}")
    return shape[0]


def elementwise(
    function: Callable[..., object], *arguments: ShapeValue | None
) -> ShapeValue | None:
    """Broadcasts `function` over the elements; an element that is not known makes it unknown."""
    import numpy as np

    def known(*items: Any) -> object:
        return None if any(item is None for item in items) else function(*items)

    arrays: list[ShapeValue] = []
    for argument in arguments:
        if argument is None:
            return None
        arrays.append(argument)
    return as_value(np.frompyfunc(known, len(arrays), 1)(*arrays))


def as_value(items: Any) -> ShapeValue:
    """An array of objects from a list, a scalar or an array."""
    import numpy as np

    return np.asarray(items, dtype=object)


class _Reader:
    """Reads values once each: a value used twice is not computed twice."""

    def __init__(self) -> None:
        self._known: dict[SSAValue, ShapeValue | None] = {}
        self._depth = 0

    def __call__(self, value: SSAValue | None) -> ShapeValue | None:
        if value is None:
            return None
        if value not in self._known:
            self._known[value] = self._read(value)
        return self._known[value]

    def _read(self, value: SSAValue) -> ShapeValue | None:
        if not isinstance(value, OpResult) or not isinstance(element(value.type), IntegerType):
            return None
        if isinstance(value.op, ConstantOp):
            return _constant(value)
        if not isinstance(value.op, GraphOp) or self._depth >= MAX_DEPTH:
            return None
        self._depth += 1
        try:
            results: Sequence[ShapeValue | None] = value.op.infer_values(self)
        except NncError:  # the operands do not fit: `infer` says so, with the op's name
            return None
        finally:
            self._depth -= 1
        found = results[value.index]
        return found if found is not None and found.size <= MAX_ELEMENTS else None


def _constant(value: SSAValue) -> ShapeValue | None:
    array = constant_value(value)
    return None if array is None or array.size > MAX_ELEMENTS else array.astype(object)
