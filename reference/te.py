"""NumPy meaning of te kernels: parallel axes are evaluated as arrays, reductions in axis order.

    outputs = run_kernel(kernel, [x, w, b])

A reduction runs over its points in row-major order of its axes, in the IR's own element type, so
two kernels that do the same arithmetic in the same order give the same bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod

import numpy as np
from xdsl.ir import Attribute, Operation, SSAValue

from ..core.affine import used
from ..core.dtypes import numpy_dtype
from ..core.irtypes import tensor_element, tensor_shape
from ..dialects import te
from ..dialects.index_space import AxisAttr
from .body import Handler, Scope, affine, gather, run_body
from .reduction import CustomReduction, NamedReduction
from .scalar import Array, dense_value
from .steps import MAX_STEPS, OPERATION_STEPS, check_budget

CHUNK_ELEMENTS = 1 << 21
"""Points that are evaluated at once."""


@dataclass
class Tensors:
    """Tensors of a kernel by SSA value, and their errors where they were asked for."""

    values: dict[SSAValue, Array]
    errors: dict[SSAValue, Array]
    with_errors: bool = False
    scalars: dict[SSAValue, Array] = field(default_factory=dict[SSAValue, Array])


def run_kernel(
    kernel: te.KernelOp, inputs: Sequence[Array], *, limit: int = MAX_STEPS
) -> list[Array]:
    """The results of a kernel, in te's signless types.

    Args:
        kernel: verified.
        inputs: logical arrays; unsigned ones are taken as their bits.
        limit: steps (elements of NumPy operations) that the check may take.

    Raises:
        NotChecked: it would take longer.
        OutsideDomain: an opaque index is outside of its tensor.
    """
    return run_kernel_with_errors(kernel, inputs, limit=limit, with_errors=False)[0]


def run_kernel_with_errors(
    kernel: te.KernelOp,
    inputs: Sequence[Array],
    *,
    limit: int = MAX_STEPS,
    with_errors: bool = True,
) -> tuple[list[Array], list[Array]]:
    """As `run_kernel`, and how far another order of the reductions may be from each element.

    A reduction of n terms may move by 2 n eps sum|terms|, and every later op moves with it.
    """
    check_budget(kernel_steps(kernel), limit, f"@{kernel.sym_name.data}")
    tensors = Tensors({}, {}, with_errors)
    for argument, array in zip(kernel.body.block.args, inputs, strict=True):
        tensors.values[argument] = _signless(array, tensor_element(argument.type))
    for op in kernel.body.block.ops:
        _run_op(op, tensors)
    last = kernel.body.block.last_op
    assert last is not None
    results = [tensors.values[value] for value in last.operands]
    nothing = np.zeros((), np.float64)
    errors = [
        np.broadcast_to(tensors.errors.get(value, nothing), tensors.values[value].shape)
        for value in last.operands
    ]
    return results, errors


def _signless(array: Array, element: Attribute) -> Array:
    dtype = numpy_dtype(element)
    array = np.asarray(array)
    if array.dtype == dtype:
        return array
    return array.view(dtype) if array.dtype.itemsize == dtype.itemsize else array.astype(dtype)


def _run_op(op: Operation, tensors: Tensors) -> None:
    if isinstance(op, te.ComputeOp):
        run_compute(op, tensors)
    elif isinstance(op, te.ScanOp):
        _run_scan(op, tensors)


def _run_scan(op: te.ScanOp, tensors: Tensors) -> None:
    block = op.body.block
    last = block.last_op
    assert last is not None
    states = [tensors.values[init] for init in op.inits]
    errors = [tensors.errors.get(init) for init in op.inits]
    shapes = [tensor_shape(result.type) for result in op.results]
    kept = [np.zeros(shape, s.dtype) for shape, s in zip(shapes, states, strict=True)]
    kept_errors = [np.zeros(shape) for shape in shapes]
    steps = range(op.axis.size)
    for step in reversed(steps) if op.reverse is not None else steps:
        tensors.scalars[block.args[0]] = np.asarray(step)
        for argument, state, error in zip(block.args[1:], states, errors, strict=True):
            tensors.values[argument] = state
            tensors.errors.pop(argument, None)
            if error is not None:
                tensors.errors[argument] = error
        for inner in block.ops:
            _run_op(inner, tensors)
        states = [tensors.values[value] for value in last.operands]
        errors = [tensors.errors.get(value) for value in last.operands]
        for place, state in enumerate(states):
            kept[place][step] = state
            kept_errors[place][step] = 0.0 if (e := errors[place]) is None else e
    for place, result in enumerate(op.results):
        tensors.values[result] = kept[place]
        if tensors.with_errors and kept_errors[place].any():
            tensors.errors[result] = kept_errors[place]


def run_compute(op: te.ComputeOp, tensors: Tensors) -> None:
    """Evaluate one compute into `tensors`."""
    shape = tuple(axis.size for axis in op.parallel_axes)
    if 0 in shape:  # nothing is read, not even at an index that no axis moves
        for result in op.results:
            dtype = numpy_dtype(tensor_element(result.type))
            tensors.values[result] = np.empty(shape, dtype)
        return
    if not op.reduce_axes:
        scope, yielded = _evaluate(op, tensors, _positions(op, None))
        for result, value in zip(op.results, yielded, strict=True):
            tensors.values[result] = np.broadcast_to(scope.values[value], shape).copy()
            if value in scope.errors:
                tensors.errors[result] = np.broadcast_to(scope.errors[value], shape).copy()
        return
    reduction = _start(op, shape, tensors.with_errors)
    for chunk in _reduce_chunks(op, shape):
        scope, yielded = _evaluate(op, tensors, _positions(op, chunk))
        full = (len(chunk), *shape)
        values = [np.broadcast_to(scope.values[value], full) for value in yielded]
        errors = [
            np.broadcast_to(scope.errors[value], full) if value in scope.errors else None
            for value in yielded
        ]
        reduction.add(values, errors)
    for result, value, error in zip(op.results, *reduction.finish(), strict=True):
        tensors.values[result] = value
        if error is not None and error.any():
            tensors.errors[result] = error


def _start(
    op: te.ComputeOp, shape: Sequence[int], with_errors: bool
) -> NamedReduction | CustomReduction:
    if op.combine is not None:
        assert op.init is not None
        return CustomReduction(op.combine, op.init.data, shape, with_errors)
    assert op.combiner is not None
    names = [name.data for name in op.combiner]
    dtypes = [numpy_dtype(tensor_element(result.type)) for result in op.results]
    return NamedReduction(names, dtypes, shape, with_errors)


def _reduce_chunks(op: te.ComputeOp, shape: Sequence[int]) -> Iterator[Array]:
    """Runs of reduction points, numbered in row-major order."""
    total = prod(axis.size for axis in op.reduce_axes)
    size = max(1, CHUNK_ELEMENTS // max(1, prod(shape)))
    for start in range(0, total, size):
        yield np.arange(start, min(start + size, total))


def _positions(op: te.ComputeOp, reduce_points: Array | None) -> list[Array]:
    """The position along each axis, shaped to broadcast.

    All reduce axes share the leading dimension.
    """
    parallel = op.parallel_axes
    rank = len(parallel)
    positions = [
        np.arange(axis.size).reshape([-1 if at == place else 1 for at in range(rank)])
        for place, axis in enumerate(parallel)
    ]
    if reduce_points is None:
        return positions
    extents = [axis.size for axis in op.reduce_axes]
    unravelled = np.unravel_index(reduce_points, extents)
    lead = [np.asarray(position).reshape([-1] + [1] * rank) for position in unravelled]
    return [position[None] for position in positions] + lead


def _evaluate(
    op: te.ComputeOp, tensors: Tensors, positions: Sequence[Array]
) -> tuple[Scope, list[SSAValue]]:
    scope = Scope(dict(tensors.scalars))
    block = op.body.block
    names = [axis.label for axis in op.axes]
    handlers: dict[str, Handler] = {
        "te.read": partial(_read, tensors, positions),
        "te.index": partial(_index, dict(zip(names, positions, strict=True))),
        "te.coeff": partial(_coeff, positions),
    }
    return scope, run_body(block, scope, handlers)


def _read(tensors: Tensors, positions: Sequence[Array], op: Operation, scope: Scope) -> None:
    assert isinstance(op, te.ReadOp)
    symbols = [scope.values[symbol] for symbol in op.symbols]
    indices = [affine(expr, positions, symbols) for expr in op.map.data.results]
    where = f"read of %{op.source.name_hint or '?'}"
    scope.values[op.res] = gather(tensors.values[op.source], indices, op.fill, where)
    error = tensors.errors.get(op.source)
    if error is not None:
        inside = [np.clip(i, 0, n - 1) for i, n in zip(indices, error.shape, strict=True)]
        scope.errors[op.res] = error[tuple(inside)]


def _index(positions: dict[str, Array], op: Operation, scope: Scope) -> None:
    assert isinstance(op, te.IndexOp)
    scope.values[op.res] = positions[op.axis.data]


def _coeff(positions: Sequence[Array], op: Operation, scope: Scope) -> None:
    assert isinstance(op, te.CoeffOp)
    matrix = dense_value(op.values)
    indices = [affine(expr, positions, []) for expr in op.map.data.results]
    value = gather(matrix, indices, None, "te.coeff")
    scope.values[op.res] = value
    scope.absent[op.res] = value == 0


def kernel_steps(kernel: te.KernelOp) -> int:
    """An estimate of what `run_kernel` takes."""
    total = 0
    for op in kernel.body.block.ops:
        if isinstance(op, te.ComputeOp):
            total += compute_steps(op)
        elif isinstance(op, te.ScanOp):
            inner = sum(compute_steps(c) for c in op.body.block.ops if isinstance(c, te.ComputeOp))
            total += op.axis.size * inner
    return total


def compute_steps(op: te.ComputeOp) -> int:
    """Elements of NumPy operations: each op of the body runs over the axes that it depends on."""
    axes = list(op.axes)
    depends: dict[SSAValue, frozenset[int]] = {}
    total = 0
    for inner in op.body.block.ops:
        positions = set[int]().union(*(depends.get(v, frozenset()) for v in inner.operands))
        if isinstance(inner, te.ReadOp | te.CoeffOp):
            for expr in inner.map.data.results:
                positions |= used(expr)[0]
        elif isinstance(inner, te.IndexOp):
            positions |= {at for at, axis in enumerate(axes) if axis.label == inner.axis.data}
        for result in inner.results:
            depends[result] = frozenset(positions)
        weight = 4 if isinstance(inner, te.ReadOp) else 1
        total += weight * _points(axes, positions) + OPERATION_STEPS
    reduce_points = prod(axis.size for axis in op.reduce_axes)
    if op.combine is not None:
        num_ops = sum(1 for _ in op.combine.block.ops)
        parallel = prod(axis.size for axis in op.parallel_axes)
        total += reduce_points * num_ops * (parallel + OPERATION_STEPS)
    elif op.reduce_axes:
        total += prod(axis.size for axis in axes)
    return total


def _points(axes: Sequence[AxisAttr], positions: set[int]) -> int:
    """Elements of a value that depends on these axes; reduce axes are walked together."""
    reduce = any(axes[at].is_reduce for at in positions)
    return prod(
        axis.size for at, axis in enumerate(axes) if at in positions or (reduce and axis.is_reduce)
    )
