"""A plug-in with an operator, a schedule and a machine."""

from dataclasses import replace

from xdsl.irdl import irdl_op_definition

import nnc
from nnc.dialects.graph.elementwise import UnaryOp
from nnc.dialects.te_build import functions as fn
from nnc.targets import resolve


@irdl_op_definition
class SoftClipOp(UnaryOp):
    """tanh(x / 2) * 2."""

    name = "graph.soft_clip"


def meaning(op, x):
    """In NumPy."""
    import numpy as np

    return np.tanh(x / 2) * x.dtype.type(2)


def definition(op, at):
    """As a compute."""
    return [at.pointwise(lambda x: fn.tanh(x / 2) * 2, at[op.x])]


def by_threes(site):
    """Lanes of three elements, where the name says so."""
    if site.compute.symbol != "soft_clip":
        return ()
    site.schedule.vectorize(site.schedule.split("soft_clip.j", 3)[1])
    return ("soft_clip",)


nnc.register_op(SoftClipOp, meaning=meaning, definition=definition, onnx="com.acme::SoftClip")
nnc.register_schedule("threes", by_threes)
nnc.register_target(replace(resolve("x86-64-v3"), name="mine"))
