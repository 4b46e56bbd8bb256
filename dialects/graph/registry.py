"""Every operator by name: its class, its NumPy meaning, its lowering, its name in ONNX.

    operator("graph.relu").cls, .onnx_name, .meaning, .definition
    by_onnx_name("Relu")

The families below the table declare the classes; `reference/graph/` and `lowering/graph_to_te/`
add what they know of each name with `set_meaning` and `set_definition`. A user's operator comes by
the same way (`register`), so that every tool treats it as one of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xdsl.ir import Dialect, Operation

from ...core.errors import UnsupportedError
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


@dataclass
class Operator:
    """What is known of one operator; the last two are `None` until somebody says them."""

    cls: type[GraphOp]
    meaning: Meaning | None = None
    definition: Callable[..., Any] | str | None = None

    @property
    def name(self) -> str:
        """`graph.relu`."""
        return self.cls.name

    @property
    def onnx_name(self) -> str:
        """`Relu`; empty if ONNX has no such operator."""
        return self.cls.ONNX_NAME


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


def operator(name: str) -> Operator:
    """The operator called `graph.<name>`.

    Raises: UnsupportedError: there is none.
    """
    try:
        return _BY_NAME[name]
    except KeyError:
        raise UnsupportedError(
            f"there is no operator '{name}'", hint=_near(name, _BY_NAME)
        ) from None


def by_onnx_name(name: str) -> Operator | None:
    """The operator that ONNX calls `name` (with `domain::` before it, outside ONNX's own)."""
    return _BY_ONNX_NAME.get(name)


def operators() -> Mapping[str, Operator]:
    """All operators by name."""
    return _BY_NAME


def register(
    cls: type[GraphOp],
    *,
    meaning: Meaning | None = None,
    definition: Callable[..., Any] | str | None = None,
) -> Operator:
    """Adds an operator of a user.

    Raises: UnsupportedError: its name, or its name in ONNX, is taken.
    """
    added = Operator(cls, meaning, definition)
    for table, name in ((_BY_NAME, added.name), (_BY_ONNX_NAME, added.onnx_name)):
        if name and name in table:
            raise UnsupportedError(f"an operator '{name}' is registered already")
    _BY_NAME[added.name] = added
    if added.onnx_name:
        _BY_ONNX_NAME[added.onnx_name] = added
    return added


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


def _near(name: str, names: Mapping[str, object]) -> str | None:
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=1)
    return f"did you mean '{close[0]}'?" if close else None


_OPERATIONS: list[type[Operation]] = [ConstantOp, KernelOp, YieldOp, *_BUILTIN]

Graph = Dialect("graph", _OPERATIONS, [EncodingAttr, UnknownType, WeightAttr])
