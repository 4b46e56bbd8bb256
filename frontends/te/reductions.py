"""Reductions: `sum(x[i, k], axis=k)` of an element over axes, `sum(x, axis=1)` of a tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from xdsl.dialects.builtin import IndexType, i1, i64
from xdsl.ir import Attribute

from ...core.dtypes import dtype_name
from ...core.errors import ExpressionError
from ...dialects.combiners import neutral_element
from ...dialects.te_build import Index, Reduction, Scalar, axis_names
from ...dialects.te_build import Tensor as AnyTensor
from ...dialects.te_build import functions as fn
from ...dialects.te_build.body import current_body, writing
from ...dialects.te_build.compute import Element, combine_values
from ...dialects.te_build.ops import Number, check_number, highest, is_unsigned, lowest, plain
from .compute import ReduceAxis
from .origin import located
from .tensor import Tensor, define, whole

Axes: TypeAlias = "ReduceAxis | Sequence[ReduceAxis]"
Dimensions: TypeAlias = "int | Sequence[int] | None"


class Combiner:
    """A named combiner.

    `sum(e, axis=k)` inside a compute combines an element over reduce axes, with `where` only those
    for which a condition holds. `sum(x, axis=1)` of a tensor is a compute of its own; without
    `axis` over all dimensions.
    """

    def __init__(self, name: str, combiner: str, boolean: str | None = None):
        self.name, self._combiner, self._boolean = name, combiner, boolean
        self.__doc__ = f"The {name} over axes; see `Combiner`."

    def __call__(
        self,
        x: AnyTensor | Element,
        axis: Axes | Dimensions = None,
        *,
        where: Scalar | None = None,
        keepdims: bool = False,
    ) -> Any:
        """A reduction that a compute returns, or a tensor.

        Raises: ExpressionError: no axis, or one that is none; bool where numbers are meant.
        """
        if isinstance(x, AnyTensor):
            with located:
                dimensions = dimensions_of(x, cast("Dimensions", axis))
                if where is not None:
                    raise ExpressionError("`where` is for elements, not for tensors")
            return over_dimensions(self.name, self._reduce, x, dimensions, keepdims)
        return self._reduce(_element(x), axes_of(axis), where)

    def _reduce(
        self, value: Scalar, axes: tuple[ReduceAxis, ...], where: Scalar | None = None
    ) -> Reduction:
        combiner = self._combiner_for(value.dtype)
        if combiner in ("max", "min") and is_unsigned(value.dtype):
            return self._unsigned(value, axes, where)
        if where is not None:
            value = fn.if_then_else(where, value, _neutral(combiner, value.dtype))
        return over(axes, Reduction((value,), (combiner,)))

    def _combiner_for(self, dtype: Attribute) -> str:
        if dtype == i1 and self._boolean is not None:
            return self._boolean
        if (dtype == i1) != (self._combiner in ("and", "or")):
            wanted = "numbers" if dtype == i1 else "bool"
            raise ExpressionError(
                f"{self.name} combines {wanted}, got {dtype_name(dtype)}",
                hint="cast it, or compare it: x != 0",
            )
        return self._combiner

    def _unsigned(
        self, value: Scalar, axes: tuple[ReduceAxis, ...], where: Scalar | None
    ) -> Reduction:
        """The named combiners compare as signed."""
        pick = fn.maximum if self._combiner == "max" else fn.minimum
        start = lowest(value.dtype) if self._combiner == "max" else highest(value.dtype)
        if where is not None:
            value = fn.if_then_else(where, value, start)
        return over(axes, combine_values(lambda a, b: [pick(a[0], b[0])], [start], (value,)))


def _neutral(combiner: str, dtype: Attribute) -> Number:
    attribute: Any = neutral_element(combiner, plain(dtype))
    return attribute.value.data


def _element(x: object) -> Scalar:
    if isinstance(x, Reduction):
        raise ExpressionError(
            "a reduction of a reduction", hint="name all axes in one: sum(..., axis=(i, j))"
        )
    scalar = fn.scalar_of(cast("Element", x))
    return scalar.cast(i64) if isinstance(scalar.dtype, IndexType) else scalar


def axes_of(axis: object) -> tuple[ReduceAxis, ...]:
    """Reduce axes, checked.

    Raises: ExpressionError: there is none, one stands twice, or is something else.
    """
    axes = tuple(cast("Sequence[object]", axis if isinstance(axis, Sequence) else (axis,)))
    if not axes or not all(isinstance(each, ReduceAxis) for each in axes):
        raise ExpressionError(
            f"an element is reduced over axes that reduce_axis made, got axis={axis!r}",
            hint="k = reduce_axis((0, 16), name='k'), then sum(x[i, k], axis=k)",
        )
    if len({id(each) for each in axes}) != len(axes):
        raise ExpressionError("a reduce axis is named twice")
    return cast("tuple[ReduceAxis, ...]", axes)


def over(axes: tuple[ReduceAxis, ...], reduction: Reduction) -> Reduction:
    """The reduction over these axes, all of which join the body."""
    for axis in axes:
        axis.bound(current_body())
    return Reduction(
        reduction.values, reduction.combiner, reduction.init, reduction.combine, over=axes
    )


def dimensions_of(x: AnyTensor, axis: Dimensions) -> tuple[int, ...]:
    """The dimensions of a tensor that are reduced, ascending.

    Raises: ExpressionError: there is no such dimension, or one stands twice.
    """
    given = range(x.rank) if axis is None else [axis] if isinstance(axis, int) else list(axis)
    for each in given:
        if not -x.rank <= whole(each, "a dimension") < x.rank:
            raise ExpressionError(f"{x.label} of rank {x.rank} has no dimension {each}")
    found = sorted({each % x.rank for each in given})
    if len(found) != len(given):
        raise ExpressionError(f"a dimension is named twice: {list(given)}")
    return tuple(found)


def over_dimensions(
    name: str,
    reduce: Callable[[Scalar, tuple[ReduceAxis, ...]], Reduction],
    x: AnyTensor,
    dimensions: Sequence[int],
    keepdims: bool,
    result: int = 0,
) -> Tensor:
    """A compute that reduces dimensions of a tensor, which go away or stay as 1.

    `result` is the one that counts, of a reduction of several.
    """
    names = list(x.names) if len(x.names) == x.rank else list(axis_names(x.shape))
    kept = [d for d in range(x.rank) if keepdims or d not in dimensions]
    prefix = "r" if keepdims else ""
    axes = {d: ReduceAxis(0, x.shape[d], f"{prefix}{names[d]}") for d in dimensions}

    def body(*indices: Index) -> Reduction | Scalar:
        outer = dict(zip(kept, indices, strict=True))
        element = x.read([axes[d] if d in axes else outer[d] for d in range(x.rank)])
        return reduce(element, tuple(axes.values())) if axes else element

    parallel = {names[d]: 1 if d in dimensions else x.shape[d] for d in kept}
    return define(name, parallel, body)[result]


class Logical:
    """As a combiner; `all(a, b, c)` of several conditions is their conjunction, `any` the other."""

    def __init__(self, name: str, combiner: str):
        self._combiner = Combiner(name, combiner, combiner)
        self.__doc__ = self._combiner.__doc__

    def __call__(
        self,
        x: AnyTensor | Element,
        *more: Element,
        axis: Axes | Dimensions = None,
        where: Scalar | None = None,
        keepdims: bool = False,
    ) -> Any:
        """A reduction, a tensor, or a condition."""
        if not more and (axis is not None or isinstance(x, AnyTensor)):
            return self._combiner(x, axis, where=where, keepdims=keepdims)
        if axis is not None or isinstance(x, AnyTensor):
            raise ExpressionError(f"{self._combiner.name} takes several conditions, or an axis")
        result = fn.scalar_of(x)
        for condition in more:
            other = result.like(condition)
            result = result & other if self._combiner.name == "all" else result | other
        return result


class CommReducer:
    """A combiner of one's own, which `comm_reducer` makes; called like `sum`."""

    def __init__(self, combine: Callable[..., Any], identity: Callable[..., Any], name: str):
        self.name, self._combine, self._identity = name, combine, identity

    def __call__(
        self,
        x: Element | Sequence[Element],
        axis: Axes | None = None,
        *,
        where: Scalar | None = None,
    ) -> Reduction:
        """The reduction of an element, or of a tuple of them, over axes."""
        axes = axes_of(axis)
        elements = cast("Sequence[Element]", x if isinstance(x, Sequence) else (x,))
        values = tuple(_element(each) for each in elements)
        with writing(None):
            given = self._identity(*(dtype_name(value.dtype) for value in values))
        neutral = self._members(given, len(values), "identity")
        if where is not None:
            pairs = zip(values, neutral, strict=True)
            values = tuple(fn.if_then_else(where, value, start) for value, start in pairs)
        for value, start in zip(values, neutral, strict=True):
            check_number(start, value.dtype)
        return over(axes, combine_values(self._pairwise, neutral, values))

    def _pairwise(self, old: tuple[Scalar, ...], new: tuple[Scalar, ...]) -> Sequence[Scalar]:
        single = len(old) == 1
        combined = self._combine(old[0], new[0]) if single else self._combine(old, new)
        return self._members(combined, len(old), "combiner")

    def _members(self, given: Any, count: int, what: str) -> Sequence[Any]:
        members = list(cast("Sequence[Any]", given)) if isinstance(given, Sequence) else [given]
        if len(members) != count:
            raise ExpressionError(
                f"the {what} of '{self.name}' returns {len(members)} values for {count}"
            )
        return members


def comm_reducer(
    combine: Callable[..., Any], identity: Callable[..., Any], name: str = "reduce"
) -> CommReducer:
    """A commutative and associative combiner of an element, or of a tuple of elements.

    Args:
        combine: takes what has been combined and what is to be, each a scalar or a tuple of them,
            and returns the same. The order in which elements are combined is free.
        identity: takes the names of the element types, returns the neutral numbers.
        name: what messages call it.
    """
    return CommReducer(combine, identity, name)
