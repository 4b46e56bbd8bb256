"""poly: polynomials of a tensor, element by element.

%y = poly.eval %x at [1.0 : f32, 0.5 : f32] : tensor<4xf32>
"""

from xdsl.dialects.builtin import ArrayAttr, FloatAttr, TensorType
from xdsl.ir import Dialect
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException


@irdl_op_definition
class EvalOp(IRDLOperation):
    """c[0] + c[1] x + c[2] x^2 + ..., for each element x; one coefficient or more."""

    name = "poly.eval"
    x = operand_def(TensorType)
    coefficients = prop_def(ArrayAttr[FloatAttr])
    res = result_def(TensorType)
    traits = traits_def(Pure())

    def verify_(self) -> None:
        if self.res.type != self.x.type:
            raise VerifyException(f"expected a result of type {self.x.type}, got {self.res.type}")
        if not self.coefficients.data:
            raise VerifyException("expected a coefficient")


Poly = Dialect("poly", [EvalOp], [])
