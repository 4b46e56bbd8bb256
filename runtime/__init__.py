"""Runs what the compiler made: programs, arrays, threads. Knows no IR."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .device import cpu
    from .module import GraphModule, create

__all__ = ["GraphModule", "cpu", "create"]


def __getattr__(name: str) -> Any:
    """`nnc.runtime.create` and its companions, imported when they are first named."""
    home = {"GraphModule": "module", "create": "module", "cpu": "device"}
    if name not in home:
        raise AttributeError(f"module 'nnc.runtime' has no attribute '{name}'")
    return getattr(import_module(f".{home[name]}", __name__), name)
