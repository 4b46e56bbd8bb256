"""NNVM's reductions and sums to a shape."""

from __future__ import annotations

from ...core.errors import ModelError, UnsupportedError
from ...dialects.graph.types import info
from .basic import INT64_MAX
from .emit import Emitter, Value
from .operators import Operator, operator


def _reduced_axes(emit: Emitter, data: Value, axis: tuple[int, ...], exclude: bool) -> list[int]:
    """The axes to reduce; all of them where the list is empty."""
    if not exclude:
        return list(axis)
    rank = emit.rank(data, "a reduction with exclude")
    kept = {each % rank for each in axis}
    return [each for each in range(rank) if each not in kept]


def _reduction(name: str, onnx_name: str) -> Operator:
    def lower(
        emit: Emitter,
        data: Value,
        *,
        axis: tuple[int, ...] = (),
        keepdims: bool = False,
        exclude: bool = False,
    ) -> Value:
        axes = _reduced_axes(emit, data, axis, exclude)
        if exclude and not axes:
            return emit("Identity", data)
        along = emit.constant(axes) if axes else None
        return emit(onnx_name, data, along, keepdims=int(keepdims))

    return Operator(name, lower)


def _arg_reduction(name: str, onnx_name: str) -> Operator:
    def lower(
        emit: Emitter,
        data: Value,
        *,
        axis: tuple[int, ...] = (),
        keepdims: bool = False,
        exclude: bool = False,
    ) -> Value:
        axes = _reduced_axes(emit, data, axis, exclude)
        if len(axes) > 1:
            raise UnsupportedError(f"{name} over several axes", hint="give one axis, or none")
        if axes:
            found = emit(onnx_name, data, axis=axes[0], keepdims=int(keepdims))
        elif keepdims:
            raise UnsupportedError(f"{name} over all axes with keepdims")
        else:
            flat = emit("Reshape", data, emit.constant([-1]))
            found = emit(onnx_name, flat, axis=0, keepdims=0)
        return emit.cast(found, "int32")

    return Operator(name, lower)


TABLE: dict[str, Operator] = {
    **{
        name: _reduction(name, onnx_name)
        for name, onnx_name in {
            "sum": "ReduceSum",
            "min": "ReduceMin",
            "max": "ReduceMax",
            "mean": "ReduceMean",
            "prod": "ReduceProd",
        }.items()
    },
    "argmax": _arg_reduction("argmax", "ArgMax"),
    "argmin": _arg_reduction("argmin", "ArgMin"),
}


@operator()
def collapse_sum(emit: Emitter, data: Value, like: Value) -> Value:
    """The sum over what broadcasting `like` to the shape of `data` would repeat."""
    rank, wanted = (emit.rank(value, "collapse_sum") for value in (data, like))
    extents = info(like).dims
    if wanted > rank or extents is None or None in extents:
        raise ModelError("collapse_sum needs the shape of its second input")
    lead = list(range(rank - wanted))
    stretched = [rank - wanted + at for at, extent in enumerate(extents) if extent == 1]
    result = emit("ReduceSum", data, emit.constant(stretched), keepdims=1) if stretched else data
    return emit("ReduceSum", result, emit.constant(lead), keepdims=0) if lead else result


@operator()
def slice_like(
    emit: Emitter, data: Value, slice_like: Value, *, axis: tuple[int, ...] = ()
) -> Value:
    """The leading part of `data` with the extents of the other, along `axis` (all if empty)."""
    axes = list(axis) or list(range(emit.rank(slice_like, "slice_like")))
    along = emit.constant(axes)
    ends = emit("Gather", emit("Shape", slice_like), along, axis=0)
    return emit("Slice", data, emit.constant([0] * len(axes)), ends, along)


@operator()
def strided_slice(
    emit: Emitter,
    data: Value,
    *,
    begin: tuple[int, ...],
    end: tuple[int, ...],
    stride: tuple[int, ...] = (),
) -> Value:
    """data[begin:end:stride], for the leading axes."""
    count = max(len(begin), len(end))
    starts = [*begin, *[0] * (count - len(begin))]
    ends = [*end, *[INT64_MAX] * (count - len(end))]
    steps = [*stride, *[1] * (count - len(stride))]
    lists = (starts, ends, list(range(count)), steps)
    return emit("Slice", data, *(emit.constant(each) for each in lists))
