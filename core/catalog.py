"""Lazy catalogues: a name to an object, imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from .errors import NncError

Catalog = dict[str, Callable[[], Any]]


def _load(module: str, attribute: str) -> Any:
    return getattr(import_module(module), attribute)


def lazy(package: str, entries: Mapping[str, str]) -> Catalog:
    """Map each name to a thunk that imports `module:attribute` of `package`.

    `functools.partial` and not a lambda with defaults: xDSL tells a new-style thunk by its
    having no parameters.

    >>> lazy("os", {"join": "path:join"})["join"]()("a", "b")
    'a/b'
    """
    thunks: Catalog = {}
    for name, path in entries.items():
        module, _, attribute = path.partition(":")
        thunks[name] = partial(_load, f"{package}.{module}", attribute)
    return thunks


def constant(value: Any) -> Callable[[], Any]:
    """A thunk for something that is already there (a plug-in's dialect)."""
    return partial(_identity, value)


def _identity(value: Any) -> Any:
    return value


def merge(
    kind: str,
    owners: Iterable[tuple[str, Mapping[str, Callable[[], Any]]]],
    *,
    shared: bool = False,
) -> Catalog:
    """One catalogue of several owners' entries.

    Args:
        kind: for messages.
        owners: each with its entries.
        shared: whether the same object may come from two: a package's plug-in, and what the
            package publishes for xDSL.

    Raises: NncError: two owners have an entry of the same name; both are named.
    """
    merged: Catalog = {}
    owner_of: dict[str, str] = {}
    for owner, entries in owners:
        for name, thunk in entries.items():
            if name in merged and not (shared and merged[name]() is thunk()):
                raise NncError(
                    f"{kind} '{name}' is defined by both {owner_of[name]} and {owner}",
                    hint="rename one of the two",
                )
            merged.setdefault(name, thunk)
            owner_of.setdefault(name, owner)
    return merged
