"""Networks written in Python, in NNVM's manner: symbols composed by operators of NNVM's names.

    import nnc.symbol as sym
    x = sym.Variable("x")
    y = sym.softmax(sym.dense(sym.relu(x), units=10))    # dense0_weight, dense0_bias are made
    g = nnc.graph.create(y)

Every operator in `sym.operators()` is a function `sym.<name>(*symbols, name=None, **attributes)`;
what it does is said once, as graph operators, by the function of its name in `basic`, `neural`,
`elementwise`, `shaping` and `reductions`. Operators of users are there too (`registered`), but for
names that NNVM has.
"""

from __future__ import annotations

from collections.abc import Callable

from ...core.errors import did_you_mean
from .emit import module_of
from .operators import Operator, compose, find, operators
from .symbol import Group, NameManager, Prefix, Symbol, Variable


def __getattr__(name: str) -> Callable[..., Symbol]:
    """The function that applies an operator."""
    found = find(name)
    if found is None:
        words = (f"nnc.symbol has no operator '{name}'", did_you_mean(name, operators()))
        raise AttributeError("; ".join(filter(None, words)))
    return _function(found)


def __dir__() -> list[str]:
    return sorted([*__all__, *operators()])


def _function(operator: Operator) -> Callable[..., Symbol]:
    def apply(*inputs: Symbol, name: str | None = None, **attributes: object) -> Symbol:
        return compose(operator, inputs, name, attributes)

    apply.__name__ = apply.__qualname__ = operator.name
    apply.__doc__ = operator.document
    return apply


__all__ = [
    "Group",
    "NameManager",
    "Prefix",
    "Symbol",
    "Variable",
    "module_of",
    "operators",
]
