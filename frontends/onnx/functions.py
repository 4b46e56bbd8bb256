"""Function bodies in place of their calls.

The model's own functions, and ONNX's definitions of composite operators that have no operator of
their own here. An operator whose definition needs something unsupported stays as it is, so that it
is refused by its own name.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import onnx
from onnx import defs, helper, inliner

from ...core.errors import ModelError
from .node import DEFAULT_DOMAINS, operator_name

MAX_DEPTH = 8
"""Definitions that use operators with definitions, and so on."""

Supported = Callable[[onnx.NodeProto], bool]


def inline_functions(
    model: onnx.ModelProto, version: int, is_supported: Supported
) -> onnx.ModelProto:
    """The model with calls of functions, and unsupported operators that have a body, expanded.

    Weights do not travel through onnx's inliner: the result shares them with `model`.

    Raises: ModelError: a function of the model's own cannot be inlined.
    """
    if all(is_supported(node) for node in model.graph.node) and not model.functions:
        return model
    skeleton = _without_weights(model)
    if model.functions:
        try:
            skeleton = inliner.inline_selected_functions(
                skeleton, _registered(model, is_supported), exclude=True
            )
        except (RuntimeError, ValueError) as error:
            reason = str(error).strip() or "unknown reason"
            raise ModelError(f"the model's functions cannot be inlined: {reason}") from None
    expansion = _Expansion(version, is_supported)
    wanted = expansion.candidates(skeleton)
    given = expansion.unsupported(skeleton)
    result = expansion.run(skeleton, wanted)
    if result is None or expansion.unsupported(result) - given:
        good = [each for each in wanted if expansion.succeeds(skeleton, each, given)]
        result = expansion.run(skeleton, good)
    return _with_weights(result or skeleton, model)


def _registered(model: onnx.ModelProto, is_supported: Supported) -> list[tuple[str, str]]:
    """Functions of the model's own that a user has registered an operator for: it counts."""
    found: list[tuple[str, str]] = []
    for function in model.functions:
        call = onnx.NodeProto(op_type=function.name, domain=function.domain)
        if function.domain not in DEFAULT_DOMAINS and is_supported(call):
            found.append((function.domain, function.name))
    return found


class _Expansion:
    """Expands operators by ONNX's definitions of them."""

    def __init__(self, version: int, is_supported: Supported):
        self.version = version
        self.is_supported = is_supported

    def candidates(self, model: onnx.ModelProto) -> list[str]:
        """Unsupported operators in `model` that have a definition."""
        nodes = [node for node in model.graph.node if not self.is_supported(node)]
        return sorted({node.op_type for node in nodes if self._has_body(node)})

    def unsupported(self, model: onnx.ModelProto) -> set[str]:
        """Names of all operators in `model` that are not supported."""
        return {operator_name(node) for node in model.graph.node if not self.is_supported(node)}

    def succeeds(self, model: onnx.ModelProto, name: str, given: Collection[str]) -> bool:
        """Whether expanding one operator alone leaves nothing new that is unsupported."""
        result = self.run(model, [name])
        return result is not None and not self.unsupported(result) - set(given)

    def run(self, model: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto | None:
        """`model` with these operators, and what their definitions use, expanded.

        `None` if onnx's inliner cannot.
        """
        stays = set(self.candidates(model)) - set(names)
        for _ in range(MAX_DEPTH):
            wanted = [name for name in self.candidates(model) if name not in stays]
            if not wanted:
                return model
            self._say_defaults(model, wanted)
            try:
                model = inliner.inline_selected_functions(
                    model, [("", name) for name in wanted], inline_schema_functions=True
                )
            except (RuntimeError, ValueError):
                return None
        return None

    def _say_defaults(self, model: onnx.ModelProto, names: Collection[str]) -> None:
        """Write out default attributes: the inliner drops references to those left out."""
        for node in model.graph.node:
            if node.op_type not in names or node.domain not in DEFAULT_DOMAINS:
                continue
            given = {attribute.name for attribute in node.attribute}
            schema = defs.get_schema(node.op_type, self.version, "")
            for name, definition in schema.attributes.items():
                if name not in given and definition.default_value.type:
                    node.attribute.append(definition.default_value)

    def _has_body(self, node: onnx.NodeProto) -> bool:
        if node.domain not in DEFAULT_DOMAINS:
            return False
        try:
            schema: Any = defs.get_schema(node.op_type, self.version, "")  # untyped in part
        except defs.SchemaError:
            return False
        return schema.has_function or schema.has_context_dependent_function


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy whose initializers are graph inputs: the inliner needs their types, not content."""
    graph = model.graph
    skeleton = onnx.ModelProto(ir_version=model.ir_version)
    skeleton.opset_import.extend(model.opset_import)
    skeleton.functions.extend(model.functions)
    skeleton.graph.name = graph.name
    for part in ("node", "input", "output", "value_info"):
        getattr(skeleton.graph, part).extend(getattr(graph, part))
    listed = {value.name for value in graph.input}
    for tensor in graph.initializer:
        if tensor.name not in listed:
            value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
            skeleton.graph.input.append(value)
    return skeleton


def _with_weights(skeleton: onnx.ModelProto, model: onnx.ModelProto) -> onnx.ModelProto:
    result = onnx.ModelProto(ir_version=model.ir_version)
    result.opset_import.extend(skeleton.opset_import)
    result.graph.name = model.graph.name
    result.graph.node.extend(skeleton.graph.node)
    for part in ("input", "output", "value_info", "initializer", "sparse_initializer"):
        getattr(result.graph, part).extend(getattr(model.graph, part))
    return result
