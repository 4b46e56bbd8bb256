"""Elementwise operators with attributes: graph.leaky_relu, graph.clip, graph.cast, ...

%y = graph.leaky_relu(%x) {alpha = 0.1 : f32} : tensor<1x64xf32>
%z = graph.cast(%y) {to = f16} : tensor<1x64xf16>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from xdsl.dialects.builtin import FloatAttr, IntegerAttr, StringAttr
from xdsl.ir import Attribute, TypeAttribute
from xdsl.irdl import (
    AttrSizedOperandSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)

from ...core.errors import ModelError
from ...core.irtypes import float_attr, int_attr
from .base import GraphOp, Pattern
from .checks import ALL, NUMBERS, SIZES, common_element, expect, expect_rank
from .elementwise import UnaryOp
from .types import info, tensor_type
from .values import elementwise

if TYPE_CHECKING:
    from .base import ShapeValue, ValueReader


@irdl_op_definition
class CeluOp(UnaryOp):
    """`max(0, x) + min(0, alpha * (e ** (x / alpha) - 1))`."""

    name = "graph.celu"
    ONNX_NAME: ClassVar = "Celu"

    alpha = opt_prop_def(FloatAttr, float_attr(1.0))


@irdl_op_definition
class EluOp(UnaryOp):
    """`x` where positive, else `alpha * (e ** x - 1)`."""

    name = "graph.elu"
    ONNX_NAME: ClassVar = "Elu"

    alpha = opt_prop_def(FloatAttr, float_attr(1.0))


@irdl_op_definition
class GeluOp(UnaryOp):
    """`x * Phi(x)`: exact, or with `approximate` = "tanh" by a tanh."""

    name = "graph.gelu"
    ONNX_NAME: ClassVar = "Gelu"

    approximate = opt_prop_def(StringAttr, StringAttr("none"))

    def infer(self) -> Sequence[Attribute]:
        if self.approximate.data not in ("none", "tanh"):
            raise ModelError(f"approximate '{self.approximate.data}', expected 'none' or 'tanh'")
        return super().infer()


@irdl_op_definition
class HardSigmoidOp(UnaryOp):
    """`max(0, min(1, alpha * x + beta))`."""

    name = "graph.hard_sigmoid"
    ONNX_NAME: ClassVar = "HardSigmoid"
    IS_CHEAP: ClassVar = True

    alpha = opt_prop_def(FloatAttr, float_attr(0.2))
    beta = opt_prop_def(FloatAttr, float_attr(0.5))


@irdl_op_definition
class LeakyReluOp(UnaryOp):
    """`x` where it is not negative, else `alpha * x`."""

    name = "graph.leaky_relu"
    ONNX_NAME: ClassVar = "LeakyRelu"
    IS_CHEAP: ClassVar = True

    alpha = opt_prop_def(FloatAttr, float_attr(0.01))


@irdl_op_definition
class SeluOp(UnaryOp):
    """`gamma * x` where positive, else `gamma * alpha * (e ** x - 1)`."""

    name = "graph.selu"
    ONNX_NAME: ClassVar = "Selu"

    alpha = opt_prop_def(FloatAttr, float_attr(1.67326319217681884765625))
    gamma = opt_prop_def(FloatAttr, float_attr(1.05070102214813232421875))


@irdl_op_definition
class ShrinkOp(UnaryOp):
    """`x + bias` below `-lambd`, `x - bias` above `lambd`, else 0."""

    name = "graph.shrink"
    ONNX_NAME: ClassVar = "Shrink"
    ACCEPTS: ClassVar = NUMBERS

    lambd = opt_prop_def(FloatAttr, float_attr(0.5))
    bias = opt_prop_def(FloatAttr, float_attr(0.0))


@irdl_op_definition
class SwishOp(UnaryOp):
    """`x * sigmoid(alpha * x)`."""

    name = "graph.swish"
    ONNX_NAME: ClassVar = "Swish"

    alpha = opt_prop_def(FloatAttr, float_attr(1.0))


@irdl_op_definition
class ThresholdedReluOp(UnaryOp):
    """`x` where greater than `alpha`, else 0."""

    name = "graph.thresholded_relu"
    ONNX_NAME: ClassVar = "ThresholdedRelu"
    IS_CHEAP: ClassVar = True

    alpha = opt_prop_def(FloatAttr, float_attr(1.0))


@irdl_op_definition
class ClipOp(GraphOp):
    """`min(max(x, min), max)`, so `max` where `min` is greater; an absent bound is none.

    NaN stays, and so does what equals a bound: -0.0 above 0.0.

    %y = graph.clip(%x, %low, %high) : tensor<1x64xf32>      %low, %high: tensor<f32>
    """

    name = "graph.clip"
    ONNX_NAME: ClassVar = "Clip"
    PATTERN: ClassVar = Pattern.ELEMWISE
    IS_CHEAP: ClassVar = True

    x = operand_def()
    min = opt_operand_def()
    max = opt_operand_def()
    res = result_def()
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, NUMBERS)
        bounds = {"min": self.min, "max": self.max}
        found = {
            name: expect(name, bound, NUMBERS)
            for name, bound in bounds.items()
            if bound is not None
        }
        for name, bound in found.items():
            if bound.dims != (1,):  # an exporter's scalar
                expect_rank(name, bound, 0)
        return [tensor_type(x.dims, common_element(x=x, **found))]

    def infer_operands(self) -> Sequence[Attribute | None]:
        bounds = len(self.operands) - 1
        return [self.res.type, *[tensor_type(None, info(self.res).element)] * bounds]


@irdl_op_definition
class CastOp(GraphOp):
    """The value in another element type: `to` (an element type, for ONNX's code of it).

    Floats to integers are truncated; to boolean is `x != 0`; integers wrap around.
    """

    name = "graph.cast"
    ONNX_NAME: ClassVar = "Cast"
    PATTERN: ClassVar = Pattern.ELEMWISE
    IS_CHEAP: ClassVar = True
    DTYPE_PROPERTIES: ClassVar = ("to",)

    x = operand_def()
    to = prop_def(TypeAttribute)
    saturate = opt_prop_def(IntegerAttr, int_attr(1))
    round_mode = opt_prop_def(StringAttr, StringAttr("up"))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        if self.to not in ALL:
            raise ModelError(f"cast to {self.to}, which is no element type")
        return [tensor_type(expect("x", self.x).dims, self.to)]

    def infer_operands(self) -> Sequence[Attribute | None]:
        return [tensor_type(info(self.res).dims, None)]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        return [cast_value(values(self.x), self.to)]


@irdl_op_definition
class CastLikeOp(GraphOp):
    """The value in the element type of `target_type`."""

    name = "graph.cast_like"
    ONNX_NAME: ClassVar = "CastLike"
    PATTERN: ClassVar = Pattern.ELEMWISE

    x = operand_def()
    target_type = operand_def()
    saturate = opt_prop_def(IntegerAttr, int_attr(1))
    round_mode = opt_prop_def(StringAttr, StringAttr("up"))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        target = expect("target_type", self.target_type)
        return [tensor_type(expect("x", self.x).dims, target.element)]

    def infer_operands(self) -> Sequence[Attribute | None]:
        result = info(self.res)
        return [tensor_type(result.dims, None), tensor_type(None, result.element)]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        return [cast_value(values(self.x), info(self.target_type).element)]


def cast_value(value: ShapeValue | None, to: Attribute | None) -> ShapeValue | None:
    """A shape in another integer type; sizes are taken to fit into 32 bits."""
    if to not in SIZES:
        return None

    def number(item: Any) -> object:
        return int(item) if isinstance(item, bool) else item

    return elementwise(number, value)


OPS = [
    CastLikeOp,
    CastOp,
    CeluOp,
    ClipOp,
    EluOp,
    GeluOp,
    HardSigmoidOp,
    LeakyReluOp,
    SeluOp,
    ShrinkOp,
    SwishOp,
    ThresholdedReluOp,
]
