"""nnc: a multi-dialect compiler for neural networks. Public names are imported when first used."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    # name: "module:attribute", imported on first use so that tools start quickly
    "NncError": "core.errors:NncError",
    "parse": "textir:parse",
}


def __getattr__(name: str) -> Any:
    """Import a public name of the table above (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'nnc' has no attribute {name!r}")
    module, _, attribute = _PUBLIC[name].partition(":")
    value = getattr(import_module(f"nnc.{module}"), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
