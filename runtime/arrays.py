"""Arrays as compiled code takes them: contiguous, in native byte order, on a cache line."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import addressof, c_char
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LINE = 64
_first_byte: Callable[[Any], c_char] = c_char.from_buffer


def address(array: Array) -> int:
    """Where the array's first element lies; a quarter of the time of `array.ctypes.data`."""
    try:
        return addressof(_first_byte(array))
    except (TypeError, ValueError, BufferError):  # read-only, empty, or a dtype of ml_dtypes
        return array.ctypes.data


def aligned_bytes(size: int) -> npt.NDArray[np.uint8]:
    """`size` bytes that begin on a cache line; their content is not defined."""
    raw = np.empty(size + LINE, np.uint8)
    start = -address(raw) % LINE
    return raw[start : start + size]


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """As `np.empty`, beginning on a cache line."""
    count = prod(shape)
    raw = np.empty(count + LINE // dtype.itemsize, dtype)
    start = -address(raw) % LINE // dtype.itemsize
    return raw[start : start + count].reshape(shape)


def is_ready(array: Array) -> bool:
    """Whether compiled code can take this array as it is."""
    if not array.flags.c_contiguous or not array.dtype.isnative:
        return False
    return address(array) % LINE == 0 or array.size == 0


def ready(array: Array) -> Array:
    """The array itself where compiled code can take it, else a copy that it can."""
    if is_ready(array):
        return array
    copy = aligned_empty(array.shape, array.dtype.newbyteorder("="))
    copy[...] = array
    return copy
