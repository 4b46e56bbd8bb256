"""Smaller old forms: Cast by name, defaults that have changed, renamed modes."""

from __future__ import annotations

import onnx

from ....core.errors import ModelError
from ..node import Node
from .base import Values


def cast_by_name(node: Node, _: Values) -> list[Node]:
    """Cast-1: `to` is the name of a type.

    Raises: ModelError: there is no such type.
    """
    name = node.text("to", "").upper()
    types = dict(onnx.TensorProto.DataType.items())
    if name not in types:
        raise ModelError(f"Cast to '{name}', which is no element type", where=node.where)
    return [node.having(to=types[name])]


def integer_power(node: Node, _: Values) -> list[Node]:
    """LpPool-1, GlobalLpPool-1: `p` is a float."""
    power = node.number("p", 2.0)
    if power != int(power):
        raise ModelError(f"{node.op_type} with p = {power}, expected an integer", where=node.where)
    return [node.having(p=int(power))]


def selu_constants(node: Node, _: Values) -> list[Node]:
    """Selu-1 has rounder defaults."""
    return [node.having(alpha=node.number("alpha", 1.6732), gamma=node.number("gamma", 1.0507))]


def concat_axis(node: Node, _: Values) -> list[Node]:
    """Concat-1: `axis` is 1 by default."""
    return [node.having(axis=node.integer("axis", 1))]


def split_1(node: Node, values: Values) -> list[Node]:
    """Split-1: sizes as an attribute or as an input.

    Raises: ModelError: the sizes are computed at run time.
    """
    if not node.input(1):
        return [node]
    sizes = values.constant(node.input(1))
    if sizes is None:
        raise ModelError("Split of opset 1 with computed sizes", where=node.where)
    found = tuple(int(each) for each in sizes.ravel())
    return [node.having(split=found).evolve(inputs=node.inputs[:1])]


def grid_modes(node: Node, _: Values) -> list[Node]:
    """GridSample-16: bilinear and bicubic are called linear and cubic since."""
    mode = node.text("mode", "bilinear")
    names = {"bilinear": "linear", "bicubic": "cubic"}
    return [node.having(mode=names.get(mode, mode))]


def roi_coordinates(node: Node, _: Values) -> list[Node]:
    """RoiAlign-10 takes pixel corners, the newer default pixel centres."""
    return [node.having(coordinate_transformation_mode="output_half_pixel")]


def scatter(node: Node, _: Values) -> list[Node]:
    """Scatter-9 -> ScatterElements-11."""
    return [node.evolve(op_type="ScatterElements")]
