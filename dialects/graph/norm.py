"""Normalisations and softmax: graph.batch_normalization, graph.layer_normalization, ...

%y = graph.layer_normalization(%x, %scale, %b) {axis = -1} : tensor<?x?x384xf32, ...>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, FloatAttr, IntegerAttr, f32
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    AttrSizedResultSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    opt_result_def,
    prop_def,
    result_def,
)

from ...core.errors import ModelError
from ...core.irtypes import float_attr, int_attr, int_values, ints
from .base import GraphOp, Pattern
from .checks import FLOATS, common_element, expect, expect_rank, normal_axes, normal_axis
from .elementwise import UnaryOp
from .types import Dims, MaybeDim, broadcast, info, merge_dim, show, tensor_type


def check_channels(dims: Dims | None, **parameters: SSAValue | None) -> None:
    """Parameters have one entry for each channel (dimension 1) of the data.

    Raises: ModelError: one has not, or the data has no channels.
    """
    if dims is not None and len(dims) < 2:
        raise ModelError(f"'x' has shape {show(dims)}, expected rank 2 and more")
    channels: MaybeDim = None if dims is None else dims[1]
    for name, value in parameters.items():
        found = None if value is None else expect(name, value, FLOATS)
        if found is None or found.dims is None:
            continue
        expect_rank(name, found, 1)
        try:
            merge_dim(found.dims[0], channels)
        except ModelError:
            raise ModelError(f"'{name}' has {found.dims[0]} entries, not {channels}") from None


@irdl_op_definition
class BatchNormalizationOp(GraphOp):
    """`(x - input_mean) / sqrt(input_var + epsilon) * scale + b` per channel (dimension 1).

    With `training_mode` = 1 mean and variance are those of the batch, and the further results are
    the running ones: `running * momentum + current * (1 - momentum)`.
    """

    name = "graph.batch_normalization"
    ONNX_NAME: ClassVar = "BatchNormalization"
    PATTERN: ClassVar = Pattern.BROADCAST

    x = operand_def()
    scale = operand_def()
    b = operand_def()
    input_mean = operand_def()
    input_var = operand_def()
    epsilon = opt_prop_def(FloatAttr, float_attr(1e-5))
    momentum = opt_prop_def(FloatAttr, float_attr(0.9))
    training_mode = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()
    running_mean = opt_result_def()
    running_var = opt_result_def()
    irdl_options = (AttrSizedResultSegments(as_property=True),)

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, FLOATS)
        check_channels(
            x.dims, scale=self.scale, b=self.b, input_mean=self.input_mean, input_var=self.input_var
        )
        if len(self.results) > 1 and not self.training_mode.value.data:
            raise ModelError("running_mean and running_var need training_mode = 1")
        return [x.type, *[info(self.input_mean).type] * (len(self.results) - 1)]

    def infer_operands(self) -> Sequence[Attribute | None]:
        result = info(self.res)
        channels = (None if result.dims is None or len(result.dims) < 2 else result.dims[1],)
        return [self.res.type, *[tensor_type(channels, result.element)] * 4]


@irdl_op_definition
class LayerNormalizationOp(GraphOp):
    """Mean 0 and variance 1 over the dimensions from `axis`, times `scale`, plus `b`.

    The further results are the mean and 1 / standard deviation, with 1 for those dimensions.
    `stash_type` 1: computed in f32.
    """

    name = "graph.layer_normalization"
    ONNX_NAME: ClassVar = "LayerNormalization"
    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE
    PASSES_OVER_INPUT: ClassVar = 3

    x = operand_def()
    scale = operand_def()
    b = opt_operand_def()
    axis = opt_prop_def(IntegerAttr, int_attr(-1))
    epsilon = opt_prop_def(FloatAttr, float_attr(1e-5))
    stash_type = opt_prop_def(IntegerAttr, int_attr(1))
    res = result_def()
    mean = opt_result_def()
    inv_std_dev = opt_result_def()
    irdl_options = (AttrSizedResultSegments(as_property=True),)

    def infer(self) -> Sequence[Attribute]:
        x, scale = expect("x", self.x, FLOATS), expect("scale", self.scale, FLOATS)
        b = None if self.b is None else expect("b", self.b, FLOATS)
        element = common_element(x=x, scale=scale, b=b)
        statistics: Dims | None = None
        if x.dims is not None:
            axis = normal_axis(self.axis.value.data, len(x.dims))
            statistics = (*x.dims[:axis], *(1,) * (len(x.dims) - axis))
            for found in (scale, b):
                if found is not None:
                    check_one_way(found.dims, x.dims)
        stash = f32 if self.stash_type.value.data == 1 else element
        further = [tensor_type(statistics, stash)] * (len(self.results) - 1)
        return [tensor_type(x.dims, element), *further]

    def infer_operands(self) -> Sequence[Attribute | None]:
        parameters = len(self.operands) - 1
        return [self.res.type, *[tensor_type(None, info(self.res).element)] * parameters]


def check_one_way(dims: Dims | None, target: Dims) -> None:
    """Raises: ModelError: `dims` does not broadcast to `target`."""
    shape = broadcast(dims, target)
    if dims is not None and shape is not None:
        if len(shape) != len(target):
            raise ModelError(f"shape {show(dims)} does not broadcast to {show(target)}")
        for extent, wanted in zip(shape, target, strict=True):
            merge_dim(extent, wanted)


@irdl_op_definition
class RMSNormalizationOp(GraphOp):
    """`x / sqrt(mean(x ** 2) + epsilon) * scale` over the dimensions from `axis`."""

    name = "graph.rms_normalization"
    ONNX_NAME: ClassVar = "RMSNormalization"
    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE
    PASSES_OVER_INPUT: ClassVar = 2

    x = operand_def()
    scale = operand_def()
    axis = opt_prop_def(IntegerAttr, int_attr(-1))
    epsilon = opt_prop_def(FloatAttr, float_attr(1e-5))
    stash_type = opt_prop_def(IntegerAttr, int_attr(1))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        x, scale = expect("x", self.x, FLOATS), expect("scale", self.scale, FLOATS)
        if x.dims is not None:
            normal_axis(self.axis.value.data, len(x.dims))
            check_one_way(scale.dims, x.dims)
        return [tensor_type(x.dims, scale.element)]


@irdl_op_definition
class InstanceNormalizationOp(GraphOp):
    """Mean 0 and variance 1 over the spatial dimensions, times `scale`, plus `b` per channel."""

    name = "graph.instance_normalization"
    ONNX_NAME: ClassVar = "InstanceNormalization"
    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE
    PASSES_OVER_INPUT: ClassVar = 3

    x = operand_def()
    scale = operand_def()
    b = operand_def()
    epsilon = opt_prop_def(FloatAttr, float_attr(1e-5))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, FLOATS)
        check_channels(x.dims, scale=self.scale, b=self.b)
        return [x.type]


@irdl_op_definition
class GroupNormalizationOp(GraphOp):
    """Mean 0 and variance 1 over each group of channels, times `scale`, plus `bias`.

    `scale` and `bias` have one entry for each channel.
    """

    name = "graph.group_normalization"
    ONNX_NAME: ClassVar = "GroupNormalization"
    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE
    PASSES_OVER_INPUT: ClassVar = 3

    x = operand_def()
    scale = operand_def()
    bias = operand_def()
    num_groups = prop_def(IntegerAttr)
    epsilon = opt_prop_def(FloatAttr, float_attr(1e-5))
    stash_type = opt_prop_def(IntegerAttr, int_attr(1))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, FLOATS)
        check_channels(x.dims, scale=self.scale, bias=self.bias)
        groups = self.num_groups.value.data
        channels = None if x.dims is None else x.dims[1]
        if groups < 1 or (isinstance(channels, int) and channels % groups):
            raise ModelError(f"{channels} channels in {groups} groups")
        return [x.type]


@irdl_op_definition
class LRNOp(UnaryOp):
    """`x / (bias + alpha / size * sum of squares of near channels) ** beta`."""

    name = "graph.lrn"
    ONNX_NAME: ClassVar = "LRN"
    PATTERN: ClassVar = Pattern.OPAQUE

    size = prop_def(IntegerAttr)
    alpha = opt_prop_def(FloatAttr, float_attr(1e-4))
    beta = opt_prop_def(FloatAttr, float_attr(0.75))
    bias = opt_prop_def(FloatAttr, float_attr(1.0))

    def infer(self) -> Sequence[Attribute]:
        check_channels(expect("x", self.x, FLOATS).dims)
        if self.size.value.data < 1:
            raise ModelError(f"size {self.size.value.data}, expected 1 or more")
        return super().infer()


class AxisOp(UnaryOp):
    """An operator along one `axis`, the last by default; the result has the operand's type."""

    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE

    axis = opt_prop_def(IntegerAttr, int_attr(-1))

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, FLOATS)
        if x.dims is not None:
            normal_axis(self.axis.value.data, len(x.dims))
        return [x.type]


