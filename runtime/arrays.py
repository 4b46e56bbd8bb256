"""Arrays as compiled code takes them: contiguous, in native byte order, on a cache line."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LINE = 64


def aligned_bytes(size: int) -> npt.NDArray[np.uint8]:
    """`size` bytes that begin on a cache line; their content is not defined."""
    raw = np.empty(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size]


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """As `np.empty`, beginning on a cache line."""
    count = prod(shape)
    raw = np.empty(count + LINE // dtype.itemsize, dtype)
    start = -raw.ctypes.data % LINE // dtype.itemsize
    return raw[start : start + count].reshape(shape)


def is_ready(array: Array) -> bool:
    """Whether compiled code can take this array as it is."""
    if not array.flags.c_contiguous or not array.dtype.isnative:
        return False
    return array.ctypes.data % LINE == 0 or array.size == 0


def ready(array: Array) -> Array:
    """The array itself where compiled code can take it, else a copy that it can."""
    if is_ready(array):
        return array
    copy = aligned_empty(array.shape, array.dtype.newbyteorder("="))
    copy[...] = array
    return copy
