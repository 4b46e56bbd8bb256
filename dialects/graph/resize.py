"""Interpolation: graph.resize.

%y = graph.resize(%x, _, %scales) {mode = "linear"} : tensor<1x64x112x112xf32>
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import ClassVar

from xdsl.dialects.builtin import ArrayAttr, FloatAttr, IntegerAttr, StringAttr, f32
from xdsl.ir import Attribute
from xdsl.irdl import (
    AttrSizedOperandSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    result_def,
)

from ...core.errors import ModelError
from ...core.irtypes import float_attr, int_attr, int_values
from .base import Pattern, constant_value
from .checks import ALL, I64, expect, normal_axes
from .movement import ElementOp
from .types import Dims, MaybeDim
from .values import extents

MODES = ("nearest", "linear", "cubic")
COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
POLICIES = ("stretch", "not_larger", "not_smaller")


@irdl_op_definition
class ResizeOp(ElementOp):
    """The data at another resolution: by `scales`, or to `sizes`, of `axes` (all if absent).

    With `scales` the extents are rounded down. `roi` is read with the coordinate transformation
    "tf_crop_and_resize" only.
    """

    name = "graph.resize"
    ONNX_NAME: ClassVar = "Resize"
    PATTERN: ClassVar = Pattern.INJECTIVE

    x = operand_def()
    roi = opt_operand_def()
    scales = opt_operand_def()
    sizes = opt_operand_def()
    antialias = opt_prop_def(IntegerAttr, int_attr(0))
    axes = opt_prop_def(ArrayAttr[IntegerAttr])
    coordinate_transformation_mode = opt_prop_def(StringAttr, StringAttr("half_pixel"))
    cubic_coeff_a = opt_prop_def(FloatAttr, float_attr(-0.75))
    exclude_outside = opt_prop_def(IntegerAttr, int_attr(0))
    extrapolation_value = opt_prop_def(FloatAttr, float_attr(0.0))
    keep_aspect_ratio_policy = opt_prop_def(StringAttr, StringAttr("stretch"))
    mode = opt_prop_def(StringAttr, StringAttr("nearest"))
    nearest_mode = opt_prop_def(StringAttr, StringAttr("round_prefer_floor"))
    res = result_def()
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def infer(self) -> Sequence[Attribute]:
        self._check_words()
        x = expect("x", self.x, ALL)
        if (self.scales is None) == (self.sizes is None):
            raise ModelError("expected either scales or sizes")
        if self.scales is not None:
            expect("scales", self.scales, frozenset((f32,)))
        if self.sizes is not None:
            expect("sizes", self.sizes, frozenset((I64,)))
        if x.dims is None:
            return [x.type]
        axes = self.resized_axes(len(x.dims))
        result = list(x.dims)
        for axis, extent in zip(axes, self._extents(x.dims, axes), strict=True):
            result[axis] = extent
        return [x.with_dims(result).type]

    def resized_axes(self, rank: int) -> tuple[int, ...]:
        """The axes that `scales` or `sizes` speak of, from the front.

        Raises: ModelError: an axis is out of range or named twice.
        """
        return tuple(range(rank)) if self.axes is None else normal_axes(int_values(self.axes), rank)

    def _check_words(self) -> None:
        words = {
            "mode": MODES,
            "coordinate_transformation_mode": COORDINATES,
            "nearest_mode": NEAREST,
            "keep_aspect_ratio_policy": POLICIES,
        }
        for name, choices in words.items():
            given = getattr(self, name).data
            if given not in choices:
                raise ModelError(f"{name} '{given}', expected one of {', '.join(choices)}")

    def _extents(self, dims: Dims, axes: Sequence[int]) -> Sequence[MaybeDim]:
        if self.sizes is not None:
            sizes = extents(self.sizes) or (None,) * len(axes)
            _check_length("sizes", len(sizes), len(axes))
            return self._with_policy([dims[axis] for axis in axes], sizes)
        scales = constant_value(self.scales)
        if scales is None:
            return (None,) * len(axes)
        factors = [float(scale) for scale in scales.reshape(-1)]
        _check_length("scales", len(factors), len(axes))
        if any(not factor > 0 for factor in factors):
            raise ModelError(f"scales {factors} are not all positive")
        return [_scaled(dims[axis], factor) for axis, factor in zip(axes, factors, strict=True)]

    def _with_policy(
        self, old: Sequence[MaybeDim], sizes: Sequence[MaybeDim]
    ) -> Sequence[MaybeDim]:
        """`sizes`, or with a policy the extents of one common scale that fit them best."""
        policy = self.keep_aspect_ratio_policy.data
        if policy == "stretch":
            return sizes
        pairs = [
            (size, extent)
            for size, extent in zip(sizes, old, strict=True)
            if isinstance(size, int) and isinstance(extent, int) and extent > 0
        ]
        if len(pairs) != len(sizes):
            return (None,) * len(sizes)
        ratios = [Fraction(size, extent) for size, extent in pairs]
        scale = min(ratios) if policy == "not_larger" else max(ratios)
        return [(2 * scale * extent + 1) // 2 for _, extent in pairs]


def _check_length(name: str, found: int, expected: int) -> None:
    if found != expected:
        raise ModelError(f"{name} has {found} entries for {expected} axes")


def _scaled(extent: MaybeDim, factor: float) -> MaybeDim:
    """`floor(extent * factor)`; of a named extent for whole factors only."""
    if isinstance(extent, int):
        return int(extent * factor)
    if extent is None:
        return None
    return extent * int(factor) if factor.is_integer() else None


OPS = [ResizeOp]
