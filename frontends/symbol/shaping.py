"""NNVM's operators that move elements or make tensors."""

from __future__ import annotations

from ...core.errors import ModelError, UnsupportedError
from ...dialects.graph.types import info
from .emit import Emitter, Value
from .operators import operator

INT64_MIN = -(2**63)


@operator()
def flatten(emit: Emitter, data: Value) -> Value:
    """[n, ...] to [n, k]."""
    return emit("Flatten", data, axis=1)


@operator()
def expand_dims(emit: Emitter, data: Value, *, axis: int, num_newaxis: int = 1) -> Value:
    """`num_newaxis` axes of extent 1 before `axis`; negative ones count from the end."""
    first = axis if axis >= 0 else axis + 1 - num_newaxis
    axes = emit.constant(list(range(first, first + num_newaxis)))
    return emit("Unsqueeze", data, axes)


@operator()
def squeeze(emit: Emitter, data: Value, *, axis: tuple[int, ...] = ()) -> Value:
    """Without axes of extent 1: those given, or all."""
    return emit("Squeeze", data, emit.constant(list(axis)) if axis else None)


@operator()
def reshape(emit: Emitter, data: Value, *, shape: tuple[int, ...]) -> Value:
    """The same elements in another shape: 0 keeps an extent, -1 is inferred.

    -2 keeps all remaining extents, -3 joins two, -4 splits one into the two that follow: these
    need the shape of the data.
    """
    if any(code < -1 for code in shape):
        shape = _decoded(emit, data, shape)
    return emit("Reshape", data, emit.constant(list(shape)))


def _decoded(emit: Emitter, data: Value, shape: tuple[int, ...]) -> tuple[int, ...]:
    emit.rank(data, "reshape with codes -2, -3, -4")
    extents = [dim if isinstance(dim, int) else None for dim in info(data).dims or ()]
    if None in extents:
        raise UnsupportedError("reshape with codes -2, -3, -4 needs the shape of its input")
    rest = [extent for extent in extents if extent is not None]
    try:
        return _apply_codes(list(shape), rest)
    except IndexError:
        raise ModelError(f"reshape codes {shape} do not fit the shape {extents}") from None


def _apply_codes(codes: list[int], rest: list[int]) -> tuple[int, ...]:
    result: list[int] = []
    while codes:
        code = codes.pop(0)
        if code == -2:
            result, rest = result + rest, []
        elif code == -3:
            result.append(rest.pop(0) * rest.pop(0))
        elif code == -4:
            result += _split_extent(rest.pop(0), codes.pop(0), codes.pop(0))
        else:
            extent = rest.pop(0) if rest else 0
            result.append(extent if code == 0 else code)
    return tuple(result)


def _split_extent(extent: int, first: int, second: int) -> list[int]:
    if first == -1:
        return [extent // second, second]
    return [first, extent // first if second == -1 else second]


@operator()
def transpose(emit: Emitter, data: Value, *, axes: tuple[int, ...] = ()) -> Value:
    """Axes in another order; reversed by default."""
    return emit("Transpose", data, perm=list(axes) if axes else None)


@operator()
def flip(emit: Emitter, data: Value, *, axis: int = 0) -> Value:
    """Backwards along an axis."""
    lists = ([-1], [INT64_MIN], [axis], [-1])
    return emit("Slice", data, *(emit.constant(each) for each in lists))


@operator()
def pad(
    emit: Emitter,
    data: Value,
    *,
    pad_width: tuple[tuple[int, int], ...],
    pad_value: float = 0.0,
) -> Value:
    """More elements before and after each axis."""
    pads = [before for before, _ in pad_width] + [after for _, after in pad_width]
    return emit("Pad", data, emit.constant(pads), emit.scalar_like(pad_value, data))


@operator()
def take(emit: Emitter, data: Value, indices: Value, *, axis: int | None = None) -> Value:
    """Elements (of the flattened data), or slices along an axis."""
    if axis is None:
        return emit("Gather", emit("Reshape", data, emit.constant([-1])), indices, axis=0)
    return emit("Gather", data, indices, axis=axis)


@operator()
def gather_nd(emit: Emitter, data: Value, indices: Value) -> Value:
    """data[indices[0], indices[1], ...]."""
    rank = emit.rank(indices, "gather_nd")
    order = [*range(1, rank), 0]
    return emit("GatherND", data, emit("Transpose", indices, perm=order))


@operator()
def broadcast_to(emit: Emitter, data: Value, *, shape: tuple[int, ...]) -> Value:
    """Repeated to a shape; 0 keeps an extent."""
    return emit("Expand", data, emit.constant([extent or 1 for extent in shape]))


@operator()
def expand_like(
    emit: Emitter,
    data: Value,
    shape_like: Value,
    *,
    axis: tuple[int, ...] = (),
    exclude: bool = False,
) -> Value:
    """Repeated along new axes to the shape of the other."""
    axes = list(axis)
    if exclude:
        rank = emit.rank(shape_like, "expand_like with exclude")
        kept = {each % rank for each in axis}
        axes = [each for each in range(rank) if each not in kept]
    wide = emit("Unsqueeze", data, emit.constant(axes)) if axes else data
    return emit("Expand", wide, emit("Shape", shape_like))


@operator()
def reshape_like(emit: Emitter, lhs: Value, rhs: Value) -> Value:
    """The elements of the first in the shape of the second."""
    return emit("Reshape", lhs, emit("Shape", rhs))


@operator()
def full(
    emit: Emitter, *, shape: tuple[int, ...], dtype: str = "float32", fill_value: float
) -> Value:
    """One number everywhere."""
    number = emit.constant(fill_value, dtype)
    return emit("Expand", number, emit.constant(list(shape)))


@operator()
def ones(emit: Emitter, *, shape: tuple[int, ...], dtype: str = "float32") -> Value:
    """Ones."""
    return full(emit, shape=shape, dtype=dtype, fill_value=1.0)


@operator()
def zeros(emit: Emitter, *, shape: tuple[int, ...], dtype: str = "float32") -> Value:
    """Zeros."""
    return full(emit, shape=shape, dtype=dtype, fill_value=0.0)


@operator()
def full_like(emit: Emitter, data: Value, *, fill_value: float) -> Value:
    """One number in the shape and element type of the data."""
    return emit("Expand", emit.scalar_like(fill_value, data), emit("Shape", data))


@operator()
def ones_like(emit: Emitter, data: Value) -> Value:
    """Ones in the shape and element type of the data."""
    return full_like(emit, data, fill_value=1.0)


@operator()
def zeros_like(emit: Emitter, data: Value) -> Value:
    """Zeros in the shape and element type of the data."""
    return full_like(emit, data, fill_value=0.0)
