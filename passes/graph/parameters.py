"""Which operands say how an operator works rather than what it works on: axes, shapes, pads.

Newer ONNX operators take these as inputs; nearly always they are constants.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.ir import SSAValue

from ...dialects.graph.base import ConstantOp, GraphOp
from ...dialects.graph.types import dims

NAMES = frozenset(
    (
        *("axes", "axis", "block_size", "constant_value", "cond", "delta", "depth", "dft_length"),
        *("ends", "iou_threshold", "k", "limit", "max_output_boxes_per_class", "num_outputs"),
        *("output_shape", "pads", "ratio", "repeats", "roi", "scales", "score_threshold", "shape"),
        *("sizes", "split", "start", "starts", "steps", "training_mode"),
    )
)
"""Names of such operands, as ONNX has them."""


def is_open(op: GraphOp) -> bool:
    """Whether it is known only at run time how `op` works, or on which extents: no kernel then."""
    shapes = [dims(value.type) for value in (*op.operands, *op.results)]
    if any(shape is None or None in shape for shape in shapes):
        return True
    return any(
        is_parameter(op, position) and not isinstance(operand.owner, ConstantOp)
        for position, operand in enumerate(op.operands)
    )


def is_parameter(op: GraphOp, position: int) -> bool:
    """Whether the operand at `position` is such a parameter."""
    return operand_name(op, position) in NAMES


def operand_name(op: GraphOp, position: int) -> str:
    """What the operand at `position` is called in the operator's definition."""
    names: list[str] = []
    for name, _ in op.get_irdl_definition().operands:
        found: SSAValue | Sequence[SSAValue] | None = getattr(op, name)
        group = [found] if isinstance(found, SSAValue) else found or ()
        names += [name] * len(group)
    return names[position]
