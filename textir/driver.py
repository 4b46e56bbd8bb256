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
from .lexer import END, Lexer
from .recovery import Problems, Stack
from .tables import Tables

MAX_REGIONS = 1000
"""How deep regions may nest."""

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
    END: "the end of the text",
}
_LATE = frozenset({"SIGNATURE", "TYPES", "TYPE", "RETURNS"})
"""Tokens whose text begins behind their mark."""
_RARE = {"LOC", "AFFINE_MAP", "HEX", "OPEN_REGIONS", "PROPS", "UNDERSCORE", "OUT"}


@lru_cache(maxsize=4)
def lexer_of(tables: Tables) -> Lexer:
    """The lexer of these tables."""
    return Lexer(tables)


def parse(text: str, tables: Tables, problems: Problems | None = None) -> list[Any]:
    """The top-level ops of a text, as nodes.

    Args:
        text: all of it.
        tables: of the grammar.
        problems: where errors go; what could not be read becomes a `failed` node.

    Raises: Malformed: the first place that does not fit the grammar, where `problems` is None.
    """
    stack = Stack(text, tables)
    while True:
        try:
            return _run(stack)
        except Malformed as error:
            is_end = stack.position >= len(text)
            if is_end:
                error.hint = stack.unclosed()
            elif (label := stack.loose_label()) is not None:
                error.position = label
                error.message = "expected '[' before the blocks to go on in"
                error.hint = "as in cf.br(%x) [^bb1]; upstream's own syntax is read with -f mlir"
            elif error.position == stack.position and stack.is_cut_off():
                error.position = stack.last_end
            if problems is None:
                raise
            is_told = not (stack.is_unsure and (is_end or text.startswith("}", stack.position)))
            is_kept = is_told and problems.add(error)
            if is_end:
                return stack.close()
            stack.recover(error if is_kept else None)


def _run(stack: Stack) -> list[Any]:
    """Go on to the end of the text, or to the first error: `stack` stands before it then."""
    text, tables, states, values = stack.text, stack.tables, stack.states, stack.values
    rows = tables.rows
    rules = [(rule.size, rule.origin, rule.action) for rule in tables.rules]
    next_token = lexer_of(tables).token
    end_of_space = scan.SPACE.match
    position, depth = stack.position, stack.depth
    start = position
    length = len(text)
    try:
        while True:
            state = states[-1]
            row = rows[state]
            space = end_of_space(text, position)
            assert space is not None
            start = space.end()
            if start < length:
                kind, content, end = next_token(text, start, state)
            else:
                kind, content, end = END, "", start
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
                if kind == END and state == tables.end:
                    return values[-1]
                raise _unexpected(kind, content, start, row, tables)
            if kind == "LBRACE":
                depth += 1
                if depth > MAX_REGIONS:
                    raise Malformed(start, f"regions nest deeper than {MAX_REGIONS}")
            elif kind == "RBRACE":
                depth -= 1
            states.append(target)
            values.append((end - len(content) if kind in _LATE else start, content))
            position = end
    finally:
        stack.position, stack.last_end = start, position


def _unexpected(
    kind: str, content: str, position: int, row: Mapping[str, int], tables: Tables
) -> Malformed:
    names = [name for name in row if name[0] in "$_" or name.isupper()]
    if len(names) > len(_RARE) + 3:
        names = [name for name in names if name not in _RARE]
    expected = sorted({_describe(name, tables) for name in names})
    if len(expected) > 8:
        expected = [*expected[:7], "..."]
    if kind == END:
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
