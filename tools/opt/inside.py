"""Whether a pass stays inside the op it runs on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation

from ...core.errors import PassError
from ...core.locations import describe
from ...core.walk import children, walk

State = tuple[Any, ...]


class Fence:
    """The ops of a step, and a memory of what lies outside and in each of them.

    Attributes and values compare by identity first, so a comparison costs a walk. A pass may
    change what is inside its op and the op's attributes; not its operands, the types of its
    results, its symbol or its place, which belong to what is around it.
    """

    def __init__(self, pass_name: str, root: Operation, scopes: Sequence[Operation]):
        self.pass_name = pass_name
        self.root = root
        self.scopes = dict.fromkeys(scopes)
        self._outside = dict(self._around())
        self._inside = {scope: _states(scope) for scope in scopes}
        self._at: Operation | None = None

    def enter(self, scope: Operation) -> None:
        """The pass is about to run on `scope`.

        Raises: PassError: it has changed `scope` already, from another op.
        """
        self._expect(self._inside[scope], _states(scope))
        self._at = scope

    def leave(self, scope: Operation) -> None:
        """The pass has run on `scope`."""
        self._inside[scope] = _states(scope)

    def close(self) -> None:
        """The pass has run on all.

        Raises: PassError: something outside has changed, or one op from another.
        """
        self._expect(self._outside, dict(self._around()))
        for scope, states in self._inside.items():
            self._expect(states, _states(scope))

    def _around(self) -> Iterator[tuple[Operation, State]]:
        stack = [self.root]
        while stack:
            op = stack.pop()
            if op in self.scopes:
                symbol = op.properties.get("sym_name", op.attributes.get("sym_name"))
                yield op, (op.parent, symbol, tuple(op.operands), tuple(op.result_types))
            else:
                yield op, _state(op)
                stack.extend(reversed(children(op)))

    def _expect(self, before: dict[Operation, State], now: dict[Operation, State]) -> None:
        if before == now:
            return
        touched = next((op for op in before if op not in now or now[op] != before[op]), None)
        culprit = touched if touched is not None else next(op for op in now if op not in before)
        ran_on = "the ops it ran on" if self._at is None else f"the {named(self._at)} it ran on"
        raise PassError(
            f"pass '{self.pass_name}' changed {named(culprit)}, which is outside {ran_on}",
            where=describe(culprit),
            hint="it may change what is in its op alone; a pass on builtin.module may change all",
        )


def named(op: Operation) -> str:
    """An op by its name and, if it has one, its symbol: `func.func @main`."""
    symbol = op.properties.get("sym_name", op.attributes.get("sym_name"))
    return f"{op.name} @{symbol.data}" if isinstance(symbol, StringAttr) else op.name


def _states(scope: Operation) -> dict[Operation, State]:
    return {op: _state(op) for op in walk(scope)}


def _state(op: Operation) -> State:
    """All that a pass could change of an op but what is in its ops."""
    regions = tuple(
        tuple((block, tuple(block.arg_types), tuple(block.ops)) for block in region.blocks)
        for region in op.regions
    )
    return (
        *(tuple(op.operands), tuple(op.result_types), tuple(op.successors)),
        *(dict(op.properties), dict(op.attributes), regions),
    )