@irdl_op_definition
class HardmaxOp(AxisOp):
    """1 at the first maximum along `axis`, else 0."""

    name = "graph.hardmax"
    ONNX_NAME: ClassVar = "Hardmax"
    PATTERN: ClassVar = Pattern.OPAQUE


@irdl_op_definition
class LogSoftmaxOp(AxisOp):
    """`log(softmax(x))`."""

    name = "graph.log_softmax"
    ONNX_NAME: ClassVar = "LogSoftmax"
    PASSES_OVER_INPUT: ClassVar = 3


@irdl_op_definition
class LpNormalizationOp(AxisOp):
    """`x` divided by its p-norm along `axis` (p is 1 or 2), 0 where that is 0."""

    name = "graph.lp_normalization"
    ONNX_NAME: ClassVar = "LpNormalization"
    PASSES_OVER_INPUT: ClassVar = 2

    p = opt_prop_def(IntegerAttr, int_attr(2))

    def infer(self) -> Sequence[Attribute]:
        if self.p.value.data not in (1, 2):
            raise ModelError(f"p {self.p.value.data}, expected 1 or 2")
        return super().infer()


@irdl_op_definition
class MeanVarianceNormalizationOp(UnaryOp):
    """`(x - mean) / sqrt(variance)` over `axes`."""

    name = "graph.mean_variance_normalization"
    ONNX_NAME: ClassVar = "MeanVarianceNormalization"
    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE
    PASSES_OVER_INPUT: ClassVar = 3

    axes = opt_prop_def(ArrayAttr[IntegerAttr], ints([0, 2, 3]))

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, FLOATS)
        if x.dims is not None:
            normal_axes(int_values(self.axes), len(x.dims))
        return [x.type]


@irdl_op_definition
class SoftmaxOp(AxisOp):
    """`e ** x / sum(e ** x)` along `axis`."""

    name = "graph.softmax"
    ONNX_NAME: ClassVar = "Softmax"
    PASSES_OVER_INPUT: ClassVar = 3


OPS = [
    BatchNormalizationOp,
    GroupNormalizationOp,
    HardmaxOp,
    InstanceNormalizationOp,
    LRNOp,
    LayerNormalizationOp,
    LogSoftmaxOp,
    LpNormalizationOp,
    MeanVarianceNormalizationOp,
    RMSNormalizationOp,
    SoftmaxOp,
]
