"""Refuse what is broken or unsupported before anything is built, by node name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

import onnx
from onnx import AttributeProto, defs

from ...core.errors import ModelError, UnsupportedError, did_you_mean
from .node import DEFAULT_DOMAINS, describe_node, operator_name

NEWEST_OPSET = min(28, defs.onnx_opset_version())
"""The newest opset whose operators the adapters and the graph dialect have been written for."""

NAMES_SHOWN = 5


def opset_version(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators that the model uses.

    Raises: ModelError: it says none, two, or one that does not exist (yet).
    """
    versions = {each.version for each in model.opset_import if each.domain in DEFAULT_DOMAINS}
    if len(versions) > 1:
        raise ModelError(f"the model imports several opsets: {sorted(versions)}")
    if not versions:
        uses = [node for node in model.graph.node if node.domain in DEFAULT_DOMAINS]
        if uses:
            raise ModelError("the model says no opset (opset_import is missing)")
        return NEWEST_OPSET
    version = versions.pop()
    if not 1 <= version <= NEWEST_OPSET:
        raise ModelError(
            f"opset {version} is unknown",
            hint=f"opsets 1 to {NEWEST_OPSET} are supported; "
            "onnx.version_converter may convert the model",
        )
    return version


def domain_versions(model: onnx.ModelProto) -> dict[str, int]:
    """The versions of the other domains that the model imports.

    Raises: ModelError: two versions of one.
    """
    found: dict[str, int] = {}
    for each in model.opset_import:
        if each.domain in DEFAULT_DOMAINS:
            continue
        if found.setdefault(each.domain, each.version) != each.version:
            raise ModelError(f"the model imports two versions of the domain '{each.domain}'")
    return found


def node_names(nodes: Iterable[onnx.NodeProto]) -> list[str]:
    """A name for each node: its own, or operator and position where it has none."""
    return [node.name or f"{node.op_type}_{position}" for position, node in enumerate(nodes)]


def check_supported(graph: onnx.GraphProto, is_supported: Callable[[onnx.NodeProto], bool]) -> None:
    """Raises: UnsupportedError: names every operator that is not supported, with its nodes."""
    missing: dict[str, list[str]] = {}
    for node, name in zip(graph.node, node_names(graph.node), strict=True):
        if not is_supported(node):
            missing.setdefault(operator_name(node), []).append(name)
    if not missing:
        return
    lines = [f"{name} ({_nodes(names)})" for name, names in sorted(missing.items())]
    plural = "s are" if len(lines) > 1 else " is"
    raise UnsupportedError(
        f"{len(lines)} operator{plural} not supported: {'; '.join(lines)}",
        where=describe_node(next(iter(missing.values()))[0]) if len(lines) == 1 else None,
        hint="`nnc ops` lists the operators that are; `nnc.register_op` adds one",
    )


def _nodes(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:NAMES_SHOWN])
    rest = f", and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return f"{len(names)} node{'s' if len(names) > 1 else ''}: {shown}{rest}"


def check_node(node: onnx.NodeProto, name: str, version: int) -> None:
    """Inputs, outputs and attributes of one node against its operator's definition.

    Raises: ModelError: they do not fit.
    """
    schema = _schema(node, name, version)
    _check_arity(node, name, schema)
    given = {attribute.name: attribute for attribute in node.attribute}
    for key, attribute in given.items():
        if key not in schema.attributes:
            raise ModelError(
                f"{node.op_type} of opset {version} has no attribute '{key}'",
                where=describe_node(name),
                hint=did_you_mean(key, schema.attributes),
            )
        _check_attribute(node, name, attribute, schema.attributes[key])
    for key, definition in schema.attributes.items():
        if definition.required and key not in given:
            raise ModelError(
                f"{node.op_type} needs the attribute '{key}'", where=describe_node(name)
            )


def _schema(node: onnx.NodeProto, name: str, version: int) -> defs.OpSchema:
    try:
        schema = defs.get_schema(node.op_type, version, "")
    except defs.SchemaError:
        raise ModelError(
            f"{node.op_type} is not an operator of opset {version}",
            where=describe_node(name),
            hint=_since(node.op_type),
        ) from None
    if schema.deprecated:
        raise ModelError(
            f"{node.op_type} was removed in opset {schema.since_version}, the model says opset "
            f"{version}",
            where=describe_node(name),
        )
    return schema


def _since(op_type: str) -> str | None:
    try:
        return f"it came with opset {defs.get_schema(op_type, '').since_version} or earlier"
    except defs.SchemaError:
        return None


def _check_arity(node: onnx.NodeProto, name: str, schema: defs.OpSchema) -> None:
    for what, count, low, high in (
        ("inputs", len(node.input), schema.min_input, schema.max_input),
        ("outputs", len(node.output), schema.min_output, schema.max_output),
    ):
        if not low <= count <= high:
            expected = str(low) if low == high else f"{low} to {high}"
            raise ModelError(
                f"{node.op_type} takes {expected} {what}, got {count}"
                if high < 2**30
                else f"{node.op_type} takes at least {low} {what}, got {count}",
                where=describe_node(name),
            )
    for parameter, value in zip(schema.inputs, node.input, strict=False):
        if parameter.option == defs.OpSchema.FormalParameterOption.Single and not value:
            raise ModelError(
                f"{node.op_type}'s input '{parameter.name}' is left out", where=describe_node(name)
            )


