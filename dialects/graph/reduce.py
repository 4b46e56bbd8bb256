"""Reductions over dimensions: graph.reduce_sum, graph.arg_max, ...

%y = graph.reduce_max(%x, %axes) {keepdims = 0} : tensor<1x64xf32>      %axes: tensor<1xi64>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, opt_prop_def, result_def

from ...core import symbolic
from ...core.irtypes import int_attr
from .base import GraphOp, Pattern
from .checks import ALL, I64, NUMBERS, expect, normal_axes, normal_axis
from .types import Dims, info, tensor_type
from .values import as_value, extents, integers, length

if TYPE_CHECKING:
    from .base import ShapeValue, ValueReader


class ReduceOp(GraphOp):
    """`data` reduced over `axes` (all of them if absent or empty), which stay as 1 or go away."""

    PATTERN: ClassVar = Pattern.COMM_REDUCE
    ACCEPTS: ClassVar[frozenset[Attribute]] = NUMBERS

    data = operand_def()
    axes = opt_operand_def()
    keepdims = opt_prop_def(IntegerAttr, int_attr(1))
    noop_with_empty_axes = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data, self.ACCEPTS)
        return [data.with_dims(self._result_dims(data.dims)).type]

    def infer_operands(self) -> Sequence[Attribute | None]:
        data = tensor_type(None, info(self.res).element)
        return [data, tensor_type(None, I64)][: len(self.operands)]

    def reduced_axes(self, rank: int) -> tuple[int, ...] | None:
        """The axes that are reduced, ascending from 0; `None` if they are not constant.

        Raises: ModelError: an axis is out of range.
        """
        if self.axes is None or length(self.axes) == 0:
            return () if self.noop_with_empty_axes.value.data else tuple(range(rank))
        axes = integers(self.axes)
        return None if axes is None else tuple(sorted(normal_axes(axes, rank)))

    def _result_dims(self, data: Dims | None) -> Dims | None:
        if data is None:
            return None
        axes = self.reduced_axes(len(data))
        keep = bool(self.keepdims.value.data)
        if axes is not None:
            return reduce_dims(data, axes, keep)
        if keep:
            return (None,) * len(data)
        count = length(self.axes)
        return None if count is None else (None,) * (len(data) - count)


def reduce_dims(data: Dims, axes: Sequence[int], keepdims: bool) -> Dims:
    """The shape after a reduction over `axes`."""
    if keepdims:
        return tuple(1 if axis in axes else extent for axis, extent in enumerate(data))
    return tuple(extent for axis, extent in enumerate(data) if axis not in axes)


@irdl_op_definition
class ReduceL1Op(ReduceOp):
    """The sum of absolute values."""

    name = "graph.reduce_l1"
    ONNX_NAME: ClassVar = "ReduceL1"


@irdl_op_definition
class ReduceL2Op(ReduceOp):
    """The square root of the sum of squares."""

    name = "graph.reduce_l2"
    ONNX_NAME: ClassVar = "ReduceL2"


@irdl_op_definition
class ReduceLogSumOp(ReduceOp):
    """The logarithm of the sum."""

    name = "graph.reduce_log_sum"
    ONNX_NAME: ClassVar = "ReduceLogSum"


@irdl_op_definition
class ReduceLogSumExpOp(ReduceOp):
    """The logarithm of the sum of exponentials."""

    name = "graph.reduce_log_sum_exp"
    ONNX_NAME: ClassVar = "ReduceLogSumExp"


@irdl_op_definition
class ReduceMaxOp(ReduceOp):
    """The maximum, NaN if there is one; of nothing the least value of the type."""

    name = "graph.reduce_max"
    ONNX_NAME: ClassVar = "ReduceMax"
    ACCEPTS: ClassVar = ALL


@irdl_op_definition
class ReduceMeanOp(ReduceOp):
    """The mean; of integers rounded to zero."""

    name = "graph.reduce_mean"
    ONNX_NAME: ClassVar = "ReduceMean"


@irdl_op_definition
class ReduceMinOp(ReduceOp):
    """The minimum, NaN if there is one; of nothing the greatest value of the type."""

    name = "graph.reduce_min"
    ONNX_NAME: ClassVar = "ReduceMin"
    ACCEPTS: ClassVar = ALL


@irdl_op_definition
class ReduceProdOp(ReduceOp):
    """The product; of nothing 1."""

    name = "graph.reduce_prod"
    ONNX_NAME: ClassVar = "ReduceProd"

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        factors = extents(self.data, values)
        if factors is None or info(self.data).rank != 1 or self.reduced_axes(1) != (0,):
            return [None]
        known = [factor for factor in factors if factor is not None]
        product = symbolic.product(known) if len(known) == len(factors) else None
        return [as_value([product] if self.keepdims.value.data else product)]


@irdl_op_definition
class ReduceSumOp(ReduceOp):
    """The sum; of nothing 0."""

    name = "graph.reduce_sum"
    ONNX_NAME: ClassVar = "ReduceSum"


@irdl_op_definition
class ReduceSumSquareOp(ReduceOp):
    """The sum of squares."""

    name = "graph.reduce_sum_square"
    ONNX_NAME: ClassVar = "ReduceSumSquare"


class ArgOp(GraphOp):
    """Positions along `axis`, the first or, with `select_last_index`, the last of equals."""

    PATTERN: ClassVar = Pattern.COMM_REDUCE

    data = operand_def()
    axis = opt_prop_def(IntegerAttr, int_attr(0))
    keepdims = opt_prop_def(IntegerAttr, int_attr(1))
    select_last_index = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data, NUMBERS).dims
        if data is None:
            return [tensor_type(None, I64)]
        axis = normal_axis(self.axis.value.data, len(data))
        return [tensor_type(reduce_dims(data, (axis,), bool(self.keepdims.value.data)), I64)]


@irdl_op_definition
class ArgMaxOp(ArgOp):
    """The position of the maximum."""

    name = "graph.arg_max"
    ONNX_NAME: ClassVar = "ArgMax"


@irdl_op_definition
class ArgMinOp(ArgOp):
    """The position of the minimum."""

    name = "graph.arg_min"
    ONNX_NAME: ClassVar = "ArgMin"


@irdl_op_definition
class CumSumOp(GraphOp):
    """Running sums along `axis` (a scalar operand); `exclusive` leaves out the element itself."""

    name = "graph.cum_sum"
    ONNX_NAME: ClassVar = "CumSum"

    x = operand_def()
    axis = operand_def()
    exclusive = opt_prop_def(IntegerAttr, int_attr(0))
    reverse = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, NUMBERS)
        axis = integers(self.axis)
        if axis is not None and x.dims is not None:
            normal_axis(axis[0], len(x.dims))
        return [x.type]

    def infer_operands(self) -> Sequence[Attribute | None]:
        return [self.res.type, None]


OPS = [
    ArgMaxOp,
    ArgMinOp,
    CumSumOp,
    ReduceL1Op,
    ReduceL2Op,
    ReduceLogSumExpOp,
    ReduceLogSumOp,
    ReduceMaxOp,
    ReduceMeanOp,
    ReduceMinOp,
    ReduceProdOp,
    ReduceSumOp,
    ReduceSumSquareOp,
]
