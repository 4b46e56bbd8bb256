"""Reductions over dimensions, positions of extrema, running sums."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from xdsl.dialects.builtin import f64, i1, i64
from xdsl.ir import Attribute

from ...dialects.graph.reduce import ArgOp, CumSumOp, ReduceOp
from ...dialects.te_build import Index, Reduction, Scalar, Tensor, axis_names
from ...dialects.te_build import functions as fn
from ...dialects.te_build.ops import bitwidth, is_float, is_unsigned
from .site import Lowering, Site, reduce_names, wide

Term = Callable[[Scalar], Scalar]


def names_of(x: Tensor) -> list[str]:
    """The axis names of a tensor, i, j, k where it has none."""
    return list(x.names) if len(x.names) == x.rank else list(axis_names(x.shape))


def reduce_over(
    at: Site,
    x: Tensor,
    axes: Sequence[int],
    combiner: str,
    term: Term,
    *,
    keepdims: bool = False,
    name: str | None = None,
) -> Tensor:
    """`term` of x's elements combined over dimensions, which go away or stay as 1."""
    names = names_of(x)
    kept = [d for d in range(x.rank) if keepdims or d not in axes]
    parallel = {names[d]: 1 if d in axes else x.shape[d] for d in kept}
    inner = reduce_names(len(axes), names) if keepdims else [names[d] for d in axes]
    reduced = dict(zip(inner, [x.shape[d] for d in axes], strict=True))

    def body(*indices: Index) -> Reduction | Scalar:
        outer = dict(zip(kept, indices, strict=True))
        if not axes:
            return term(x[indices])

        def element(*over: Index) -> Scalar:
            place = dict(zip(axes, over, strict=True))
            return term(x[tuple(place[d] if d in place else outer[d] for d in range(x.rank))])

        return at.k.reduce(combiner, reduced, element)

    return at.k.compute(name or at.name, parallel, body)


def count_of(x: Tensor, axes: Sequence[int]) -> int:
    """How many elements are reduced to one."""
    return math.prod(x.shape[d] for d in axes)


def axes_of(op: ReduceOp, at: Site) -> list[int]:
    """The dimensions that are reduced, ascending."""
    rank = at[op.data].rank
    given = [] if op.axes is None else at.ints(op.axes, "axes")
    if not given:
        return [] if op.noop_with_empty_axes.value.data else list(range(rank))
    return sorted(axis % rank for axis in given)


def _accumulator(dtype: Attribute, real: bool) -> Attribute:
    """Where a reduction runs: roots and logarithms of integers in f64, sums modulo 2 ** 64."""
    if is_float(dtype):
        return wide(dtype)
    return f64 if real else i64


def _lower_sum(
    before: Term, after: Callable[[Scalar, int], Scalar] | None, real: bool, op: ReduceOp, at: Site
) -> Sequence[Tensor]:
    """`after(sum of before(x), number of elements)`."""
    x, axes = at[op.data], axes_of(op, at)
    dtype = _accumulator(x.dtype, real)
    keepdims = bool(op.keepdims.value.data)
    total = reduce_over(at, x, axes, "sum", lambda v: before(v.cast(dtype)), keepdims=keepdims)
    if after is None:
        return [at.rounded(total, x.dtype)]
    count = count_of(x, axes)
    return [at.pointwise(lambda s: after(s, count).cast(x.dtype), total, name="scaled")]


def _same(x: Scalar) -> Scalar:
    return x


def _square(x: Scalar) -> Scalar:
    return x * x


def _root(x: Scalar, count: int) -> Scalar:
    del count
    return fn.sqrt(x)


def _logarithm(x: Scalar, count: int) -> Scalar:
    del count
    return fn.log(x)


def _mean(x: Scalar, count: int) -> Scalar:
    return x / count


def lower_prod(op: ReduceOp, at: Site) -> Sequence[Tensor]:
    """The product."""
    x = at[op.data]
    dtype = _accumulator(x.dtype, False)
    keepdims = bool(op.keepdims.value.data)
    result = reduce_over(at, x, axes_of(op, at), "prod", lambda v: v.cast(dtype), keepdims=keepdims)
    return [at.rounded(result, x.dtype)]


def extremum(
    at: Site, x: Tensor, axes: Sequence[int], combiner: str, *, keepdims: bool, name: str
) -> Tensor:
    """The maximum or minimum; named combiners compare as signed, so unsigned bits are biased."""
    if x.dtype == i1:
        combiner = "or" if combiner == "max" else "and"
    bias = 1 << (bitwidth(x.dtype) - 1) if is_unsigned(x.dtype) and x.dtype != i1 else 0

    def biased(v: Scalar) -> Scalar:
        return v ^ bias if bias else v

    result = reduce_over(at, x, axes, combiner, biased, keepdims=keepdims, name=name)
    return at.pointwise(biased, result, name=name) if bias else result


def _lower_extremum(combiner: str, op: ReduceOp, at: Site) -> Sequence[Tensor]:
    keepdims = bool(op.keepdims.value.data)
    axes = axes_of(op, at)
    return [extremum(at, at[op.data], axes, combiner, keepdims=keepdims, name=at.name)]


