"""Arrays as compiled code takes them: contiguous, in native byte order, aligned.

Memory of large arrays is recycled: the operating system takes longer to hand out a megabyte, page
by page, than many a kernel takes to fill it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ctypes import addressof, c_char
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..core.locks import ForkSafeLock

Array = npt.NDArray[Any]
LINE = 64
ALIGNMENT = 16
"""Of arrays that callers bring; what NumPy guarantees. Ours begin on a cache line."""
RECYCLED_BYTES = 64 * 1024
"""Arrays from this size on are made of recycled memory."""
KEPT_BYTES = 256 * 1024 * 1024
"""At most this much free memory is kept for later."""
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


class _FreeBlocks:
    """Memory that nobody uses, by size; the oldest goes where there is too much."""

    def __init__(self) -> None:
        self.blocks: OrderedDict[int, list[npt.NDArray[np.uint8]]] = OrderedDict()
        self.total = 0
        self.lock = ForkSafeLock()  # an array may be freed, by the collector, while we hold it

    def take(self, size: int) -> npt.NDArray[np.uint8]:
        """A block of `size` bytes, a free one if there is one."""
        with self.lock.held:
            found = self.blocks.get(size)
            if found:
                self.total -= size
                return found.pop()
        return aligned_bytes(size)

    def give(self, block: npt.NDArray[np.uint8]) -> None:
        """Keep a block for later."""
        with self.lock.held:
            self.blocks.setdefault(block.size, []).append(block)
            self.blocks.move_to_end(block.size)
            self.total += block.size
            while self.total > KEPT_BYTES:
                size, blocks = next(iter(self.blocks.items()))
                if blocks:
                    blocks.pop()
                    self.total -= size
                if not blocks:
                    del self.blocks[size]


_FREE = _FreeBlocks()


class _Owner:
    """Owns a block as long as an array views it; then the block is free."""

    def __init__(self, block: npt.NDArray[np.uint8]):
        self.block, self.free = block, _FREE
        self.__array_interface__ = block.__array_interface__

    def __del__(self) -> None:
        self.free.give(self.block)


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """As `np.empty`, beginning on a cache line."""
    count = prod(shape)
    size = count * dtype.itemsize
    if size >= RECYCLED_BYTES:
        return np.asarray(_Owner(_FREE.take(size))).view(dtype).reshape(shape)
    raw = np.empty(count + LINE // dtype.itemsize, dtype)
    start = -address(raw) % LINE // dtype.itemsize
    return raw[start : start + count].reshape(shape)


def is_ready(array: Array) -> bool:
    """Whether compiled code can take this array as it is."""
    if not array.flags.c_contiguous or not array.dtype.isnative:
        return False
    return address(array) % ALIGNMENT == 0 or array.size == 0


def ready(array: Array) -> Array:
    """The array itself where compiled code can take it, else a copy that it can."""
    if is_ready(array):
        return array
    copy = aligned_empty(array.shape, array.dtype.newbyteorder("="))
    copy[...] = array
    return copy
