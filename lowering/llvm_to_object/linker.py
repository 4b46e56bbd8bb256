"""Linking: objects become code in this process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import count
from typing import Any

from ...core.errors import PassError
from .codegen import binding

_NAMES = count()


@cache
def _jit() -> Any:
    """One JIT linker for the process; JITLink keeps the parts of an object near each other."""
    return binding().create_lljit_compiler(use_jit_link=True, suppress_errors=True)


class Library:
    """Code in memory; it stays there as long as this object lives."""

    def __init__(self, tracker: Any, symbols: Sequence[str]):
        self._tracker = tracker
        self._addresses = {symbol: int(tracker[symbol]) for symbol in symbols}

    def address(self, symbol: str) -> int:
        """Where an exported function begins.

        Raises: KeyError: `symbol` is not among those given to `link`.
        """
        return self._addresses[symbol]


def link(objects: Sequence[bytes], symbols: Sequence[str]) -> Library:
    """Load `objects` as one library; `symbols` are the ones that will be asked for.

    Symbols of the C library (memcpy, syscall, expf ...) resolve to those of this process.
    Raises: PassError: a symbol is undefined or defined twice.
    """
    builder = binding().JITLibraryBuilder()
    for data in objects:
        builder.add_object_img(data)
    builder.add_current_process()
    for symbol in symbols:
        builder.export_symbol(symbol)
    try:
        tracker = builder.link(_jit(), f"nnc.{next(_NAMES)}")
    except RuntimeError as error:
        raise PassError(f"the objects do not link: {error}") from None
    return Library(tracker, symbols)
