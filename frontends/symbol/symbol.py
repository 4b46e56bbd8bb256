"""Symbols: outputs of operators that have been applied to other symbols, nothing computed yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from ...core.errors import ModelError

if TYPE_CHECKING:
    import numpy as np

    from .operators import Operator

Attributes = Mapping[str, Any]


@dataclass(eq=False)
class Node:
    """An operator applied to symbols, or a variable (`operator` is None).

    Attributes:
        input_names: what the operator calls its inputs; empty if it takes any number.
    """

    name: str
    operator: Operator | None = None
    inputs: tuple[Entry, ...] = ()
    attributes: dict[str, Any] = field(default_factory=dict[str, Any])
    num_outputs: int = 1
    input_names: tuple[str, ...] = ()

    @property
    def output_names(self) -> list[str]:
        """Names of its outputs: a variable is called by its name."""
        if self.operator is None:
            return [self.name]
        if self.num_outputs == 1:
            return [f"{self.name}_output"]
        return [f"{self.name}_output{at}" for at in range(self.num_outputs)]


@dataclass(frozen=True)
class Entry:
    """One output of a node."""

    node: Node
    index: int = 0


class NameManager:
    """Names for operators that get none: `dense0`, `dense1`, ... `with NameManager():` restarts."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._tokens: list[Token[NameManager]] = []

    def get(self, name: str | None, operator: str) -> str:
        """`name`, or a new one for this operator."""
        if name is not None:
            return name
        self._counts[operator] += 1
        return f"{operator}{self._counts[operator] - 1}"

    def __enter__(self) -> Self:
        self._tokens.append(_names.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _names.reset(self._tokens.pop())

    @staticmethod
    def current() -> NameManager:
        """The one in use."""
        return _names.get()


class Prefix(NameManager):
    """Puts a prefix before all names: `with Prefix("encoder_"):`."""

    def __init__(self, prefix: str):
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, operator: str) -> str:
        return self._prefix + super().get(name, operator)


_names: ContextVar[NameManager] = ContextVar("names", default=NameManager())  # noqa: B039


