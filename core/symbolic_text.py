"""Reads symbolic extents: "2 * seq + 1", "(seq + 7) floordiv 8", "max(a, b)"."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from .errors import TextError
from .symbolic import BUILD, KEYWORDS, Dim, ceildiv, floordiv, mod, symbol

_TOKEN = re.compile(r"\s*(\d+|//|[-+*(),]|[A-Za-z_][\w.$]*|'(?:[^'\\]|\\.)*')")


@lru_cache(maxsize=4096)
def parse_dim(text: str) -> Dim:
    """The extent that `str` prints; also `ceildiv`, `mod` and `//`.

    Raises: TextError: not an expression of this form.
    """
    tokens: list[str] = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise TextError(f"unexpected '{text[position:].strip()[0]}' in the extent '{text}'")
        tokens.append(match.group(1))
        position = match.end()
    parser = _Parser(text, tokens)
    dim = parser.sum()
    if parser.tokens:
        raise parser.error("the end")
    return dim


class _Parser:
    """Recursive descent over the tokens, taken from the end of the reversed list."""

    def __init__(self, text: str, tokens: list[str]):
        self.text = text
        self.tokens = tokens[::-1]

    def error(self, expected: str) -> TextError:
        got = f"'{self.tokens[-1]}'" if self.tokens else "the end"
        return TextError(f"expected {expected}, got {got} in the extent '{self.text}'")

    def take(self, *choices: str) -> str | None:
        if self.tokens and self.tokens[-1] in choices:
            return self.tokens.pop()
        return None

    def need(self, token: str) -> None:
        if self.take(token) is None:
            raise self.error(f"'{token}'")

    def sum(self) -> Dim:
        total = self.term()
        while sign := self.take("+", "-"):
            term = self.term()
            total = total + term if sign == "+" else total - term
        return total

    def term(self) -> Dim:
        value = self.factor()
        while operator := self.take("*", "floordiv", "//", "ceildiv", "mod"):
            value = _OPERATORS[operator](value, self.factor())
        return value

    def factor(self) -> Dim:
        if self.take("-"):
            return 0 - self.factor()
        if self.take("("):
            inner = self.sum()
            self.need(")")
            return inner
        if extremum := self.take("max", "min"):
            return self.extremum(extremum)
        if not self.tokens or not re.match(r"[\w']", self.tokens[-1]):
            raise self.error("a number, a name or '('")
        if self.tokens[-1] in KEYWORDS:
            raise self.error("a number, a name or '('")
        token = self.tokens.pop()
        if token.isdigit():
            return int(token)
        return symbol(re.sub(r"\\(.)", r"\1", token[1:-1]) if token[0] == "'" else token)

    def extremum(self, kind: str) -> Dim:
        self.need("(")
        args = [self.sum()]
        while self.take(","):
            args.append(self.sum())
        self.need(")")
        return BUILD[kind](*args)


_OPERATORS: dict[str, Callable[[Dim, Dim], Dim]] = {
    "*": lambda lhs, rhs: lhs * rhs,
    "floordiv": floordiv,
    "//": floordiv,
    "ceildiv": ceildiv,
    "mod": mod,
}
