"""What an operator of the symbol API is, their table, and their application.

An operator is one Python function of the emitter: its positional parameters are its inputs, its
keyword parameters its attributes with NNVM's names and defaults.

    @operator(parameters=("weight", "bias"))
    def dense(emit: Emitter, data: Value, weight: Value, bias: Value, *, units: int) -> Value: ...
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from typing import Any, TypeVar

from ...core.errors import ModelError, did_you_mean
from .symbol import Entry, NameManager, Node, Symbol, as_symbol

F = TypeVar("F", bound=Callable[..., Any])
Dims = tuple[int | None, ...]
ParameterShapes = Callable[[Mapping[str, Any]], Mapping[str, Dims]]

_ROOMS = ("basic", "neural", "elementwise", "shaping", "reductions")
_MARK = "_symbol_operators"


@dataclass(frozen=True)
class Operator:
    """An operator by NNVM's name.

    Args:
        name: `conv2d`.
        lower: emits its graph operators.
        parameters: inputs that are made as variables, `<node>_weight`, where they are not given.
        switches: input -> the boolean attribute that removes it: bias -> use_bias.
        shapes: what the attributes say of its parameters' shapes.
        outputs: how many outputs, from the attributes.
        optional: inputs that may be left out.
    """

    name: str
    lower: Callable[..., Any]
    parameters: tuple[str, ...] = ()
    switches: Mapping[str, str] | None = None
    shapes: ParameterShapes | None = None
    outputs: Callable[[Mapping[str, Any]], int] | None = None
    optional: tuple[str, ...] = ()

    @cached_property
    def _signature(self) -> list[inspect.Parameter]:
        return list(inspect.signature(self.lower).parameters.values())[1:]

    @cached_property
    def input_names(self) -> list[str]:
        """Names of its inputs; of a variadic one just that of the list."""
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return [parameter.name for parameter in self._signature if parameter.kind in kinds]

    @cached_property
    def is_variadic(self) -> bool:
        """Whether it takes any number of inputs."""
        return any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in self._signature)

    @cached_property
    def attributes(self) -> dict[str, inspect.Parameter]:
        """Its attributes."""
        return {p.name: p for p in self._signature if p.kind is inspect.Parameter.KEYWORD_ONLY}

    @property
    def document(self) -> str:
        """For `help(sym.conv2d)`."""
        attributes = [str(each).replace("'", "") for each in self.attributes.values()]
        head = f"{self.name}({', '.join([*self.input_names, *attributes])})"
        return f"{head}\n\n{inspect.getdoc(self.lower) or ''}"

    def used_inputs(self, attributes: Mapping[str, Any]) -> list[str]:
        """The inputs it has with these attributes."""
        switches = self.switches or {}
        return [n for n in self.input_names if n not in switches or attributes[switches[n]]]


def operator(
    name: str | None = None,
    *,
    aliases: Sequence[str] = (),
    parameters: tuple[str, ...] = (),
    switches: Mapping[str, str] | None = None,
    shapes: ParameterShapes | None = None,
    outputs: Callable[[Mapping[str, Any]], int] | None = None,
) -> Callable[[F], F]:
    """Mark a function as the meaning of the operator of its name (or of `name`)."""

    def mark(function: F) -> F:
        own = name or function.__name__.rstrip("_")
        made = [
            Operator(each, function, parameters, switches, shapes, outputs)
            for each in (own, *aliases)
        ]
        setattr(function, _MARK, [*getattr(function, _MARK, []), *made])
        return function

    return mark


def operators() -> Mapping[str, Operator]:
    """All operators by name: those of NNVM's names, and those that users have registered."""
    from .registered import registered  # it makes operators

    return {**registered(), **_own_operators()}


def find(name: str) -> Operator | None:
    """The operator of a name; nobody's plug-ins are loaded for one of our own."""
    from .registered import registered

    found = _own_operators().get(name)
    if found is None and not name.startswith("__"):  # Python asks modules for such names
        found = registered().get(name)
    return found


