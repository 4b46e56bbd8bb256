"""Where a point of one shape lies in another: index arithmetic in row-major order."""

from __future__ import annotations

from collections.abc import Sequence

from .scalar import Index


def linear(indices: Sequence[Index], shape: Sequence[int]) -> Index | int:
    """The row-major position of a point."""
    total: Index | int = 0
    for index, size in zip(indices, shape, strict=True):
        total = index + total * size if isinstance(total, Index) else index
    return total


def delinear(position: Index | int, shape: Sequence[int]) -> list[Index | int]:
    """The point at a row-major position."""
    point: list[Index | int] = []
    for size in reversed(shape):
        point.append(position % size if size else 0)
        position = position // max(size, 1)
    return point[::-1]


def reshaped(
    indices: Sequence[Index], shape: Sequence[int], old: Sequence[int]
) -> Sequence[Index | int]:
    """Where in `old` a point of `shape` lies, dimension group by dimension group.

    Dimensions are cut into the smallest runs with equal numbers of elements, so that a division
    touches only what was split or joined.
    """
    place: list[Index | int] = []
    new_at = old_at = 0
    while old_at < len(old):
        new_end, old_end = _run(shape, new_at, old, old_at)
        position = linear(indices[new_at:new_end], shape[new_at:new_end])
        place += delinear(position, old[old_at:old_end])
        new_at, old_at = new_end, old_end
    return place


def _run(shape: Sequence[int], new: int, old: Sequence[int], at: int) -> tuple[int, int]:
    """The ends of the shortest runs from `new` and `at` with as many elements."""
    new_end, old_end = new, at + 1
    left, right = 1, old[at]
    while left != right or (old_end < len(old) and 0 in (left, right)):
        if left < right and new_end < len(shape):
            left *= shape[new_end]
            new_end += 1
        elif old_end < len(old):
            right *= old[old_end]
            old_end += 1
        elif new_end < len(shape):
            left *= shape[new_end]
            new_end += 1
        else:
            break
    if old_end == len(old):
        new_end = len(shape)
    return new_end, old_end
