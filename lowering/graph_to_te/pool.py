"""Pooling: reductions over windows; what lies outside of the data is left out by the fill value."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from xdsl.dialects.builtin import i64
from xdsl.ir import Attribute

from ...dialects.graph.pool import (
    AveragePoolOp,
    GlobalLpPoolOp,
    GlobalPoolOp,
    LpPoolOp,
    MaxPoolOp,
    PoolOp,
)
from ...dialects.graph.window import Window
from ...dialects.te_build import Index, Reduction, Scalar, Tensor
from ...dialects.te_build import functions as fn
from ...dialects.te_build.ops import bitwidth, is_float, is_unsigned, lowest
from .conv import kernel_axes, leaves_input, sizes, spatial_names, window_position
from .reduce import count_of, reduce_over
from .site import Lowering, Site, wide


def _resolved(op: PoolOp) -> Window:
    window = op.window
    assert window is not None, "the pool's shapes are known"
    return window


def pool_axes(at: Site) -> dict[str, int]:
    """n, c, then the spatial axes of the result."""
    shape = at.shape()
    return dict(zip(["n", "c", *spatial_names(len(shape) - 2)], shape, strict=True))


def reduce_window(
    at: Site,
    x: Tensor,
    window: Window,
    combiner: str,
    term: Callable[[Scalar], Scalar],
    fill: float,
) -> Tensor:
    """`term` of the elements of each window, combined; `fill` stands outside of the data."""
    guard = fill if leaves_input(window, x.shape[2:]) else None

    def body(n: Index, c: Index, *out: Index) -> Reduction:
        def element(*kernel: Index) -> Scalar:
            return term(x.read([n, c, *window_position(window, out, kernel)], guard))

        return at.k.reduce(combiner, kernel_axes(window.kernel), element)

    return at.k.compute(at.name, pool_axes(at), body)


def lower_max_pool(op: MaxPoolOp, at: Site) -> Sequence[Tensor]:
    """The largest of each window; with `indices` pairs of value and position are reduced."""
    x, window = at[op.x], _resolved(op)
    if op.indices is not None:
        return _max_with_indices(op, at, x, window)
    bias = 1 << (bitwidth(x.dtype) - 1) if is_unsigned(x.dtype) else 0

    def biased(value: Scalar) -> Scalar:
        return value ^ bias if bias else value

    result = reduce_window(at, x, window, "max", biased, lowest(x.dtype))
    return [at.pointwise(biased, result) if bias else result]


def _max_with_indices(op: MaxPoolOp, at: Site, x: Tensor, window: Window) -> Sequence[Tensor]:
    spatial = x.shape[2:]
    column_major = bool(op.storage_order.value.data)
    guard = lowest(x.dtype) if leaves_input(window, spatial) else None

    def combine(old: tuple[Scalar, ...], new: tuple[Scalar, ...]) -> Sequence[Scalar]:
        better = (new[0] > old[0]) | (new[0].eq(old[0]) & (new[1] < old[1]))
        if is_float(x.dtype):
            better = better | (fn.isnan(new[0]) & ~fn.isnan(old[0]))
        return [fn.where(better, n, o) for o, n in zip(old, new, strict=True)]

    def body(n: Index, c: Index, *out: Index) -> Reduction:
        def pair(*kernel: Index) -> Sequence[Scalar]:
            place = window_position(window, out, kernel)
            inside = [(p >= 0) & (p < size) for p, size in zip(place, spatial, strict=True)]
            flat = flatten(place, spatial, column_major).cast(i64)
            outside = (1 << 63) - 1
            for ok in inside:
                flat = fn.where(ok, flat, outside)
            return [x.read([n, c, *place], guard), flat]

        last = (1 << 63) - 1
        return at.k.reduce_with(combine, [lowest(x.dtype), last], kernel_axes(window.kernel), pair)

    values, flat = at.k.computes(at.name, pool_axes(at), body)
    area = math.prod(spatial)

    def position(n: Index, c: Index, *out: Index) -> Scalar:
        return flat[n, c, *out] + ((n * x.shape[1] + c) * area).cast(i64)

    return [values, at.k.compute("indices", pool_axes(at), position)]


def flatten(place: Sequence[Index], shape: Sequence[int], column_major: bool) -> Index:
    """The position in a flattened image."""
    pairs = list(zip(place, shape, strict=True))
    if column_major:
        pairs.reverse()
    total = pairs[0][0]
    for index, size in pairs[1:]:
        total = total * size + index
    return total


def lower_average_pool(op: AveragePoolOp, at: Site) -> Sequence[Tensor]:
    """The sum of each window divided by the number of its elements that count."""
    x, window = at[op.x], _resolved(op)
    dtype = wide(x.dtype)
    total = reduce_window(at, x, window, "sum", lambda v: v.cast(dtype), 0.0)
    counts = [
        _counts(at, window, d, x.shape[2 + d], bool(op.count_include_pad.value.data))
        for d in range(x.rank - 2)
    ]

    def body(n: Index, c: Index, *out: Index) -> Scalar:
        value = total[n, c, *out]
        constant = math.prod(count for count in counts if isinstance(count, int))
        varying = [
            count[index].cast(dtype)
            for count, index in zip(counts, out, strict=True)
            if isinstance(count, Tensor)
        ]
        divisor: Scalar | int = constant
        for factor in varying:
            divisor = factor * divisor
        return (value / divisor).cast(x.dtype)

    return [at.k.compute("average", pool_axes(at), body)]


def _counts(at: Site, window: Window, d: int, size: int, include_pad: bool) -> int | Tensor:
    """How many elements of each window count along one dimension: a number if always as many."""
    begin, out = sizes(window.begin)[d], sizes(window.out)[d]
    low, high = (-begin, size + sizes(window.end)[d]) if include_pad else (0, size)
    kernel, stride, dilation = window.kernel[d], window.strides[d], window.dilations[d]
    each = [
        sum(low <= o * stride - begin + k * dilation < high for k in range(kernel))
        for o in range(out)
    ]
    if len(set(each)) <= 1:
        return each[0] if each else kernel
    name = spatial_names(len(window.kernel))[d]

    def body(o: Index) -> Scalar:
        start = o * stride - begin
        first = fn.maximum(((start * -1 + (low + dilation - 1)) // dilation).scalar(), 0)
        last = fn.minimum(((start * -1 + (high + dilation - 1)) // dilation).scalar(), kernel)
        return (last - first).cast(i64)

    return at.k.compute(f"count_{name}", {name: out}, body)


def lower_lp_pool(op: LpPoolOp, at: Site) -> Sequence[Tensor]:
    """sum(|x| ** p) ** (1 / p) of each window."""
    x, window = at[op.x], _resolved(op)
    p, dtype = op.p.value.data, wide(x.dtype)
    total = reduce_window(at, x, window, "sum", partial(_power_term, p, dtype), 0.0)
    return [at.pointwise(lambda s: _root(s, p).cast(x.dtype), total, name="root")]


def _power_term(p: int, dtype: Attribute, x: Scalar) -> Scalar:
    x = x.cast(dtype)
    if p == 1:
        return abs(x)
    return x * x if p == 2 else fn.power(abs(x), float(p))


def _root(x: Scalar, p: int) -> Scalar:
    if p == 1:
        return x
    return fn.sqrt(x) if p == 2 else fn.power(x, 1.0 / p)


def _spatial(x: Tensor) -> list[int]:
    return list(range(2, x.rank))


def lower_global_average(op: GlobalPoolOp, at: Site) -> Sequence[Tensor]:
    """The mean over all spatial dimensions."""
    x = at[op.x]
    dtype, axes = wide(x.dtype), _spatial(x)
    total = reduce_over(at, x, axes, "sum", lambda v: v.cast(dtype), keepdims=True, name="sum")
    count = count_of(x, axes)
    return [at.pointwise(lambda s: (s / count).cast(x.dtype), total, name="mean")]


def lower_global_max(op: GlobalPoolOp, at: Site) -> Sequence[Tensor]:
    """The maximum over all spatial dimensions."""
    x = at[op.x]
    return [reduce_over(at, x, _spatial(x), "max", lambda v: v, keepdims=True)]


def lower_global_lp(op: GlobalLpPoolOp, at: Site) -> Sequence[Tensor]:
    """The p-norm over all spatial dimensions."""
    x = at[op.x]
    p, dtype = op.p.value.data, wide(x.dtype)
    term = partial(_power_term, p, dtype)
    total = reduce_over(at, x, _spatial(x), "sum", term, keepdims=True)
    return [at.pointwise(lambda s: _root(s, p).cast(x.dtype), total, name="root")]


LOWERINGS: dict[str, Lowering] = {
    "graph.max_pool": lower_max_pool,
    "graph.average_pool": lower_average_pool,
    "graph.lp_pool": lower_lp_pool,
    "graph.global_average_pool": lower_global_average,
    "graph.global_max_pool": lower_global_max,
    "graph.global_lp_pool": lower_global_lp,
}
