"""Constants as a kernel reads them: laid out by the map of its argument, once, when compiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
    AffineMap,
)

from ...runtime.arrays import Array, aligned_empty, ready

Kind = AffineBinaryOpKind
CHUNK = 1 << 20
"""Elements whose physical places are computed at a time."""


class PackedConstants:
    """Constants by content and layout, shared by the programs of a model.

    One that no program holds any longer is forgotten.
    """

    def __init__(self):
        self._arrays: WeakValueDictionary[object, Array] = WeakValueDictionary()

    def get(self, key: object, make: Callable[[], Array]) -> Array:
        """The constant of this key, made if there is none."""
        found = self._arrays.get(key)
        if found is None:
            found = self._arrays[key] = make()
        return found


def pack(array: Array, layout: AffineMap, physical_shape: Sequence[int]) -> Array:
    """`array` in a buffer of `physical_shape`: element i stands at `layout(i)`, padding is zero.

    Returns the array itself where the layout is the identity and the array is aligned.
    """
    if layout == AffineMap.identity(array.ndim):
        return ready(array)
    blocks = [_Block.of(expr) for expr in layout.results]
    if array.size and _is_blocked(blocks, array.ndim):
        return _pack_blocks(array, [block for block in blocks if block], physical_shape)
    return _pack_points(array, layout, physical_shape)


class _Block:
    """One physical dimension that is a whole logical one, its block number, or place in it."""

    def __init__(self, dim: int, size: int, inner: bool):
        self.dim, self.size, self.inner = dim, size, inner

    @staticmethod
    def of(expr: AffineExpr) -> _Block | None:
        if isinstance(expr, AffineDimExpr):
            return _Block(expr.position, 1, False)
        if (
            isinstance(expr, AffineBinaryOpExpr)
            and expr.kind in (Kind.FloorDiv, Kind.Mod)
            and isinstance(expr.lhs, AffineDimExpr)
            and isinstance(expr.rhs, AffineConstantExpr)
        ):
            return _Block(expr.lhs.position, expr.rhs.value, expr.kind is Kind.Mod)
        return None


def _is_blocked(blocks: Sequence[_Block | None], rank: int) -> bool:
    """Whether every logical dimension appears once whole, or once as number and once as place."""
    found: dict[int, list[tuple[int, bool]]] = {}
    for block in blocks:
        if block is None:
            return False
        found.setdefault(block.dim, []).append((block.size, block.inner))
    return len(found) == rank and all(
        uses == [(1, False)]
        or (len(uses) == 2 and sorted(uses) == [(uses[0][0], False), (uses[0][0], True)])
        for uses in found.values()
    )


def _pack_blocks(array: Array, blocks: Sequence[_Block], physical_shape: Sequence[int]) -> Array:
    """Pad to whole blocks, split each blocked dimension in two, and transpose."""
    sizes = {block.dim: block.size for block in blocks if block.inner}
    padded_shape = [
        -(-extent // sizes.get(dim, 1)) * sizes.get(dim, 1)
        for dim, extent in enumerate(array.shape)
    ]
    if tuple(padded_shape) != array.shape:
        padded = np.zeros(padded_shape, array.dtype)
        padded[tuple(slice(0, extent) for extent in array.shape)] = array
        array = padded
    split: list[int] = []
    place: dict[tuple[int, bool], int] = {}
    for dim, extent in enumerate(array.shape):
        place[dim, False] = len(split)
        split.append(extent // sizes.get(dim, 1))
        if dim in sizes:
            place[dim, True] = len(split)
            split.append(sizes[dim])
    order = [place[block.dim, block.inner] for block in blocks]
    result = aligned_empty(tuple(physical_shape), array.dtype)
    result[...] = array.reshape(split).transpose(order)
    return result


def _pack_points(array: Array, layout: AffineMap, physical_shape: Sequence[int]) -> Array:
    """Any layout: compute where each element goes, some rows at a time."""
    result = aligned_empty(tuple(physical_shape), array.dtype)
    result[...] = np.zeros((), array.dtype)
    flat = result.reshape(-1)
    if array.size == 0:
        return result
    rows = max(1, CHUNK * array.shape[0] // array.size) if array.ndim else 1
    array = array if array.ndim else array.reshape(1)
    for start in range(0, array.shape[0], rows):
        part = array[start : start + rows]
        places = _flat_places(layout, part.shape, start, physical_shape)
        flat[np.broadcast_to(places, part.shape)] = part
    return result


def _flat_places(
    layout: AffineMap, shape: Sequence[int], start: int, physical_shape: Sequence[int]
) -> npt.NDArray[np.int64]:
    grids = list(np.ogrid[tuple(slice(0, extent) for extent in shape)])
    grids[0] = grids[0] + start
    total = np.zeros((1,) * len(shape), np.int64)
    for expr, extent in zip(layout.results, physical_shape, strict=True):
        total = total * extent + evaluate(expr, grids)
    return total


def evaluate(expr: AffineExpr, dims: Sequence[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    """An affine expression of dimensions on arrays of indices."""
    if isinstance(expr, AffineConstantExpr):
        return np.asarray(expr.value)
    if isinstance(expr, AffineDimExpr):
        return dims[expr.position]
    assert isinstance(expr, AffineBinaryOpExpr), f"a layout has no symbols: {expr}"
    lhs, rhs = evaluate(expr.lhs, dims), evaluate(expr.rhs, dims)
    match expr.kind:
        case Kind.Add:
            return lhs + rhs
        case Kind.Mul:
            return lhs * rhs
        case Kind.FloorDiv:
            return lhs // rhs
        case Kind.CeilDiv:
            return -(-lhs // rhs)
        case Kind.Mod:
            return lhs % rhs
