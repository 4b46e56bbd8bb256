"""Fast NumPy for operators that run on the host and whose plain meaning is a loop in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.errors import InputError
from .arrays import Array

_COMBINE: dict[str, Callable[..., None]] = {
    "add": np.add.at,
    "mul": np.multiply.at,
    "max": np.maximum.at,
    "min": np.minimum.at,
}
"""In place, one update after the other where an element has several."""


def scatter_elements(
    data: Array, indices: Array, updates: Array, axis: int, reduction: str
) -> Array:
    """`data` with `updates` at positions that `indices` replaces on `axis`.

    Raises: InputError: an index is outside the dimension.
    """
    places: list[Any] = list(np.ogrid[tuple(slice(extent) for extent in indices.shape)])
    places[axis] = _positions(indices, data.shape[axis])
    return _combined(data, tuple(places), updates, reduction)


def scatter_nd(data: Array, indices: Array, updates: Array, reduction: str) -> Array:
    """`data` with a slice of `updates` at each index tuple in the last dimension of `indices`.

    Raises: InputError: an index is outside its dimension.
    """
    columns = np.moveaxis(indices, -1, 0)
    places = tuple(
        _positions(column, size) for column, size in zip(columns, data.shape, strict=False)
    )
    return _combined(data, places, updates, reduction)


def _combined(data: Array, places: tuple[Any, ...], updates: Array, reduction: str) -> Array:
    result = data.copy()
    if reduction in _COMBINE:
        _COMBINE[reduction](result, places, updates)
    else:
        result[places] = updates
    return result


def _positions(indices: Array, size: int) -> Array:
    whole = indices.astype(np.int64)
    if whole.size and (int(whole.min()) < -size or int(whole.max()) >= size):
        raise InputError(f"an index is outside [-{size}, {size})")
    return np.where(whole < 0, whole + size, whole)
