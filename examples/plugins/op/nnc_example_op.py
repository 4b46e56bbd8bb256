"""graph.soft_clip: x where it is small, at most `limit` in size; com.acme::SoftClip in ONNX."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import FloatAttr
from xdsl.irdl import irdl_op_definition, opt_prop_def

import nnc
from nnc.core.irtypes import float_attr
from nnc.dialects.graph.elementwise import UnaryOp
from nnc.dialects.te_build import Scalar, Tensor
from nnc.dialects.te_build import functions as fn

if TYPE_CHECKING:
    import numpy as np

    from nnc.lowering.graph_to_te.site import Site

    Array = np.ndarray[Any, Any]


@irdl_op_definition
class SoftClipOp(UnaryOp):
    """`limit * tanh(x / limit)`, of floats; one operand and a result of its type (`UnaryOp`).

    %y = graph.soft_clip(%x) {limit = 2.0 : f32} : tensor<4xf32>
    """

    name = "graph.soft_clip"
    limit = opt_prop_def(FloatAttr, float_attr(1.0))


def meaning(op: SoftClipOp, x: "Array") -> "Array":
    """The same in NumPy: what every other way of computing it is compared with."""
    import numpy as np

    limit = x.dtype.type(op.limit.value.data)
    return limit * np.tanh(x / limit)


def definition(op: SoftClipOp, at: "Site") -> Sequence[Tensor]:
    """One compute: it is fused with what is around it, and scheduled as any other."""
    limit = op.limit.value.data

    def element(x: Scalar) -> Scalar:
        return fn.tanh(x / limit) * limit

    return [at.pointwise(element, at[op.x])]


nnc.register_op(
    SoftClipOp,
    meaning=meaning,
    definition=definition,
    onnx="com.acme::SoftClip",
    versions=(1, 3),
    wide=True,
)