def lower_log_sum_exp(op: ReduceOp, at: Site) -> Sequence[Tensor]:
    """log(sum(exp(x))), the maximum taken out so that nothing overflows."""
    x, axes = at[op.data], axes_of(op, at)
    keepdims = bool(op.keepdims.value.data)
    dtype = _accumulator(x.dtype, True)
    names = names_of(x)
    top = reduce_over(at, x, axes, "max", lambda v: v.cast(dtype), name="top")
    kept = [d for d in range(x.rank) if d not in axes]

    def part(*i: Index) -> Scalar:
        return fn.exp(x[i].cast(dtype) - _finite(top[tuple(i[d] for d in kept)]))

    parts = at.k.compute("parts", dict(zip(names, x.shape, strict=True)), part)
    total = reduce_over(at, parts, axes, "sum", _same, keepdims=keepdims, name="total")
    outer = [d for d in range(x.rank) if keepdims or d not in axes]

    def body(*indices: Index) -> Scalar:
        place = dict(zip(outer, indices, strict=True))
        return (fn.log(total[indices]) + _finite(top[tuple(place[d] for d in kept)])).cast(x.dtype)

    return [at.k.compute(at.name, dict(zip(total.names, total.shape, strict=True)), body)]


def _finite(x: Scalar) -> Scalar:
    """0 instead of an infinity, from which nothing can be subtracted."""
    return fn.where(fn.isinf(x), 0.0, x)


def _lower_arg(largest: bool, op: ArgOp, at: Site) -> Sequence[Tensor]:
    """The position of the extremum: a reduction of pairs (value, position)."""
    x = at[op.data]
    axis = op.axis.value.data % x.rank
    last, keepdims = bool(op.select_last_index.value.data), bool(op.keepdims.value.data)
    return [arg_extremum(at, x, axis, largest, last=last, keepdims=keepdims)]


def arg_extremum(
    at: Site, x: Tensor, axis: int, largest: bool, *, last: bool, keepdims: bool
) -> Tensor:
    """The position along `axis` of the extremum; NaN wins, equals are told apart by position."""
    names = names_of(x)
    kept = [d for d in range(x.rank) if keepdims or d != axis]
    parallel = {names[d]: 1 if d == axis else x.shape[d] for d in kept}
    label = reduce_names(1, names)[0] if keepdims else names[axis]

    def combine(old: tuple[Scalar, ...], new: tuple[Scalar, ...]) -> Sequence[Scalar]:
        better = _is_better(old, new, largest, last)
        return [fn.where(better, n, o) for o, n in zip(old, new, strict=True)]

    def body(*indices: Index) -> Reduction:
        place = dict(zip(kept, indices, strict=True))

        def pair(r: Index) -> Sequence[Scalar]:
            value = x[tuple(r if d == axis else place[d] for d in range(x.rank))]
            return [value, r.cast(i64)]

        worst = _worst(x.dtype, largest)
        position = -1 if last else (1 << 63) - 1
        return at.k.reduce_with(combine, [worst, position], {label: x.shape[axis]}, pair)

    return at.k.computes(at.name, parallel, body)[1]


def _is_better(
    old: tuple[Scalar, ...], new: tuple[Scalar, ...], largest: bool, last: bool
) -> Scalar:
    nearer = new[1] > old[1] if last else new[1] < old[1]
    better = new[0] > old[0] if largest else new[0] < old[0]
    better = better | (new[0].eq(old[0]) & nearer)
    if is_float(new[0].dtype):
        better = better & ~fn.isnan(old[0]) | (fn.isnan(new[0]) & (~fn.isnan(old[0]) | nearer))
    return better


def _worst(dtype: Attribute, largest: bool) -> float | int:
    """The value of this type that every other one beats."""
    if is_float(dtype):
        return -math.inf if largest else math.inf
    bits = bitwidth(dtype)
    if is_unsigned(dtype):
        return 0 if largest else (1 << bits) - 1
    return -(1 << (bits - 1)) if largest else (1 << (bits - 1)) - 1


def lower_cum_sum(op: CumSumOp, at: Site) -> Sequence[Tensor]:
    """Running sums: a scan along the axis, then back in place (and shifted if exclusive)."""
    x = at[op.x]
    axis = at.ints(op.axis, "axis")[0] % x.rank
    names = names_of(x)
    others = {
        name: size for d, (name, size) in enumerate(zip(names, x.shape, strict=True)) if d != axis
    }
    dtype = wide(x.dtype)
    zero = at.k.splat(0, dtype, tuple(others.values()))
    reverse = bool(op.reverse.value.data)

    def step(t: Callable[[], Scalar], states: Sequence[Tensor]) -> Sequence[Tensor]:
        def add(*i: Index) -> Scalar:
            place = [*i[:axis], t(), *i[axis:]]
            return states[0][i] + x.read(place).cast(dtype)

        return [at.k.compute("running", others, add)]

    (sums,) = at.k.scan("sums", (names[axis], x.shape[axis]), [zero], step, reverse=reverse)
    shift = (1 if reverse else -1) if op.exclusive.value.data else 0

    def place(*i: Index) -> Scalar:
        others_at = [index for d, index in enumerate(i) if d != axis]
        read = sums.read([i[axis] + shift, *others_at], 0 if shift else None)
        return read.cast(x.dtype)

    return [at.k.compute("cum_sum", dict(zip(names, x.shape, strict=True)), place)]


LOWERINGS: dict[str, Lowering] = {
    "graph.reduce_sum": partial(_lower_sum, _same, None, False),
    "graph.reduce_mean": partial(_lower_sum, _same, _mean, False),
    "graph.reduce_l1": partial(_lower_sum, abs, None, False),
    "graph.reduce_l2": partial(_lower_sum, _square, _root, True),
    "graph.reduce_sum_square": partial(_lower_sum, _square, None, False),
    "graph.reduce_log_sum": partial(_lower_sum, _same, _logarithm, True),
    "graph.reduce_log_sum_exp": lower_log_sum_exp,
    "graph.reduce_prod": lower_prod,
    "graph.reduce_max": partial(_lower_extremum, "max"),
    "graph.reduce_min": partial(_lower_extremum, "min"),
    "graph.arg_max": partial(_lower_arg, True),
    "graph.arg_min": partial(_lower_arg, False),
    "graph.cum_sum": lower_cum_sum,
}
