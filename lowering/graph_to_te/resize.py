"""Interpolation: per axis a table of positions and weights, made when compiling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from xdsl.dialects.builtin import f64
from xdsl.ir import Attribute

from ...dialects.graph.resize import ResizeOp
from ...dialects.te_build import Index, Reduction, Scalar, Tensor
from ...dialects.te_build import functions as fn
from ...dialects.te_build.ops import bitwidth, is_float, is_unsigned
from ...dialects.te_build.tensor import IndexLike
from ...reference.graph.resize import Axis, resize_axes
from .reduce import names_of
from .site import Lowering, Site, wide

Array = np.ndarray[Any, Any]


def lower_resize(op: ResizeOp, at: Site) -> Sequence[Tensor]:
    """Nearest: one compute that reads elsewhere. Else one sum over taps for each axis."""
    x = at[op.x]
    scales, roi = at.constant(op.scales), at.constant(op.roi)
    factors = None if scales is None else [float(item) for item in scales.reshape(-1)]
    region = None if roi is None or not roi.size else [float(item) for item in roi.reshape(-1)]
    wanted, out = list(at.shape()), at.shape()
    if op.sizes is not None:  # a policy may have made other extents of them
        for axis, size in zip(op.resized_axes(x.rank), at.ints(op.sizes, "sizes"), strict=True):
            wanted[axis] = size
    axes = {
        axis: Axis(how.size_in, out[axis], how.scale, how.roi)
        for axis, how in resize_axes(op, x.shape, tuple(wanted), factors, region).items()
    }
    changed = {axis: how for axis, how in axes.items() if not how.is_same}
    if op.mode.data == "nearest" and not _has_outside(op, changed):
        return [_nearest(op, at, x, changed)]
    dtype = wide(x.dtype) if is_float(x.dtype) else f64
    result = x
    for axis, how in changed.items():
        result = _along(op, at, result, axis, how, dtype)
    return [_rounded(at, result, x.dtype)]


def _has_outside(op: ResizeOp, axes: dict[int, Axis]) -> bool:
    return any(bool(how.weights(op)[1].any()) for how in axes.values())


def _nearest(op: ResizeOp, at: Site, x: Tensor, axes: dict[int, Axis]) -> Tensor:
    tables = {axis: how.weights(op)[0].argmax(axis=1) for axis, how in axes.items()}
    stored = {
        axis: at.table(f"positions{axis}", table)
        for axis, table in tables.items()
        if _affine_step(table) is None
    }

    def place(axis: int, index: Index) -> IndexLike:
        if axis not in tables:
            return index
        if axis in stored:
            return stored[axis][index]
        step = _affine_step(tables[axis])
        assert step is not None
        times, by, plus = step
        return index * times // by + plus

    def body(*indices: Index) -> Scalar:
        return x.read([place(axis, index) for axis, index in enumerate(indices)])

    return at.k.compute("resize", dict(zip(names_of(x), at.shape(), strict=True)), body)


def _affine_step(table: Array) -> tuple[int, int, int] | None:
    """(times, by, plus) with table[o] = o * times // by + plus, `None` if there are none."""
    positions = np.arange(len(table))
    if not len(table):
        return 1, 1, 0
    repeats = int((table == table[0]).sum())
    steps = int(table[1] - table[0]) if len(table) > 1 else 1
    for times, by in ((1, repeats), (max(steps, 1), 1)):
        plus = int(table[0])
        if bool((positions * times // by + plus == table).all()):
            return times, by, plus
    return None


def _along(op: ResizeOp, at: Site, x: Tensor, axis: int, how: Axis, dtype: Attribute) -> Tensor:
    """y[..., o, ...] = sum over t of weights[o, t] * x[..., positions[o, t], ...]."""
    matrix, outside = how.weights(op)
    order = np.argsort(matrix == 0, axis=1, kind="stable")
    taps = max(1, int((matrix != 0).sum(axis=1).max(initial=1)))
    positions = at.table(f"positions{axis}", order[:, :taps].astype(np.int64))
    values = np.take_along_axis(matrix, order[:, :taps], axis=1)
    weights = at.table(f"weights{axis}", values.astype("f8" if dtype == f64 else "f4"))
    names = names_of(x)
    extents = {n: how.size_out if d == axis else x.shape[d] for d, n in enumerate(names)}

    def body(*i: Index) -> Reduction:
        def tap(t: Index) -> Scalar:
            place: list[IndexLike] = list(i)
            place[axis] = positions[i[axis], t]
            return weights[i[axis], t] * x.read(place).cast(dtype)

        return at.k.sum({"t": taps}, tap)

    result = at.k.compute("resize", extents, body)
    if not outside.any():
        return result
    mask = at.table(f"outside{axis}", outside)
    value = op.extrapolation_value.value.data

    def masked(*i: Index) -> Scalar:
        return fn.where(mask[i[axis]], value, result[i])

    return at.k.compute("extrapolate", extents, masked)


def _rounded(at: Site, x: Tensor, dtype: Attribute) -> Tensor:
    """Back in the data's element type; integers to the nearest, limited to their range."""
    if is_float(dtype) or x.dtype == dtype:
        return at.rounded(x, dtype)
    bits = bitwidth(dtype)
    low = 0 if is_unsigned(dtype) else -(1 << (bits - 1))
    high = (1 << bits if is_unsigned(dtype) else 1 << (bits - 1)) - 1
    nearest = fn.unary("roundeven")

    def body(value: Scalar) -> Scalar:
        return fn.minimum(fn.maximum(nearest(value), low), high).cast(dtype)

    return at.pointwise(body, x, name="rounded")


LOWERINGS: dict[str, Lowering] = {"graph.resize": lower_resize}
