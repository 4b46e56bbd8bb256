"""Softmax and normalisations: reductions, then formulas of their results.

Each is several computes, so that a schedule may place the reductions where it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute

from ...core.irtypes import int_values
from ...dialects.graph import norm
from ...dialects.te_build import Index, Reduction, Scalar, Tensor
from ...dialects.te_build import functions as fn
from .reduce import arg_extremum, count_of, names_of, reduce_over
from .site import Lowering, Site, wide


def _kept(x: Tensor, axes: Sequence[int]) -> list[int]:
    return [d for d in range(x.rank) if d not in axes]


def _at(reduced: Tensor, indices: Sequence[Index], kept: Sequence[int]) -> Scalar:
    """The element of a reduced tensor that belongs to a point of the whole one."""
    return reduced[tuple(indices[d] for d in kept)]


def _like(x: Tensor) -> dict[str, int]:
    return dict(zip(names_of(x), x.shape, strict=True))


def _lower_softmax(logarithm: bool, op: norm.AxisOp, at: Site) -> Sequence[Tensor]:
    """E ** (x - max) / sum of it, or x - max - log(sum)."""
    x = at[op.x]
    axis = op.axis.value.data % x.rank
    kept, dtype = _kept(x, [axis]), wide(x.dtype)
    top = reduce_over(at, x, [axis], "max", lambda v: v.cast(dtype), name="top")

    def shifted(*i: Index) -> Scalar:
        return x[i].cast(dtype) - _at(top, i, kept)

    def part(*i: Index) -> Scalar:
        return fn.exp(shifted(*i))

    parts = at.k.compute("parts", _like(x), part)
    total = reduce_over(at, parts, [axis], "sum", lambda v: v, name="total")

    if logarithm:
        logs = _mapped(at, total, fn.log, "scale")
        return [_of_rows(at, x, lambda *i: shifted(*i) - _at(logs, i, kept))]
    if at.is_strict:
        return [_of_rows(at, x, lambda *i: parts[i] / _at(total, i, kept))]
    # One quotient a row, at least 1 below the line; each element is then multiplied.
    scale = _mapped(at, total, lambda v: 1.0 / v, "scale")
    return [_of_rows(at, x, lambda *i: parts[i] * _at(scale, i, kept))]


def _of_rows(at: Site, x: Tensor, body: Callable[..., Scalar]) -> Tensor:
    def cast(*i: Index) -> Scalar:
        return body(*i).cast(x.dtype)

    return at.k.compute(at.name, _like(x), cast)


def mean_over(at: Site, x: Tensor, axes: Sequence[int], dtype: Attribute) -> Tensor:
    """The mean over dimensions, which go away."""
    total = reduce_over(at, x, axes, "sum", lambda v: v.cast(dtype), name="sum")
    return _divided(at, total, count_of(x, axes), "mean")


def _divided(at: Site, total: Tensor, count: int, name: str) -> Tensor:
    return _mapped(at, total, lambda v: v / count, name)


def _mapped(at: Site, x: Tensor, function: Callable[[Scalar], Scalar], name: str) -> Tensor:
    def body(*i: Index) -> Scalar:
        return function(x[i])

    return at.k.compute(name, _like(x), body)


def variance_over(
    at: Site, x: Tensor, axes: Sequence[int], mean: Tensor, dtype: Attribute
) -> Tensor:
    """The mean square distance from the mean, over dimensions which go away."""
    kept = _kept(x, axes)
    names = names_of(x)
    parallel = {names[d]: x.shape[d] for d in kept}

    def body(*i: Index) -> Reduction:
        outer = dict(zip(kept, i, strict=True))

        def term(*over: Index) -> Scalar:
            place = {**outer, **dict(zip(axes, over, strict=True))}
            distance = x[tuple(place[d] for d in range(x.rank))].cast(dtype) - mean[i]
            return distance * distance

        return at.k.sum({names[d]: x.shape[d] for d in axes}, term)

    squares = at.k.compute("squares", parallel, body)
    return _divided(at, squares, count_of(x, axes), "variance")


def _inverse_deviation(at: Site, variance: Tensor, epsilon: float) -> Tensor:
    return _mapped(at, variance, lambda v: 1.0 / fn.sqrt(v + epsilon), "inverse_deviation")


def lower_layer_normalization(op: norm.LayerNormalizationOp, at: Site) -> Sequence[Tensor]:
    """(x - mean) / deviation * scale + b over the dimensions from `axis`, in f32."""
    x, scale, b = at[op.x], at[op.scale], at.maybe(op.b)
    axes = list(range(op.axis.value.data % x.rank, x.rank))
    kept = _kept(x, axes)
    dtype = f32 if op.stash_type.value.data == 1 else wide(x.dtype)
    mean = mean_over(at, x, axes, dtype)
    inverse = _inverse_deviation(at, variance_over(at, x, axes, mean, dtype), op.epsilon.value.data)

    def body(*i: Index) -> Scalar:
        value = (x[i].cast(dtype) - _at(mean, i, kept)) * _at(inverse, i, kept)
        value = value.cast(wide(x.dtype)) * scale.at(i).cast(wide(x.dtype))
        return (value if b is None else value + b.at(i).cast(wide(x.dtype))).cast(at.dtype())

    result = at.k.compute(at.name, _like(x), body)
    further = [(op.mean, mean), (op.inv_std_dev, inverse)]
    return [result, *(_with_ones(at, t, x, kept) for value, t in further if value is not None)]


def _with_ones(at: Site, reduced: Tensor, x: Tensor, kept: Sequence[int]) -> Tensor:
    """The reduced tensor with an extent of 1 for each dimension that went away."""
    names = names_of(x)
    axes = {name: x.shape[d] if d in kept else 1 for d, name in enumerate(names)}

    def body(*i: Index) -> Scalar:
        return _at(reduced, i, kept)

    return at.k.compute("statistic", axes, body)


def lower_rms_normalization(op: norm.RMSNormalizationOp, at: Site) -> Sequence[Tensor]:
    """X / sqrt(mean(x ** 2) + epsilon) * scale over the dimensions from `axis`."""
    x, scale = at[op.x], at[op.scale]
    axes = list(range(op.axis.value.data % x.rank, x.rank))
    kept = _kept(x, axes)
    dtype = f32 if op.stash_type.value.data == 1 else wide(x.dtype)
    squares = reduce_over(
        at, x, axes, "sum", lambda v: v.cast(dtype) * v.cast(dtype), name="squares"
    )
    inverse = _inverse_deviation(
        at, _divided(at, squares, count_of(x, axes), "mean"), op.epsilon.value.data
    )

    def body(*i: Index) -> Scalar:
        value = (x[i].cast(dtype) * _at(inverse, i, kept)).cast(wide(at.dtype()))
        return (value * scale.at(i).cast(wide(at.dtype()))).cast(at.dtype())

    return [at.k.compute(at.name, _like(x), body)]


def _channel_scaled(
    at: Site,
    x: Tensor,
    statistics: tuple[Tensor, Tensor],
    kept: Sequence[int],
    scale: Tensor,
    b: Tensor,
) -> Tensor:
    """(x - mean) * inverse * scale[channel] + b[channel]."""
    mean, inverse = statistics
    dtype = mean.dtype

    def body(*i: Index) -> Scalar:
        value = (x[i].cast(dtype) - _at(mean, i, kept)) * _at(inverse, i, kept)
        return (value * scale[i[1]].cast(dtype) + b[i[1]].cast(dtype)).cast(x.dtype)

    return at.k.compute(at.name, _like(x), body)


def lower_instance_normalization(op: norm.InstanceNormalizationOp, at: Site) -> Sequence[Tensor]:
    """Statistics of each image and channel over the spatial dimensions."""
    x, scale, b = at[op.x], at[op.scale], at[op.b]
    axes, dtype = list(range(2, x.rank)), wide(x.dtype)
    mean = mean_over(at, x, axes, dtype)
    inverse = _inverse_deviation(at, variance_over(at, x, axes, mean, dtype), op.epsilon.value.data)
    return [_channel_scaled(at, x, (mean, inverse), [0, 1], scale, b)]


def lower_batch_normalization(op: norm.BatchNormalizationOp, at: Site) -> Sequence[Tensor]:
    """(x - mean) / sqrt(var + epsilon) * scale + b, with given or with the batch's statistics."""
    x, scale, b = at[op.x], at[op.scale], at[op.b]
    given_mean, given_var = at[op.input_mean], at[op.input_var]
    dtype = wide(x.dtype)
    if not op.training_mode.value.data:
        factor = at.k.compute(
            "factor",
            {"c": x.shape[1]},
            lambda c: (
                scale[c].cast(dtype) / fn.sqrt(given_var[c].cast(dtype) + op.epsilon.value.data)
            ),
        )

        def body(*i: Index) -> Scalar:
            distance = x[i].cast(dtype) - given_mean[i[1]].cast(dtype)
            return (distance * factor[i[1]] + b[i[1]].cast(dtype)).cast(x.dtype)

        return [at.k.compute(at.name, _like(x), body)]
    axes = [d for d in range(x.rank) if d != 1]
    mean = mean_over(at, x, axes, dtype)
    variance = variance_over(at, x, axes, mean, dtype)
    inverse = _inverse_deviation(at, variance, op.epsilon.value.data)
    result = _channel_scaled(at, x, (mean, inverse), [1], scale, b)
    momentum = op.momentum.value.data
    pairs = [(op.running_mean, given_mean, mean), (op.running_var, given_var, variance)]
    return [
        result,
        *(_running(at, old, new, momentum) for value, old, new in pairs if value is not None),
    ]


