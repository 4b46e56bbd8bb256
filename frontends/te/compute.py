"""Computes, reduce axes and scans."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

from xdsl.dialects.builtin import IndexType, LocationAttr
from xdsl.ir import Block, Region
from xdsl.ir.affine import AffineExpr

from ...core.errors import ExpressionError
from ...core.walk import walk
from ...dialects import te
from ...dialects.index_space import PARALLEL, AxisAttr
from ...dialects.te_build import Index, Scalar
from ...dialects.te_build import Tensor as AnyTensor
from ...dialects.te_build.body import Body, current_body
from ...dialects.te_build.compute import BodyResult, name_results
from ...dialects.te_build.ops import INDEX
from ...dialects.te_build.signature import Of
from .origin import here, located
from .tensor import Operation as Source
from .tensor import Tensor, as_tensor, check_name, define, extents, listed_tensors, whole

_LABEL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_WORDS = frozenset({"floordiv", "ceildiv", "mod", "true", "false", "coeff", "always", "and"})
"""What the text of an index space does not take for an axis."""
StepFunction: TypeAlias = Callable[..., "AnyTensor | Sequence[AnyTensor]"]


def compute(
    shape: Sequence[int] | int, function: Of[Index, BodyResult], name: str = "compute"
) -> Any:
    """A tensor given point by point.

    Args:
        shape: extents of the result.
        function: takes one index for each dimension, whose axes are called as its parameters, and
            returns the element there: a scalar, a reduction, or a tuple of them for a compute of
            several results. It is called once.
        name: what the kernel's text and schedules call it.

    Returns: the tensor, or a tuple of them where the function returns a tuple.
    Raises: ExpressionError: with the line of the user's program.
    """
    with located:
        sizes = extents(shape)
        check_function(function)
        labels = axis_labels(function, len(sizes))
    several = False

    def body(*indices: Index) -> BodyResult:
        nonlocal several
        out = cast("Callable[..., BodyResult]", function)(*indices)
        several = isinstance(out, Sequence)
        return out

    results = define(name, dict(zip(labels, sizes, strict=True)), body)
    return tuple(results) if several or len(results) > 1 else results[0]


def check_function(given: object) -> None:
    """Refuse what cannot be called.

    Raises: ExpressionError.
    """
    if not callable(given):
        raise ExpressionError(f"expected a function, got {given!r}")


def axis_labels(function: Callable[..., object], rank: int) -> list[str]:
    """The names of a function's parameters as labels of axes; `*i` gives i0, i1 ...

    Raises: ExpressionError: it takes another number of indices.
    """
    code = getattr(function, "__code__", None)
    if code is None:
        return [f"i{at}" for at in range(rank)]
    names = list(code.co_varnames[: code.co_argcount])
    names = names[1:] if hasattr(function, "__self__") else names
    has_rest = bool(code.co_flags & 0x04)  # *args
    optional = len(getattr(function, "__defaults__", None) or ())
    if rank < len(names) - optional or (rank > len(names) and not has_rest):
        raise ExpressionError(
            f"the function takes {len(names)} {'index' if len(names) == 1 else 'indices'}, "
            f"the shape has {rank} dimension{'' if rank == 1 else 's'}"
        )
    names = names[:rank]
    if has_rest:
        rest = code.co_varnames[code.co_argcount + code.co_kwonlyargcount]
        names += [f"{rest}{at - len(names)}" for at in range(len(names), rank)]
    return _unique(names)


def _unique(names: Sequence[str]) -> list[str]:
    """Labels that the text can spell, each once."""
    labels: list[str] = []
    for at, name in enumerate(names):
        label = name if _LABEL.fullmatch(name) and name not in _WORDS else f"i{at}"
        while label in labels or (label != name and label in names):
            label += "_"
        labels.append(label)
    return labels


class ReduceAxis(Index):
    """An axis that a reduction runs over; it joins the compute that uses it."""

    def __init__(self, begin: int, extent: int, name: str):
        self.begin, self.extent, self.name = begin, extent, name

    def bound(self, body: Body) -> Index:
        """Its axis in a body, which counts from 0."""
        return body.bind(self, self.name, self.extent)

    def place(self) -> tuple[Body, AffineExpr]:
        with located:
            body = current_body()
        return (self.bound(body) + self.begin).place()

    def __repr__(self) -> str:
        return f"reduce_axis(({self.begin}, {self.begin + self.extent}), name='{self.name}')"


def reduce_axis(range_: tuple[int, int] | int, name: str = "k") -> ReduceAxis:
    """An axis from the first number up to the second, or from 0 up to one number.

    Raises: ExpressionError: the range is no pair of integers that ascend, or the name none.
    """
    with located:
        ends = range_ if isinstance(range_, tuple) else (0, range_)
        pair = [whole(end, "the end of a range") for end in ends]
        if len(pair) != 2 or pair[0] > pair[1]:
            raise ExpressionError(f"the range of an axis is (low, high), got {range_}")
        check_name(name)
        if not _LABEL.fullmatch(name) or name in _WORDS:
            raise ExpressionError(f"'{name}' cannot name an axis")
    return ReduceAxis(pair[0], pair[1] - pair[0], name)


class Step(Index):
    """The step of a scan, in every body of the scan's function."""

    def __init__(self, block: Block):
        self._block = block

    def place(self) -> tuple[Body, AffineExpr]:
        body = current_body()
        return body.opaque(Scalar(body, self._block.args[0], INDEX)).place()


