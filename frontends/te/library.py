"""Functions of whole tensors, each one or a few computes, in NumPy's manner."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod

from ...core.errors import ExpressionError
from ...dialects.te_build import Index, Reduction, Scalar, axis_names
from ...dialects.te_build import Tensor as AnyTensor
from ...dialects.te_build import functions as fn
from ...dialects.te_build.body import current_body
from ...dialects.te_build.ops import Number, is_float, lowest
from ...dialects.te_build.places import reshaped
from ...dialects.te_build.tensor import IndexLike
from . import combiners
from .compute import ReduceAxis
from .dtypes import DType, element_of, max_value
from .elements import exp
from .origin import located
from .reductions import CommReducer, Dimensions, dimensions_of, over_dimensions
from .tensor import (
    Tensor,
    as_tensor,
    broadcast_shape,
    check_tensors,
    define,
    elementwise,
    extents,
    listed_tensors,
)


def matmul(a: AnyTensor, b: AnyTensor, name: str = "matmul") -> Tensor:
    """The product of matrices [..., i, k] and [..., k, j]; a vector lacks its own dimension.

    Raises: ExpressionError: the inner dimensions differ, or those in front do not broadcast.
    """
    with located:
        check_tensors(a, b)
        if not a.rank or not b.rank:
            raise ExpressionError("matmul takes vectors, matrices and stacks of them, no scalars")
        inner = b.shape[-2] if b.rank > 1 else b.shape[0]
        if a.shape[-1] != inner:
            raise ExpressionError(
                f"the inner dimensions of {list(a.shape)} and {list(b.shape)} differ"
            )
        stack = broadcast_shape([a.shape[:-2], b.shape[:-2]])
    rows, columns = a.shape[-2:-1], b.shape[-1:] if b.rank > 1 else ()
    names = [f"b{at}" for at in range(len(stack))] + ["i"] * len(rows) + ["j"] * len(columns)
    k = ReduceAxis(0, inner, "k")

    def body(*indices: Index) -> Reduction:
        outer = indices[: len(stack)]
        i = indices[len(stack) : len(stack) + len(rows)]
        j = indices[len(stack) + len(rows) :]
        product = _at(a, outer, [*i, k]) * _at(b, outer, [k, *j])
        return combiners.sum(product, axis=k)

    return define(name, dict(zip(names, [*stack, *rows, *columns], strict=True)), body)[0]


def _at(x: AnyTensor, stack: Sequence[Index], place: Sequence[IndexLike]) -> Scalar:
    """An element of a stack of matrices whose leading dimensions are broadcast."""
    own = stack[len(stack) - (x.rank - len(place)) :]
    lead = [0 if size == 1 else index for size, index in zip(x.shape, own, strict=False)]
    return x.read([*lead, *place])


def transpose(x: AnyTensor, axes: Sequence[int] | None = None) -> Tensor:
    """Dimension d of the result is dimension axes[d] of x; reversed where none are given.

    Raises: ExpressionError: the axes are no permutation.
    """
    order = list(range(x.rank))[::-1] if axes is None else [axis % max(x.rank, 1) for axis in axes]
    with located:
        if sorted(order) != list(range(x.rank)):
            raise ExpressionError(f"{list(axes or ())} is no order of {x.rank} dimensions")
    names = x.names if len(x.names) == x.rank else tuple(axis_names(x.shape))

    def body(*indices: Index) -> Scalar:
        return x.read([indices[order.index(d)] for d in range(x.rank)])

    return define("transpose", {names[d]: x.shape[d] for d in order}, body)[0]


def reshape(x: AnyTensor, shape: Sequence[int] | int) -> Tensor:
    """The elements in row-major order; one extent may be -1.

    Raises: ExpressionError: the numbers of elements differ.
    """
    with located:
        new = _open_extent(x, [shape] if isinstance(shape, int) else list(shape))

    def body(*indices: Index) -> Scalar:
        return x.read(reshaped(indices, new, x.shape))

    return define("reshape", axis_names(new), body)[0]


def _open_extent(x: AnyTensor, shape: list[int]) -> tuple[int, ...]:
    count = prod(x.shape)
    if shape.count(-1) == 1:
        known = prod(size for size in shape if size != -1)
        if not known or count % known:
            raise ExpressionError(f"{list(x.shape)} cannot take the shape {shape}")
        shape[shape.index(-1)] = count // known
    new = extents(shape)
    if prod(new) != count:
        raise ExpressionError(f"{list(x.shape)} has {count} elements, {list(new)} has {prod(new)}")
    return new


def expand_dims(x: AnyTensor, axis: int) -> Tensor:
    """One more dimension of 1, before dimension `axis` of the result."""
    with located:
        if not -x.rank - 1 <= axis <= x.rank:
            raise ExpressionError(f"a tensor of rank {x.rank} has no place {axis}")
    at = axis % (x.rank + 1)
    return reshape(x, [*x.shape[:at], 1, *x.shape[at:]])


def squeeze(x: AnyTensor, axis: Dimensions = None) -> Tensor:
    """Without dimensions of 1: all, or those that are named.

    Raises: ExpressionError: a named one is not 1.
    """
    ones = [d for d, size in enumerate(x.shape) if size == 1]
    with located:
        dropped = ones if axis is None else dimensions_of(x, axis)
        if not set(dropped) <= set(ones):
            raise ExpressionError(f"a dimension of {list(x.shape)} that is squeezed is not 1")
    return reshape(x, [size for d, size in enumerate(x.shape) if d not in dropped])


def broadcast_to(x: AnyTensor, shape: Sequence[int]) -> Tensor:
    """The tensor with dimensions repeated.

    Raises: ExpressionError: the shape does not broadcast to that.
    """
    with located:
        new = extents(shape)
        if broadcast_shape([x.shape, new]) != new:
            raise ExpressionError(f"{list(x.shape)} does not broadcast to {list(new)}")

    def body(*indices: Index) -> Scalar:
        return x.at(indices)

    return define("broadcast_to", axis_names(new), body)[0]


def concatenate(tensors: Sequence[AnyTensor], axis: int = 0) -> Tensor:
    """The tensors behind each other along a dimension.

    Raises: ExpressionError: none, or other dimensions or element types differ.
    """
    with located:
        tensors = listed_tensors(tensors)
        if not tensors:
            raise ExpressionError("nothing to concatenate")
        first = tensors[0]
        (at,) = dimensions_of(first, axis)
        rests = {(*x.shape[:at], *x.shape[at + 1 :], str(x.dtype)) for x in tensors}
        if len(rests) > 1 or len({x.rank for x in tensors}) > 1:
            listed = ", ".join(f"{x.dtype}{list(x.shape)}" for x in tensors)
            raise ExpressionError(f"cannot concatenate {listed} along dimension {axis}")
    starts = [0, *accumulate(x.shape[at] for x in tensors)]
    shape = [*first.shape[:at], starts[-1], *first.shape[at + 1 :]]

    def body(*indices: Index) -> Scalar:
        def part(x: AnyTensor, start: int) -> Scalar:
            return x.read([*indices[:at], indices[at] - start, *indices[at + 1 :]])

        filled = [(x, low) for x, low in zip(tensors, starts, strict=False) if x.shape[at]]
        if not filled:
            return current_body().constant(0, first.dtype)
        *others, (last, begin) = filled
        result = part(last, begin)
        for x, start in reversed(others):
            end = start + x.shape[at]
            result = fn.if_then_else(indices[at] < end, part(x, start), result)
        return result

    return define("concatenate", axis_names(shape), body)[0]


def stack(tensors: Sequence[AnyTensor], axis: int = 0) -> Tensor:
    """The tensors along a new dimension."""
    return concatenate([expand_dims(x, axis) for x in tensors], axis)


def pad(x: AnyTensor, widths: Sequence[tuple[int, int]], value: Number = 0) -> Tensor:
    """The tensor with `widths[d]` elements before and behind dimension d; negative ones crop.

    Raises: ExpressionError: not one pair of widths for each dimension.
    """
    with located:
        if not isinstance(widths, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
            hint = "(before, behind) for each dimension"
            raise ExpressionError(f"expected pairs of widths, got {widths!r}", hint=hint)
        if len(widths) != x.rank:
            raise ExpressionError(f"{len(widths)} pairs of widths for rank {x.rank}")
        sizes = zip(x.shape, widths, strict=True)
        shape = extents([size + before + behind for size, (before, behind) in sizes])

    def body(*indices: Index) -> Scalar:
        pairs = zip(indices, widths, strict=True)
        return x.read([index - before for index, (before, _) in pairs], value)

    return define("pad", axis_names(shape), body)[0]


def take(x: AnyTensor, indices: AnyTensor, axis: int = 0) -> Tensor:
    """Slices of x at the positions in an integer tensor, which must be inside."""
    with located:
        check_tensors(x, indices)
        (at,) = dimensions_of(x, axis)
    shape = [*x.shape[:at], *indices.shape, *x.shape[at + 1 :]]

    def body(*place: Index) -> Scalar:
        found = indices.read(place[at : at + indices.rank])
        return x.read([*place[:at], found, *place[at + indices.rank :]])

    return define("take", axis_names(shape), body)[0]


def flip(x: AnyTensor, axis: Dimensions = None) -> Tensor:
    """Dimensions backwards, all where none are named."""
    with located:
        turned = dimensions_of(x, axis)

    def body(*indices: Index) -> Scalar:
        pairs = enumerate(zip(indices, x.shape, strict=True))
        return x.read([size - 1 - i if d in turned else i for d, (i, size) in pairs])

    return define("flip", axis_names(x.shape), body)[0]


def full(shape: Sequence[int] | int, value: Number, dtype: DType = "float32") -> Tensor:
    """One number everywhere."""
    with located:
        sizes, element = extents(shape), element_of(dtype)

    def body(*_: Index) -> Scalar:
        return current_body().literal(value, element)

    return define("full", axis_names(sizes), body)[0]


def zeros(shape: Sequence[int] | int, dtype: DType = "float32") -> Tensor:
    """0 everywhere."""
    return full(shape, 0, dtype)


def ones(shape: Sequence[int] | int, dtype: DType = "float32") -> Tensor:
    """1 everywhere."""
    return full(shape, 1, dtype)


def arange(size: int, dtype: DType = "int64") -> Tensor:
    """0, 1, 2 ... as many as `size`."""
    with located:
        (extent,), element = extents(size), element_of(dtype)
    return define("arange", {"i": extent}, lambda i: i.cast(element))[0]


def mean(x: AnyTensor, axis: Dimensions = None, keepdims: bool = False) -> Tensor:
    """The sum over dimensions divided by the number of elements; of floats.

    Raises: ExpressionError: the elements are integers.
    """
    with located:
        dimensions = dimensions_of(x, axis)
        if not is_float(x.dtype):
            raise ExpressionError("the mean of integers", hint="x.astype('float32')")
    count = prod(x.shape[d] for d in dimensions)
    total: Tensor = combiners.sum(x, axis=dimensions, keepdims=keepdims)

    def divided(value: Scalar) -> Scalar:
        return value / float(count)

    return elementwise("mean", divided, total)


def softmax(x: AnyTensor, axis: int = -1) -> Tensor:
    """exp(x) divided by its sum along a dimension, without overflow."""
    source = as_tensor(x)
    largest: Tensor = combiners.max(source, axis=axis, keepdims=True)
    powers: Tensor = exp(source - largest)
    total: Tensor = combiners.sum(powers, axis=axis, keepdims=True)
    return powers / total


def argmax(x: AnyTensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """The first position of the largest element along a dimension, as int64; NaN is the largest."""
    return _arg("argmax", x, axis, keepdims)


def argmin(x: AnyTensor, axis: int = -1, keepdims: bool = False) -> Tensor:
    """The first position of the smallest element along a dimension, as int64; NaN is smallest."""
    return _arg("argmin", x, axis, keepdims)


def _arg(name: str, x: AnyTensor, axis: int, keepdims: bool) -> Tensor:
    with located:
        dimensions = dimensions_of(x, axis)
    largest = name == "argmax"

    def better(old: tuple[Scalar, Scalar], new: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
        first = new[0] > old[0] if largest else new[0] < old[0]
        take_new = first | (new[0].eq(old[0]) & (new[1] < old[1]))
        if is_float(x.dtype):
            both = fn.isnan(new[0]) & fn.isnan(old[0]) & (new[1] < old[1])
            take_new = take_new | (fn.isnan(new[0]) & ~fn.isnan(old[0])) | both
        return fn.where(take_new, new[0], old[0]), fn.where(take_new, new[1], old[1])

    def start(_: str, position: str) -> tuple[Number, Number]:
        worst = lowest(x.dtype) if largest else max_value(x.dtype)
        return worst, max_value(position)

    combiner = CommReducer(better, start, name)

    def reduce(value: Scalar, axes: tuple[ReduceAxis, ...]) -> Reduction:
        return combiner((value, axes[0]), axis=axes)

    return over_dimensions(name, reduce, x, dimensions, keepdims, result=1)