@cache
def _own_operators() -> Mapping[str, Operator]:
    table: dict[str, Operator] = {}
    for room in _ROOMS:
        module = import_module(f".{room}", __package__)
        for function in vars(module).values():
            made: list[Operator] = getattr(function, _MARK, [])
            table.update({each.name: each for each in made})
        table.update(getattr(module, "TABLE", {}))
    return table


def compose(
    operator: Operator,
    inputs: Sequence[Symbol],
    name: str | None,
    attributes: Mapping[str, Any],
) -> Symbol:
    """The operator applied; inputs may also stand among the attributes, by name.

    Raises: ModelError: wrong inputs or attributes.
    """
    by_name = {
        key: value
        for key, value in attributes.items()
        if isinstance(value, Symbol) and key in operator.input_names
    }
    own_name = NameManager.current().get(name, operator.name)
    where = f"operator '{own_name}'"
    rest = {key: value for key, value in attributes.items() if key not in by_name}
    values = _attributes(operator, rest, where)
    inputs = [as_symbol(each, where) for each in inputs]
    if operator.is_variadic:
        names: tuple[str, ...] = ()
        entries = [entry for symbol in inputs for entry in symbol.entries]
    else:
        bound = _bind(operator, [s.entry for s in inputs], by_name, values, own_name, where)
        names, entries = tuple(bound), list(bound.values())
    count = operator.outputs(values) if operator.outputs else 1
    node = Node(own_name, operator, tuple(entries), values, count, names)
    return Symbol([Entry(node, at) for at in range(count)])


def _bind(
    operator: Operator,
    given: Sequence[Entry],
    by_name: Mapping[str, Symbol],
    attributes: Mapping[str, Any],
    own_name: str,
    where: str,
) -> dict[str, Entry]:
    names = operator.used_inputs(attributes)
    if len(given) > len(names):
        raise ModelError(
            f"{operator.name} takes {len(names)} inputs ({', '.join(names)}), got {len(given)}",
            where=where,
        )
    entries = dict(zip(names, given, strict=False))
    for name, symbol in by_name.items():
        if name in entries:
            raise ModelError(f"{operator.name}'s input '{name}' is given twice", where=where)
        entries[name] = symbol.entry
    for name in names:
        if name in entries or name in operator.optional:
            continue
        if name not in operator.parameters:
            raise ModelError(f"{operator.name} lacks its input '{name}'", where=where)
        entries[name] = Entry(Node(f"{own_name}_{name}"))
    return {name: entries[name] for name in names if name in entries}


def _attributes(operator: Operator, given: Mapping[str, Any], where: str) -> dict[str, Any]:
    for key in given:
        if key not in operator.attributes:
            known = operator.attributes
            hint = did_you_mean(key, known) or f"it has {', '.join(known) or 'none'}"
            raise ModelError(f"{operator.name} has no attribute '{key}'", where=where, hint=hint)
    values: dict[str, Any] = {}
    for key, parameter in operator.attributes.items():
        if key in given:
            values[key] = _coerce(given[key], str(parameter.annotation), f"{where}, '{key}'")
        elif parameter.default is inspect.Parameter.empty:
            raise ModelError(f"{operator.name} needs the attribute '{key}'", where=where)
        else:
            values[key] = parameter.default
    return values


def _coerce(value: Any, annotation: str, where: str) -> Any:
    """The value as its annotation says; NNVM's way of giving all as strings works too."""
    if isinstance(value, str) and "str" not in annotation:
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise ModelError(f"expected {annotation}, got {value!r}", where=where) from None
    if annotation.startswith("tuple"):
        try:
            value = (value,) if isinstance(value, int) else tuple(value)
        except TypeError:
            raise ModelError(f"expected {annotation}, got {value!r}", where=where) from None
    checked = _KINDS.get(annotation)
    if checked is not None and not isinstance(value, checked):
        raise ModelError(f"expected {annotation}, got {value!r}", where=where)
    return value


_KINDS: dict[str, type | tuple[type, ...]] = {
    "int": int,
    "float": (int, float),
    "bool": (bool, int),
    "str": str,
}
