"""Names that are not taken yet."""

from __future__ import annotations

from collections.abc import Container


def fresh(stem: str, taken: Container[str]) -> str:
    """`stem`, or with a number behind it where that is taken.

    >>> fresh("conv", {"conv", "conv_1"})
    'conv_2'
    """
    name, number = stem, 1
    while name in taken:
        name, number = f"{stem}_{number}", number + 1
    return name
