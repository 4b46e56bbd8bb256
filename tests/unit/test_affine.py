"""Affine index arithmetic: what is simplified keeps its value, and is as simple as it should be."""

import random

import pytest
from xdsl.ir.affine import AffineExpr

from nnc.core.affine import Ranges, bounds, const, dim, linear_terms, simplify

RANGES = Ranges(((0, 6), (0, 4), (0, 42)))


def make(rng: random.Random, depth: int) -> AffineExpr:
    """A random expression over d0, d1 and d2."""
    if depth == 0:
        return dim(rng.randrange(3)) if rng.random() < 0.8 else const(rng.randrange(-5, 9))
    lhs = make(rng, depth - 1)
    match rng.randrange(5):
        case 0:
            return lhs + make(rng, depth - 1)
        case 1:
            return lhs * rng.choice((-3, -1, 2, 3, 4, 7, 21))
        case 2:
            return lhs // rng.choice((2, 3, 4, 7, 12))
        case 3:
            return lhs % rng.choice((2, 3, 4, 7, 12))
        case _:
            factor = rng.choice((3, 7))
            return (lhs // factor) * factor + lhs % factor


@pytest.mark.parametrize("seed", range(60))
def test_simplified_expressions_have_the_same_value_within_their_bounds(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(10):
        expr = make(rng, rng.randrange(1, 5))
        simple, interval = simplify(expr, RANGES), bounds(expr, RANGES)
        for _ in range(20):
            point = [rng.randrange(high) for r in RANGES.dims if r for high in [r[1]]]
            value = expr.eval(point, [])
            assert simple.eval(point, []) == value
            assert interval is not None
            assert interval[0] <= value < interval[1]


@pytest.mark.parametrize(
    ("expr", "simple"),
    [
        ((dim(0) * 4 + dim(1)) // 4, dim(0)),
        ((dim(0) * 4 + dim(1)) % 4, dim(1)),
        (dim(2) // 7 * 7 + dim(2) % 7, dim(2)),
        # an index taken apart into three and put together
        (dim(2) // 21 * 21 + (dim(2) // 7) % 3 * 7 + dim(2) % 7, dim(2)),
        (dim(2) % 7 + dim(2) // 21 * 21 + (dim(2) // 7) % 3 * 7, dim(2)),
        # ... after its multiples of 14 were taken out of some of the divisions
        (
            (dim(0) * 14 + dim(2)) // 21 * 21
            + ((dim(0) * 14 + dim(2)) // 7) % 3 * 7
            + (dim(0) * 14 + dim(2)) % 7,
            dim(0) * 14 + dim(2),
        ),
        ((dim(0) * 8 + dim(1)) // 12, (dim(0) * 2) // 3),
    ],
)
def test_divisions_go_where_they_can(expr: AffineExpr, simple: AffineExpr) -> None:
    assert linear_terms(simplify(expr, RANGES)) == linear_terms(simple)
