"""Which operator is lowered how, and which runs on the host."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from xdsl.ir import Operation

from ...dialects.graph import registry
from ...dialects.graph.base import ConstantOp, GraphOp, origin
from ...dialects.graph.types import dims
from ...passes.graph.parameters import is_parameter

if TYPE_CHECKING:
    from .site import Lowering

FAMILIES = (
    "elementwise",
    "linear",
    "conv",
    "pool",
    "reduce",
    "norm",
    "movement",
    "pieces",
    "indexing",
    "resize",
    "winograd",
)
"""Files of this folder, each with a table `LOWERINGS` by op name."""


@cache
def load_lowerings() -> None:
    """Tell the registry of operators what is lowered, and that the rest runs on the host."""
    for family in FAMILIES:
        table: dict[str, Lowering] = import_module(f".{family}", __package__).LOWERINGS
        for name, lowering in table.items():
            registry.set_definition(name, lowering)
    for operator in registry.operators().values():
        if operator.definition is None:
            operator.definition = registry.HOST


def lowering_of(op: Operation) -> Lowering | None:
    """How an operator is lowered, `None` if it is not."""
    load_lowerings()
    found = registry.find(op.name)
    definition = None if found is None else found.definition
    return definition if callable(definition) else None


def why_host(op: Operation) -> str | None:
    """Why an operator runs as a host step and not as a kernel; `None` if it is lowered."""
    if not isinstance(op, GraphOp) or lowering_of(op) is None:
        return "it has no lowering to te"
    if not has_static_shapes(op):
        return "its shapes are not known"
    for position, operand in enumerate(op.operands):
        if is_parameter(op, position) and not isinstance(origin(operand).owner, ConstantOp):
            return f"operand {position}, a parameter, is not a constant"
    return None


def has_static_shapes(op: Operation) -> bool:
    """Whether the shapes of all operands and results are known."""
    for value in (*op.operands, *op.results):
        extents = dims(value.type)
        if extents is None or not all(isinstance(extent, int) for extent in extents):
            return False
    return True
