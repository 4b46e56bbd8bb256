"""Every second to fourth element of memory as one register: whole vectors, then shuffles.

Lane i is element s*i. The last vector ends with the last element that is wanted, so that nothing
behind it is touched:

    a[0 .. w), a[w .. 2w), ..., a[(w-1)*s - (w-1) .. (w-1)*s]  ->  a[0], a[s], ..., a[(w-1)*s]
"""

from __future__ import annotations

from collections.abc import Sequence

from .text import FunctionWriter, vector_literal

MAX_STRIDE = 4
"""Beyond it, most of what is loaded is not wanted."""


def starts(stride: int, width: int) -> list[int]:
    """The first element of each vector that is loaded."""
    last = (width - 1) * (stride - 1)
    return [min(number * width, last) for number in range(stride)]


def mask_of_vector(writer: FunctionWriter, mask: str, start: int, stride: int, width: int) -> str:
    """Of a vector from `start` on: only elements that a lane wants, where `mask` has that lane."""
    lanes = [
        (start + place) // stride if (start + place) % stride == 0 else width
        for place in range(width)
    ]
    return _shuffled(writer, f"<{width} x i1>", mask, "zeroinitializer", lanes)


def gathered(writer: FunctionWriter, vectors: Sequence[str], type_: str, width: int) -> str:
    """The lanes, out of the vectors that were loaded."""
    stride = len(vectors)
    first = starts(stride, width)
    result = vectors[0]
    for number in range(1, stride):
        lanes: list[int] = []
        for lane in range(width):
            element = lane * stride
            if min(element // width, stride - 1) == number:
                lanes.append(width + element - first[number])
            else:
                lanes.append(min(element, width - 1) if number == 1 else lane)
        result = _shuffled(writer, type_, result, vectors[number], lanes)
    return result


def _shuffled(writer: FunctionWriter, type_: str, a: str, b: str, lanes: Sequence[int]) -> str:
    picks = vector_literal(list(lanes), "i32")
    return writer.define(f"shufflevector {type_} {a}, {type_} {b}, <{len(lanes)} x i32> {picks}")
