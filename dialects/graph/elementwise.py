"""Operators of one tensor, element by element, without attributes: graph.relu, graph.exp, ...

%y = graph.tanh(%x) : tensor<[batch]x64xf32>
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, opt_prop_def, result_def

from ...core.irtypes import int_attr
from .base import GraphOp, Pattern
from .checks import ALL, BOOL, BOOLS, FLOATS, INTS, NUMBERS, SIGNED, expect
from .types import info, tensor_type
from .values import elementwise

if TYPE_CHECKING:
    from .base import ShapeValue, ValueReader


class UnaryOp(GraphOp):
    """One operand `x`; the result has its type."""

    PATTERN: ClassVar = Pattern.ELEMWISE
    ACCEPTS: ClassVar[frozenset[Attribute]] = FLOATS

    x = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        return [expect("x", self.x, self.ACCEPTS).type]

    def infer_operands(self) -> Sequence[Attribute | None]:
        return [self.res.type]


SIGNED_NUMBERS = FLOATS | SIGNED


@irdl_op_definition
class AbsOp(UnaryOp):
    """`|x|`; of the least signed integer, itself."""

    name = "graph.abs"
    ONNX_NAME: ClassVar = "Abs"
    ACCEPTS: ClassVar = NUMBERS
    IS_CHEAP: ClassVar = True


@irdl_op_definition
class AcosOp(UnaryOp):
    """`acos(x)`."""

    name = "graph.acos"
    ONNX_NAME: ClassVar = "Acos"


@irdl_op_definition
class AcoshOp(UnaryOp):
    """`acosh(x)`."""

    name = "graph.acosh"
    ONNX_NAME: ClassVar = "Acosh"


@irdl_op_definition
class AsinOp(UnaryOp):
    """`asin(x)`."""

    name = "graph.asin"
    ONNX_NAME: ClassVar = "Asin"


@irdl_op_definition
class AsinhOp(UnaryOp):
    """`asinh(x)`."""

    name = "graph.asinh"
    ONNX_NAME: ClassVar = "Asinh"


@irdl_op_definition
class AtanOp(UnaryOp):
    """`atan(x)`."""

    name = "graph.atan"
    ONNX_NAME: ClassVar = "Atan"


@irdl_op_definition
class AtanhOp(UnaryOp):
    """`atanh(x)`."""

    name = "graph.atanh"
    ONNX_NAME: ClassVar = "Atanh"


@irdl_op_definition
class BitwiseNotOp(UnaryOp):
    """Every bit inverted."""

    name = "graph.bitwise_not"
    ONNX_NAME: ClassVar = "BitwiseNot"
    ACCEPTS: ClassVar = INTS
    IS_CHEAP: ClassVar = True


@irdl_op_definition
class CeilOp(UnaryOp):
    """Rounded up to an integer."""

    name = "graph.ceil"
    ONNX_NAME: ClassVar = "Ceil"
    IS_CHEAP: ClassVar = True


@irdl_op_definition
class CosOp(UnaryOp):
    """`cos(x)`."""

    name = "graph.cos"
    ONNX_NAME: ClassVar = "Cos"


@irdl_op_definition
class CoshOp(UnaryOp):
    """`cosh(x)`."""

    name = "graph.cosh"
    ONNX_NAME: ClassVar = "Cosh"


@irdl_op_definition
class ErfOp(UnaryOp):
    """The error function."""

    name = "graph.erf"
    ONNX_NAME: ClassVar = "Erf"


@irdl_op_definition
class ExpOp(UnaryOp):
    """`e ** x`."""

    name = "graph.exp"
    ONNX_NAME: ClassVar = "Exp"


@irdl_op_definition
class FloorOp(UnaryOp):
    """Rounded down to an integer."""

    name = "graph.floor"
    ONNX_NAME: ClassVar = "Floor"
    IS_CHEAP: ClassVar = True


@irdl_op_definition
class HardSwishOp(UnaryOp):
    """`x * max(0, min(1, x / 6 + 0.5))`."""

    name = "graph.hard_swish"
    ONNX_NAME: ClassVar = "HardSwish"


@irdl_op_definition
class IdentityOp(UnaryOp):
    """The operand."""

    name = "graph.identity"
    ONNX_NAME: ClassVar = "Identity"
    ACCEPTS: ClassVar = ALL
    IS_CHEAP: ClassVar = True

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        return [values(self.x)]


@irdl_op_definition
class LogOp(UnaryOp):
    """The natural logarithm."""

    name = "graph.log"
    ONNX_NAME: ClassVar = "Log"


@irdl_op_definition
class MishOp(UnaryOp):
    """`x * tanh(ln(1 + e ** x))`."""

    name = "graph.mish"
    ONNX_NAME: ClassVar = "Mish"


@irdl_op_definition
class NegOp(UnaryOp):
    """`-x`."""

    name = "graph.neg"
    ONNX_NAME: ClassVar = "Neg"
    ACCEPTS: ClassVar = SIGNED_NUMBERS
    IS_CHEAP: ClassVar = True

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        return [elementwise(operator.neg, values(self.x))]


@irdl_op_definition
class NotOp(UnaryOp):
    """Logical negation."""

    name = "graph.not"
    ONNX_NAME: ClassVar = "Not"
    ACCEPTS: ClassVar = BOOLS
    IS_CHEAP: ClassVar = True

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        return [elementwise(operator.not_, values(self.x))]


@irdl_op_definition
class ReciprocalOp(UnaryOp):
    """`1 / x`."""

    name = "graph.reciprocal"
    ONNX_NAME: ClassVar = "Reciprocal"


@irdl_op_definition
class ReluOp(UnaryOp):
    """`max(x, 0)`; NaN stays NaN."""

    name = "graph.relu"
    ONNX_NAME: ClassVar = "Relu"
    ACCEPTS: ClassVar = SIGNED_NUMBERS
    IS_CHEAP: ClassVar = True


@irdl_op_definition
class RoundOp(UnaryOp):
    """Rounded to the nearest integer, halves to even."""

    name = "graph.round"
    ONNX_NAME: ClassVar = "Round"
    IS_CHEAP: ClassVar = True


@irdl_op_definition
class SigmoidOp(UnaryOp):
    """`1 / (1 + e ** -x)`."""

    name = "graph.sigmoid"
    ONNX_NAME: ClassVar = "Sigmoid"


@irdl_op_definition
class SignOp(UnaryOp):
    """-1, 0 or 1; NaN stays NaN."""

    name = "graph.sign"
    ONNX_NAME: ClassVar = "Sign"
    ACCEPTS: ClassVar = NUMBERS
    IS_CHEAP: ClassVar = True


@irdl_op_definition
class SinOp(UnaryOp):
    """`sin(x)`."""

    name = "graph.sin"
    ONNX_NAME: ClassVar = "Sin"


@irdl_op_definition
class SinhOp(UnaryOp):
    """`sinh(x)`."""

    name = "graph.sinh"
    ONNX_NAME: ClassVar = "Sinh"


@irdl_op_definition
class SoftplusOp(UnaryOp):
    """`ln(1 + e ** x)`."""

    name = "graph.softplus"
    ONNX_NAME: ClassVar = "Softplus"


@irdl_op_definition
class SoftsignOp(UnaryOp):
    """`x / (1 + |x|)`."""

    name = "graph.softsign"
    ONNX_NAME: ClassVar = "Softsign"


@irdl_op_definition
class SqrtOp(UnaryOp):
    """The square root, NaN of a negative number."""

    name = "graph.sqrt"
    ONNX_NAME: ClassVar = "Sqrt"


@irdl_op_definition
class TanOp(UnaryOp):
    """`tan(x)`."""

    name = "graph.tan"
    ONNX_NAME: ClassVar = "Tan"


@irdl_op_definition
class TanhOp(UnaryOp):
    """`tanh(x)`."""

    name = "graph.tanh"
    ONNX_NAME: ClassVar = "Tanh"


class PredicateOp(UnaryOp):
    """A boolean for each element."""

    def infer(self) -> Sequence[Attribute]:
        return [tensor_type(expect("x", self.x, self.ACCEPTS).dims, BOOL)]

    def infer_operands(self) -> Sequence[Attribute | None]:
        return [tensor_type(info(self.res).dims, None)]


@irdl_op_definition
class IsNaNOp(PredicateOp):
    """Whether an element is NaN."""

    name = "graph.is_nan"
    ONNX_NAME: ClassVar = "IsNaN"


@irdl_op_definition
class IsInfOp(PredicateOp):
    """Whether an element is infinite, of a sign that is asked for."""

    name = "graph.is_inf"
    ONNX_NAME: ClassVar = "IsInf"

    detect_negative = opt_prop_def(IntegerAttr, int_attr(1))
    detect_positive = opt_prop_def(IntegerAttr, int_attr(1))


OPS = [
    AbsOp,
    AcosOp,
    AcoshOp,
    AsinOp,
    AsinhOp,
    AtanOp,
    AtanhOp,
    BitwiseNotOp,
    CeilOp,
    CosOp,
    CoshOp,
    ErfOp,
    ExpOp,
    FloorOp,
    HardSwishOp,
    IdentityOp,
    LogOp,
    MishOp,
    NegOp,
    NotOp,
    ReciprocalOp,
    ReluOp,
    RoundOp,
    SigmoidOp,
    SignOp,
    SinOp,
    SinhOp,
    SoftplusOp,
    SoftsignOp,
    SqrtOp,
    TanOp,
    TanhOp,
    IsNaNOp,
    IsInfOp,
]
