"""Lazy catalogues: a name to an object, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any


def _load(module: str, attribute: str) -> Any:
    return getattr(import_module(module), attribute)


def lazy(package: str, entries: Mapping[str, str]) -> dict[str, Callable[[], Any]]:
    """Map each name to a thunk that imports `module:attribute` of `package`.

    `functools.partial` and not a lambda with defaults: xDSL tells a new-style thunk by its
    having no parameters.

    >>> lazy("os", {"join": "path:join"})["join"]()("a", "b")
    'a/b'
    """
    thunks: dict[str, Callable[[], Any]] = {}
    for name, path in entries.items():
        module, _, attribute = path.partition(":")
        thunks[name] = partial(_load, f"{package}.{module}", attribute)
    return thunks
