"""Convolutions: graph.conv, graph.conv_transpose.

%y = graph.conv(%x, %w, %b) {pads = [1, 1, 1, 1], strides = [2, 2]} : tensor<1x64x56x56xf32>
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, opt_prop_def, result_def

from ...core.errors import ModelError
from ...core.irtypes import int_attr, int_values
from ...core.symbolic import Dim, exact_div, is_divisible, less_equal
from .base import Pattern
from .checks import FLOATS, common_element, expect, expect_rank
from .types import Dims, MaybeDim, TensorInfo, info, merge_dim, show, tensor_type
from .window import Window, WindowOp


class AnyConvOp(WindowOp):
    """Data `x` [batch, channels, spatial...], weights `w`, maybe a bias `b` [output channels]."""

    PATTERN: ClassVar = Pattern.OUT_ELEMWISE_FUSABLE

    x = operand_def()
    w = operand_def()
    b = opt_operand_def()
    group = opt_prop_def(IntegerAttr, int_attr(1))
    res = result_def()

    def read_operands(self) -> tuple[TensorInfo, TensorInfo, Attribute | None]:
        """Data, weights and the element type, checked.

        Raises: ModelError: types, ranks or the group do not fit.
        """
        x, w = expect("x", self.x, FLOATS), expect("w", self.w, FLOATS)
        b = None if self.b is None else expect("b", self.b, FLOATS)
        if self.group.value.data < 1:
            raise ModelError(f"group {self.group.value.data}, expected 1 or more")
        for name, found in (("x", x), ("w", w)):
            if found.dims is not None and len(found.dims) < 2:
                raise ModelError(f"'{name}' has shape {show(found.dims)}, expected rank 2 and more")
        if x.dims is not None and w.dims is not None and len(x.dims) != len(w.dims):
            raise ModelError(f"data {show(x.dims)} and weights {show(w.dims)} differ in rank")
        if b is not None:
            expect_rank("b", b, 1)
        return x, w, common_element(x=x, w=w, b=b)

    def infer(self) -> Sequence[Attribute]:
        x, w, element = self.read_operands()
        channels = None if w.dims is None else self.out_channels(w.dims)
        self.check_bias(channels)
        if x.dims is None:
            return [tensor_type(None, element)]
        if w.dims is not None:
            self.check_channels(x.dims, w.dims)
        window = self.window
        spatial = (None,) * (len(x.dims) - 2) if window is None else window.out
        return [tensor_type((x.dims[0], channels, *spatial), element)]

    @property
    def window(self) -> Window | None:
        """The resolved window, `None` if the data's rank or the kernel's extents are unknown.

        Of a transposed convolution, pads are what is cut off.

        Raises: ModelError: it does not fit the data.
        """
        data, weights = expect("x", self.x).dims, expect("w", self.w).dims
        kernel = self.kernel_extents(None if weights is None else weights[2:])
        return None if data is None or kernel is None else self.resolve(data[2:], kernel)

    def infer_operands(self) -> Sequence[Attribute | None]:
        x, w, element = self.read_operands()
        element = element or info(self.res).element
        rank = next((len(found.dims) for found in (x, w, info(self.res)) if found.dims), None)
        data = None if rank is None else (x.dims or (None,) * rank)
        result = info(self.res).dims or (None,) * (rank or 0)
        weights = bias = None
        if data is not None and len(result) == rank:
            kernel = self.kernel_extents(None) or (None,) * (len(data) - 2)
            weights = (*self.weight_channels(data[1], result[1]), *kernel)
            bias = (result[1],)
        types = [tensor_type(data, element), tensor_type(weights, element)]
        return types if self.b is None else [*types, tensor_type(bias, element)]

    @abstractmethod
    def out_channels(self, weights: Dims) -> MaybeDim:
        """The channels of the result."""

    @abstractmethod
    def check_channels(self, data: Dims, weights: Dims) -> None:
        """Raises: ModelError: the weights are for other numbers of channels than the data has."""

    @abstractmethod
    def weight_channels(self, data: MaybeDim, result: MaybeDim) -> tuple[MaybeDim, MaybeDim]:
        """The first two extents of the weights, from the channels of data and result."""

    def per_group(self, channels: MaybeDim) -> MaybeDim:
        """`channels / group`, if that is known."""
        group = self.group.value.data
        if channels is None or not is_divisible(channels, group):
            return None
        return exact_div(channels, group)

    def check_bias(self, channels: MaybeDim) -> None:
        """Raises: ModelError: the bias has provably not one entry for each output channel."""
        shape = expect("b", self.b).dims if self.b is not None else None
        if shape is not None:
            merge_dim(shape[0], channels)


@irdl_op_definition
class ConvOp(AnyConvOp):
    """Convolution (cross-correlation) of any number of spatial dimensions, in groups.

    x: [n, c, d...], w: [m, c / group, k...], b: [m]; result [n, m, o...].
    """

    name = "graph.conv"
    ONNX_NAME: ClassVar = "Conv"

    def out_channels(self, weights: Dims) -> MaybeDim:
        return weights[0]

    def weight_channels(self, data: MaybeDim, result: MaybeDim) -> tuple[MaybeDim, MaybeDim]:
        return result, self.per_group(data)

    def check_channels(self, data: Dims, weights: Dims) -> None:
        group = self.group.value.data
        if isinstance(weights[0], int) and weights[0] % group:
            raise ModelError(f"{weights[0]} output channels in {group} groups")
        expected = None if weights[1] is None else weights[1] * group
        try:
            merge_dim(data[1], expected)
        except ModelError:
            raise ModelError(
                f"the data has {data[1]} channels, the weights {show(weights)} take {expected} "
                f"in {group} groups"
            ) from None


@irdl_op_definition
class ConvTransposeOp(AnyConvOp):
    """The transpose of a convolution.

    x: [n, c, d...], w: [c, m / group, k...], b: [m]; result [n, m, o...] with
    o = strides * (d - 1) + output_padding + (k - 1) * dilations + 1 - pads, or `output_shape`.
    """

    name = "graph.conv_transpose"
    ONNX_NAME: ClassVar = "ConvTranspose"

    output_padding = opt_prop_def(ArrayAttr[IntegerAttr])
    output_shape = opt_prop_def(ArrayAttr[IntegerAttr])

    def out_channels(self, weights: Dims) -> MaybeDim:
        return None if weights[1] is None else weights[1] * self.group.value.data

    def check_channels(self, data: Dims, weights: Dims) -> None:
        merge_dim(data[1], weights[0])

    def weight_channels(self, data: MaybeDim, result: MaybeDim) -> tuple[MaybeDim, MaybeDim]:
        return data, self.per_group(result)

    def resolve(self, spatial: Dims, kernel: Sequence[int], *, ceil_mode: bool = False) -> Window:
        del ceil_mode
        rank = len(spatial)
        if len(kernel) != rank:
            raise ModelError(f"kernel {list(kernel)} for {rank} spatial dimensions")
        strides, dilations = self.per_dimension(rank)
        begins, ends = self.explicit_pads(rank)
        extra = self._sizes("output_padding", self.output_padding, rank)
        shape = self._sizes("output_shape", self.output_shape, rank)
        resolved: list[tuple[MaybeDim, MaybeDim, MaybeDim]] = []
        for i, size in enumerate(spatial):
            reach = (kernel[i] - 1) * dilations[i] + 1
            full = None if size is None else strides[i] * (size - 1) + extra[i] + reach
            wanted = shape[i] if self.output_shape is not None else None
            if wanted is None and self.auto_pad.data.startswith("SAME"):
                wanted = None if size is None else size * strides[i]
            resolved.append(self._cut(full, wanted, begins[i], ends[i]))
        begin, end, out = zip(*resolved, strict=True) if resolved else ((), (), ())
        return Window(tuple(kernel), strides, dilations, begin, end, out)

    def _cut(
        self, full: MaybeDim, wanted: MaybeDim, begin: int, end: int
    ) -> tuple[MaybeDim, MaybeDim, MaybeDim]:
        """What is cut off at both ends, and what remains; `end` < 0 appends zeros."""
        if wanted is None:
            if full is None or self.auto_pad.data == "VALID":
                return 0, 0, full
            out: Dim = full - begin - end
            if less_equal(0, out) is False:
                raise ModelError(f"pads {begin} and {end} cut more than the {full} elements")
            return begin, end, out
        if full is None:
            return None, None, wanted
        total = full - wanted
        if isinstance(total, int) and total < 0:
            return 0, total, wanted
        half = total // 2
        upper = self.auto_pad.data == "SAME_UPPER"
        return (half, total - half, wanted) if upper else (total - half, half, wanted)

    def _sizes(self, name: str, given: ArrayAttr[IntegerAttr] | None, rank: int) -> tuple[int, ...]:
        values = int_values(given) if given is not None else (0,) * rank
        if given is not None and name == "output_shape" and len(values) == rank + 2:
            values = values[2:]
        if len(values) != rank or any(value < 0 for value in values):
            raise ModelError(f"{name} {list(values)} for {rank} spatial dimensions")
        return values


OPS = [ConvOp, ConvTransposeOp]
