"""Tokens, coarse where that is possible: what may come next, the parser's state says.

For each state of the automaton and each first character, `Lexer` knows which captures to try; what
none of them takes is a plain token. A word is a keyword only where the state accepts it as one, so
that axes may be called `mask` or `to`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from . import scan
from .errors import Malformed
from .tables import Tables

Token = tuple[str, str, int]
"""Terminal, text, where it ends."""
END = "$END"
Capture = Callable[[str, int], scan.Found]

_PLAIN = re.compile(
    r"""(?P<VAL>%(?:[0-9]+|[A-Za-z$._-][\w$.-]*)(?:\#[0-9]+)?)
      | (?P<word>[A-Za-z_][\w$]*(?:\.[\w$]+)*)
      | (?P<HEX>0x[0-9A-Fa-f]+)
      | (?P<FLOAT>[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?)
      | (?P<INT>[0-9]+)
      | (?P<STRING>"(?:[^"\\\n]|\\.)*")
      | (?P<SYMBOL>@(?:[A-Za-z_][\w$.]*|"(?:[^"\\\n]|\\.)*"))
      | (?P<BLOCK>\^[\w$.-]+)
      | (?P<arrow>->)
      | (?P<COMPARE>[=!<>]=|[<>])
      | (?P<SIGN>[+-])
      | (?P<FACTOR>[*/])
      | (?P<mark>[(){}\[\],:=])
    """,
    re.VERBOSE,
)
_FACTORS = frozenset({"floordiv", "ceildiv", "mod"})


def _found(pattern: re.Pattern[str]) -> Capture:
    def capture(text: str, position: int) -> scan.Found:
        found = pattern.match(text, position)
        return None if found is None else (found.end(), found.group())

    return capture


_ANY = "".join(map(chr, range(33, 127)))
_LETTERS = "".join(c for c in _ANY if c.isalpha()) + "_"
_CAPTURES: tuple[tuple[str, str, Capture], ...] = (
    ("RESULTS", "%", _found(scan.RESULTS)),
    ("OPEN_REGIONS", "(", _found(re.compile(r"\((?=\s*\{)"))),
    ("OPERANDS", "(", _found(scan.OPERANDS)),
    ("VALUES", "%", _found(scan.VALUES)),
    ("ATTRS", "{", scan.dictionary),
    ("PROPS", "<", scan.properties),
    ("SIGNATURE", ":", scan.signature),
    ("OUT", ":", _found(re.compile(r":\s*out\b"))),
    ("TYPES", ":", scan.types),
    ("TYPE", ":", scan.single_type),
    ("RETURNS", "-", scan.returns),
    ("LIST", "[", scan.bracketed),
    ("BARE_TYPE", _LETTERS + "(!", scan.bare_type),
    ("BARE_TYPES", _LETTERS + "(!", scan.bare_types),
    ("AFFINE_MAP", "a", scan.affine_map),
    ("LOC", "l", scan.location),
    ("VALUE", _ANY, scan.value),
    ("ARGUMENT", _ANY, scan.argument),
)
"""Terminal, the characters it may start with, how it is found; tried in this order."""

Captures = Mapping[str, tuple[tuple[str, Capture], ...]]


class Lexer:
    """Finds the next token of a text, given the row of the parser's state."""

    def __init__(self, tables: Tables):
        self._rows = tables.rows
        self._literals = tables.literals
        self._captures: list[Captures | None] = [None] * len(tables.rows)

    def captures(self, state: int) -> Captures:
        """What to try in a state, by first character."""
        known = self._captures[state]
        if known is None:
            known = self._captures[state] = self._find_captures(self._rows[state])
        return known

    def _find_captures(self, row: Mapping[str, int]) -> Captures:
        tried: dict[str, list[tuple[str, Capture]]] = {}
        for terminal, starts, capture in _CAPTURES:
            if terminal not in row:
                continue
            if terminal == "ATTRS" and "LBRACE" in row and "SIGNATURE" not in row:
                capture = scan.dictionary_before_region
            for start in starts:
                tried.setdefault(start, []).append((terminal, capture))
        return {start: tuple(captures) for start, captures in tried.items()}

    def token(self, text: str, position: int, state: int) -> Token:
        """The token at `position`, which is neither space nor the end.

        Raises: Malformed: an unknown character, an unterminated string, brackets that do not fit.
        """
        for terminal, capture in self.captures(state).get(text[position], ()):
            found = capture(text, position)
            if found is not None:
                return terminal, found[1], found[0]
        return self._plain(text, position, self._rows[state])

    def _plain(self, text: str, position: int, row: Mapping[str, int]) -> Token:
        """A token that no capture takes."""
        found = _PLAIN.match(text, position)
        if found is None:
            if text[position] == '"':
                raise Malformed(position, "the string is not terminated")
            raise Malformed(position, f"unexpected character {text[position]!r}")
        kind = found.lastgroup
        word = found.group()
        if kind == "word":
            return self._word(word, row), word, found.end()
        if kind in ("mark", "arrow"):
            kind = self._literals.get(word, word)
        assert kind is not None
        return kind, word, found.end()

    def _word(self, word: str, row: Mapping[str, int]) -> str:
        terminal = self._literals.get(word)
        if terminal is not None and terminal in row:
            return terminal
        if word in _FACTORS and "FACTOR" in row:
            return "FACTOR"
        return "OPNAME" if "." in word and "OPNAME" in row else "IDENT"