class Symbol:
    """One or more outputs, composed further by operators, `+ - * / ** << >>` and `-x`."""

    def __init__(self, entries: Sequence[Entry]):
        self.entries = tuple(entries)

    @property
    def entry(self) -> Entry:
        """The output, of a symbol that has just one.

        Raises: ModelError: it has several.
        """
        if len(self.entries) != 1:
            raise ModelError(
                f"expected a symbol with one output, got {len(self.entries)}: "
                f"{', '.join(self.list_output_names())}",
                hint="take one: symbol[0]",
            )
        return self.entries[0]

    @property
    def name(self) -> str:
        """The name of its operator or variable."""
        return self.entry.node.name

    def __getitem__(self, index: int | str) -> Symbol:
        if isinstance(index, str):
            names = self.list_output_names()
            if index not in names:
                raise ModelError(f"no output '{index}' among {', '.join(names)}")
            index = names.index(index)
        return Symbol([self.entries[index]])

    def __iter__(self) -> Iterator[Symbol]:
        return (Symbol([entry]) for entry in self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def nodes(self) -> list[Node]:
        """All nodes it is made of, each after its inputs."""
        order: dict[Node, None] = {}
        stack = [(entry.node, False) for entry in reversed(self.entries)]
        while stack:
            node, is_ready = stack.pop()
            if is_ready:
                order[node] = None
            elif node not in order:
                stack.append((node, True))
                stack += [(entry.node, False) for entry in reversed(node.inputs)]
        return list(order)

    def list_input_variables(self) -> list[Symbol]:
        """The variables it depends on, in the order of use."""
        return [Symbol([Entry(node)]) for node in self.nodes() if node.operator is None]

    def list_input_names(self) -> list[str]:
        """Names of the variables it depends on."""
        return [variable.name for variable in self.list_input_variables()]

    def list_output_names(self) -> list[str]:
        """Names of its outputs: `dense0_output`."""
        return [entry.node.output_names[entry.index] for entry in self.entries]

    def get_internals(self) -> Symbol:
        """All outputs of all its nodes."""
        return Symbol([Entry(node, at) for node in self.nodes() for at in range(node.num_outputs)])

    def get_children(self) -> Symbol | None:
        """The direct inputs, `None` for a variable."""
        inputs = [each for entry in self.entries for each in entry.node.inputs]
        return Symbol(inputs) if inputs else None

    def attr(self, key: str) -> Any:
        """An attribute of its operator or variable, `None` if it has none of that name."""
        return self.entry.node.attributes.get(key)

    def list_attr(self, recursive: bool = False) -> dict[str, Any]:
        """Its attributes; with `recursive` those of all nodes, as `node$attribute`."""
        if not recursive:
            return dict(self.entry.node.attributes)
        return {
            f"{node.name}${key}": value
            for node in self.nodes()
            for key, value in node.attributes.items()
        }

    def debug_str(self) -> str:
        """A line for each node."""
        lines = [
            f"{node.name} = "
            f"{node.operator.name if node.operator else 'Variable'}"
            f"({', '.join(entry.node.name for entry in node.inputs)}) {node.attributes}"
            for node in self.nodes()
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Symbol {', '.join(self.list_output_names())}>"

    def _binary(self, name: str, other: Symbol | float, *, swapped: bool = False) -> Symbol:
        from .operators import compose, operators  # they are made of symbols

        if isinstance(other, Symbol):
            pair = (other, self) if swapped else (self, other)
            return compose(operators()[f"broadcast_{_BROADCAST[name]}"], pair, None, {})
        kind = f"__r{name}_scalar__" if swapped else f"__{name}_scalar__"
        return compose(operators()[kind], (self,), None, {"scalar": other})

    def __add__(self, other: Symbol | float) -> Symbol:
        return self._binary("add", other)

    def __radd__(self, other: float) -> Symbol:
        return self._binary("add", other)

    def __sub__(self, other: Symbol | float) -> Symbol:
        return self._binary("sub", other)

    def __rsub__(self, other: float) -> Symbol:
        return self._binary("sub", other, swapped=True)

    def __mul__(self, other: Symbol | float) -> Symbol:
        return self._binary("mul", other)

    def __rmul__(self, other: float) -> Symbol:
        return self._binary("mul", other)

    def __truediv__(self, other: Symbol | float) -> Symbol:
        return self._binary("div", other)

    def __rtruediv__(self, other: float) -> Symbol:
        return self._binary("div", other, swapped=True)

    def __pow__(self, other: Symbol | float) -> Symbol:
        return self._binary("pow", other)

    def __rpow__(self, other: float) -> Symbol:
        return self._binary("pow", other, swapped=True)

    def __lshift__(self, other: Symbol | int) -> Symbol:
        return self._binary("lshift", other)

    def __rshift__(self, other: Symbol | int) -> Symbol:
        return self._binary("rshift", other)

    def __neg__(self) -> Symbol:
        from .operators import compose, operators

        return compose(operators()["negative"], (self,), None, {})


_BROADCAST = {
    **{name: name for name in ("add", "sub", "mul", "div", "pow")},
    "lshift": "left_shift",
    "rshift": "right_shift",
}


def Variable(
    name: str,
    shape: Sequence[int | str] | None = None,
    dtype: str | None = None,
    init: np.ndarray[Any, Any] | None = None,
    **attributes: Any,
) -> Symbol:
    """An input of the network.

    Args:
        name: unique within a graph.
        shape: extents; 0 stands for one that is not known, a string names it.
        dtype: NumPy's name of the element type.
        init: its content, where the caller gives none.
        attributes: anything else to remember.
    """
    if not name or not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ModelError(f"a variable needs a name, got {name!r}")
    if init is not None and not hasattr(init, "dtype"):
        raise ModelError(f"expected an array as init, got {init!r}", where=f"variable '{name}'")
    given = {"shape": shape, "dtype": dtype, "init": init, **attributes}
    kept = {key: value for key, value in given.items() if value is not None}
    return Symbol([Entry(Node(name, attributes=kept))])


def Group(symbols: Sequence[Symbol]) -> Symbol:
    """One symbol with the outputs of all of these."""
    return Symbol([entry for symbol in symbols for entry in as_symbol(symbol, "Group").entries])


def as_symbol(given: object, where: str) -> Symbol:
    """`given`.

    Raises: ModelError: it is no symbol.
    """
    if isinstance(given, Symbol):
        return given
    hint = "an array that is known: Variable(name, init=array), or `params=` of nnc.build"
    raise ModelError(f"expected a symbol, got {given!r}", where=where, hint=hint)
