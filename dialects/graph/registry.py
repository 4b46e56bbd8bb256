"""Every operator by name: its class, its NumPy meaning, its lowering, its name in ONNX.

    operator("graph.relu").cls, .onnx_name, .meaning, .definition
    by_onnx_name("Relu")

The families below the table declare the classes; `reference/graph/` and `lowering/graph_to_te/`
add what they know of each name with `set_meaning` and `set_definition`. A user's operator comes
through `register` (compiler/extend.py), and every tool treats it as one of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from xdsl.ir import Dialect, Operation

from ...core import extensions
from ...core.errors import NncError, UnsupportedError, did_you_mean
from . import (
    activations,
    binary,
    conv,
    create,
    elementwise,
    indexing,
    linear,
    movement,
    norm,
    pieces,
    pool,
    reduce,
    resize,
    winograd,
)
from .base import ConstantOp, GraphOp, KernelOp, WeightAttr, YieldOp
from .types import EncodingAttr, UnknownType

if TYPE_CHECKING:
    import numpy as np

    Arrays = Sequence[np.ndarray[Any, Any]]
    Meaning = Callable[[Any, Arrays], Arrays]
    """(op, operands by position without absent ones) -> results."""

HOST = "host"
"""The definition of an operator that runs as a step on the host, by its meaning."""


@dataclass(frozen=True)
class OnnxName:
    """What ONNX calls an operator, outside of ONNX's own domain.

    Attributes:
        domain, op_type: `com.acme`, `SoftClip`.
        versions: first and last version of the domain whose form of the operator this is; `None`:
            also all later ones.
    """

    domain: str
    op_type: str
    versions: tuple[int, int | None] = (1, None)

    def __str__(self) -> str:
        return f"{self.domain}::{self.op_type}"

    def has(self, version: int) -> bool:
        """Whether the operator has this form in a version of its domain."""
        first, last = self.versions
        return first <= version and (last is None or version <= last)

    def meets(self, other: OnnxName) -> bool:
        """Whether both are forms of one operator in some version."""
        if str(self) != str(other):
            return False
        ends = [name.versions[1] for name in (self, other)]
        last = min((end for end in ends if end is not None), default=None)
        return last is None or max(self.versions[0], other.versions[0]) <= last


@dataclass
class Operator:
    """What is known of one operator; the last two are `None` until somebody says them."""

    cls: type[GraphOp]
    meaning: Meaning | None = None
    definition: Callable[..., Any] | str | None = None
    foreign: OnnxName | None = None
    """Its name in ONNX, if that is of a user's domain."""

    @property
    def name(self) -> str:
        """`graph.relu`."""
        return self.cls.name

    @property
    def onnx_name(self) -> str:
        """`Relu`, `com.acme::SoftClip`; empty if ONNX has no such operator."""
        return self.cls.ONNX_NAME if self.foreign is None else str(self.foreign)


FAMILIES = (
    activations,
    binary,
    conv,
    create,
    elementwise,
    indexing,
    linear,
    movement,
    norm,
    pieces,
    pool,
    reduce,
    resize,
    winograd,
)

_BUILTIN: list[type[GraphOp]] = [cls for family in FAMILIES for cls in family.OPS]
_BY_NAME: dict[str, Operator] = {cls.name: Operator(cls) for cls in _BUILTIN}
_BY_ONNX_NAME: dict[str, Operator] = {
    found.onnx_name: found for found in _BY_NAME.values() if found.onnx_name
}


KIND = "operator"


def operator(name: str) -> Operator:
    """The operator called `graph.<name>`.

    Raises: UnsupportedError: there is none.
    """
    found = find(name)
    if found is None:
        raise UnsupportedError(
            f"there is no operator '{name}'", hint=did_you_mean(name, operators())
        ) from None
    return found


def find(name: str) -> Operator | None:
    """The operator called `graph.<name>`, if there is one."""
    return _BY_NAME.get(name) or _users().get(name)


def by_onnx_name(name: str, version: int | None = None) -> Operator | None:
    """The operator that ONNX calls `name` (with `domain::` before it, outside ONNX's own).

    `version` is that of the domain, where it is a user's; by default the newest form counts.
    """
    if "::" not in name:
        users = foreign_forms(name)
        return _BY_ONNX_NAME.get(name) or (users[0] if users else None)
    fitting = {
        form.foreign.versions[0]: form
        for form in foreign_forms(name)
        if form.foreign and (version is None or form.foreign.has(version))
    }
    return fitting[max(fitting)] if fitting else None


def foreign_forms(name: str) -> list[Operator]:
    """The operators that users registered for `domain::OpType`, one for each form.

    Of ONNX's own domain (`OpType`) there is at most one: adapters make the newest form of it.
    """
    return [form for form in _users().values() if form.onnx_name == name]


def operators() -> Mapping[str, Operator]:
    """All operators by name, those of users included."""
    users = _users()
    return {**_BY_NAME, **users} if users else _BY_NAME


def _users() -> Mapping[str, Operator]:
    return _unwrapped(extensions.version())


@lru_cache(maxsize=4)
def _unwrapped(version: int) -> Mapping[str, Operator]:
    del version
    return {name: entry.value for name, entry in extensions.table(KIND).items()}


def owner_of(name: str) -> str:
    """Who an operator comes from: `nnc`, or a plug-in."""
    return "nnc" if name in _BY_NAME else extensions.table(KIND)[name].owner


def register(
    cls: type[GraphOp],
    *,
    meaning: Meaning | None = None,
    definition: Callable[..., Any] | str | None = None,
    onnx: OnnxName | None = None,
) -> Operator:
    """Adds an operator of a user.

    Raises: NncError: its name, or its name in ONNX, is taken; both owners are named.
    """
    added = Operator(cls, meaning, definition or HOST, onnx)
    owner, place = extensions.asking()
    taken = _BY_ONNX_NAME.get(added.onnx_name)
    others = [entry for entry in extensions.known(KIND).values() if entry.name != cls.name]
    clashes = [(taken.name, "nnc")] if taken else list[tuple[str, str]]()
    clashes += [(entry.name, entry.owner) for entry in others if _meet(entry.value, added)]
    for name, other in clashes:
        raise NncError(
            f"the ONNX operator {added.onnx_name} is both '{name}' of {other} and '{cls.name}' "
            f"of {owner}",
            where=place,
            hint="say which versions of its domain each one is for",
        )
    extensions.register(KIND, cls.name, added, _BY_NAME)
    return added


def _meet(one: Operator, other: Operator) -> bool:
    """Whether two operators are both meant by some node."""
    if one.foreign is None or other.foreign is None:
        return bool(one.onnx_name) and one.onnx_name == other.onnx_name
    return one.foreign.meets(other.foreign)


def set_meaning(*names: str) -> Callable[[Meaning], Meaning]:
    """Decorates the NumPy meaning of these operators: `meaning(op, operands) -> results`."""

    def decorate(function: Meaning) -> Meaning:
        for name in names:
            operator(name).meaning = function
        return function

    return decorate


def set_definition(name: str, definition: Callable[..., Any] | str) -> None:
    """Says how an operator is lowered: a function to te, or HOST."""
    operator(name).definition = definition


_OPERATIONS: list[type[Operation]] = [ConstantOp, KernelOp, YieldOp, *_BUILTIN]


class GraphDialect(Dialect):
    """The dialect with all operators that are known when a context loads it."""

    @property
    def operations(self) -> Iterator[type[Operation]]:
        yield from _OPERATIONS
        yield from (operator.cls for operator in _users().values())


Graph = GraphDialect("graph", [], [EncodingAttr, UnknownType, WeightAttr])
