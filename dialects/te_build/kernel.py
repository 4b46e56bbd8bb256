"""A te kernel that is being written: its arguments, computes and scans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    AffineMapAttr,
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    IndexType,
    LocationAttr,
    StringAttr,
    TensorType,
    f32,
)
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.irdl import IRDLOperation

from ...core.affine import dim
from ...core.irtypes import strings, tensor_element, tensor_shape
from .. import te
from ..graph.types import layout as layout_of
from ..graph.types import tensor_type
from ..index_space import PARALLEL, REDUCE, AxisAttr
from .ops import Number, literal, plain
from .scalar import Body, Index, Scalar, Value
from .signature import Of, call
from .tensor import Splat, Stored, Tensor

Extents = Mapping[str, int]
ScanBody = Callable[[Callable[[], Scalar], Sequence[Tensor]], Sequence[Tensor]]
Combine = Callable[[tuple[Scalar, ...], tuple[Scalar, ...]], Sequence[Scalar]]


@dataclass(frozen=True)
class Reduction:
    """What a compute's function returns to combine its values over reduce axes."""

    values: tuple[Scalar, ...]
    combiner: tuple[str, ...] = ()
    init: tuple[Attribute, ...] = ()
    combine: Region | None = None


BodyResult = Scalar | Reduction | Sequence[Scalar]


