"""Dialects, passes and targets that installed packages publish for xDSL."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache

from xdsl.universe import Universe

from ..errors import NncError
from .installed import points


def universes() -> Sequence[tuple[str, Universe]]:
    """What other packages publish as `xdsl.universe`, with the package for messages.

    Raises: NncError: one cannot be imported, or is something else.
    """
    return _universes(tuple(sys.path))


@cache
def _universes(path: tuple[str, ...]) -> Sequence[tuple[str, Universe]]:
    del path
    found: list[tuple[str, Universe]] = []
    for point in points("xdsl.universe"):
        universe = point.load()
        if not isinstance(universe, Universe):
            text = f"entry point '{point.name}' ({point.value}) is not an xDSL Universe"
            raise NncError(text, where=point.owner)
        found.append((point.owner, universe))
    return found
