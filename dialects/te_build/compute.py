"""One `te.compute`, written by running a function once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, cast

from xdsl.dialects.builtin import AffineMapAttr, ArrayAttr, StringAttr, TensorType
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineDimExpr

from ...core.affine import bounds, dim
from ...core.errors import ExpressionError
from ...core.irtypes import strings, tensor_shape
from .. import te
from ..graph.types import tensor_type
from ..index_space import PARALLEL, REDUCE, AxisAttr
from .body import Body, Origin, current_body, writing
from .ops import Number, literal, plain, type_of
from .reduction import Reduction
from .scalar import Index, Scalar
from .signature import Of, call
from .tensor import Tensor

Extents = Mapping[str, int]
Combine = Callable[[tuple[Scalar, ...], tuple[Scalar, ...]], Sequence[Scalar]]


Element: TypeAlias = "Scalar | Index | Number"
BodyResult: TypeAlias = "Element | Reduction | Sequence[Element] | Sequence[Reduction]"


@dataclass(frozen=True)
class Written:
    """A compute that stands nowhere yet.

    Attributes:
        dtypes: graph element types of its results.
        sources: the tensors that it reads.
        bound: labels of the bound axes.
    """

    op: te.ComputeOp
    dtypes: tuple[Attribute, ...]
    sources: Mapping[SSAValue, Tensor]
    bound: Mapping[Hashable, str]


def write_compute(
    name: str,
    axes: Extents,
    function: Of[Index, BodyResult],
    origin: Origin,
    layout: AffineMapAttr | None = None,
) -> Written:
    """The compute @name over parallel `axes`: `function` takes them in order, and is called once.

    Its results live in memory in `layout`.

    Raises: ExpressionError: reduce axes and the reduction differ, a read may leave its tensor.
    """
    block = Block()
    body = Body(origin, block, list(axes.items()))
    with writing(body):
        out = call(function, [Index(body, dim(position)) for position in range(len(axes))])
        reduction = _as_reduction(out)
    if any(value.body is not body for value in reduction.values):
        raise ExpressionError("an element of another compute")
    _order_axes(body, len(axes), reduction)
    body.finish(reduction.values)
    _check_reads(body)
    return Written(
        _compute_op(name, body, len(axes), reduction, layout),
        tuple(value.dtype for value in reduction.values),
        body.sources,
        {axis: body.axes[position][0] for axis, position in body.bound.items()},
    )


def _as_reduction(out: BodyResult) -> Reduction:
    if isinstance(out, Reduction):
        return out
    results = list(out) if isinstance(out, Sequence) else [out]
    reductions = [each for each in results if isinstance(each, Reduction)]
    if not reductions:
        elements = cast("list[Element]", results)
        return Reduction(tuple(_as_scalar(element) for element in elements))
    first = reductions[0]
    alike = all(each.combiner and each.over == first.over for each in reductions)
    if len(reductions) != len(results) or not alike:
        raise ExpressionError(
            "several results of one compute are all elements, or all reductions over the same axes"
        )
    values = tuple(value for each in reductions for value in each.values)
    combiner = tuple(name for each in reductions for name in each.combiner)
    return Reduction(values, combiner, over=first.over)


def _as_scalar(element: Element) -> Scalar:
    if isinstance(element, Index | Scalar):
        return element.scalar()
    return current_body().literal(element, type_of(element))


def _order_axes(body: Body, num_parallel: int, reduction: Reduction) -> None:
    """Put bound axes into the order of the reduction that runs over them."""
    inner = list(range(num_parallel, len(body.axes)))
    given = [body.bound[axis] for axis in reduction.over or ()]
    named = [position for position in inner if position not in body.bound.values()]
    outside = [p for p in inner if p not in given and (p not in named or not _reduces(reduction))]
    if outside:
        labels = ", ".join(f"'{body.axes[position][0]}'" for position in outside)
        raise ExpressionError(
            f"reduce axis {labels} is used, but no reduction runs over it",
            hint="name it among the reduction's axes: sum(..., axis=(k, ...))",
        )
    order = [*range(num_parallel), *named, *given]
    if order != list(range(len(body.axes))):
        body.reorder(order)


def _reduces(reduction: Reduction) -> bool:
    return bool(reduction.combiner) or reduction.combine is not None


def _check_reads(body: Body) -> None:
    """Every read stays inside its tensor, has a value for outside, or is behind a guard.

    What is behind a guard gets a value for outside, which is never taken.
    """
    if any(extent == 0 for _, extent in body.axes):
        return
    ranges = body.ranges
    for op, exprs in body.reads:
        if not isinstance(op, te.ReadOp) or op.fill is not None:
            continue
        shape = tensor_shape(op.source.type)
        for position, (expr, size) in enumerate(zip(exprs, shape, strict=True)):
            interval = ranges.of(expr) if isinstance(expr, AffineDimExpr) else bounds(expr, ranges)
            if interval is None or (interval[0] >= 0 and interval[1] <= size):
                continue
            if not _is_guarded(op, body):
                raise _outside(body.sources[op.source], position, interval, size)
            op.properties["fill"] = literal(0, op.res.type)
            break


def _outside(
    source: Tensor, position: int, interval: tuple[int, int], size: int
) -> ExpressionError:
    low, high = interval
    reached = f"{low}" if low + 1 == high else f"{low} to {high - 1}"
    return ExpressionError(
        f"index {position} of {source.label} is {reached}, outside of a dimension of {size}",
        hint="`x.read((i - 1, j), 0.0)` gives a value for outside; "
        "`if_then_else(i > 0, x[i - 1, j], ...)` reads only where the condition holds",
    )


def _is_guarded(read: te.ReadOp, body: Body) -> bool:
    """Whether the value goes nowhere but into the branches of guards."""
    pending: list[SSAValue] = [read.res]
    while pending:
        for use in pending.pop().uses:
            user = use.operation
            if user in body.guards and use.index > 0:
                continue
            if not user.results or isinstance(user, te.ReadOp):
                return False
            pending += user.results
    return True


def _compute_op(
    name: str,
    body: Body,
    num_parallel: int,
    reduction: Reduction,
    layout: AffineMapAttr | None,
) -> te.ComputeOp:
    shape = tuple(extent for _, extent in body.axes[:num_parallel])
    attrs = [
        axis_of(label, PARALLEL if at < num_parallel else REDUCE, extent)
        for at, (label, extent) in enumerate(body.axes)
    ]
    properties: dict[str, Attribute] = {"sym_name": StringAttr(name), "axes": ArrayAttr(attrs)}
    if reduction.combiner:
        properties["combiner"] = strings(reduction.combiner)
    if reduction.init:
        properties["init"] = ArrayAttr(reduction.init)
    regions = [Region(body.block)]
    if reduction.combine is not None:
        regions.append(reduction.combine)
    types = [tensor_of(value.value.type, shape, layout) for value in reduction.values]
    op = te.ComputeOp.create(
        result_types=types,
        properties=properties,
        regions=regions,
        location=body.origin.location,
    )
    name_results(op, name)
    return op


def name_results(op: Operation, name: str) -> None:
    """`c`, or `c_r0`, `c_r1` ... for the results of @c."""
    for position, result in enumerate(op.results):
        result.name_hint = name if len(op.results) == 1 else f"{name}_r{position}"


def combine_values(
    combine: Combine, init: Sequence[Number], values: tuple[Scalar, ...]
) -> Reduction:
    """A tuple of values combined by a function of (accumulators, values) with neutral `init`."""
    types = [value.value.type for value in values]
    block = Block(arg_types=[*types, *types])
    body = Body(current_body().origin, block, [])
    scalars = [
        Scalar(body, argument, values[at % len(values)].dtype)
        for at, argument in enumerate(block.args)
    ]
    with writing(body):
        combined = list(combine(tuple(scalars[: len(values)]), tuple(scalars[len(values) :])))
        results = [_as_scalar(value) for value in combined]
    _check_combined(results, values)
    body.finish(results)
    neutral = [literal(number, v.dtype) for number, v in zip(init, values, strict=True)]
    return Reduction(values, (), tuple(neutral), Region(block))


def _check_combined(results: Sequence[Scalar], values: Sequence[Scalar]) -> None:
    got, expected = [[str(each.dtype) for each in group] for group in (results, values)]
    if got != expected:
        raise ExpressionError(
            f"the combiner returns ({', '.join(got)}), it combines ({', '.join(expected)})"
        )
    if any(each.body is not results[0].body for each in results):
        raise ExpressionError("a combiner uses an element of another compute")


# Attributes cost more than the ops that hold them, and kernels share most of theirs.
@lru_cache(maxsize=4096)
def axis_of(name: str, kind: str, extent: int) -> AxisAttr:
    """An axis of an index space."""
    return AxisAttr.get(name, kind, extent)


@lru_cache(maxsize=4096)
def tensor_of(
    element: Attribute, shape: tuple[int, ...], layout: AffineMapAttr | None = None
) -> TensorType[Any]:
    """`tensor<4x8xf32>`, signless."""
    return cast("TensorType[Any]", tensor_type(shape, plain(element), layout))
