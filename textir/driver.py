"""The LALR automaton at work: text in, light tuples out, iteratively.

Values and ops come later (`builder.py`), from the outside in: an LALR parser finishes a region
before the op that holds it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from . import scan
from .errors import Malformed
from .lexer import Lexer, Token
from .tables import Tables

MAX_REGIONS = 1000
"""How deep regions may nest."""

_END = "$END"
_WORDS = {
    "RESULTS": "'%name ='",
    "STRING": "a string",
    "OPERANDS": "operands '(%a, %b)'",
    "VALUES": "'%name'",
    "PROPS": "properties '<{...}>'",
    "ATTRS": "attributes '{...}'",
    "SIGNATURE": "':' and the types '(...) -> ...'",
    "OPNAME": "an op",
    "SYMBOL": "'@name'",
    "TYPES": "':' and types",
    "TYPE": "':' and a type",
    "BARE_TYPE": "a type",
    "BARE_TYPES": "types",
    "RETURNS": "'->' and types",
    "VAL": "'%name'",
    "BLOCK": "'^block'",
    "OPEN_REGIONS": "regions '({...})'",
    "LOC": "'loc(...)'",
    "OUT": "':' and 'out'",
    "IDENT": "a name",
    "INT": "an integer",
    "FLOAT": "a number",
    "HEX": "a number",
    "LIST": "a list '[...]'",
    "VALUE": "a value",
    "ARGUMENT": "an argument",
    "AFFINE_MAP": "'affine_map<...>'",
    "COMPARE": "a comparison",
    "SIGN": "'+' or '-'",
    "FACTOR": "'*' or '/'",
    _END: "the end of the text",
}
_LATE = frozenset({"SIGNATURE", "TYPES", "TYPE", "RETURNS"})
"""Tokens whose text begins behind their mark."""
_RARE = {"LOC", "AFFINE_MAP", "HEX", "OPEN_REGIONS", "PROPS", "UNDERSCORE", "OUT"}


@lru_cache(maxsize=4)
def lexer_of(tables: Tables) -> Lexer:
    """The lexer of these tables."""
    return Lexer(tables)


def parse(text: str, tables: Tables) -> list[Any]:
    """The top-level ops of a text, as nodes.

    Raises: Malformed: the first place that does not fit the grammar.
    """
    rows = tables.rows
    rules = [(rule.size, rule.origin, rule.action) for rule in tables.rules]
    lexer = lexer_of(tables)
    captures = lexer.captures
    end_of_space = scan.SPACE.match
    states = [tables.start]
    values: list[Any] = []
    position = depth = 0
    length = len(text)
    while True:
        state = states[-1]
        row = rows[state]
        found = end_of_space(text, position)
        position = found.end()  # it always matches
        kind = _END
        content = ""
        end = position
        if position < length:
            for terminal, capture in captures(state).get(text[position], ()):
                found = capture(text, position)
                if found is not None:
                    kind = terminal
                    end, content = found
                    break
            else:
                kind, _, content = lexer.plain(text, position, row)
                end = position + len(content)
        while (target := row.get(kind)) is not None and target < 0:
            size, origin, action = rules[-1 - target]
            if size:
                children = values[-size:]
                del values[-size:], states[-size:]
            else:
                children = []
            values.append(action(children))
            state = rows[states[-1]][origin]
            states.append(state)
            row = rows[state]
        if target is None:
            if kind == _END and state == tables.end:
                return values[-1]
            raise _unexpected(text, (kind, position, content), row, tables)
        if kind == "LBRACE":
            depth += 1
            if depth > MAX_REGIONS:
                raise Malformed(position, f"regions nest deeper than {MAX_REGIONS}")
        elif kind == "RBRACE":
            depth -= 1
        states.append(target)
        values.append((end - len(content) if kind in _LATE else position, content))
        position = end


def _unexpected(text: str, token: Token, row: Mapping[str, int], tables: Tables) -> Malformed:
    kind, position, content = token
    names = [name for name in row if name[0] in "$_" or name.isupper()]
    if len(names) > len(_RARE) + 3:
        names = [name for name in names if name not in _RARE]
    expected = sorted({_describe(name, tables) for name in names})
    if len(expected) > 8:
        expected = [*expected[:7], "..."]
    if kind == _END:
        got = "the end of the text"
    else:
        got = f"'{content if len(content) < 40 else content[:37] + '...'}'"
    return Malformed(position, f"expected {' or '.join(expected)}, got {got}")


def _describe(terminal: str, tables: Tables) -> str:
    if terminal in _WORDS:
        return _WORDS[terminal]
    if "__" in terminal[1:] and not terminal.startswith("_"):
        return _WORDS["OPNAME"]
    return f"'{tables.spellings.get(terminal, terminal)}'"
