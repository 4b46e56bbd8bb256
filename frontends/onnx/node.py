"""A node of an ONNX graph as plain Python: what adapters read and write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto

from ...core.errors import ModelError, UnsupportedError
from .tensors import Array, Storage

AttributeValue = int | float | str | bytes | Sequence[int] | Sequence[float] | Sequence[str] | Array

DEFAULT_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class Node:
    """An operator, tensor names in and out ("" where left out), attributes.

    The operator is named as in ONNX: `Conv`, `com.acme::SoftClip`.
    """

    op_type: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict[str, AttributeValue])

    @property
    def where(self) -> str:
        """The node in a message."""
        return describe_node(self.name)

    def input(self, position: int) -> str:
        """The name of an input, "" if it is left out."""
        return self.inputs[position] if position < len(self.inputs) else ""

    def output(self, position: int) -> str:
        """The name of an output, "" if it is left out."""
        return self.outputs[position] if position < len(self.outputs) else ""

    def evolve(self, **changes: Any) -> Node:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def without(self, *names: str) -> Node:
        """A copy without these attributes."""
        kept = {key: value for key, value in self.attributes.items() if key not in names}
        return replace(self, attributes=kept)

    def having(self, **attributes: AttributeValue) -> Node:
        """A copy with these attributes set."""
        return replace(self, attributes={**self.attributes, **attributes})

    def integer(self, name: str, default: int) -> int:
        """An integer attribute (its type has been checked against the operator's schema)."""
        value = self.attributes.get(name, default)
        assert isinstance(value, int)
        return value

    def number(self, name: str, default: float) -> float:
        """A float attribute."""
        value = self.attributes.get(name, default)
        assert isinstance(value, float)
        return value

    def text(self, name: str, default: str) -> str:
        """A string attribute."""
        value = self.attributes.get(name, default)
        assert isinstance(value, str)
        return value

    def integers(self, name: str) -> tuple[int, ...] | None:
        """An integer list attribute."""
        value = self.attributes.get(name)
        return None if value is None else tuple(int(each) for each in np.asarray(value).ravel())

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """A float list attribute."""
        value = self.attributes.get(name)
        return None if value is None else tuple(float(each) for each in np.asarray(value).ravel())


def describe_node(name: str) -> str:
    """A node in a message: `node 'Conv_4'`."""
    return f"node '{name}'"


def operator_name(node: onnx.NodeProto) -> str:
    """The operator as a user writes it: `Conv`, `com.microsoft::FusedMatMul`."""
    if node.domain in DEFAULT_DOMAINS:
        return node.op_type
    return f"{node.domain}::{node.op_type}"


def read_node(proto: onnx.NodeProto, name: str, storage: Storage) -> Node:
    """The node with its attributes as Python values.

    Raises: ModelError, UnsupportedError: an attribute cannot be read.
    """
    where = describe_node(name)
    attributes: dict[str, AttributeValue] = {}
    for attribute in proto.attribute:
        if attribute.name in attributes:
            raise ModelError(f"attribute '{attribute.name}' is given twice", where=where)
        attributes[attribute.name] = _value(attribute, where, storage)
    return Node(operator_name(proto), name, tuple(proto.input), tuple(proto.output), attributes)


def _value(attribute: AttributeProto, where: str, storage: Storage) -> AttributeValue:
    if attribute.ref_attr_name:
        raise ModelError(
            f"attribute '{attribute.name}' refers to '{attribute.ref_attr_name}' of a function, "
            "but the node stands outside any function",
            where=where,
        )
    if attribute.type == AttributeProto.TENSOR:
        return storage.array(attribute.t, where)
    if attribute.type == AttributeProto.SPARSE_TENSOR:
        return storage.dense(attribute.sparse_tensor, where)
    try:
        read = _READERS[attribute.type]
    except KeyError:
        kind = _type_name(attribute.type)
        raise UnsupportedError(
            f"attribute '{attribute.name}' of type {kind} is not supported", where=where
        ) from None
    try:
        return read(attribute)
    except UnicodeDecodeError:
        raise ModelError(f"attribute '{attribute.name}' is not UTF-8", where=where) from None


def _type_name(type_: int) -> str:
    names = {number: name for name, number in AttributeProto.AttributeType.items()}
    return names.get(type_, str(type_))


_READERS: dict[int, Callable[[AttributeProto], AttributeValue]] = {
    AttributeProto.FLOAT: lambda a: a.f,
    AttributeProto.INT: lambda a: a.i,
    AttributeProto.STRING: lambda a: a.s.decode(),
    AttributeProto.FLOATS: lambda a: tuple(a.floats),
    AttributeProto.INTS: lambda a: tuple(a.ints),
    AttributeProto.STRINGS: lambda a: tuple(each.decode() for each in a.strings),
}
