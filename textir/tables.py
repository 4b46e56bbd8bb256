"""The LALR tables of `grammar.lark`: the border to Lark, which makes them and does nothing else.

The driver (`driver.py`) runs over plain lists and dictionaries: one step a token, no tree. Lark
itself is imported only when a text is parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from operator import itemgetter
from typing import Any

Node = tuple[Any, ...]
"""A reduced piece of text: a tag, then its parts; a missing optional part is None."""
Action = Callable[[list[Any]], Any]


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


def _kept(rule: Any) -> list[int]:
    """Positions of the parts a node keeps; -1 stands for a missing optional one."""
    positions: list[int] = []
    symbols = iter(enumerate(rule.expansion))
    for is_missing in rule.options.empty_indices or [False] * len(rule.expansion):
        if is_missing:
            positions.append(-1)
            continue
        position, symbol = next(symbols)
        if not (symbol.is_term and symbol.filter_out):
            positions.append(position)
    return positions


def _node(tag: str, positions: list[int]) -> Action:
    """A tuple of `tag` and the parts at `positions`."""
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


def _action(rule: Any) -> Action:
    tag = rule.alias or rule.origin.name
    if tag in _LIST_ACTIONS:
        return _LIST_ACTIONS[tag]
    if tag == "pass" or (rule.options.expand1 and not rule.alias and len(_kept(rule)) == 1):
        last = _kept(rule)[-1]
        return lambda children: children[last]
    return _node(tag, _kept(rule))


def _op_literals(terminals: set[str]) -> dict[str, str]:
    """`func.func` for the terminal FUNC__FUNC: a structured op needs no other declaration."""
    return {
        name.lower().replace("__", "."): name
        for name in terminals
        if "__" in name and name[0] != "_"
    }


@lru_cache(maxsize=4)
def load(fragments: tuple[str, ...] = ()) -> Tables:
    """The tables of the grammar, extended by the rules that plug-ins registered.

    Args: fragments: Lark rules; each `?statement` alternative is named `x_<terminal>`.
    """
    from lark import Lark
    from lark.lexer import Lexer

    class NoLexer(Lexer):
        """Lark asks for a lexer class; the driver has its own lexer."""

        def __init__(self, lexer_conf: object):
            pass

        def lex(self, *args: object) -> Any:
            raise NotImplementedError

    source = files(__package__).joinpath("grammar.lark").read_text("utf-8")
    lark: Any = Lark(
        source + "".join(fragments), parser="lalr", lexer=NoLexer, maybe_placeholders=True
    )
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
    return Tables(
        rows,
        [Rule(len(rule.expansion), rule.origin.name, _action(rule)) for rule in rules],
        table.start_states["start"],
        table.end_states["start"],
        literals,
        {name: text for text, name in literals.items()},
    )
