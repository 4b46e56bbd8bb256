"""Nodes to graph ops: one block of operators, their types inferred as they are added."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from xdsl.dialects.builtin import NameLoc, NoneAttr, StringAttr
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.irdl import OptPropertyDef
from xdsl.utils.exceptions import VerifyException

from ...core.dtypes import element_type, numpy_dtype
from ...core.errors import ModelError, NncError, UnsupportedError
from ...core.names import fresh
from ...dialects.graph.base import ConstantOp, GraphOp, constant_value
from ...dialects.graph.registry import Operator, by_onnx_name, foreign_forms
from ...dialects.graph.types import dims, element
from .node import AttributeValue, Node
from .tensors import Array, tensor_dtype

MAX_HINT = 40
_INVALID = re.compile(r"[^A-Za-z0-9_$.]+")


class Builder:
    """Adds operators to a block; knows every tensor by its ONNX name (`adapters.Values`)."""

    def __init__(self, block: Block, known: dict[str, SSAValue], taken: Iterable[str]):
        self.block = block
        self.values = known
        self._taken = set(taken) | set(known)

    def constant_tensor(self, name: str, array: Array, where: str) -> None:
        """Give the tensor `name` this content."""
        op = self._append(ConstantOp.of(array), where)
        self._give(name, op.results[0])

    def add_node(self, node: Node) -> None:
        """Append the operator of a node in its newest form.

        Raises: ModelError, UnsupportedError: with the node's name.
        """
        try:
            self._add(node)
        except NncError as error:
            error.where = error.where or node.where
            raise
        except VerifyException as error:
            raise ModelError(f"{node.op_type}: {error}", where=node.where) from None

    def _add(self, node: Node) -> None:
        if node.op_type == "Constant":
            self.constant_tensor(node.outputs[0], constant_content(node), node.name)
            return
        known = by_onnx_name(node.op_type)
        if known is None:
            raise UnsupportedError(f"operator {node.op_type} is not supported")
        self._add_operator(node, known.cls)

    def add_foreign(self, node: Node, version: int | None) -> None:
        """Append the operator of a node of a user's domain, in the form of that version.

        Raises: ModelError, UnsupportedError: with the node's name.
        """
        try:
            self._add_operator(node, foreign_operator(node, version).cls).verify()
        except NncError as error:
            error.where = error.where or node.where
            raise
        except VerifyException as error:
            raise ModelError(f"{node.op_type}: {error}", where=node.where) from None

    def _add_operator(self, node: Node, op_class: type[GraphOp]) -> GraphOp:
        operands = [self.values[name] if name else None for name in node.inputs]
        operands = operands[: len(operands) - trailing_gaps(node.inputs)]
        count = len(node.outputs) - trailing_gaps(node.outputs)
        properties = properties_of(op_class, node)
        op = op_class.of(*operands, results=count or None, **properties)
        self._append(op, node.name)
        for name, result in zip(node.outputs, op.results, strict=False):
            if name:
                self._give(name, result)
        return op

    def _append(self, op: Operation, where: str) -> Operation:
        op.location = NameLoc(StringAttr(where), NoneAttr())
        self.block.add_op(op)
        return op

    def _give(self, name: str, value: SSAValue) -> None:
        value.name_hint = name_hint(name)
        self.values[name] = value
        self._taken.add(name)

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """`adapters.Values.shape`."""
        known = dims(self.values[name].type)
        if known is None:
            return None
        return tuple(dim if isinstance(dim, int) else None for dim in known)

    def dtype(self, name: str) -> np.dtype[Any] | None:
        """`adapters.Values.dtype`."""
        known = element(self.values[name].type)
        return None if known is None else numpy_dtype(known)

    def constant(self, name: str) -> Array | None:
        """`adapters.Values.constant`."""
        return constant_value(self.values.get(name))

    def add(self, array: Array) -> str:
        """`adapters.Values.add`."""
        name = self.fresh("constant")
        self.constant_tensor(name, array, name)
        return name

    def fresh(self, stem: str) -> str:
        """`adapters.Values.fresh`."""
        name = fresh(stem, self._taken)
        self._taken.add(name)
        return name


def foreign_operator(node: Node, version: int | None) -> Operator:
    """The operator that is registered for a node of a user's domain.

    Raises: ModelError: the model says no version of it. UnsupportedError: no form is for that.
    """
    domain = node.op_type.partition("::")[0]
    if version is None:
        raise ModelError(f"the model says no version of the domain '{domain}' (opset_import)")
    found = by_onnx_name(node.op_type, version)
    if found is None:
        forms = sorted(
            form.foreign.versions for form in foreign_forms(node.op_type) if form.foreign
        )
        shown = ", ".join(f"{first} to {last or 'any'}" for first, last in forms)
        raise UnsupportedError(
            f"{node.op_type} of version {version} of its domain is not supported",
            hint=f"versions that are: {shown}",
        )
    return found


def trailing_gaps(names: tuple[str, ...]) -> int:
    """How many names at the end are left out."""
    gaps = 0
    while gaps < len(names) and not names[-1 - gaps]:
        gaps += 1
    return gaps


def name_hint(name: str) -> str | None:
    """An SSA name that resembles an ONNX name: `bert/pooler:0` -> `bert_pooler_0`."""
    hint = _INVALID.sub("_", name).strip("_.")[-MAX_HINT:].lstrip("_.")
    if not hint or not SSAValue.is_valid_name(hint):
        return None
    return hint


def properties_of(op_class: type[GraphOp], node: Node) -> dict[str, Any]:
    """The node's attributes for `GraphOp.of`.

    Raises: UnsupportedError: the operator here lacks one.
    """
    known = op_class.get_irdl_definition().properties
    properties: dict[str, Any] = {}
    for name, value in node.attributes.items():
        if name not in known:
            raise UnsupportedError(f"{node.op_type} with the attribute '{name}' is not supported")
        if name in op_class.DTYPE_PROPERTIES:
            properties[name] = _element_type(value, node)
        else:
            properties[name] = _property(value)
    lacking = [
        name
        for name, definition in known.items()
        if name not in properties
        and not isinstance(definition, OptPropertyDef)
        and definition.default_value is None
    ]
    return properties | _defaults(node, lacking)


def _element_type(value: AttributeValue, node: Node) -> Attribute:
    assert isinstance(value, int)
    return element_type(tensor_dtype(value, node.where))


def _property(value: AttributeValue) -> Attribute | AttributeValue:
    return ConstantOp.of(value).value if isinstance(value, np.ndarray) else value


def _defaults(node: Node, names: Iterable[str]) -> dict[str, Any]:
    """ONNX's default values of attributes that the op here wants to have."""
    from onnx import defs, helper

    found: dict[str, Any] = {}
    for name in names:
        if name == "operandSegmentSizes" or name == "resultSegmentSizes":
            continue
        is_foreign = "::" in node.op_type
        attributes = {} if is_foreign else defs.get_schema(node.op_type, "").attributes
        default = attributes[name].default_value if name in attributes else None
        if default is None or not default.type:
            raise ModelError(f"{node.op_type} needs the attribute '{name}'")
        value = helper.get_attribute_value(default)
        found[name] = value.decode() if isinstance(value, bytes) else value
    return found


def constant_content(node: Node) -> Array:
    """What a Constant node holds, in any of ONNX's forms.

    Raises: ModelError: not exactly one form. UnsupportedError: strings.
    """
    forms = {
        "value": None,
        "sparse_value": None,
        "value_float": np.float32,
        "value_floats": np.float32,
        "value_int": np.int64,
        "value_ints": np.int64,
    }
    if len(node.attributes) != 1:
        raise ModelError(f"a Constant has one value, got {sorted(node.attributes) or 'none'}")
    name, value = next(iter(node.attributes.items()))
    if name not in forms:
        raise UnsupportedError(f"Constant with {name} is not supported")
    return np.asarray(value, forms[name])