def _running(at: Site, old: Tensor, new: Tensor, momentum: float) -> Tensor:
    return at.k.compute(
        "running",
        {"c": old.shape[0]},
        lambda c: (old[c].cast(new.dtype) * momentum + new[c] * (1.0 - momentum)).cast(old.dtype),
    )


def lower_group_normalization(op: norm.GroupNormalizationOp, at: Site) -> Sequence[Tensor]:
    """Statistics of each image and group of channels."""
    x, scale, bias = at[op.x], at[op.scale], at[op.bias]
    groups = op.num_groups.value.data
    size = x.shape[1] // groups
    names = names_of(x)
    grouped = {names[0]: x.shape[0], "g": groups, "ic": size}
    grouped |= dict(zip(names[2:], x.shape[2:], strict=True))
    dtype = wide(x.dtype)

    def in_groups(n: Index, g: Index, c: Index, *s: Index) -> Scalar:
        return x[n, g * size + c, *s].cast(dtype)

    view = at.k.compute("grouped", grouped, in_groups)
    axes = list(range(2, view.rank))
    mean = mean_over(at, view, axes, dtype)
    inverse = _inverse_deviation(
        at, variance_over(at, view, axes, mean, dtype), op.epsilon.value.data
    )

    def body(n: Index, c: Index, *s: Index) -> Scalar:
        group = c // size
        value = (x[n, c, *s].cast(dtype) - mean[n, group]) * inverse[n, group]
        return (value * scale[c].cast(dtype) + bias[c].cast(dtype)).cast(x.dtype)

    return [at.k.compute(at.name, _like(x), body)]