def scan(
    steps: int,
    init: AnyTensor | Sequence[AnyTensor],
    function: StepFunction,
    name: str = "scan",
    *,
    axis: str = "t",
    reverse: bool = False,
) -> Any:
    """A sequential loop over tensors.

    Args:
        steps: how many.
        init: the first state, or several.
        function: takes the step, an index, and one tensor for each state; returns the new states,
            whose computes are made in every step.
        name: what the kernel's text and schedules call it.
        axis: the name of its loop.
        reverse: from the last step to the first.

    Returns: for each state the states after every step, of shape [steps, *state].
    Raises: ExpressionError: the new states have other shapes or element types.
    """
    location = here()
    with located:
        inits = [as_tensor(x) for x in listed_tensors(init)]
        check_function(function)
        (extent,) = extents(steps)
        check_name(name)
        block = Block(arg_types=[IndexType(), *(x.value.type for x in inits)])
        block.args[0].name_hint = axis
        states = _states(block, inits, location)
        out = function(Step(block), *states)
        new = [as_tensor(x) for x in listed_tensors(out)]
        _check_states(new, inits)
        outer = _fill(block, new)
        values = [x.value for x in inits]
        label = AxisAttr.get(axis, PARALLEL, extent)
        op = te.ScanOp(name, label, values, Region(block), reverse)
        op.location = location
    name_results(op, name)
    source = Source(name, "scan", location, op, tuple(dict.fromkeys([*inits, *outer])))
    results = [Tensor(r, x.dtype, source) for r, x in zip(op.results, inits, strict=True)]
    return results[0] if isinstance(out, AnyTensor) else tuple(results)


def _states(block: Block, inits: Sequence[Tensor], location: LocationAttr) -> list[Tensor]:
    states: list[Tensor] = []
    for at, (value, init) in enumerate(zip(block.args[1:], inits, strict=True)):
        value.name_hint = "s" if len(inits) == 1 else f"s{at}"
        states.append(Tensor(value, init.dtype, Source(value.name_hint, "state", location)))
    return states


def _check_states(new: Sequence[Tensor], inits: Sequence[Tensor]) -> None:
    got = [f"{x.dtype}{list(x.shape)}" for x in new]
    expected = [f"{x.dtype}{list(x.shape)}" for x in inits]
    if got != expected:
        raise ExpressionError(
            f"the scan's states are {', '.join(expected)}, its function returns {', '.join(got)}"
        )


def _fill(block: Block, new: Sequence[Tensor]) -> list[Tensor]:
    """Put what depends on the step or on a state into the scan; the tensors from outside."""
    order = in_order(new)
    inside: set[Source] = set()
    outer: dict[Tensor, None] = {}
    for source in order:
        if source.op is None or not _depends(source, block, inside):
            continue
        if isinstance(source.op, te.ScanOp) or source.op.parent is not None:
            raise ExpressionError(
                f"'{source.name}' in the function of a scan belongs to another scan",
                hint="read the result of the other scan, which is made outside of this one",
            )
        inside.add(source)
        block.add_op(source.op)
        outer.update(dict.fromkeys(x for x in source.inputs if x.op not in inside))
    outer.update(dict.fromkeys(x for x in new if x.op not in inside))
    block.add_op(te.YieldOp(*(x.value for x in new)))
    return [x for x in outer if x.value not in block.args]


def _depends(source: Source, block: Block, inside: set[Source]) -> bool:
    assert source.op is not None
    uses = any(value in block.args for op in walk(source.op) for value in op.operands)
    return uses or any(x.op in inside for x in source.inputs)


def in_order(results: Sequence[Tensor]) -> list[Source]:
    """What the tensors come from, inputs first."""
    order: dict[Source, None] = {}
    pending: list[tuple[Source, bool]] = [(x.op, False) for x in reversed(results)]
    while pending:
        source, is_ready = pending.pop()
        if source in order:
            continue
        if is_ready:
            order[source] = None
            continue
        pending.append((source, True))
        pending += [(x.op, False) for x in reversed(source.inputs) if x.op not in order]
    return list(order)
