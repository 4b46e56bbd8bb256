"""Buffers as NumPy arrays: physical places, poisoned until written.

What a kernel has not written is NaN, or a value that stands out; a logical element that came from
there shows it. Lanes of padding are poisoned too, so that a kernel that lets one influence a
logical element is caught.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from ..core.dtypes import numpy_dtype
from ..dialects.loop import BufferType
from .body import affine, inside
from .scalar import Array
from .steps import OutsideDomain

POISON_BYTE = 0x5B
POISON_NUMBER = 11.6875
"""Among floats, and in each of their types."""


def poison(dtype: np.dtype[Any], *, other: bool = False) -> Array:
    """The value of memory that nobody has written: NaN, `true`, or a number that stands out.

    What depends on it is another one where `other` values are there.
    """
    if dtype == np.bool_:
        return np.asarray(not other)
    if dtype.kind in "iu":
        byte = POISON_BYTE ^ 0x7F if other else POISON_BYTE
        return np.frombuffer(bytes([byte]) * dtype.itemsize, dtype)[0]
    return np.asarray(POISON_NUMBER if other else np.nan).astype(dtype)


class Memory:
    """The content of a buffer; `flat` is the physical memory, row major."""

    def __init__(self, type_: BufferType, name: str, *, other_poison: bool = False):
        dtype = numpy_dtype(type_.element_type)
        self.type = type_
        self.name = name
        self.shape = type_.physical_shape
        self.flat: Array = np.full(prod(self.shape), poison(dtype, other=other_poison), dtype)

    def places(self, indices: Sequence[Array], *, where: Array | None = None) -> Array:
        """Positions in `flat` of logical indices, 0 where `where` is false.

        Raises: OutsideDomain: one is outside of the physical shape.
        """
        results = self.type.layout_map.results
        physical = [affine(expr, indices, []) for expr in results]
        ok = inside(physical, self.shape)
        if where is not None:
            ok = ok | ~where
        if not bool(ok.all()):
            spans = [f"[{int(i.min())}, {int(i.max())}]" for i in physical if i.size]
            raise OutsideDomain(
                f"indices reach {', '.join(spans)} of physical shape {self.shape}",
                where=f"access of %{self.name}",
            )
        total: Array = np.zeros((), np.int64)
        for index, size in zip(physical, self.shape, strict=True):
            total = total * size + index
        return total if where is None else np.where(where, total, 0)

    def pack(self, logical: Array) -> None:
        """Write a logical array."""
        dtype = self.flat.dtype
        array = np.asarray(logical)
        if array.dtype != dtype and array.dtype.itemsize == dtype.itemsize:
            array = array.view(dtype)
        self.flat[self.places(self.grid())] = array.astype(dtype, copy=False)

    def unpack(self) -> Array:
        """The logical array."""
        return np.asarray(self.flat[self.places(self.grid())]).reshape(self.type.extents)

    def grid(self) -> list[Array]:
        """Logical indices of every element, one array for each dimension."""
        extents = self.type.extents
        rank = len(extents)
        return [
            np.arange(size).reshape([-1 if d == at else 1 for d in range(rank)])
            for at, size in enumerate(extents)
        ]


def through_memory(array: Array, written: BufferType, read: BufferType) -> Array:
    """What a reader finds in the memory of a tensor that was written in another layout, or shape.

    It is the array itself where both are the same and no two elements share a place.
    """
    source, target = Memory(written, "written"), Memory(read, "read")
    flat = np.full(max(source.flat.size, target.flat.size), poison(array.dtype), array.dtype)
    flat[source.places(source.grid())] = array
    return np.asarray(flat[target.places(target.grid())]).reshape(read.extents)