def lower_lrn(op: norm.LRNOp, at: Site) -> Sequence[Tensor]:
    """X / (bias + alpha / size * sum of squares of near channels) ** beta."""
    x = at[op.x]
    size, dtype = op.size.value.data, wide(x.dtype)
    before = (size - 1) // 2

    def squares(n: Index, c: Index, *s: Index) -> Reduction:
        def term(r: Index) -> Scalar:
            value = x.read([n, c + r - before, *s], 0.0).cast(dtype)
            return value * value

        return at.k.sum({"r": size}, term)

    near = at.k.compute("near", _like(x), squares)

    def body(*i: Index) -> Scalar:
        base = near[i] * (op.alpha.value.data / size) + op.bias.value.data
        return (x[i].cast(dtype) / _power(base, op.beta.value.data)).cast(x.dtype)

    return [at.k.compute(at.name, _like(x), body)]


def _power(base: Scalar, exponent: float) -> Scalar:
    """`base ** exponent`; quarters, which networks use (0.75), by square roots."""
    quarters = exponent * 4
    if quarters not in (1, 2, 3):
        return fn.power(base, exponent)
    half = fn.sqrt(base)
    return half if quarters == 2 else fn.sqrt(half) if quarters == 1 else half * fn.sqrt(half)


def lower_hardmax(op: norm.HardmaxOp, at: Site) -> Sequence[Tensor]:
    """1 at the first maximum, else 0."""
    x = at[op.x]
    axis = op.axis.value.data % x.rank
    kept = _kept(x, [axis])
    first = arg_extremum(at, x, axis, True, last=False, keepdims=False)

    def body(*i: Index) -> Scalar:
        return _at(first, i, kept).eq(i[axis].cast(first.dtype)).cast(x.dtype)

    return [at.k.compute(at.name, _like(x), body)]


def lower_lp_normalization(op: norm.LpNormalizationOp, at: Site) -> Sequence[Tensor]:
    """X divided by its norm, 0 where that is 0."""
    x = at[op.x]
    axis = op.axis.value.data % x.rank
    kept, dtype = _kept(x, [axis]), wide(x.dtype)
    squared = op.p.value.data == 2

    def term(v: Scalar) -> Scalar:
        v = v.cast(dtype)
        return v * v if squared else abs(v)

    total = reduce_over(at, x, [axis], "sum", term, name="total")

    def body(*i: Index) -> Scalar:
        size = _at(total, i, kept)
        size = fn.sqrt(size) if squared else size
        return fn.where(size.eq(0.0), 0.0, x[i].cast(dtype) / size).cast(x.dtype)

    return [at.k.compute(at.name, _like(x), body)]


def lower_mean_variance(op: norm.MeanVarianceNormalizationOp, at: Site) -> Sequence[Tensor]:
    """(x - mean) / (deviation + 1e-9)."""
    x = at[op.x]
    axes = sorted(axis % x.rank for axis in int_values(op.axes))
    kept, dtype = _kept(x, axes), wide(x.dtype)
    mean = mean_over(at, x, axes, dtype)
    variance = variance_over(at, x, axes, mean, dtype)

    def body(*i: Index) -> Scalar:
        deviation = fn.sqrt(_at(variance, i, kept)) + 1e-9
        return ((x[i].cast(dtype) - _at(mean, i, kept)) / deviation).cast(x.dtype)

    return [at.k.compute(at.name, _like(x), body)]


LOWERINGS: dict[str, Lowering] = {
    "graph.softmax": partial(_lower_softmax, False),
    "graph.log_softmax": partial(_lower_softmax, True),
    "graph.layer_normalization": lower_layer_normalization,
    "graph.rms_normalization": lower_rms_normalization,
    "graph.instance_normalization": lower_instance_normalization,
    "graph.batch_normalization": lower_batch_normalization,
    "graph.group_normalization": lower_group_normalization,
    "graph.lrn": lower_lrn,
    "graph.hardmax": lower_hardmax,
    "graph.lp_normalization": lower_lp_normalization,
    "graph.mean_variance_normalization": lower_mean_variance,
}
