"""Interpolation: one matrix of weights for each axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.symbolic import Dim
from ...dialects.graph.resize import ResizeOp
from .meaning import Array, meaning


@dataclass(frozen=True)
class Axis:
    """How one axis is resized: `scale` is out / in where only the extents are given."""

    size_in: int
    size_out: int
    scale: float
    roi: tuple[float, float] = (0.0, 1.0)

    @property
    def is_same(self) -> bool:
        """Whether the elements stay as they are."""
        whole = math.isclose(self.roi[0], 0.0) and math.isclose(self.roi[1], 1.0)
        return whole and self.size_in == self.size_out and math.isclose(self.scale, 1.0)

    def weights(self, op: ResizeOp) -> tuple[Array, Array]:
        """Weights [out, in] of the elements, and which outputs are outside (tf_crop_and_resize)."""
        matrix = np.zeros((self.size_out, self.size_in))
        outside = np.zeros(self.size_out, np.bool_)
        for position in range(self.size_out):
            x = self._source(op.coordinate_transformation_mode.data, position)
            if op.coordinate_transformation_mode.data == "tf_crop_and_resize":
                outside[position] = x < 0 or x > self.size_in - 1
            ratio = 1.0 if x == math.floor(x) else x - math.floor(x)
            coefficients = _coefficients(op, ratio, self.scale)
            first = math.ceil(x) - len(coefficients) // 2
            indices = first + np.arange(len(coefficients))
            if op.exclude_outside.value.data:
                coefficients = np.where(
                    (indices < 0) | (indices >= self.size_in), 0.0, coefficients
                )
                coefficients = coefficients / (coefficients.sum() or 1.0)
            np.add.at(matrix[position], np.clip(indices, 0, self.size_in - 1), coefficients)
        return matrix, outside

    def _source(self, mode: str, position: int) -> float:
        """The position in the data that an output position stands for."""
        width = self.scale * self.size_in
        if mode == "asymmetric":
            return position / self.scale
        if mode == "align_corners":
            return 0.0 if width == 1 else position * (self.size_in - 1) / (width - 1)
        if mode == "tf_crop_and_resize":
            start, end = self.roi
            span = (end - start) * (self.size_in - 1)
            moved = span / 2 if width == 1 else position * span / (width - 1)
            return moved + start * (self.size_in - 1)
        if mode == "pytorch_half_pixel" and width == 1:
            return -0.5
        offset = 0.0
        if mode == "half_pixel_symmetric":
            offset = self.size_in / 2 * (1 - self.size_out / width)
        return offset + (position + 0.5) / self.scale - 0.5


def _coefficients(op: ResizeOp, ratio: float, scale: float) -> Array:
    """Weights of the elements around a position, `ratio` in (0, 1] right of an element."""
    mode = op.mode.data
    if mode == "nearest":
        return np.array(_nearest(op.nearest_mode.data, ratio), np.float64)
    shrink = min(scale, 1.0) if op.antialias.value.data else 1.0
    reach = 1 if mode == "linear" else 2
    first = math.floor(-reach / shrink) + 1
    distances = [abs(shrink * (i - ratio)) for i in range(first, 2 - first)]
    if mode == "linear":
        values = [max(0.0, 1 - distance) for distance in distances]
    else:
        values = [_cubic(distance, op.cubic_coeff_a.value.data) for distance in distances]
    found = np.array(values)
    return found / found.sum() if op.antialias.value.data else found


def _nearest(mode: str, ratio: float) -> tuple[float, float]:
    if ratio == 1.0:
        return 0.0, 1.0
    left = {
        "round_prefer_floor": ratio <= 0.5,
        "round_prefer_ceil": ratio < 0.5,
        "floor": True,
        "ceil": False,
    }[mode]
    return (1.0, 0.0) if left else (0.0, 1.0)


def _cubic(x: float, a: float) -> float:
    """Keys' kernel at distance x."""
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def resize_axes(
    op: ResizeOp,
    shape: tuple[int, ...],
    out: tuple[Dim, ...],
    scales: list[float] | None,
    roi: list[float] | None,
) -> dict[int, Axis]:
    """How each resized axis is resized, given the extents before and after."""
    axes = op.resized_axes(len(shape))
    found: dict[int, Axis] = {}
    for i, axis in enumerate(axes):
        size_in, size_out = shape[axis], out[axis]
        assert isinstance(size_out, int), "extents are known"
        scale = scales[i] if scales is not None else size_out / max(size_in, 1)
        region = (roi[i], roi[i + len(axes)]) if roi else (0.0, 1.0)
        found[axis] = Axis(size_in, size_out, scale, region)
    if scales is None and op.keep_aspect_ratio_policy.data != "stretch":
        common = common_scale(op, found)
        found = {
            axis: Axis(item.size_in, item.size_out, common, item.roi)
            for axis, item in found.items()
        }
    return found


def common_scale(op: ResizeOp, axes: dict[int, Axis]) -> float:
    """The one scale of a policy, from the wanted extents."""
    scales = [item.scale for item in axes.values()]
    return min(scales) if op.keep_aspect_ratio_policy.data == "not_larger" else max(scales)


@meaning("graph.resize", wide=True)
def resize(
    op: ResizeOp, x: Array, roi: Array | None, scales: Array | None, sizes: Array | None
) -> Array:
    """In f64, one axis after the other; rounded to the type of the data."""
    factors = None if scales is None else [float(item) for item in scales.reshape(-1)]
    wanted = list(x.shape)
    for i, axis in enumerate(op.resized_axes(x.ndim)):
        if factors is not None:
            wanted[axis] = int(x.shape[axis] * factors[i])
        elif sizes is not None:
            wanted[axis] = int(sizes.reshape(-1)[i])
    region = None if roi is None or not roi.size else [float(item) for item in roi.reshape(-1)]
    axes = resize_axes(op, x.shape, tuple(wanted), factors, region)
    if factors is None and op.keep_aspect_ratio_policy.data != "stretch":
        axes = {
            axis: Axis(item.size_in, int(item.scale * item.size_in + 0.5), item.scale, item.roi)
            for axis, item in axes.items()
        }
    result = x.astype(np.float64)
    for axis, item in axes.items():
        if not item.is_same:
            result = _along(op, result, axis, item)
    return _saturated(result, x.dtype)


def _along(op: ResizeOp, data: Array, axis: int, how: Axis) -> Array:
    matrix, outside = how.weights(op)
    moved = np.moveaxis(np.tensordot(matrix, data, axes=(1, axis)), 0, axis)
    mask = outside.reshape(-1, *(1,) * (data.ndim - axis - 1))
    return np.where(mask, op.extrapolation_value.value.data, moved)


def _saturated(data: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.clip(np.rint(data), limits.min, limits.max).astype(dtype)
    return data.astype(dtype)
