"""Packing of constants: the fast blocked path agrees with the definition."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from xdsl.dialects.builtin import f32
from xdsl.ir.affine import AffineExpr, AffineMap

from nnc.core.affine import const, dim
from nnc.dialects.loop import BufferType
from nnc.lowering.program import packing
from nnc.runtime.arrays import aligned_empty

d0, d1, d2 = dim(0), dim(1), dim(2)


def place(layout: AffineMap, index: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(expr.eval(list(index), []) for expr in layout.results)


def expected(array: npt.NDArray[Any], layout: AffineMap, shape: tuple[int, ...]):
    result = np.zeros(shape, array.dtype)
    for index in itertools.product(*(range(extent) for extent in array.shape)):
        result[place(layout, index)] = array[index]
    return result


LAYOUTS: dict[str, tuple[tuple[int, ...], list[AffineExpr]]] = {
    "panels": ((7, 10), [d1 // 4, d0, d1 % 4]),
    "both blocked": ((9, 10), [d0 // 4, d1 // 8, d0 % 4, d1 % 8]),
    "transposed": ((3, 5), [d1, d0]),
    "three": ((3, 5, 4), [d2, d0 // 2, d1, d0 % 2]),
    "two levels": ((11, 3), [d0 // 8, (d0 % 8) // 2, d1, d0 % 2]),
    "flattened": ((4, 5), [d0 * 5 + d1]),
    "shifted": ((4,), [d0 + const(2)]),
    "empty": ((0, 5), [d1, d0]),
}


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("chunk", [1, 7, 1 << 20])
def test_pack_is_the_layout_map(name: str, chunk: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packing, "CHUNK", chunk)
    shape, exprs = LAYOUTS[name]
    layout = AffineMap(len(shape), 0, tuple(exprs))
    buffer = BufferType.get(shape, f32, "constant", layout)
    array = np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape)
    packed = packing.pack(array, layout, buffer.physical_shape)
    assert packed.dtype == np.float32
    assert packed.size == 0 or packed.ctypes.data % 64 == 0
    np.testing.assert_array_equal(packed, expected(array, layout, buffer.physical_shape))


def test_the_identity_keeps_an_aligned_array():
    array = aligned_empty((8, 8), np.dtype(np.float32))
    assert packing.pack(array, AffineMap.identity(2), (8, 8)) is array
    assert packing.pack(array.T, AffineMap.identity(2), (8, 8)).flags.c_contiguous


def test_packed_constants_are_made_once_and_forgotten_when_nobody_holds_them():
    packed = packing.PackedConstants()
    made: list[int] = []

    def make() -> npt.NDArray[Any]:
        made.append(1)
        return np.arange(3)

    first = packed.get("w", make)
    assert packed.get("w", make) is first
    assert packed.get("v", make) is not first
    del first
    assert packed.get("w", make).tolist() == [0, 1, 2]
    assert len(made) == 3
