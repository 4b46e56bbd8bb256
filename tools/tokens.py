"""What the words of our text form are: the one list behind all colours.

Terminals (`terminal.py`), the page of a model (`page/`) and the documentation's site give each kind
a colour of their own. The first expression that matches at a place counts. They are understood by
Python and by JavaScript, and have no groups.
"""

from __future__ import annotations

TOKENS: tuple[tuple[str, str], ...] = (
    ("comment", r"//.*"),
    ("string", r'"(?:[^"\\\n]|\\.)*"'),
    ("value", r"%[\w$.-]+(?:#\d+)?"),
    ("symbol", r"[@^][\w$.-]+"),
    ("attribute", r"[!#][a-z][\w$.-]*"),
    ("type", r"\b(?:tensor|buffer|tile|memref|vector|index|[su]?i\d+|b?f\d+)\b"),
    ("keyword", r"\b(?:for|to|carry|sum|max|min|prod|parallel|vectorize|unroll|const|out)\b"),
    ("op", r"\b[a-z_]\w*\.[a-z_][\w.]*"),
    ("number", r"-?\b(?:0x[\da-fA-F]+|\d+(?:\.\d+)?(?:e[-+]?\d+)?)\b"),
    ("word", r"\w+"),
)
"""Kinds and expressions; `word` is what has no colour, so that nothing matches inside of it."""
