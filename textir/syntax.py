"""Syntax that plug-ins add: a rule of the grammar, and functions to build and print."""

from __future__ import annotations

_FRAGMENTS: list[str] = []


def fragments() -> tuple[str, ...]:
    """The rules that plug-ins registered."""
    return tuple(_FRAGMENTS)
