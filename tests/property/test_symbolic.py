"""Random extents: arithmetic agrees with Python's on every choice of sizes; text round trips."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from nnc.core.symbolic import (
    Dim,
    bounds,
    ceildiv,
    equal,
    floordiv,
    less_equal,
    maximum,
    minimum,
    mod,
    substitute,
    symbol,
)
from nnc.core.symbolic_text import parse_dim
from nnc.dialects.graph.pieces import slice_extent

Sizes = dict[str, int]
Tree = tuple[Dim, Callable[[Sizes], int]]
"""An extent, and the same computation on integers."""

NAMES = ("a", "b", "seq len")


def leaf() -> st.SearchStrategy[Tree]:
    def named(name: str) -> Tree:
        return symbol(name), lambda sizes: sizes[name]

    def constant(number: int) -> Tree:
        return number, lambda _: number

    return st.sampled_from(NAMES).map(named) | st.integers(-9, 9).map(constant)


def combined(trees: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    def binary(kind: str, left: Tree, right: Tree) -> Tree:
        x, f = left
        y, g = right
        if kind == "+":
            return x + y, lambda sizes: f(sizes) + g(sizes)
        if kind == "-":
            return x - y, lambda sizes: f(sizes) - g(sizes)
        if kind == "*":
            return x * y, lambda sizes: f(sizes) * g(sizes)
        if kind == "max":
            return maximum(x, y), lambda sizes: max(f(sizes), g(sizes))
        return minimum(x, y), lambda sizes: min(f(sizes), g(sizes))

    def divided(kind: str, left: Tree, by: int) -> Tree:
        x, f = left
        if kind == "floordiv":
            return floordiv(x, by), lambda sizes: f(sizes) // by
        if kind == "mod":
            return mod(x, by), lambda sizes: f(sizes) % by
        return ceildiv(x, by), lambda sizes: -(-f(sizes) // by)

    kinds = st.sampled_from(("+", "-", "*", "max", "min"))
    divisions = st.sampled_from(("floordiv", "mod", "ceildiv"))
    return st.builds(binary, kinds, trees, trees) | st.builds(
        divided, divisions, trees, st.integers(1, 7)
    )


TREES = st.recursive(leaf(), combined, max_leaves=8)
SIZES = st.fixed_dictionaries({name: st.integers(0, 20) for name in NAMES})


@given(TREES, SIZES)
def test_agrees_with_integers(tree: Tree, sizes: Sizes) -> None:
    dim, compute = tree
    assert substitute(dim, dict(sizes)) == compute(sizes)


@given(TREES, SIZES)
def test_bounds_hold(tree: Tree, sizes: Sizes) -> None:
    dim, compute = tree
    low, high = bounds(dim)
    assert low is None or low <= compute(sizes)
    assert high is None or compute(sizes) <= high


@given(TREES, TREES, SIZES)
def test_proofs_hold(left: Tree, right: Tree, sizes: Sizes) -> None:
    x, y = left[1](sizes), right[1](sizes)
    assert less_equal(left[0], right[0]) in (None, x <= y)
    proof = equal(left[0], right[0])
    assert proof is None or proof == (x == y)


@given(TREES)
def test_text_round_trips(tree: Tree) -> None:
    assert parse_dim(str(tree[0])) == tree[0]


@given(st.integers(0, 12), st.integers(-15, 15), st.integers(-15, 15), st.sampled_from((1, 2, 3)))
def test_slices_of_named_extents_count_as_python_does(
    size: int, start: int, end: int, step: int
) -> None:
    extent = slice_extent(symbol("n"), start, end, step)
    assert extent is not None
    assert substitute(extent, {"n": size}) == len(range(size)[start:end:step])
