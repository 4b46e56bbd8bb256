"""Types of the functions that write bodies: any number of arguments of one type.

`Callable[..., R]` would leave a lambda's parameters untyped; a union over arities does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias, TypeVar, cast

A = TypeVar("A")
R = TypeVar("R")
A_contra = TypeVar("A_contra", contravariant=True)
R_co = TypeVar("R_co", covariant=True)


class Variadic(Protocol[A_contra, R_co]):
    """A function with `*args`."""

    def __call__(self, *args: A_contra) -> R_co: ...


Of: TypeAlias = (
    Variadic[A, R]
    | Callable[[A], R]
    | Callable[[A, A], R]
    | Callable[[A, A, A], R]
    | Callable[[A, A, A, A], R]
    | Callable[[A, A, A, A, A], R]
    | Callable[[], R]
)
"""`Of[Index, Scalar]`: from some indices to a scalar."""


def call(function: Of[A, R], arguments: Sequence[A]) -> R:
    """`function` of all of the arguments; their number is the caller's promise."""
    return cast("Variadic[A, R]", function)(*arguments)
