"""The whole way of one model: load, check, inline, order, build."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike

import onnx
from xdsl.dialects import func
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.ir import Block, Region, SSAValue

from ...core.errors import ModelError
from ...core.irtypes import strings
from ...dialects.graph.registry import by_onnx_name
from . import check
from .adapters import RENAMED, adapt
from .build import Builder, name_hint
from .functions import inline_functions
from .load import load_model
from .node import DEFAULT_DOMAINS, operator_name, read_node
from .tensors import Storage, Weights
from .types import input_type


def import_model(model: str | PathLike[str] | bytes | onnx.ModelProto) -> ModuleOp:
    """See the package."""
    proto, storage = load_model(model)
    check.check_text(proto)
    version = check.opset_version(proto)
    check.check_names(proto.graph)
    domains = check.domain_versions(proto)
    proto = inline_functions(proto, version, is_supported)
    check.check_supported(proto.graph, is_supported)
    return ModuleOp([_main(proto.graph, version, domains, storage)])


def is_supported(node: onnx.NodeProto) -> bool:
    """Whether there is a graph op for this operator (or for what its adapters make of it)."""
    name = operator_name(node)
    return name == "Constant" or by_onnx_name(RENAMED.get(name, name)) is not None


def _main(
    graph: onnx.GraphProto, version: int, domains: Mapping[str, int], storage: Storage
) -> func.FuncOp:
    weights = Weights(graph, storage)
    inputs = [each for each in graph.input if each.name not in weights.names]
    block = Block(arg_types=[input_type(value) for value in inputs])
    known: dict[str, SSAValue] = {}
    for value, argument in zip(inputs, block.args, strict=True):
        argument.name_hint = name_hint(value.name)
        known[value.name] = argument
    names = check.node_names(graph.node)
    order = check.execution_order(graph.node, names, [*known, *weights.names])
    builder = Builder(block, known, [out for node in graph.node for out in node.output])
    for name in weights.used():
        builder.constant_tensor(name, weights.content(name), name)
    for at in order:
        proto = graph.node[at]
        node = read_node(proto, names[at], storage)
        if proto.domain not in DEFAULT_DOMAINS:
            builder.add_foreign(node, domains.get(proto.domain))
            continue
        check.check_node(proto, names[at], version)
        for newest in adapt(node, version, builder):
            builder.add_node(newest)
    return _function(block, [value.name for value in inputs], graph, builder)


def _function(
    block: Block, inputs: list[str], graph: onnx.GraphProto, builder: Builder
) -> func.FuncOp:
    outputs = [value.name for value in graph.output]
    if not outputs:
        raise ModelError("the graph has no outputs")
    results: list[SSAValue] = []
    for name in outputs:
        if name not in builder.values:
            raise ModelError(
                "no node, input or initializer gives it", where=f"graph output '{name}'"
            )
        results.append(builder.values[name])
    block.add_op(func.ReturnOp(*results))
    type_ = FunctionType.from_lists(block.arg_types, [value.type for value in results])
    main = func.FuncOp("main", type_, Region(block))
    main.attributes["nnc.input_names"] = strings(inputs)
    main.attributes["nnc.output_names"] = strings(outputs)
    return main
