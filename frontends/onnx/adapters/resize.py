"""Upsample and Resize-10 to today's Resize."""

from __future__ import annotations

import numpy as np

from ....core.errors import UnsupportedError
from ..node import Node
from ..tensors import Array
from .base import Values


def upsample_factors(node: Node, _: Values) -> list[Node]:
    """Upsample-1: `height_scale` and `width_scale` of an NCHW tensor."""
    scales = (1.0, 1.0, node.number("height_scale", 1.0), node.number("width_scale", 1.0))
    return [node.without("height_scale", "width_scale").having(scales=scales)]


def upsample_scales(node: Node, values: Values) -> list[Node]:
    """Upsample-7: `scales`."""
    scales = values.add(np.asarray(node.numbers("scales") or (), np.float32))
    return [node.without("scales").evolve(inputs=(node.input(0), scales))]


def upsample(node: Node, _: Values) -> list[Node]:
    """Upsample-9 -> Resize-11: x_in = floor(x_out / scale), as it never shrinks."""
    return [_resize_11(node, "floor").evolve(op_type="Resize")]


def resize_10(node: Node, values: Values) -> list[Node]:
    """Resize-10: x_in = x_out / scale; nearest rounds up where it shrinks, else down."""
    scales = values.constant(node.input(1))
    mode = node.text("mode", "nearest")
    return [_resize_11(node, "floor" if mode != "nearest" else _rounding(node, scales))]


def _resize_11(node: Node, rounding: str) -> Node:
    """The node with the inputs of Resize-11, and its old meaning of coordinates."""
    modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": rounding}
    return node.evolve(inputs=(node.input(0), "", node.input(1))).having(**modes)


def _rounding(node: Node, scales: Array | None) -> str:
    if scales is None:
        raise UnsupportedError(
            "Resize of opset 10 in mode nearest rounds as its scales say: they must be constant",
            where=node.where,
        )
    shrinks = scales < 1
    if (shrinks & (scales != 1)).any() and (scales > 1).any():
        raise UnsupportedError(
            "Resize of opset 10 that shrinks one axis and grows another has no newer form",
            where=node.where,
        )
    return "ceil" if shrinks.any() else "floor"


def empty_inputs(node: Node, values: Values) -> list[Node]:
    """Resize-11 had to have `roi` and `scales`, empty where they were not used."""
    inputs = [name if _is_given(values, name) else "" for name in node.inputs]
    if node.text("coordinate_transformation_mode", "") == "tf_half_pixel_for_nn":
        raise UnsupportedError(
            "Resize with tf_half_pixel_for_nn is not supported", where=node.where
        )
    return [node.evolve(inputs=tuple(inputs))]


def _is_given(values: Values, name: str) -> bool:
    content = values.constant(name) if name else None
    return bool(name) and (content is None or content.size > 0)
