"""Attributes that became inputs: axes, pads, shape, k, min and max ..."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from ..node import Node
from ..tensors import Array
from .base import Values, needs_dtype


def to_inputs(node: Node, values: Values, **attributes: int) -> Node:
    """The node with integer-list attributes as i64 inputs: `to_inputs(node, values, axes=1)`."""
    inputs = list(node.inputs)
    for name, position in attributes.items():
        content = node.attributes.get(name)
        inputs += [""] * (position + 1 - len(inputs))
        if content is not None:
            inputs[position] = values.add(np.asarray(content, np.int64))
    while inputs and not inputs[-1]:
        inputs.pop()
    return node.without(*attributes).evolve(inputs=tuple(inputs))


def axes(node: Node, values: Values) -> list[Node]:
    """Squeeze, Unsqueeze and the reductions: `axes`."""
    return [to_inputs(node, values, axes=1)]


def reshape(node: Node, values: Values) -> list[Node]:
    """Reshape-1: `shape`."""
    return [to_inputs(node, values, shape=1)]


def split(node: Node, values: Values) -> list[Node]:
    """Split-2: `split`."""
    return [to_inputs(node, values, split=1)]


def split_parts(node: Node, _: Values) -> list[Node]:
    """Split-13 in equal parts counts its outputs; Split-18 has `num_outputs`."""
    return [node if node.input(1) else node.having(num_outputs=len(node.outputs))]


def slice_(node: Node, values: Values) -> list[Node]:
    """Slice-1: `starts`, `ends`, `axes`."""
    return [to_inputs(node, values, starts=1, ends=2, axes=3)]


def pad(node: Node, values: Values) -> list[Node]:
    """Pad-2: `pads`, and `value`, which takes the type of the data."""
    fill = node.number("value", 0.0)
    node = to_inputs(node.without("value"), values, pads=1)
    if fill == 0.0:
        return [node]
    return with_scalars(node, values, {2: fill})


def clip(node: Node, values: Values) -> list[Node]:
    """Clip-6: `min` and `max`, which take the type of the data."""
    scalars = {
        position: node.number(name, 0.0)
        for position, name in ((1, "min"), (2, "max"))
        if name in node.attributes
    }
    return with_scalars(node.without("min", "max"), values, scalars)


def with_scalars(node: Node, values: Values, scalars: dict[int, float]) -> list[Node]:
    """`node` with float scalars as inputs of the type of its first input."""
    if not scalars:
        return [node]
    dtype = needs_dtype(node, values, node.input(0))
    inputs = [node.input(at) for at in range(max([*scalars, len(node.inputs) - 1]) + 1)]
    for position, scalar in scalars.items():
        inputs[position] = values.add(saturated(scalar, dtype))
    return [node.evolve(inputs=tuple(inputs))]


def saturated(scalar: float, dtype: np.dtype[Any]) -> Array:
    """A number in a type that may not hold it: integers are clamped to their range."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.array(min(max(scalar, limits.min), limits.max)).astype(dtype)
    with np.errstate(over="ignore"):
        return np.array(scalar, np.float32).astype(dtype)


def top_k(node: Node, values: Values) -> list[Node]:
    """TopK-1: `k`."""
    count = values.add(np.array([node.integer("k", 0)], np.int64))
    return [node.without("k").evolve(inputs=(node.input(0), count))]


def dropout_ratio(node: Node, values: Values) -> list[Node]:
    """Dropout-7: `ratio`; the mask of a node without training is all true."""
    ratio = values.add(np.array(node.number("ratio", 0.5), np.float32))
    return [node.without("ratio").evolve(inputs=(node.input(0), ratio))]


def dropout_mask(node: Node, values: Values) -> list[Node]:
    """Dropout-7's mask has the type of the data, Dropout-10's is boolean."""
    if not node.output(1):
        return [node]
    mask = values.fresh(f"{node.name}_mask")
    to = helper.np_dtype_to_tensor_dtype(needs_dtype(node, values, node.input(0)))
    cast = Node("Cast", node.name, (mask,), (node.output(1),), {"to": to})
    return [node.evolve(outputs=(node.output(0), mask)), cast]


def dft_axis(node: Node, values: Values) -> list[Node]:
    """DFT-17: `axis`, 1 by default (DFT-20: -2)."""
    axis = values.add(np.array(node.integer("axis", 1), np.int64))
    inputs = (node.input(0), node.input(1), axis)
    return [node.without("axis").evolve(inputs=inputs)]