def _check_attribute(
    node: onnx.NodeProto,
    name: str,
    attribute: AttributeProto,
    definition: defs.OpSchema.Attribute,
) -> None:
    expected = int(cast("Any", definition.type).value)  # an enum that onnx's stubs lack
    if attribute.type != expected:
        types = {number: key for key, number in AttributeProto.AttributeType.items()}
        raise ModelError(
            f"{node.op_type}'s attribute '{attribute.name}' is of type {types[expected]}, got "
            f"{types.get(attribute.type, attribute.type)}",
            where=describe_node(name),
        )


def check_text(model: onnx.ModelProto) -> None:
    """Raises: ModelError: a name is not UTF-8 (protobuf then gives bytes instead of a string)."""
    graphs = [model.graph, *model.functions]
    for where, texts in (
        ("opset import", (each.domain for each in model.opset_import)),
        ("graph input or output", _value_texts([*model.graph.input, *model.graph.output])),
        ("initializer", (tensor.name for tensor in model.graph.initializer)),
        ("node", (text for graph in graphs for node in graph.node for text in _texts(node))),
    ):
        for text in texts:
            if not isinstance(text, str):
                raise ModelError(f"a name is not UTF-8: {text!r}", where=where)


def _texts(node: onnx.NodeProto) -> Iterable[object]:
    yield from (node.op_type, node.domain, node.name, *node.input, *node.output)
    yield from (attribute.name for attribute in node.attribute)


def _value_texts(values: Iterable[onnx.ValueInfoProto]) -> Iterable[object]:
    for value in values:
        yield value.name
        yield from (dim.dim_param for dim in value.type.tensor_type.shape.dim)


def check_names(graph: onnx.GraphProto) -> None:
    """Raises: ModelError: two inputs, initializers, node outputs or graph outputs share a name."""
    given: dict[str, str] = {}
    inputs = [value.name for value in graph.input]
    initializers = [tensor.name for tensor in graph.initializer]
    initializers += [sparse.values.name for sparse in graph.sparse_initializer]
    outputs = [value.name for value in graph.output]
    for kind, names in (
        ("graph input", inputs),
        ("initializer", initializers),
        ("graph output", outputs),
    ):
        seen: set[str] = set()
        for name in names:
            if not name:
                raise ModelError(f"a {kind} has no name")
            if name in seen:
                raise ModelError("the name is used twice", where=f"{kind} '{name}'")
            seen.add(name)
            if kind != "graph output":
                given[name] = kind
    for node, label in zip(graph.node, node_names(graph.node), strict=True):
        for name in filter(None, node.output):
            if name in given:
                raise ModelError(
                    f"'{name}' is given twice: also by {given[name]}", where=describe_node(label)
                )
            given[name] = f"node '{label}'"


def execution_order(
    nodes: Sequence[onnx.NodeProto], names: Sequence[str], known: Iterable[str]
) -> list[int]:
    """Positions of the nodes so that each comes after what it reads; file order where possible.

    Raises: ModelError: a node reads what nothing gives, or nodes read each other in a cycle.
    """
    available = set(known)
    producer = {out: at for at, node in enumerate(nodes) for out in node.output if out}
    for node, name in zip(nodes, names, strict=True):
        for tensor in filter(None, node.input):
            if tensor not in available and tensor not in producer:
                raise _missing(tensor, name, [*available, *producer])
    order: list[int] = []
    state: dict[int, bool] = {}  # False: being visited, True: done
    for start in range(len(nodes)):
        stack = [] if start in state else [start]
        while stack:
            at = stack[-1]
            state.setdefault(at, False)
            needed = _waiting(nodes[at], producer, available, state)
            if needed is None:
                stack.pop()
                if not state[at]:
                    state[at] = True
                    order.append(at)
            elif needed in state:
                raise _cycle(stack[stack.index(needed) :], names)
            else:
                stack.append(needed)
    return order


def _waiting(
    node: onnx.NodeProto,
    producer: Mapping[str, int],
    available: set[str],
    state: Mapping[int, bool],
) -> int | None:
    for tensor in node.input:
        if tensor and tensor not in available and not state.get(producer[tensor], False):
            return producer[tensor]
    return None


def _missing(tensor: str, where: str, candidates: Sequence[str]) -> ModelError:
    return ModelError(
        f"reads '{tensor}', which no graph input, initializer or node gives",
        where=describe_node(where),
        hint=did_you_mean(tensor, candidates),
    )


def _cycle(positions: Sequence[int], names: Sequence[str]) -> ModelError:
    shown = " -> ".join(f"'{names[at]}'" for at in [*positions[:8], positions[0]])
    return ModelError(f"the graph has a cycle: {shown}", where=describe_node(names[positions[0]]))
