"""The LALR tables of `grammar.lark`: the border to Lark, which makes them and does nothing else.

The driver (`driver.py`) runs over plain lists and dictionaries: one step a token, no tree. Tables
are kept in the user's cache, by the content of the grammar, so that Lark (0.15 s to import, 0.6 s
to analyse) is needed once a grammar and not once a process.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from operator import itemgetter
from pathlib import Path
from typing import Any

Node = tuple[Any, ...]
"""A reduced piece of text: a tag, then its parts; a missing optional part is None."""
Action = Callable[[list[Any]], Any]
_FORMAT = 1
"""Changes when the file in the cache does."""


@dataclass(frozen=True)
class Rule:
    """One production: how many values it takes, what they become, and its name."""

    size: int
    origin: str
    action: Action


@dataclass(frozen=True, eq=False)
class Tables:
    """An LALR(1) automaton.

    Attributes:
        rows: for each state, terminal -> shift to a state (>= 0) or reduce a rule (-1 - rule);
            and nonterminal -> the state after it.
        literals: the spelling of a keyword, a punctuation mark or a structured op -> its terminal.
        spellings: the other way round, for messages.
    """

    rows: Sequence[Mapping[str, int]]
    rules: Sequence[Rule]
    start: int
    end: int
    literals: Mapping[str, str]
    spellings: Mapping[str, str]


# --- what a rule makes of its parts


def _append(children: list[Any]) -> list[Any]:
    items: list[Any] = children[0]
    items.append(children[-1])
    return items


def _empty(children: list[Any]) -> list[Any]:
    return []


def _single(children: list[Any]) -> list[Any]:
    return [children[0]]


def _nothing(children: list[Any]) -> None:
    return None


_LIST_ACTIONS: dict[str, Action] = {
    "append": _append,
    "empty": _empty,
    "single": _single,
    "nothing": _nothing,
}


def _action(tag: str, positions: Sequence[int]) -> Action:
    """From a rule's name and the positions it keeps; -1 stands for a missing optional part."""
    if tag in _LIST_ACTIONS:
        return _LIST_ACTIONS[tag]
    if tag == "pass":
        last = positions[-1]
        return lambda children: children[last]
    if not positions:
        node = (tag,)
        return lambda children: node
    if len(positions) == 1:
        (only,) = positions
        return lambda children: (tag, children[only] if only >= 0 else None)
    get = itemgetter(*positions)
    tagged = (tag,)

    def build(children: list[Any]) -> Node:
        children.append(None)
        return tagged + get(children)

    return build


# --- from Lark


def _kept(rule: Any) -> list[int]:
    positions: list[int] = []
    expansion: list[Any] = list(rule.expansion)
    symbols = iter(enumerate(expansion))
    for is_missing in rule.options.empty_indices or [False] * len(rule.expansion):
        if is_missing:
            positions.append(-1)
            continue
        position, symbol = next(symbols)
        if not (symbol.is_term and symbol.filter_out):
            positions.append(position)
    return positions


def _op_literals(terminals: set[str]) -> dict[str, str]:
    """`func.func` for the terminal FUNC__FUNC: a structured op needs no other declaration."""
    ops = (name for name in terminals if "__" in name and name[0] != "_")
    return {name.lower().replace("__", "."): name for name in ops}


def _analyse(grammar: str) -> dict[str, Any]:
    """The tables as data."""
    from lark import Lark
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        """Lark asks for a lexer class; the driver has its own lexer."""

        def __init__(self, lexer_conf: object):
            pass

        def lex(self, lexer_state: object, parser_state: object) -> Any:
            raise NotImplementedError

    lark: Any = Lark(grammar, parser="lalr", lexer=NoLexer, maybe_placeholders=True)
    table = lark.parser.parser._parse_table
    rules: dict[Any, int] = {}
    rows: list[dict[str, int]] = [{} for _ in table.states]
    for state, row in table.states.items():
        for symbol, (action, target) in row.items():
            if action.name == "Shift":
                rows[state][symbol] = target
            else:
                rows[state][symbol] = -1 - rules.setdefault(target, len(rules))
    literals = {t.pattern.value: t.name for t in lark.terminals if t.pattern is not None}
    literals |= _op_literals({symbol for row in rows for symbol in row if symbol.isupper()})
    return {
        "rows": rows,
        "rules": [_rule_data(rule) for rule in rules],
        "start": table.start_states["start"],
        "end": table.end_states["start"],
        "literals": literals,
    }


def _rule_data(rule: Any) -> list[Any]:
    tag: str = rule.alias or rule.origin.name
    positions = _kept(rule)
    if rule.options.expand1 and not rule.alias and len(positions) == 1:
        tag = "pass"
    return [len(rule.expansion), str(rule.origin.name), str(tag), positions]


# --- and from the cache


def _cached(grammar: str) -> dict[str, Any]:
    from importlib.metadata import version

    from platformdirs import user_cache_path

    key = sha256(f"{_FORMAT} {version('lark')} {grammar}".encode()).hexdigest()
    path = user_cache_path("nnc") / "grammar" / f"{key[:32]}.json"
    with suppress(OSError, ValueError):
        return json.loads(path.read_text("utf-8"))
    data = _analyse(grammar)
    with suppress(OSError):
        _replace(path, json.dumps(data))
    return data


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all: other processes may read it."""
    from os import getpid

    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{getpid()}")
    partial.write_text(text, "utf-8")
    partial.replace(path)


@lru_cache(maxsize=8)
def load(fragments: tuple[str, ...] = ()) -> Tables:
    """The tables of the grammar, extended by the rules that plug-ins registered."""
    source = files("nnc.textir").joinpath("grammar.lark").read_text("utf-8")
    data = _cached(source + "".join(fragments))
    return Tables(
        data["rows"],
        [Rule(size, origin, _action(tag, kept)) for size, origin, tag, kept in data["rules"]],
        data["start"],
        data["end"],
        data["literals"],
        {name: text for text, name in data["literals"].items()},
    )
