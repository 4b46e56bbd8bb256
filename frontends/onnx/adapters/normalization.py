"""Old forms of softmax, batch and group normalisation, and of dropout in training."""

from __future__ import annotations

import numpy as np

from ....core.errors import UnsupportedError
from ..node import Node
from .base import Values, needs_dtype


def flattened_softmax(node: Node, values: Values) -> list[Node]:
    """Softmax-1, LogSoftmax-1, Hardmax-1: over all dims from `axis` (default 1) on, as one.

    Softmax(x, axis) -> Reshape(Softmax(Flatten(x, axis), -1), Shape(x)) where axis is not the last
    """
    axis = node.integer("axis", 1)
    shape = values.shape(node.input(0))
    if axis == -1 or (shape is not None and axis == len(shape) - 1):
        return [node.having(axis=-1)]
    data, result = node.input(0), node.output(0)
    flat, soft, extents = (
        values.fresh(f"{node.name}_{what}") for what in ("flat", "soft", "shape")
    )
    return [
        Node("Shape", node.name, (data,), (extents,), {}),
        Node("Flatten", node.name, (data,), (flat,), {"axis": axis}),
        node.having(axis=-1).evolve(inputs=(flat,), outputs=(soft,)),
        Node("Reshape", node.name, (soft, extents), (result,), {"allowzero": 1}),
    ]


def only_inference(node: Node, _: Values) -> list[Node]:
    """BatchNormalization-1 and Dropout-1: `is_test = 0` is training.

    Exporters of that time left it out where they meant inference: a node that gives only its
    first output is taken as that.
    """
    if not node.integer("is_test", 0) and any(node.outputs[1:]):
        raise UnsupportedError(
            f"{node.op_type} in training mode is not supported", where=node.where
        )
    return [node.without("is_test")]


def constant_inference(node: Node, values: Values) -> list[Node]:
    """Dropout-12: `training_mode` must be known to be false; elements are dropped at random else.

    Raises: UnsupportedError: it is true, or known only at run time.
    """
    mode = values.constant(node.input(2)) if node.input(2) else np.array(False)
    if mode is None or mode.any():
        raise UnsupportedError(
            "Dropout in training mode is random, and not supported",
            where=node.where,
            hint=None if mode is not None else "make training_mode a constant",
        )
    return [node]


def batch_norm_outputs(node: Node, _: Values) -> list[Node]:
    """BatchNormalization-9: more than one output means training."""
    if any(node.outputs[1:]):
        raise UnsupportedError(
            "BatchNormalization in training mode is not supported", where=node.where
        )
    return [node.evolve(outputs=node.outputs[:1])]


def spatial_batch_norm(node: Node, values: Values) -> list[Node]:
    """BatchNormalization-7: with `spatial = 0`, statistics for each feature [C, D1, ...].

    (x - mean) / sqrt(var + epsilon) * scale + bias
    """
    if node.integer("spatial", 1):
        return [node.without("spatial")]
    data, scale, bias, mean, variance = node.inputs
    centred, shifted, deviation, normal, scaled = (
        values.fresh(f"{node.name}_{what}")
        for what in ("centred", "shifted", "deviation", "normal", "scaled")
    )
    dtype = needs_dtype(node, values, variance)
    epsilon = values.add(np.array(node.number("epsilon", 1e-5), np.float32).astype(dtype))

    def step(op_type: str, inputs: tuple[str, ...], output: str) -> Node:
        return Node(op_type, node.name, inputs, (output,), {})

    return [
        step("Sub", (data, mean), centred),
        step("Add", (variance, epsilon), shifted),
        step("Sqrt", (shifted,), deviation),
        step("Div", (centred, deviation), normal),
        step("Mul", (normal, scale), scaled),
        step("Add", (scaled, bias), node.output(0)),
    ]


def group_norm_per_channel(node: Node, values: Values) -> list[Node]:
    """GroupNormalization-18 scales each group, -21 each channel: repeat scale and bias."""
    shape = values.shape(node.input(0))
    groups = node.integer("num_groups", 1)
    channels = shape[1] if shape is not None and len(shape) > 1 else None
    if channels is None or groups <= 0 or channels % groups:
        raise UnsupportedError(
            f"GroupNormalization of opset 18 needs a known number of channels, a multiple of "
            f"num_groups = {groups}",
            where=node.where,
        )
    nodes: list[Node] = []
    inputs = [node.input(0)]
    for parameter in node.inputs[1:]:
        column, wide, flat = (values.fresh(f"{node.name}_{parameter}") for _ in range(3))
        one = values.add(np.array([1], np.int64))
        extents = values.add(np.array([groups, channels // groups], np.int64))
        all_ = values.add(np.array([-1], np.int64))
        nodes += [
            Node("Unsqueeze", node.name, (parameter, one), (column,), {}),
            Node("Expand", node.name, (column, extents), (wide,), {}),
            Node("Reshape", node.name, (wide, all_), (flat,), {}),
        ]
        inputs.append(flat)
    return [*nodes, node.evolve(inputs=tuple(inputs))]