class KernelBuilder:
    """Builds one `te.kernel`.

    Args:
        name: the kernel's symbol.
        args: type of each argument by name; element types are those of the graph.
        const: names of the arguments that are known at compile time.
    """

    def __init__(self, name: str, args: Mapping[str, Attribute], const: Sequence[str] = ()):
        self.name = name
        self.location: LocationAttr = UNKNOWN_LOC
        self._const = set(const)
        self._arg_names = list(args)
        self._block = Block(arg_types=[te_type(type_) for type_ in args.values()])
        self._target = self._block
        self._names: dict[str, int] = {}
        self._bodies: list[Body] = []
        self.layouts: dict[tuple[int, ...], AffineMapAttr] = {}
        """The layout of computes that have one of these shapes."""
        self.args: list[Tensor] = []
        for value, (arg_name, type_) in zip(self._block.args, args.items(), strict=True):
            value.name_hint = arg_name
            self.args.append(Stored(self, value, tensor_element(type_)))

    def argument(self, name: str, type_: Attribute, *, const: bool = False) -> Tensor:
        """One more argument, after the others."""
        while name in self._arg_names:
            name += "_"
        value = self._block.insert_arg(te_type(type_), len(self._block.args))
        value.name_hint = name
        self._arg_names.append(name)
        if const:
            self._const.add(name)
        self.args.append(Stored(self, value, tensor_element(type_)))
        return self.args[-1]

    @property
    def body(self) -> Body:
        """The body that is being written."""
        assert self._bodies, "reads and scalars stand inside a compute's function"
        return self._bodies[-1]

    def fresh(self, name: str) -> str:
        """`name`, or `name_1`, `name_2` ... where it is taken."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if count == 0 else self.fresh(f"{name}_{count}")

    def splat(self, value: Number, dtype: Attribute, shape: Sequence[int] = ()) -> Tensor:
        """A constant tensor with one value; it costs no memory."""
        return Splat(self, shape, dtype, value)

    def compute(
        self,
        name: str,
        axes: Extents,
        function: Of[Index, BodyResult],
        layout: AffineMapAttr | None = None,
    ) -> Tensor:
        """A `te.compute` with one result: `function` takes the parallel axes in order."""
        (result,) = self.computes(name, axes, function, layout)
        return result

    def computes(
        self,
        name: str,
        axes: Extents,
        function: Of[Index, BodyResult],
        layout: AffineMapAttr | None = None,
    ) -> tuple[Tensor, ...]:
        """A `te.compute` with as many results as `function` returns scalars.

        They live in memory in `layout`, by default in that of their shape.
        """
        block = Block()
        body = Body(self, block, list(axes.items()))
        self._bodies.append(body)
        out = call(function, [Index(body, dim(position)) for position in range(len(axes))])
        self._bodies.pop()
        reduction = _as_reduction(out)
        body.finish(reduction.values)
        layout = layout or self.layouts.get(tuple(axes.values()))
        return self._finish_compute(self.fresh(name), body, len(axes), reduction, layout)

    def _finish_compute(
        self,
        name: str,
        body: Body,
        num_parallel: int,
        reduction: Reduction,
        layout: AffineMapAttr | None,
    ) -> tuple[Tensor, ...]:
        shape = tuple(extent for _, extent in body.axes[:num_parallel])
        attrs = [
            _axis(label, PARALLEL if at < num_parallel else REDUCE, extent)
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
        types = [_tensor(value.value.type, shape, layout) for value in reduction.values]
        op = te.ComputeOp.create(
            result_types=types, properties=properties, regions=regions, location=self.location
        )
        self._target.add_op(op)
        dtypes = [value.dtype for value in reduction.values]
        return self._results(op, name, dtypes, [label for label, _ in body.axes[:num_parallel]])

    def _results(
        self, op: IRDLOperation, name: str, dtypes: Sequence[Attribute], axes: Sequence[str]
    ) -> tuple[Tensor, ...]:
        for position, result in enumerate(op.results):
            result.name_hint = name if len(op.results) == 1 else f"{name}_r{position}"
        return tuple(Stored(self, r, d, axes) for r, d in zip(op.results, dtypes, strict=True))

    def coeff(self, matrix: Sequence[Sequence[float]], indices: Sequence[Index]) -> Scalar:
        """An entry of a small literal f32 matrix; a zero is the absence of a term."""
        shape = (len(matrix), len(matrix[0]))
        entries = [float(entry) for row in matrix for entry in row]
        values = DenseIntOrFPElementsAttr.from_list(TensorType(f32, shape), entries)
        value = self.body.coeff(values, tuple(index.expr for index in indices), f32)
        return Scalar(self.body, value, f32)

    def sum(self, axes: Extents, function: Of[Index, Scalar]) -> Reduction:
        """The sum of `function` over reduce axes."""
        return self.reduce("sum", axes, function)

    def reduce(self, combiner: str, axes: Extents, function: Of[Index, Scalar]) -> Reduction:
        """`function` combined over reduce axes by sum, prod, max, min, and, or."""
        return Reduction((call(function, self._reduce_axes(axes)),), (combiner,))

    def reduce_with(
        self,
        combine: Combine,
        init: Sequence[Number],
        axes: Extents,
        function: Of[Index, Sequence[Scalar]],
    ) -> Reduction:
        """A tuple of values combined over reduce axes by a function of (accumulators, values).

        `init` is the neutral tuple.
        """
        values = tuple(call(function, self._reduce_axes(axes)))
        types = [value.value.type for value in values]
        block = Block(arg_types=[*types, *types])
        body = Body(self, block, [])
        scalars = [
            Scalar(body, argument, values[at % len(values)].dtype)
            for at, argument in enumerate(block.args)
        ]
        self._bodies.append(body)
        combined = combine(tuple(scalars[: len(values)]), tuple(scalars[len(values) :]))
        self._bodies.pop()
        body.finish(combined)
        neutral = [literal(number, v.dtype) for number, v in zip(init, values, strict=True)]
        return Reduction(values, (), tuple(neutral), Region(block))

    def _reduce_axes(self, axes: Extents) -> list[Index]:
        body = self.body
        first = len(body.axes)
        body.axes.extend(axes.items())
        return [Index(body, dim(first + position)) for position in range(len(axes))]

    def scan(
        self,
        name: str,
        axis: tuple[str, int],
        inits: Sequence[Tensor],
        function: ScanBody,
        *,
        reverse: bool = False,
    ) -> tuple[Tensor, ...]:
        """A `te.scan`: `function` takes the step and the states, and returns the new states.

        The step is a function from the body that uses it to an index, since every compute inside
        has a body of its own: `x[t(), i]`.
        """
        values = [self.store(init) for init in inits]
        types = [value.type for value in values]
        block = Block(arg_types=[IndexType(), *types])
        states = [
            Stored(self, argument, init.dtype)
            for argument, init in zip(block.args[1:], inits, strict=True)
        ]
        block.args[0].name_hint = axis[0]
        name = self.fresh(name)
        outer, self._target = self._target, block
        new = function(lambda: Scalar(self.body, block.args[0], IndexType()), states)
        yielded = [self.store(state) for state in new]
        self._target = outer
        block.add_op(te.YieldOp.create(operands=yielded, location=self.location))
        label, extent = axis
        axis_attr = _axis(label, PARALLEL, extent)
        op = te.ScanOp(name, axis_attr, values, Region(block), reverse)
        op.location = self.location
        outer.add_op(op)
        return self._results(op, name, [init.dtype for init in inits], ())

    def finish(self, *results: Tensor) -> te.KernelOp:
        """The kernel with these results; arguments that nobody reads stay.

        Every result is a value of its own: an argument, or a second use of one, is copied.
        """
        values: list[SSAValue] = []
        for result in results:
            value = self.store(result)
            fresh = value.owner is not self._block and not any(value is v for v in values)
            values.append(value if fresh else self._copy(result))
        self._block.add_op(te.ReturnOp.create(operands=values, location=self.location))
        const = [at for at, name in enumerate(self._arg_names) if name in self._const]
        kernel = te.KernelOp(
            self.name,
            list(self._block.arg_types),
            [value.type for value in values],
            self._arg_names,
            const,
            Region(self._block),
        )
        kernel.location = self.location
        return kernel

    def store(self, tensor: Tensor) -> SSAValue:
        """The tensor as an SSA value; a literal one is computed."""
        return tensor.value if isinstance(tensor, Stored) else self._copy(tensor)

    def _copy(self, tensor: Tensor) -> SSAValue:
        axes = dict(zip(tensor.names, tensor.shape, strict=False)) or axis_names(tensor.shape)

        def body(*indices: Index) -> Scalar:
            return tensor.read(indices)

        copy = self.compute("copy", axes, body)
        assert isinstance(copy, Stored)
        return copy.value


def _as_reduction(out: BodyResult) -> Reduction:
    if isinstance(out, Reduction):
        return out
    return Reduction((out,) if isinstance(out, Scalar) else tuple(out))


def te_type(type_: Attribute) -> TensorType[Any]:
    """The te type of a graph tensor type: signless, without names of dims; its layout stays."""
    return _tensor(plain(tensor_element(type_)), tensor_shape(type_), layout_of(type_))


# Attributes cost more than the ops that hold them, and kernels share most of theirs.
@lru_cache(maxsize=4096)
def _axis(name: str, kind: str, extent: int) -> AxisAttr:
    return AxisAttr.get(name, kind, extent)


@lru_cache(maxsize=4096)
def _tensor(
    element: Attribute, shape: tuple[int, ...], layout: AffineMapAttr | None = None
) -> TensorType[Any]:
    return cast("TensorType[Any]", tensor_type(shape, element, layout))


_LETTERS = "ijklmnopqrstuvw"


def axis_names(shape: Sequence[int], names: str = _LETTERS) -> dict[str, int]:
    """Axes `i, j, k ...` with these extents."""
    return {names[at] if at < len(names) else f"i{at}": size for at, size in enumerate(shape)}


__all__ = ["KernelBuilder", "Reduction", "Value", "axis_names", "te_type"]
