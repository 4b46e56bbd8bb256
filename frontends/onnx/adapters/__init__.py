"""Old forms of operators to the newest ones: a table of steps, one for each incompatible change.

A node of opset v passes through the steps of its operator with version > v, in order. Changes that
only add types, attributes with a neutral default, or optional inputs need no step.
"""

from __future__ import annotations

from ..node import Node
from . import broadcast, inputs, legacy, normalization, resize
from .base import Step, Values, dropping, renaming, unsupported

_BROADCASTING = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less")
_REDUCTIONS = (
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
)

ALWAYS = 1 << 30
"""For a step that looks at nodes of every opset."""

STEPS: dict[str, tuple[Step, ...]] = {
    **dict.fromkeys(_BROADCASTING, (Step(7, broadcast.aligned),)),
    **dict.fromkeys(_REDUCTIONS, (Step(18, inputs.axes),)),
    **dict.fromkeys(
        ("Softmax", "LogSoftmax", "Hardmax"), (Step(13, normalization.flattened_softmax),)
    ),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), (Step(7, dropping("output_sequence")),)),
    **dict.fromkeys(("LpPool", "GlobalLpPool"), (Step(2, legacy.integer_power),)),
    **dict.fromkeys(("Squeeze", "Unsqueeze", "ReduceSum"), (Step(13, inputs.axes),)),
    "BatchNormalization": (
        Step(7, normalization.only_inference),
        Step(9, normalization.spatial_batch_norm),
        Step(14, normalization.batch_norm_outputs),
    ),
    "Cast": (Step(6, legacy.cast_by_name),),
    "Clip": (Step(11, inputs.clip),),
    "Concat": (Step(4, legacy.concat_axis),),
    "DFT": (Step(20, inputs.dft_axis),),
    "Dropout": (
        Step(7, normalization.only_inference),
        Step(10, inputs.dropout_mask),
        Step(12, inputs.dropout_ratio),
        Step(ALWAYS, normalization.constant_inference),
    ),
    "Gemm": (Step(7, dropping("broadcast")),),
    "GridSample": (Step(20, legacy.grid_modes),),
    "GroupNormalization": (Step(21, normalization.group_norm_per_channel),),
    "PRelu": (Step(7, broadcast.channel_slope),),
    "Pad": (Step(2, renaming(paddings="pads")), Step(11, inputs.pad)),
    "Reshape": (Step(5, inputs.reshape),),
    "Resize": (Step(11, resize.resize_10), Step(13, resize.empty_inputs)),
    "RoiAlign": (Step(16, legacy.roi_coordinates),),
    "Scatter": (Step(11, legacy.scatter),),
    "Selu": (Step(6, legacy.selu_constants),),
    "Slice": (Step(10, inputs.slice_),),
    "Split": (
        Step(2, legacy.split_1),
        Step(13, inputs.split),
        Step(18, inputs.split_parts),
    ),
    "Tile": (Step(6, unsupported("the form of opset 1 (tiles, axis) is not supported")),),
    "TopK": (Step(10, inputs.top_k),),
    "Upsample": (
        Step(7, resize.upsample_factors),
        Step(9, resize.upsample_scales),
        Step(11, resize.upsample),
    ),
}

RENAMED = {"Upsample": "Resize", "Scatter": "ScatterElements"}
"""Removed operators that become others."""


def adapt(node: Node, version: int, values: Values) -> list[Node]:
    """The node of opset `version` in its newest form: one or more nodes.

    Raises: UnsupportedError, ModelError: it has no newer form, by node name.
    """
    node = node.without("consumed_inputs") if version < 6 else node
    step = next((each for each in STEPS.get(node.op_type, ()) if version < each.version), None)
    if step is None:
        return [node]
    return [
        done for each in step.convert(node, values) for done in adapt(each, step.version, values)
    ]


__all__ = ["RENAMED", "STEPS", "Values", "adapt"]
