"""Memory of arrays: alignment, recycling, what is kept."""

import gc

import numpy as np
import pytest

from nnc.runtime import arrays
from nnc.runtime.arrays import RECYCLED_BYTES, aligned_empty, is_ready, ready

FLOAT = np.dtype(np.float32)
LARGE = (RECYCLED_BYTES // 4,)


def place(array: np.ndarray) -> int:
    return array.ctypes.data


@pytest.mark.parametrize("shape", [(0,), (3,), (5, 7), LARGE, (3, *LARGE)])
def test_arrays_begin_on_a_cache_line_and_can_be_written(shape: tuple[int, ...]) -> None:
    array = aligned_empty(shape, FLOAT)
    assert array.shape == shape
    assert array.dtype == FLOAT
    assert array.flags.writeable
    assert array.flags.c_contiguous
    assert array.size == 0 or place(array) % 64 == 0
    array[...] = 1


def test_large_memory_comes_back_once_nobody_sees_it() -> None:
    gc.collect()
    array = aligned_empty(LARGE, FLOAT)
    first, view = place(array), array[10:]
    del array
    other = aligned_empty(LARGE, FLOAT)
    assert place(other) != first, "a view keeps the memory"
    del view
    assert place(aligned_empty(LARGE, FLOAT)) == first


def test_no_more_than_a_limit_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "_FREE", free := arrays._FreeBlocks())  # pyright: ignore[reportPrivateUsage]
    monkeypatch.setattr(arrays, "KEPT_BYTES", 3 * RECYCLED_BYTES)
    held = [aligned_empty((size * RECYCLED_BYTES // 4,), FLOAT) for size in (1, 1, 1, 2)]
    held.clear()
    assert free.total <= 3 * RECYCLED_BYTES
    assert free.total == sum(size * len(blocks) for size, blocks in free.blocks.items())


def test_arrays_of_numpy_are_taken_where_they_are() -> None:
    base = np.zeros(1000, np.float32)
    assert is_ready(base)
    assert ready(base) is base
    shifted = np.frombuffer(bytearray(4001), np.uint8)[1:].view(np.float32)
    assert ready(shifted) is not shifted
    assert not is_ready(base[::2])
