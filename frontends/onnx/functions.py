"""Function bodies in place of their calls.

The model's own functions, and ONNX's definitions of composite operators that have no operator of
their own here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx
from onnx import defs, helper, inliner

from ...core.errors import ModelError
from .node import DEFAULT_DOMAINS


def inline_functions(
    model: onnx.ModelProto, version: int, is_supported: Callable[[onnx.NodeProto], bool]
) -> onnx.ModelProto:
    """The model with calls of functions, and unsupported operators that have a body, expanded.

    Weights do not travel through onnx's inliner: the result shares them with `model`.
    Raises: ModelError: a function cannot be inlined.
    """
    bodies = sorted(
        {
            ("", node.op_type)
            for node in _all_nodes(model)
            if not is_supported(node) and _has_body(node, version)
        }
    )
    if not bodies and not model.functions:
        return model
    skeleton = _without_weights(model)
    try:
        if model.functions:
            skeleton = inliner.inline_local_functions(skeleton)
        if bodies:
            skeleton = inliner.inline_selected_functions(
                skeleton, bodies, inline_schema_functions=True
            )
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"its functions cannot be inlined: {str(error).strip()}") from None
    return _with_weights(skeleton, model)


def _all_nodes(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [*model.graph.node, *(node for each in model.functions for node in each.node)]


def _has_body(node: onnx.NodeProto, version: int) -> bool:
    if node.domain not in DEFAULT_DOMAINS:
        return False
    try:
        schema: Any = defs.get_schema(node.op_type, version, "")  # onnx's stubs lack both fields
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
