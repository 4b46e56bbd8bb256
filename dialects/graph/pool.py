"""Pooling: graph.max_pool, graph.average_pool, graph.global_average_pool, ...

%y = graph.max_pool(%x) {kernel_shape = [3, 3], strides = [2, 2]} : tensor<1x64x27x27xf32>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr
from xdsl.ir import Attribute
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    opt_result_def,
    prop_def,
    result_def,
)

from ...core.errors import ModelError
from ...core.irtypes import int_attr, int_values
from .base import GraphOp, Pattern
from .checks import FLOATS, I64, NUMBERS, expect
from .types import Dims, show, tensor_type
from .window import Window, WindowOp


class PoolOp(WindowOp):
    """Data `x` [batch, channels, spatial...]; each result element reduces a window."""

    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE
    ACCEPTS: ClassVar = FLOATS

    x = operand_def()
    kernel_shape = prop_def(ArrayAttr[IntegerAttr])
    ceil_mode = opt_prop_def(IntegerAttr, int_attr(0))

    @property
    def window(self) -> Window | None:
        """The resolved window, `None` if the data's rank is unknown.

        Raises: ModelError: it does not fit the data.
        """
        data = spatial_data(expect("x", self.x, self.ACCEPTS).dims)
        if data is None:
            return None
        kernel = int_values(self.kernel_shape)
        return self.resolve(data[2:], kernel, ceil_mode=bool(self.ceil_mode.value.data))

    def pooled(self, element: Attribute | None) -> Attribute:
        """The result type with this element type."""
        data = expect("x", self.x, self.ACCEPTS).dims
        window = self.window
        shape = None if data is None or window is None else (*data[:2], *window.out)
        return tensor_type(shape, element)

    def infer(self) -> Sequence[Attribute]:
        return [self.pooled(expect("x", self.x, self.ACCEPTS).element)]


def spatial_data(dims: Dims | None) -> Dims | None:
    """The shape again. Raises: ModelError: it has no batch and channel dimensions."""
    if dims is not None and len(dims) < 2:
        raise ModelError(f"'x' has shape {show(dims)}, expected rank 2 and more")
    return dims


@irdl_op_definition
class MaxPoolOp(PoolOp):
    """The largest of each window, padding excluded, NaN if it has one.

    `indices`: positions of these in the flattened data (column-major per image with
    `storage_order` = 1).
    """

    name = "graph.max_pool"
    ONNX_NAME: ClassVar = "MaxPool"
    ACCEPTS: ClassVar = NUMBERS

    storage_order = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()
    indices = opt_result_def()

    def infer(self) -> Sequence[Attribute]:
        values = self.pooled(expect("x", self.x, self.ACCEPTS).element)
        return [values] if self.indices is None else [values, self.pooled(I64)]


@irdl_op_definition
class AveragePoolOp(PoolOp):
    """The mean of each window, over what lies inside the data or, with `count_include_pad`, all."""

    name = "graph.average_pool"
    ONNX_NAME: ClassVar = "AveragePool"

    count_include_pad = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()


@irdl_op_definition
class LpPoolOp(PoolOp):
    """The p-norm of each window: `sum(|x| ** p) ** (1 / p)`."""

    name = "graph.lp_pool"
    ONNX_NAME: ClassVar = "LpPool"

    p = opt_prop_def(IntegerAttr, int_attr(2))
    res = result_def()


class GlobalPoolOp(GraphOp):
    """Data `x` [batch, channels, spatial...]; every spatial dimension becomes 1."""

    PATTERN: ClassVar = Pattern.COMM_REDUCE

    x = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, FLOATS)
        data = spatial_data(x.dims)
        if data is None:
            return [x.type]
        return [x.with_dims((*data[:2], *(1,) * (len(data) - 2))).type]


@irdl_op_definition
class GlobalAveragePoolOp(GlobalPoolOp):
    """The mean over all spatial dimensions."""

    name = "graph.global_average_pool"
    ONNX_NAME: ClassVar = "GlobalAveragePool"


@irdl_op_definition
class GlobalLpPoolOp(GlobalPoolOp):
    """The p-norm over all spatial dimensions."""

    name = "graph.global_lp_pool"
    ONNX_NAME: ClassVar = "GlobalLpPool"

    p = opt_prop_def(IntegerAttr, int_attr(2))


@irdl_op_definition
class GlobalMaxPoolOp(GlobalPoolOp):
    """The maximum over all spatial dimensions; NaN if there is one."""

    name = "graph.global_max_pool"
    ONNX_NAME: ClassVar = "GlobalMaxPool"


OPS = [
    AveragePoolOp,
    GlobalAveragePoolOp,
    GlobalLpPoolOp,
    GlobalMaxPoolOp,
    LpPoolOp,
    MaxPoolOp,
]
