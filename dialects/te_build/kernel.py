"""A te kernel that is being written: its arguments, computes and scans."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    AffineMapAttr,
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
from ...core.irtypes import tensor_element, tensor_shape
from .. import te
from ..graph.types import layout as layout_of
from ..index_space import PARALLEL
from .body import Body, current_body
from .compute import (
    BodyResult,
    Combine,
    Extents,
    axis_of,
    combine_values,
    name_results,
    tensor_of,
    write_compute,
)
from .ops import Number
from .reduction import Reduction
from .scalar import Index, Scalar, Value
from .signature import Of, call
from .tensor import Splat, Stored, Tensor

ScanBody = Callable[[Callable[[], Scalar], Sequence[Tensor]], Sequence[Tensor]]


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
        self.layouts: dict[tuple[int, ...], AffineMapAttr] = {}
        """The layout of computes that have one of these shapes."""
        self.args: list[Tensor] = []
        for value, (arg_name, type_) in zip(self._block.args, args.items(), strict=True):
            value.name_hint = arg_name
            self.args.append(Stored(value, tensor_element(type_)))

    def argument(self, name: str, type_: Attribute, *, const: bool = False) -> Tensor:
        """One more argument, after the others."""
        while name in self._arg_names:
            name += "_"
        value = self._block.insert_arg(te_type(type_), len(self._block.args))
        value.name_hint = name
        self._arg_names.append(name)
        if const:
            self._const.add(name)
        self.args.append(Stored(value, tensor_element(type_)))
        return self.args[-1]

    @property
    def body(self) -> Body:
        """The body that is being written."""
        return current_body()

    def fresh(self, name: str) -> str:
        """`name`, or `name_1`, `name_2` ... where it is taken."""
        count = self._names.get(name, 0)
        self._names[name] = count + 1
        return name if count == 0 else self.fresh(f"{name}_{count}")

    def splat(self, value: Number, dtype: Attribute, shape: Sequence[int] = ()) -> Tensor:
        """A constant tensor with one value; it costs no memory."""
        return Splat(shape, dtype, value)

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
        layout = layout or self.layouts.get(tuple(axes.values()))
        written = write_compute(self.fresh(name), axes, function, self, layout)
        self._target.add_op(written.op)
        return self._results(written.op, written.dtypes, list(axes))

    def _results(
        self, op: IRDLOperation, dtypes: Sequence[Attribute], axes: Sequence[str]
    ) -> tuple[Tensor, ...]:
        return tuple(Stored(r, d, axes) for r, d in zip(op.results, dtypes, strict=True))

    def insert(self, op: te.ComputeOp | te.ScanOp) -> None:
        """Put an op that was written elsewhere behind the others; its symbols become unique."""
        for inner in op.walk():
            if isinstance(inner, te.ComputeOp | te.ScanOp):
                inner.sym_name = StringAttr(self.fresh(inner.sym_name.data))
                name_results(inner, inner.sym_name.data)
        self._target.add_op(op)

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
        return combine_values(combine, init, tuple(call(function, self._reduce_axes(axes))))

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
            Stored(argument, init.dtype)
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
        axis_attr = axis_of(label, PARALLEL, extent)
        op = te.ScanOp(name, axis_attr, values, Region(block), reverse)
        op.location = self.location
        outer.add_op(op)
        name_results(op, name)
        return self._results(op, [init.dtype for init in inits], ())

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


def te_type(type_: Attribute) -> TensorType[Any]:
    """The te type of a graph tensor type: signless, without names of dims; its layout stays."""
    return tensor_of(tensor_element(type_), tensor_shape(type_), layout_of(type_))


_LETTERS = "ijklmnopqrstuvw"


def axis_names(shape: Sequence[int], names: str = _LETTERS) -> dict[str, int]:
    """Axes `i, j, k ...` with these extents."""
    return {names[at] if at < len(names) else f"i{at}": size for at, size in enumerate(shape)}


__all__ = ["KernelBuilder", "Reduction", "Value", "axis_names", "te_type"]
