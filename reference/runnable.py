"""Functions and kernels of any level as something that can be run on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation

from ..core import symbolic
from ..core.dtypes import numpy_dtype
from ..core.irtypes import tensor_element, tensor_shape
from ..core.walk import ancestors, walk
from ..dialects import loop, te
from ..dialects.graph import base as graph
from ..dialects.graph.types import dims
from .graph.run import run_block, run_function
from .loop import run_loop_kernel
from .scalar import Array
from .steps import NotChecked, check_budget
from .te import run_kernel, run_kernel_with_errors

SYMBOL_SIZES = (3, 2, 5, 4, 7)
"""Extents that stand for named dims."""


@dataclass(frozen=True)
class Runnable:
    """A function or a kernel, and the module in which it finds its callees."""

    op: Operation
    module: ModuleOp

    @property
    def input_types(self) -> list[Attribute]:
        """The types of its inputs: tensors, or buffers."""
        types = list(self.op.regions[0].block.arg_types)
        if isinstance(self.op, loop.KernelOp):
            return types[: len(types) - self.op.num_outputs.value.data]
        return types


def runnables(module: ModuleOp) -> dict[str, Runnable]:
    """What a module has that can be run, by name; kernels that stand alone before functions."""
    found: dict[str, Runnable] = {}
    for op in walk(module):
        named = isinstance(op, FuncOp | te.KernelOp | loop.KernelOp | graph.KernelOp)
        if named and op.regions[0].blocks:
            found.setdefault(op.sym_name.data, Runnable(op, module))
    return found


def run(
    runnable: Runnable, inputs: Sequence[Array], limit: int, *, other_poison: bool = False
) -> tuple[list[Array], list[Array] | None]:
    """Results, and for te kernels how far another order of reductions may be from each element.

    With `other_poison`, memory that loops have not written holds other values.
    Raises: NotChecked: it would take too long.
    """
    op = runnable.op
    types = runnable.input_types
    if len(types) != len(inputs):
        raise NotChecked(f"it takes {len(types)} arguments now, not {len(inputs)}")
    if isinstance(op, te.KernelOp):
        return run_kernel_with_errors(op, inputs, limit=limit)
    if isinstance(op, loop.KernelOp):
        return run_loop_kernel(op, inputs, limit=limit, other_poison=other_poison), None
    check_budget(sum(_steps_of(inner) for inner in walk(op)), limit, "the function")

    def call(callee: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
        return _call(callee, arrays, limit, other_poison)

    with np.errstate(all="ignore"):
        if isinstance(op, FuncOp):
            return run_function(op, inputs, call=call), None
        return run_block(op.regions[0].block, inputs, call), None


def _call(
    callee: Operation, arrays: Sequence[Array], limit: int, other_poison: bool
) -> Sequence[Array]:
    if isinstance(callee, te.KernelOp):
        return run_kernel(callee, arrays, limit=limit)
    assert isinstance(callee, loop.KernelOp), f"{callee.name} is called"
    return run_loop_kernel(callee, arrays, limit=limit, other_poison=other_poison)


def _steps_of(op: Operation) -> int:
    """An estimate for a graph operator: a product's terms for each element of its result."""
    if not isinstance(op, graph.GraphOp):
        return 0
    elements = [_elements(result.type) for result in op.results]
    terms = 1
    if op.name in ("graph.conv", "graph.conv_transpose"):
        terms = prod(tensor_shape(op.operands[1].type)[1:])
    elif op.name in ("graph.matmul", "graph.gemm"):
        shape = tensor_shape(op.operands[0].type)
        terms = max(shape) if shape else 1
    return sum(elements) * max(1, abs(terms))


def _elements(type_: Attribute) -> int:
    extents = dims(type_)
    return prod(size for size in extents or () if isinstance(size, int))


def reduction_points(op: Operation) -> int:
    """The largest number of terms that one result of a loop kernel's statements sums up."""
    return max((_points(inner) for inner in op.walk()), default=1)


def _points(op: Operation) -> int:
    if not isinstance(op, loop.StmtOp):
        return _contracted(op)
    return prod(axis.size for axis in op.axes if axis.is_reduce)


def _contracted(op: Operation) -> int:
    """Tile form no longer says how many terms there are: the trips of the loops around."""
    if not isinstance(op, loop.ContractOp | loop.ReduceOp):
        return 1
    labels = loop.tile_type(op.acc).labels
    operands = [loop.tile_type(o) for o in op.operands if isinstance(o.type, loop.TileType)]
    points = prod(
        {a.label: a.extent for t in operands for a in t.axes if a.label not in labels}.values()
    )
    for parent in ancestors(op):
        if isinstance(parent, loop.ForOp) and parent.inits:
            span = parent.constant_range
            points *= 1 if span is None else max(1, span[1] - span[0])
    return points


def inputs_for(
    runnable: Runnable,
    random: np.random.Generator,
    integers: tuple[int, int],
    positive: bool,
) -> list[Array]:
    """Random arrays for the inputs.

    Raises: NotChecked: a shape or an element type is not known.
    """
    sizes: dict[str, int] = {}
    return [
        _array(_shape(type_, sizes), _element(type_), random, integers, positive)
        for type_ in runnable.input_types
    ]


def _element(type_: Attribute) -> np.dtype[np.generic]:
    if isinstance(type_, loop.BufferType):
        return numpy_dtype(type_.element_type)
    return numpy_dtype(tensor_element(type_))


def _shape(type_: Attribute, sizes: dict[str, int]) -> tuple[int, ...]:
    if isinstance(type_, loop.BufferType):
        return type_.extents
    extents = dims(type_)
    if extents is None:
        raise NotChecked(f"an input of type {type_} has no known shape")
    return tuple(_extent(extent, sizes) for extent in extents)


def _extent(extent: object, sizes: dict[str, int]) -> int:
    """An extent; a named dim has the same size wherever it stands."""
    if isinstance(extent, int):
        return extent
    if not isinstance(extent, symbolic.Expr):
        raise NotChecked("an input has an extent that is not known")
    for name in symbolic.symbols(extent):
        sizes.setdefault(name, SYMBOL_SIZES[len(sizes) % len(SYMBOL_SIZES)])
    value = symbolic.substitute(extent, sizes)
    if not isinstance(value, int):
        raise NotChecked(f"the extent {extent} is not a number")
    return value


def _array(
    shape: tuple[int, ...],
    dtype: np.dtype[np.generic],
    random: np.random.Generator,
    integers: tuple[int, int],
    positive: bool,
) -> Array:
    """Values with edge cases among them: zeros of both signs, and ones."""
    if dtype == np.bool_:
        return random.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        low = max(integers[0], 0) if dtype.kind == "u" or positive else integers[0]
        return random.integers(low, max(integers[1], low + 1), shape).astype(dtype)
    size = prod(shape)
    flat = random.uniform(0.25, 2.0, size) if positive else random.normal(size=size)
    if flat.size > 8 and not positive:
        edges = (0.0, -0.0, 1.0, -1.0)
        flat[random.choice(flat.size, len(edges), replace=False)] = edges
    return flat.reshape(shape).astype(dtype)
