"""Products of matrices: graph.matmul, graph.gemm.

%y = graph.matmul(%x, %w) : tensor<?x12x64x64xf32, ...>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import FloatAttr, IntegerAttr
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, opt_prop_def, result_def

from ...core.errors import ModelError
from ...core.irtypes import float_attr, int_attr
from .base import GraphOp, Pattern
from .checks import NUMBERS, common_element, expect, expect_rank
from .types import Dims, broadcast, info, merge_dim, show, tensor_type


@irdl_op_definition
class MatMulOp(GraphOp):
    """The product of stacks of matrices, as NumPy's `matmul`.

    A vector on the left counts as a row, on the right as a column, and its dimension goes away.
    """

    name = "graph.matmul"
    ONNX_NAME: ClassVar = "MatMul"
    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE

    a = operand_def()
    b = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        a, b = expect("a", self.a, NUMBERS), expect("b", self.b, NUMBERS)
        element = common_element(a=a, b=b)
        if a.dims is None or b.dims is None:
            return [tensor_type(None, element)]
        return [tensor_type(matmul_dims(a.dims, b.dims), element)]

    def infer_operands(self) -> Sequence[Attribute | None]:
        a, b = info(self.a), info(self.b)
        element = a.element or b.element or info(self.res).element
        left, right = a.dims, b.dims
        if left and right:
            at = -min(len(right), 2)
            shared = merge_dim(left[-1], right[at])
            left = (*left[:-1], shared)
            right = (*right[:at], shared, *(right[-1:] if at == -2 else ()))
        return [tensor_type(left, element), tensor_type(right, element)]


def matmul_dims(a: Dims, b: Dims) -> Dims:
    """The shape of the product.

    Raises: ModelError: a scalar, or extents that do not fit.
    """
    if not a or not b:
        raise ModelError("a matrix product needs operands of rank 1 and more")
    rows = a[-2:-1]
    columns = b[-1:] if len(b) > 1 else ()
    try:
        merge_dim(a[-1], b[-min(len(b), 2)])
    except ModelError:
        raise ModelError(f"shapes {show(a)} and {show(b)} do not multiply") from None
    stack = broadcast(a[:-2], b[:-2])
    assert stack is not None, "both ranks are known"
    return (*stack, *rows, *columns)


@irdl_op_definition
class GemmOp(GraphOp):
    """`alpha * A * B + beta * C` of matrices, each of A and B maybe transposed; C broadcasts."""

    name = "graph.gemm"
    ONNX_NAME: ClassVar = "Gemm"
    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE

    a = operand_def()
    b = operand_def()
    c = opt_operand_def()
    alpha = opt_prop_def(FloatAttr, float_attr(1.0))
    beta = opt_prop_def(FloatAttr, float_attr(1.0))
    transA = opt_prop_def(IntegerAttr, int_attr(0))
    transB = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        a, b = expect("a", self.a, NUMBERS), expect("b", self.b, NUMBERS)
        c = None if self.c is None else expect("c", self.c, NUMBERS)
        element = common_element(a=a, b=b, c=c)
        for name, found in (("a", a), ("b", b)):
            expect_rank(name, found, 2)
        left, right = a.dims or (None, None), b.dims or (None, None)
        left = left[::-1] if self.transA.value.data else left
        right = right[::-1] if self.transB.value.data else right
        try:
            merge_dim(left[1], right[0])
        except ModelError:
            raise ModelError(f"shapes {show(left)} and {show(right)} do not multiply") from None
        result = (left[0], right[1])
        if c is not None and c.dims is not None:
            _check_addend(c.dims, result)
        return [tensor_type(result, element)]

    def infer_operands(self) -> Sequence[Attribute | None]:
        a, b, result = info(self.a), info(self.b), info(self.res)
        element = a.element or b.element or result.element
        left, right = a.dims or (None, None), b.dims or (None, None)
        left = left[::-1] if self.transA.value.data else left
        right = right[::-1] if self.transB.value.data else right
        rows, columns = result.dims or (None, None)
        shared = merge_dim(left[1], right[0])
        left, right = (rows, shared), (shared, columns)
        left = left[::-1] if self.transA.value.data else left
        right = right[::-1] if self.transB.value.data else right
        types = [tensor_type(left, element), tensor_type(right, element)]
        return types if self.c is None else [*types, tensor_type(None, element)]


def _check_addend(addend: Dims, result: Dims) -> None:
    if len(addend) > 2:
        raise ModelError(f"'c' has shape {show(addend)}, expected rank 2 at most")
    for extent, target in zip(addend[::-1], result[::-1], strict=False):
        if extent != 1:
            merge_dim(extent, target)


OPS = [GemmOp, MatMulOp]
