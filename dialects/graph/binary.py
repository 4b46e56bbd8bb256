"""Operators of several tensors, element by element, with NumPy's broadcasting: graph.add, ...

%2 = graph.add(%x, %b) : tensor<128x64xf32>      %x: tensor<128x64xf32>, %b: tensor<64xf32>
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, ClassVar

from xdsl.dialects.builtin import IntegerAttr, StringAttr
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    var_operand_def,
)

from ...core import symbolic
from ...core.errors import ModelError
from ...core.irtypes import int_attr
from ...core.symbolic import Dim
from .base import GraphOp, Pattern
from .checks import ALL, BOOL, BOOLS, FLOATS, INTS, NUMBERS, common_element, expect
from .types import TensorInfo, broadcast, info, tensor_type
from .values import elementwise

if TYPE_CHECKING:
    from .base import ShapeValue, ValueReader


def guess_operands(
    operands: Sequence[SSAValue], result: TensorInfo, element: Attribute | None
) -> Sequence[Attribute | None]:
    """Operands of unknown rank have the shape of the result, or else of a known operand."""
    shapes = [result.dims, *(info(operand).dims for operand in operands)]
    known = next((shape for shape in shapes if shape is not None), None)
    return [
        tensor_type(known if info(operand).dims is None else None, element) for operand in operands
    ]


class BroadcastOp(GraphOp):
    """Any number of operands of one element type."""

    PATTERN: ClassVar = Pattern.BROADCAST
    ACCEPTS: ClassVar[frozenset[Attribute]] = NUMBERS

    def infer(self) -> Sequence[Attribute]:
        names = [f"operand {index}" for index in range(len(self.operands))]
        if not names:
            raise ModelError("expected at least one operand")
        found = [
            expect(name, operand, self.ACCEPTS)
            for name, operand in zip(names, self.operands, strict=True)
        ]
        element = common_element(**dict(zip(names, found, strict=True)))
        return [
            tensor_type(broadcast(*(item.dims for item in found)), self.result_element(element))
        ]

    def result_element(self, element: Attribute | None) -> Attribute | None:
        """The result's element type, given the operands'."""
        return element

    def infer_operands(self) -> Sequence[Attribute | None]:
        result = info(self.results[0])
        found = [info(operand).element for operand in self.operands]
        element = next((item for item in found if item is not None), None)
        if element is None and self.result_element(None) is None:
            element = result.element
        return guess_operands(self.operands, result, element)


class BinaryOp(BroadcastOp):
    """Two operands `a` and `b`."""

    VALUE: ClassVar[Callable[..., object] | None] = None
    """How sizes are combined, where shapes are computed with this operator."""

    a = operand_def()
    b = operand_def()
    res = result_def()

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        function = type(self).VALUE
        if function is None:
            return [None]
        return [elementwise(function, values(self.a), values(self.b))]


class CompareOp(BinaryOp):
    """Two operands; a boolean for each pair of elements."""

    IS_CHEAP: ClassVar = True

    def result_element(self, element: Attribute | None) -> Attribute | None:
        return BOOL


class LogicalOp(BinaryOp):
    """Two boolean operands."""

    IS_CHEAP: ClassVar = True
    ACCEPTS: ClassVar = BOOLS
    COMMUTATIVE: ClassVar = True


class BitwiseOp(BinaryOp):
    """Two integer operands, bit by bit."""

    IS_CHEAP: ClassVar = True
    ACCEPTS: ClassVar = INTS
    COMMUTATIVE: ClassVar = True


class VariadicOp(BroadcastOp):
    """One or more operands."""

    COMMUTATIVE: ClassVar = True
    VALUE: ClassVar[Callable[..., object] | None] = None

    inputs = var_operand_def()
    res = result_def()

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        function = type(self).VALUE
        if function is None:
            return [None]
        contents = [values(operand) for operand in self.inputs]
        return [reduce(lambda lhs, rhs: elementwise(function, lhs, rhs), contents)]


def truncated_div(lhs: Dim, rhs: Dim) -> Dim | None:
    """Integer division rounding to zero, where the signs are known; `None` otherwise."""
    if rhs == 0:
        return None
    if isinstance(lhs, int) and isinstance(rhs, int):
        quotient = abs(lhs) // abs(rhs)
        return quotient if (lhs < 0) == (rhs < 0) else -quotient
    lows = [symbolic.bounds(side)[0] for side in (lhs, rhs)]
    if any(low is None or low < 0 for low in lows):
        return None
    return symbolic.floordiv(lhs, rhs)


def _add(lhs: Dim, rhs: Dim) -> Dim:
    return lhs + rhs


def _sub(lhs: Dim, rhs: Dim) -> Dim:
    return lhs - rhs


def _mul(lhs: Dim, rhs: Dim) -> Dim:
    return lhs * rhs


def _and(lhs: object, rhs: object) -> bool:
    return bool(lhs) and bool(rhs)


def _or(lhs: object, rhs: object) -> bool:
    return bool(lhs) or bool(rhs)


def _xor(lhs: object, rhs: object) -> bool:
    return bool(lhs) != bool(rhs)


def _equal(lhs: Dim, rhs: Dim) -> bool | None:
    return symbolic.equal(lhs, rhs)


def _less(lhs: Dim, rhs: Dim) -> bool | None:
    return symbolic.less_equal(lhs + 1, rhs)


def _less_equal(lhs: Dim, rhs: Dim) -> bool | None:
    return symbolic.less_equal(lhs, rhs)


def _greater(lhs: Dim, rhs: Dim) -> bool | None:
    return _less(rhs, lhs)


def _greater_equal(lhs: Dim, rhs: Dim) -> bool | None:
    return _less_equal(rhs, lhs)


@irdl_op_definition
class AddOp(BinaryOp):
    """`a + b`; integers wrap around."""

    name = "graph.add"
    ONNX_NAME: ClassVar = "Add"
    IS_CHEAP: ClassVar = True
    COMMUTATIVE: ClassVar = True
    VALUE = _add


@irdl_op_definition
class SubOp(BinaryOp):
    """`a - b`; integers wrap around."""

    name = "graph.sub"
    ONNX_NAME: ClassVar = "Sub"
    IS_CHEAP: ClassVar = True
    VALUE = _sub


@irdl_op_definition
class MulOp(BinaryOp):
    """`a * b`; integers wrap around."""

    name = "graph.mul"
    ONNX_NAME: ClassVar = "Mul"
    IS_CHEAP: ClassVar = True
    COMMUTATIVE: ClassVar = True
    VALUE = _mul


@irdl_op_definition
class DivOp(BinaryOp):
    """`a / b`; of integers rounded to zero, and unspecified where `b` is zero."""

    name = "graph.div"
    ONNX_NAME: ClassVar = "Div"
    VALUE = truncated_div


@irdl_op_definition
class ModOp(BinaryOp):
    """The remainder: of the sign of `b`, or with `fmod` = 1 of the sign of `a` (C's fmod)."""

    name = "graph.mod"
    ONNX_NAME: ClassVar = "Mod"

    fmod = opt_prop_def(IntegerAttr, int_attr(0))


@irdl_op_definition
class PowOp(BinaryOp):
    """`a ** b`, of the type of `a`; the types may differ."""

    name = "graph.pow"
    ONNX_NAME: ClassVar = "Pow"

    def infer(self) -> Sequence[Attribute]:
        base = expect("a", self.a, NUMBERS)
        exponent = expect("b", self.b, NUMBERS)
        return [tensor_type(broadcast(base.dims, exponent.dims), base.element)]

    def infer_operands(self) -> Sequence[Attribute | None]:
        base, exponent = guess_operands([self.a, self.b], info(self.res), info(self.res).element)
        known = info(self.b).element
        return [base, exponent if known is None else tensor_type(None, known)]


@irdl_op_definition
class PReluOp(BinaryOp):
    """`a` where it is not negative, else `b * a`; the slope `b` broadcasts to `a`, one way."""

    name = "graph.p_relu"
    ONNX_NAME: ClassVar = "PRelu"
    IS_CHEAP: ClassVar = True

    def infer(self) -> Sequence[Attribute]:
        [inferred] = super().infer()
        data = info(self.a)
        if data.dims is not None and (rank := info(inferred).rank) not in (None, len(data.dims)):
            raise ModelError(f"the slope has rank {rank}, more than the data's {len(data.dims)}")
        return [data.with_dims(data.dims).type if data.dims is not None else inferred]


@irdl_op_definition
class BitShiftOp(BinaryOp):
    """`a` shifted by `b` bits; `direction` is "LEFT" or "RIGHT"; 0 where `b` has too many."""

    name = "graph.bit_shift"
    ONNX_NAME: ClassVar = "BitShift"
    ACCEPTS: ClassVar = INTS

    direction = prop_def(StringAttr)

    def infer(self) -> Sequence[Attribute]:
        if self.direction.data not in ("LEFT", "RIGHT"):
            raise ModelError(f"direction '{self.direction.data}', expected 'LEFT' or 'RIGHT'")
        return super().infer()


@irdl_op_definition
class EqualOp(CompareOp):
    """Whether the elements are equal; NaN equals nothing."""

    name = "graph.equal"
    ONNX_NAME: ClassVar = "Equal"
    ACCEPTS: ClassVar = ALL
    COMMUTATIVE: ClassVar = True
    VALUE = _equal


@irdl_op_definition
class LessOp(CompareOp):
    """`a < b`."""

    name = "graph.less"
    ONNX_NAME: ClassVar = "Less"
    VALUE = _less


@irdl_op_definition
class LessOrEqualOp(CompareOp):
    """`a <= b`."""

    name = "graph.less_or_equal"
    ONNX_NAME: ClassVar = "LessOrEqual"
    VALUE = _less_equal


@irdl_op_definition
class GreaterOp(CompareOp):
    """`a > b`."""

    name = "graph.greater"
    ONNX_NAME: ClassVar = "Greater"
    VALUE = _greater


@irdl_op_definition
class GreaterOrEqualOp(CompareOp):
    """`a >= b`."""

    name = "graph.greater_or_equal"
    ONNX_NAME: ClassVar = "GreaterOrEqual"
    VALUE = _greater_equal


@irdl_op_definition
class AndOp(LogicalOp):
    """Logical and."""

    name = "graph.and"
    ONNX_NAME: ClassVar = "And"
    VALUE = _and


@irdl_op_definition
class OrOp(LogicalOp):
    """Logical or."""

    name = "graph.or"
    ONNX_NAME: ClassVar = "Or"
    VALUE = _or


@irdl_op_definition
class XorOp(LogicalOp):
    """Logical exclusive or."""

    name = "graph.xor"
    ONNX_NAME: ClassVar = "Xor"
    VALUE = _xor


@irdl_op_definition
class BitwiseAndOp(BitwiseOp):
    """Bitwise and."""

    name = "graph.bitwise_and"
    ONNX_NAME: ClassVar = "BitwiseAnd"


@irdl_op_definition
class BitwiseOrOp(BitwiseOp):
    """Bitwise or."""

    name = "graph.bitwise_or"
    ONNX_NAME: ClassVar = "BitwiseOr"


@irdl_op_definition
class BitwiseXorOp(BitwiseOp):
    """Bitwise exclusive or."""

    name = "graph.bitwise_xor"
    ONNX_NAME: ClassVar = "BitwiseXor"


@irdl_op_definition
class MaxOp(VariadicOp):
    """The largest of the elements; NaN if one is NaN."""

    name = "graph.max"
    ONNX_NAME: ClassVar = "Max"
    IS_CHEAP: ClassVar = True
    VALUE = symbolic.maximum


@irdl_op_definition
class MinOp(VariadicOp):
    """The smallest of the elements; NaN if one is NaN."""

    name = "graph.min"
    ONNX_NAME: ClassVar = "Min"
    IS_CHEAP: ClassVar = True
    VALUE = symbolic.minimum


@irdl_op_definition
class SumOp(VariadicOp):
    """The sum of the elements."""

    name = "graph.sum"
    ONNX_NAME: ClassVar = "Sum"
    ACCEPTS: ClassVar = FLOATS
    IS_CHEAP: ClassVar = True


@irdl_op_definition
class MeanOp(VariadicOp):
    """The mean of the elements."""

    name = "graph.mean"
    ONNX_NAME: ClassVar = "Mean"
    ACCEPTS: ClassVar = FLOATS


@irdl_op_definition
class WhereOp(GraphOp):
    """`x` where `condition` holds, else `y`; all three broadcast."""

    name = "graph.where"
    ONNX_NAME: ClassVar = "Where"
    PATTERN: ClassVar = Pattern.BROADCAST
    IS_CHEAP: ClassVar = True

    condition = operand_def()
    x = operand_def()
    y = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        condition = expect("condition", self.condition, BOOLS)
        x, y = expect("x", self.x), expect("y", self.y)
        shape = broadcast(condition.dims, x.dims, y.dims)
        return [tensor_type(shape, common_element(x=x, y=y))]

    def infer_operands(self) -> Sequence[Attribute | None]:
        known = common_element(x=info(self.x), y=info(self.y), res=info(self.res))
        condition, x, y = guess_operands([self.condition, self.x, self.y], info(self.res), known)
        return [tensor_type(None if condition is None else info(condition).dims, BOOL), x, y]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        def choose(condition: bool, x: object, y: object) -> object:
            return x if condition else y

        return [elementwise(choose, values(self.condition), values(self.x), values(self.y))]


OPS = [
    AddOp,
    AndOp,
    BitShiftOp,
    BitwiseAndOp,
    BitwiseOrOp,
    BitwiseXorOp,
    DivOp,
    EqualOp,
    GreaterOp,
    GreaterOrEqualOp,
    LessOp,
    LessOrEqualOp,
    MaxOp,
    MeanOp,
    MinOp,
    ModOp,
    MulOp,
    OrOp,
    PReluOp,
    PowOp,
    SubOp,
    SumOp,
    WhereOp,
    XorOp,
]
