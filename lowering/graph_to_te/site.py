"""What a lowering of one operator works with: its operands as te tensors, its results' types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from xdsl.dialects.builtin import ModuleOp, StringAttr, f32
from xdsl.ir import Attribute, SSAValue

from ...core.errors import UnsupportedError
from ...core.irtypes import tensor_element, tensor_shape
from ...dialects.graph.base import ConstantOp, GraphOp, constant_value, origin
from ...dialects.te_build import Index, KernelBuilder, Scalar, Tensor, axis_names
from ...dialects.te_build.ops import bitwidth, is_float
from ...dialects.te_build.signature import Of, call
from ...dialects.te_build.tensor import Splat

if TYPE_CHECKING:
    import numpy as np

NUMERICS = "nnc.numerics"
"""A module's attribute: `STRICT`, or absent."""
STRICT = StringAttr("strict")
Lowering: TypeAlias = "Callable[[Any, Site], Sequence[Tensor]]"
"""From an operator and its surroundings to one tensor for each result."""


class Site:
    """One operator that is being lowered into a kernel.

    `at[value]` is an operand's tensor, `at.k` the builder.
    """

    def __init__(
        self,
        op: GraphOp,
        builder: KernelBuilder,
        tensors: Mapping[SSAValue, Tensor],
        tables: list[ConstantOp],
    ):
        self.op = op
        self.k = builder
        self._tensors = tensors
        self._tables = tables

    @property
    def is_strict(self) -> bool:
        """Whether every result must be rounded as its definition says: `nnc.numerics`."""
        module = self.op.get_toplevel_object()
        return isinstance(module, ModuleOp) and module.attributes.get(NUMERICS) == STRICT

    def __getitem__(self, value: SSAValue) -> Tensor:
        found = self._tensors.get(value)
        if found is not None:
            return found
        literal = splat_of(value)
        assert literal is not None, "an operand of the kernel has no tensor"
        return literal

    def maybe(self, value: SSAValue | None) -> Tensor | None:
        """The tensor of an optional operand."""
        return None if value is None else self[value]

    def constant(self, value: SSAValue | None) -> np.ndarray[Any, Any] | None:
        """The content of an operand that is known at compile time, else `None`."""
        return None if value is None else constant_value(origin(value))

    def table(self, name: str, content: np.ndarray[Any, Any]) -> Tensor:
        """A constant tensor that the lowering itself has made: one more argument, const."""
        constant = ConstantOp.of(content)
        constant.location = self.op.location
        self._tables.append(constant)
        return self.k.argument(name, constant.res.type, const=True)

    def ints(self, value: SSAValue, name: str) -> list[int]:
        """The integers in an operand that must be known at compile time.

        Raises: UnsupportedError: it is not.
        """
        content = self.constant(value)
        if content is None:
            raise UnsupportedError(
                f"{self.op.name}'s operand '{name}' is not a constant",
                hint="shapes and axes that depend on data run on the host",
            )
        return [int(item) for item in content.reshape(-1)]

    def shape(self, result: int = 0) -> tuple[int, ...]:
        """The shape of a result."""
        return tensor_shape(self.op.results[result].type)

    def dtype(self, result: int = 0) -> Attribute:
        """The graph element type of a result."""
        return tensor_element(self.op.results[result].type)

    @property
    def name(self) -> str:
        """A symbol for the operator's compute: `conv`, `add`."""
        return self.op.name.partition(".")[2]

    def axes(self, *like: Tensor) -> dict[str, int]:
        """Axes of the first result, named as those of a tensor of the same rank, or i, j, k."""
        shape = self.shape()
        for tensor in like:
            if len(tensor.names) == len(shape):
                return dict(zip(tensor.names, shape, strict=True))
        return axis_names(shape)

    def pointwise(
        self, function: Of[Scalar, Scalar], *operands: Tensor, name: str | None = None
    ) -> Tensor:
        """A compute over the first result: `function` of the operands, broadcast."""

        def body(*indices: Index) -> Scalar:
            return call(function, [operand.at(indices) for operand in operands])

        return self.k.compute(name or self.name, self.axes(*operands), body)

    def rounded(self, tensor: Tensor, dtype: Attribute, name: str | None = None) -> Tensor:
        """The tensor in another element type; itself where it has that type."""
        if tensor.dtype == dtype:
            return tensor
        axes = dict(zip(tensor.names, tensor.shape, strict=False))
        axes = axes if len(axes) == tensor.rank else axis_names(tensor.shape)

        def body(*indices: Index) -> Scalar:
            return tensor[indices].cast(dtype)

        return self.k.compute(name or "rounded", axes, body)


def wide(dtype: Attribute) -> Attribute:
    """The type in which arithmetic on `dtype` runs: 16-bit floats in f32, rounded at the end."""
    return f32 if is_float(dtype) and bitwidth(dtype) == 16 else dtype


def splat_of(value: SSAValue) -> Splat | None:
    """A literal for a constant of one element."""
    value = origin(value)
    shape = tensor_shape(value.type)
    if not isinstance(value.owner, ConstantOp) or any(size != 1 for size in shape):
        return None
    content = constant_value(value)
    if content is None:
        return None
    element = tensor_element(value.type)
    number = float(content.reshape(-1)[0]) if is_float(element) else int(content.reshape(-1)[0])
    return Splat(shape, element, number)


def reduce_names(count: int, taken: Sequence[str], names: Sequence[str] = "rstuvwxyz") -> list[str]:
    """Names of reduce axes that differ from those taken."""
    free = [name for name in [*names, *(f"r{n}" for n in range(count))] if name not in taken]
    return free[:count]
