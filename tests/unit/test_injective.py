"""Injectivity: what structure proves, what enumeration finds, what stays open."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from xdsl.ir.affine import AffineExpr, AffineMap

from nnc.core.affine import dim, sym
from nnc.core.injective import ENUMERATION_LIMIT, follows, is_injective


def box(*extents: int) -> list[tuple[int, int]]:
    return [(0, extent) for extent in extents]


@pytest.mark.parametrize(
    "layout",
    [
        AffineMap.from_callable(lambda i, j: (j // 48, i, j % 48)),
        AffineMap.from_callable(lambda i, j: (j // 48, i // 8, i % 8, j % 48 // 16, j % 16)),
        AffineMap.from_callable(lambda i, j: (j * 768 + i,)),
    ],
)
def test_structure_proves_what_is_too_large_to_enumerate(layout: AffineMap) -> None:
    assert ENUMERATION_LIMIT < 768 * 3072
    assert is_injective(layout.results, box(768, 3072)) is True


def test_three_fused_loops_are_told_apart() -> None:
    """As `fuse` of n, c.o and h leaves them: n = f floordiv 224, c.o = (f floordiv 112) mod 2."""
    fused = dim(0)
    exprs = [fused // 224, (fused // 112) % 2 * 16 + dim(1), fused % 112, dim(2)]
    extents = box(2 * 224, 16, 112)
    assert ENUMERATION_LIMIT < 448 * 16 * 112
    assert is_injective(exprs, extents) is True
    assert is_injective([fused // 448, *exprs[1:]], extents) is None


def test_a_tile_of_fused_loops_is_told_apart_where_the_tiles_stand_still() -> None:
    """Tiles of 10 and of 12 over images of 2 x 2 and of 6 x 6 places: s0 is the tile."""
    tile, place = sym(0), dim(0)
    tens = [(tile * 10 + place) // 4, (tile * 5 + place // 2) % 2, place % 2]
    assert is_injective(tens, box(10)) is True
    twelves = [(tile * 12 + place) // 36, (tile * 2 + place // 6) % 6, place % 6]
    assert is_injective(twelves, box(12)) is True
    assert is_injective(twelves[1:], box(37)) is None


def test_some_dimensions_follow_where_others_overlap() -> None:
    exprs = [dim(0) * 8 + dim(1), dim(2) * 11 + dim(3)]
    extents = box(4, 8, 2, 12)
    assert follows(0, exprs, extents)
    assert follows(1, exprs, extents)
    assert not follows(2, exprs, extents)
    assert is_injective(exprs, extents) is False


def test_a_large_collision_stays_open() -> None:
    layout = AffineMap.from_callable(lambda i, j: (j // 48, i, j % 16))
    assert is_injective(layout.results, box(768, 3072)) is None


def test_nothing_collides_in_an_empty_box() -> None:
    assert is_injective([dim(0) // 4], box(0)) is True


@st.composite
def expressions(draw: st.DrawFn) -> AffineExpr:
    a, b = draw(st.integers(1, 5)), draw(st.integers(-3, 5))
    linear = dim(0) * a + dim(1) * b + draw(st.integers(-2, 2))
    factor = draw(st.integers(1, 5))
    return draw(st.sampled_from([dim(0), dim(1), linear, linear // factor, linear % factor]))


@given(st.lists(expressions(), min_size=1, max_size=3), st.integers(0, 6), st.integers(0, 6))
def test_it_agrees_with_enumeration(exprs: list[AffineExpr], rows: int, columns: int) -> None:
    points = list(product(range(rows), range(columns)))
    images = {tuple(expr.eval(point, ()) for expr in exprs) for point in points}
    assert is_injective(exprs, box(rows, columns)) is (len(images) == len(points))
