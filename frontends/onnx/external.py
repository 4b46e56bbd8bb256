"""The other files that an ONNX model keeps tensors in."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike

import onnx

from .load import load_model


def external_files(model: str | PathLike[str]) -> list[str]:
    """Their names as the model spells them, relative to its folder, each once.

    Raises: ModelError: no such file, or it is not an ONNX model.
    """
    proto, _ = load_model(model)
    tensors = [*_of_graph(proto.graph), *_of_functions(proto)]
    return sorted(
        {
            entry.value
            for tensor in tensors
            if tensor.data_location == onnx.TensorProto.EXTERNAL
            for entry in tensor.external_data
            if entry.key == "location"
        }
    )


def _of_graph(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _of_node(node)


def _of_functions(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    for function in model.functions:
        for node in function.node:
            yield from _of_node(node)


def _of_node(node: onnx.NodeProto) -> Iterator[onnx.TensorProto]:
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (attribute.g, *attribute.graphs):
            yield from _of_graph(graph)
