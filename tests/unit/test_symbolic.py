"""Extents: normal form, division, bounds, text."""

from __future__ import annotations

import pytest

from nnc.core.errors import ModelError, TextError
from nnc.core.symbolic import (
    Dim,
    bounds,
    ceildiv,
    equal,
    exact_div,
    floordiv,
    is_clamp_of,
    is_divisible,
    less_equal,
    maximum,
    minimum,
    mod,
    product,
    substitute,
    symbol,
    symbols,
)
from nnc.core.symbolic_text import parse_dim

N = symbol("n")
M = symbol("m")


def test_equal_polynomials_are_equal_objects() -> None:
    assert (N + 1) * (N - 1) == N * N - 1
    assert hash(2 * N + M) == hash(M + N + N)
    assert N - N == 0
    assert N + M - M == N


@pytest.mark.parametrize(
    ("dim", "text"),
    [
        (2 * N + 1, "2 * n + 1"),
        (M * N - 3, "m * n - 3"),
        (3 - N, "-n + 3"),
        ((N + 1) // 2, "(n + 1) floordiv 2"),
        (2 * ((N + 1) // 2) - M, "2 * ((n + 1) floordiv 2) - m"),
        (floordiv(N, M), "n floordiv m"),
        (maximum(0, N - 2), "max(0, n - 2)"),
        (minimum(N, 512) * M, "m * min(512, n)"),
        (symbol("a b'c") + 1, "'a b\\'c' + 1"),
        (symbol("mod"), "'mod'"),
        (symbol("p2o.Dynamic.0"), "p2o.Dynamic.0"),
    ],
)
def test_text(dim: Dim, text: str) -> None:
    assert str(dim) == text
    assert parse_dim(text) == dim


def test_text_with_other_spellings() -> None:
    assert parse_dim("seq // 2") == symbol("seq") // 2
    assert parse_dim("n ceildiv 2") == ceildiv(N, 2)
    assert parse_dim("n mod 2") == mod(N, 2)
    assert parse_dim("-(n - 2) * 3") == 6 - 3 * N


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2 *", "expected a number, a name or '(', got the end"),
        ("n + + 1", "got '+'"),
        ("(n", "expected ')', got the end"),
        ("n n", "expected the end, got 'n'"),
        ("n ? 2", "unexpected '?'"),
        ("floordiv", "got 'floordiv'"),
    ],
)
def test_malformed_text(text: str, message: str) -> None:
    with pytest.raises(TextError) as caught:
        parse_dim(text)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("dim", "expected"),
    [
        ((4 * N + 3) // 2, 2 * N + 1),
        ((2 * N + 1) // 4, N // 2),
        (((N - 1) // 2 + 1 - 1) // 2 + 1, (N + 3) // 4),
        ((N // 3) // 5, N // 15),
        (N // 1, N),
        (-7 // symbol("k") * 0, 0),
        (exact_div(N * M * 384, 32 * M), 12 * N),
        (exact_div((N // 2) * 64 + 64, N // 2 + 1), 64),
        (mod(4 * N + 3, 4), 3),
        (ceildiv(6 * N, 3), 2 * N),
        ((N + 5) // -1, -N - 5),
    ],
)
def test_division_simplifies(dim: Dim, expected: Dim) -> None:
    assert dim == expected


def test_division_by_zero_is_refused() -> None:
    with pytest.raises(ModelError, match="division by zero"):
        floordiv(N, 0)
    with pytest.raises(ModelError, match="division by zero"):
        substitute(floordiv(N, M), {"m": 0})


def test_divisibility() -> None:
    assert is_divisible(6 * N + 3, 3)
    assert not is_divisible(N + 1, 2)
    assert not is_divisible(N, M)


def test_bounds_know_that_sizes_are_not_negative() -> None:
    assert bounds(3 * N + 2) == (2, None)
    assert bounds(2 - N) == (None, 2)
    assert bounds(minimum(N, 512)) == (0, 512)
    assert bounds(maximum(N - 5, 1)) == (1, None)
    assert bounds((N + 7) // 8) == (0, None)
    assert bounds(N * M) == (0, None)


def test_comparison_where_provable() -> None:
    assert less_equal(N, N + 1) is True
    assert less_equal(N + 1, N) is False
    assert less_equal(N, M) is None
    assert equal(N + 1, 0) is False
    assert equal(N, M) is None
    assert equal(2 * N, N + N) is True


def test_extrema_fold_what_is_provable() -> None:
    assert maximum(N, 0) == N
    assert minimum(N + 1, N) == N
    assert maximum(maximum(N, M), N) == maximum(N, M)
    assert minimum(3, 5) == 3


def test_clamp() -> None:
    assert is_clamp_of(minimum(N, 512), N)
    assert not is_clamp_of(minimum(N, M), N)
    assert not is_clamp_of(N // 2, N)


def test_substitution_and_symbols() -> None:
    dim = (N + M) // 2 + maximum(N, M)
    assert symbols(dim) == {"n", "m"}
    assert substitute(dim, {"n": 3, "m": 6}) == 10
    assert substitute(dim, {"m": N}) == 2 * N
    assert product([2, N, 3]) == 6 * N
