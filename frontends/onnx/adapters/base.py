"""What an adapter is, and what it may ask of the graph around its node."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ....core.errors import UnsupportedError
from ..node import Node
from ..tensors import Array


class Values(Protocol):
    """The tensors given so far, by ONNX name."""

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """Extents, `None` where dynamic or unknown; `None` if the rank is unknown."""
        ...

    def dtype(self, name: str) -> np.dtype[Any] | None:
        """The element type, if it is known."""
        ...

    def constant(self, name: str) -> Array | None:
        """The content, if it is known while importing."""
        ...

    def add(self, array: Array) -> str:
        """The name of a new constant."""
        ...

    def fresh(self, stem: str) -> str:
        """A tensor name that nothing uses."""
        ...


@dataclass(frozen=True)
class Step:
    """One change of an operator: nodes of opsets before `version` are converted to that version.

    `convert` gives nodes that are right in opset `version`; the last gives the outputs.
    """

    version: int
    convert: Callable[[Node, Values], list[Node]]


def needs_rank(node: Node, values: Values, name: str) -> int:
    """The rank of a tensor that an old operator's meaning depends on.

    Raises: UnsupportedError: it is not known.
    """
    shape = values.shape(name)
    if shape is None:
        raise UnsupportedError(
            f"this old form of {node.op_type} needs the rank of '{name}', which is not known",
            where=node.where,
            hint="export the model with a newer opset, or with shapes for its inputs",
        )
    return len(shape)


def needs_dtype(node: Node, values: Values, name: str) -> np.dtype[Any]:
    """The element type of a tensor that an old operator's parameters take.

    Raises: UnsupportedError: it is not known.
    """
    dtype = values.dtype(name)
    if dtype is None:
        raise UnsupportedError(
            f"this old form of {node.op_type} needs the element type of '{name}', which is not "
            "known",
            where=node.where,
        )
    return dtype


def dropping(*names: str) -> Callable[[Node, Values], list[Node]]:
    """An adapter that removes attributes without a meaning today."""

    def convert(node: Node, _: Values) -> list[Node]:
        return [node.without(*names)]

    return convert


def renaming(**attributes: str) -> Callable[[Node, Values], list[Node]]:
    """An adapter that renames attributes: `renaming(paddings="pads")`."""

    def convert(node: Node, _: Values) -> list[Node]:
        found = {attributes.get(key, key): value for key, value in node.attributes.items()}
        return [node.evolve(attributes=found)]

    return convert


def unsupported(reason: str) -> Callable[[Node, Values], list[Node]]:
    """An adapter that refuses."""

    def convert(node: Node, _: Values) -> list[Node]:
        raise UnsupportedError(
            f"{node.op_type}: {reason}", where=node.where, hint="export with a newer opset"
        )

    return convert
