"""Several modules of LLVM IR text as one."""

from __future__ import annotations

import re
from collections.abc import Iterable

_DEFINED = re.compile(r'^(?:define|declare) .*?(@"[^"]+"|@[\w.]+)\(', re.MULTILINE)


def merge_modules(texts: Iterable[str]) -> str:
    """One module: what several declare stands in it once, and not at all where it is defined."""
    lines = [line for text in texts for line in text.split("\n")]
    present = {name for line in lines if (name := _function(line, "define ")) is not None}
    merged: list[str] = []
    for line in lines:
        key = _function(line, "declare ")
        if key is None and line.startswith(("attributes ", "target ", "@nnc.zeros")):
            key = line
        if key is not None:
            if key in present:
                continue
            present.add(key)
        merged.append(line)
    return "\n".join(merged)


def _function(line: str, keyword: str) -> str | None:
    """The name of the function that a line defines or declares."""
    if not line.startswith(keyword):
        return None
    found = _DEFINED.match(line)
    return found[1].replace('"', "") if found else None
