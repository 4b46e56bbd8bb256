"""The proof that indices differ, against counting them; and the cases that kernels have."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.ir.affine import AffineExpr

from nnc.core.affine import Range, Ranges, const, dim
from nnc.core.one_to_one import is_one_to_one

d0, d1, d2 = dim(0), dim(1), dim(2)


def counted(indices: list[AffineExpr], ranges: Ranges) -> bool:
    extents = [range(*interval) for interval in ranges.dims if interval is not None]
    points = list(itertools.product(*extents))
    return len({tuple(e.eval(list(p), []) for e in indices) for p in points}) == len(points)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 2) -> AffineExpr:
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from([d0, d1, d2]))
    inner, number = draw(expressions(depth - 1)), draw(st.integers(1, 6))
    match draw(st.sampled_from(["add", "mul", "div", "mod", "shift"])):
        case "add":
            return inner * number + draw(expressions(depth - 1))
        case "mul":
            return inner * -number
        case "div":
            return inner // number
        case "mod":
            return inner % number
        case _:
            return inner + const(number)


@st.composite
def intervals(draw: st.DrawFn) -> Range:
    low = draw(st.integers(-3, 3))
    return low, low + draw(st.integers(1, 6))


@given(st.lists(expressions(), max_size=4), st.tuples(intervals(), intervals(), intervals()))
def test_what_is_proved_is_true(indices: list[AffineExpr], dims: tuple[Range, ...]):
    ranges = Ranges(dims)
    if is_one_to_one(indices, ranges):
        assert counted(indices, ranges)


PROVED = [
    ([d0 * 48 + d1 * 16 + d2], (4, 3, 16)),
    ([d0, d1, d2], (4, 3, 16)),
    ([d0 // 3, d0 % 3, d1], (12, 5, 1)),
    ([(d0 // 3) * 16 + d1, (d0 % 3) * 3 + d2 // 9, d2 % 9], (6, 16, 27)),
    ([(d0 * 16 + d1) // 9, (d0 * 16 + d1) % 9], (5, 16, 1)),
    ([(d0 // 4) % 3, d0 % 4, d0 // 12], (36, 1, 1)),
    ([d0 % 4, (d0 // 4) % 3], (12, 1, 1)),
    ([d0 * -16 - d1], (4, 16, 1)),
]


@pytest.mark.parametrize(("indices", "extents"), PROVED)
def test_tiles_and_blocks_are_proved(indices: list[AffineExpr], extents: tuple[int, ...]):
    ranges = Ranges(tuple((0, extent) for extent in extents))
    assert counted(indices, ranges)
    assert is_one_to_one(indices, ranges)


REFUSED = [
    ([d0 * 15 + d1], (4, 16)),
    ([d0], (4, 2)),
    ([d0 // 3], (12, 1)),
    ([d0 % 4, (d0 // 4) % 3], (13, 1)),
    ([d0 + d1], (2, 2)),
    ([d0 // 4, d0 % 3], (12, 1)),
]


@pytest.mark.parametrize(("indices", "extents"), REFUSED)
def test_what_repeats_is_refused(indices: list[AffineExpr], extents: tuple[int, ...]):
    ranges = Ranges(tuple((0, extent) for extent in extents))
    assert not counted(indices, ranges)
    assert not is_one_to_one(indices, ranges)
