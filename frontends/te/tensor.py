"""Tensors of no kernel yet: placeholders, results of computes, and views of them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from types import EllipsisType
from typing import Any, TypeAlias, cast

from xdsl.dialects.builtin import IndexType, LocationAttr, i64
from xdsl.ir import Attribute, Block, SSAValue

from ...core.errors import ExpressionError
from ...dialects import te
from ...dialects.te_build import Index, Scalar, axis_names
from ...dialects.te_build import Tensor as AnyTensor
from ...dialects.te_build.compute import BodyResult, tensor_of, write_compute
from ...dialects.te_build.ops import Number
from ...dialects.te_build.signature import Of, call
from ...dialects.te_build.tensor import IndexLike, Stored
from .dtypes import DType, element_of
from .origin import Written, here, located

Pick: TypeAlias = "Index | Scalar | int | slice | EllipsisType"
"""What stands between the brackets of `x[...]`."""
Operand: TypeAlias = "AnyTensor | Scalar | Index | Number"
_NAME = re.compile(r"[A-Za-z_]\w*", re.ASCII)


@dataclass(eq=False)
class Operation:
    """What a tensor comes from.

    Attributes:
        kind: placeholder, compute, scan, or state (of a scan, in its function).
        op: the te op, which stands in no kernel; kernels hold copies.
        inputs: the tensors that it reads.
        labels: labels of reduce axes, which are objects of their own.
    """

    name: str
    kind: str
    location: LocationAttr
    op: te.ComputeOp | te.ScanOp | None = None
    inputs: tuple[Tensor, ...] = ()
    const: bool = False
    labels: Mapping[Hashable, str] = field(default_factory=dict[Hashable, str])

    @property
    def axis(self) -> tuple[Axis, ...]:
        """The axes of the result, for schedules."""
        if isinstance(self.op, te.ScanOp):
            return (Axis(self, self.op.axis.label),)
        axes = () if self.op is None else self.op.parallel_axes
        return tuple(Axis(self, axis.label) for axis in axes)

    @property
    def reduce_axis(self) -> tuple[Axis, ...]:
        """The axes that are reduced, for schedules."""
        axes = self.op.reduce_axes if isinstance(self.op, te.ComputeOp) else ()
        return tuple(Axis(self, axis.label) for axis in axes)


@dataclass(frozen=True)
class Axis:
    """An axis of a compute, as schedules name it."""

    operation: Operation
    label: str

    def __repr__(self) -> str:
        return f"{self.operation.name}.{self.label}"


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "floordiv": lambda x, y: x // y,
    "floormod": lambda x, y: x % y,
    "power": lambda x, y: x**y,
    "and": lambda x, y: x & y,
    "or": lambda x, y: x | y,
    "xor": lambda x, y: x ^ y,
    "less": lambda x, y: x < y,
    "less_equal": lambda x, y: x <= y,
    "greater": lambda x, y: x > y,
    "greater_equal": lambda x, y: x >= y,
}


def _binary(name: str, x: Operand, y: Operand) -> Tensor:
    return elementwise(name, _BINARY[name], x, y)


def _negative(x: Scalar) -> Scalar:
    return -x


def _inverted(x: Scalar) -> Scalar:
    return ~x


def _magnitude(x: Scalar) -> Scalar:
    return abs(x)


class Operators(AnyTensor):
    """NumPy's operators, element by element and broadcast, on whole tensors; each is a compute.

    `==` compares identities, as of any object: `equal(x, y)` compares elements.
    """

    __array_ufunc__ = None  # `array + x` asks x

    def __getitem__(self, indices: Pick | tuple[Pick, ...]) -> Any:
        """An element where every dimension has an index, else a view: `x[i]`, `x[1:, k]`."""
        with located:
            picks = _completed(self, indices if isinstance(indices, tuple) else (indices,))
            if any(isinstance(pick, slice) for pick in picks):
                return Slice(self, picks)
            return self.read(cast("list[IndexLike]", picks))

    def __add__(self, other: Operand) -> Tensor:
        return _binary("add", self, other)

    def __radd__(self, other: Operand) -> Tensor:
        return _binary("add", other, self)

    def __sub__(self, other: Operand) -> Tensor:
        return _binary("subtract", self, other)

    def __rsub__(self, other: Operand) -> Tensor:
        return _binary("subtract", other, self)

    def __mul__(self, other: Operand) -> Tensor:
        return _binary("multiply", self, other)

    def __rmul__(self, other: Operand) -> Tensor:
        return _binary("multiply", other, self)

    def __truediv__(self, other: Operand) -> Tensor:
        return _binary("divide", self, other)

    def __rtruediv__(self, other: Operand) -> Tensor:
        return _binary("divide", other, self)

    def __floordiv__(self, other: Operand) -> Tensor:
        return _binary("floordiv", self, other)

    def __rfloordiv__(self, other: Operand) -> Tensor:
        return _binary("floordiv", other, self)

    def __mod__(self, other: Operand) -> Tensor:
        return _binary("floormod", self, other)

    def __rmod__(self, other: Operand) -> Tensor:
        return _binary("floormod", other, self)

    def __pow__(self, other: Operand) -> Tensor:
        return _binary("power", self, other)

    def __rpow__(self, other: Operand) -> Tensor:
        return _binary("power", other, self)

    def __and__(self, other: Operand) -> Tensor:
        return _binary("and", self, other)

    __rand__ = __and__

    def __or__(self, other: Operand) -> Tensor:
        return _binary("or", self, other)

    __ror__ = __or__

    def __xor__(self, other: Operand) -> Tensor:
        return _binary("xor", self, other)

    __rxor__ = __xor__

    def __lt__(self, other: Operand) -> Tensor:
        return _binary("less", self, other)

    def __le__(self, other: Operand) -> Tensor:
        return _binary("less_equal", self, other)

    def __gt__(self, other: Operand) -> Tensor:
        return _binary("greater", self, other)

    def __ge__(self, other: Operand) -> Tensor:
        return _binary("greater_equal", self, other)

    def __neg__(self) -> Tensor:
        return elementwise("negative", _negative, self)

    def __invert__(self) -> Tensor:
        return elementwise("invert", _inverted, self)

    def __abs__(self) -> Tensor:
        return elementwise("abs", _magnitude, self)

    def astype(self, dtype: DType) -> Tensor:
        """The elements in another type; floats to integers truncate, to bool are `!= 0`."""
        element = element_of(dtype)

        def converted(x: Scalar) -> Scalar:
            return x.cast(element)

        return elementwise("cast", converted, self)


class Tensor(Operators, Stored):
    """A placeholder or a result of a compute or scan.

    `x[i, k]` is an element and stands inside a compute, `x.read((i - 1, k), 0.0)` one with a value
    for outside. `shape`, `dtype` (the IR's element type), `name` and `op` say what it is.
    """

    def __init__(self, value: SSAValue, dtype: Attribute, op: Operation, names: Sequence[str] = ()):
        super().__init__(value, dtype, names)
        self.op = op

    @property
    def name(self) -> str:
        """Its name; results of one compute are told apart by `_r0`, `_r1`."""
        return self.value.name_hint or self.op.name

    def __repr__(self) -> str:
        extents = "x".join(str(extent) for extent in self.shape)
        return f"<Tensor {self.name}: {extents}{'x' if extents else ''}{self.dtype}>"


class Slice(Operators):
    """A part of a tensor that is read where it stands: `x[i]` of a matrix is a vector."""

    def __init__(self, source: AnyTensor, picks: Sequence[Index | Scalar | int | slice]):
        self.source = source
        self.picks = [
            range(*pick.indices(size)) if isinstance(pick, slice) else pick
            for pick, size in zip(picks, source.shape, strict=True)
        ]
        shape = [len(pick) for pick in self.picks if isinstance(pick, range)]
        super().__init__(shape, source.dtype)

    @property
    def label(self) -> str:
        return f"a slice of {self.source.label}"

    def read(self, indices: Sequence[IndexLike], fill: Number | None = None) -> Scalar:
        if len(indices) != self.rank:
            raise ExpressionError(f"{len(indices)} indices for {self.label} of rank {self.rank}")
        left = iter(indices)
        place = [
            pick.start + next(left) * pick.step if isinstance(pick, range) else pick
            for pick in self.picks
        ]
        return self.source.read(place, fill)


def _completed(tensor: AnyTensor, picks: Sequence[Pick]) -> list[Index | Scalar | int | slice]:
    """One pick for each dimension: `...` and what is left out stand for all, -1 for the last."""
    dots = [at for at, pick in enumerate(picks) if pick is ...]
    if len(dots) > 1 or len(picks) - len(dots) > tensor.rank:
        raise ExpressionError(
            f"{len(picks)} indices for {tensor.label}, whose rank is {tensor.rank} "
            f"(shape {list(tensor.shape)})"
        )
    at = dots[0] if dots else len(picks)
    missing = [slice(None)] * (tensor.rank - len(picks) + len(dots))
    whole = [*picks[:at], *missing, *picks[at + 1 :]]
    return [_pick(pick, size) for pick, size in zip(whole, tensor.shape, strict=True)]


def _pick(pick: Pick, size: int) -> Index | Scalar | int | slice:
    if isinstance(pick, slice | Index | Scalar):
        return pick
    try:
        position = operator.index(cast("int", pick))
    except TypeError:
        raise ExpressionError(
            f"an index is an axis, an integer, an element or a slice, got {pick!r}"
        ) from None
    return position + size if -size <= position < 0 else position


def placeholder(
    shape: Sequence[int] | int,
    dtype: DType = "float32",
    name: str = "placeholder",
    *,
    const: bool = False,
) -> Tensor:
    """A tensor that the caller of the kernel gives.

    Args:
        shape: extents, at least 0.
        dtype: a NumPy dtype or its name.
        name: what the kernel's text and schedules call it.
        const: whether it is known when the kernel is compiled, as weights are; schedules may give
            it another layout.

    Raises: ExpressionError: an extent is no number, or the name no identifier.
    """
    location = here()
    with located:
        check_name(name)
        element = element_of(dtype)
        block = Block(arg_types=[tensor_of(element, extents(shape))])
    block.args[0].name_hint = name
    return Tensor(block.args[0], element, Operation(name, "placeholder", location, const=const))


def extents(shape: object) -> tuple[int, ...]:
    """A shape, checked.

    Raises: ExpressionError: an extent is negative or no integer.
    """
    sizes = cast("Sequence[object]", shape if isinstance(shape, Sequence) else (shape,))
    checked = tuple(whole(size, "an extent") for size in sizes)
    if any(size < 0 for size in checked):
        raise ExpressionError(f"an extent is at least 0, got {list(checked)}")
    return checked


def whole(number: object, what: str) -> int:
    """An integer, Python's or NumPy's.

    Raises: ExpressionError: it is none.
    """
    try:
        return operator.index(cast("int", number))
    except TypeError:
        raise ExpressionError(
            f"{what} is an integer, got {number!r}",
            hint="kernels have static shapes: make one for each shape",
        ) from None


def check_name(name: str) -> None:
    """Refuse a name that schedules and texts could not spell.

    Raises: ExpressionError.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ExpressionError(f"{name!r} is no name", hint="letters, digits and _ make a name")


def define(name: str, axes: Mapping[str, int], function: Of[Index, BodyResult]) -> list[Tensor]:
    """The results of a new compute over `axes`: `function` takes them in order.

    Raises: ExpressionError: with the line of the user's program.
    """
    location = here()

    def body(*indices: Index) -> BodyResult:
        return _without_index(call(function, indices))

    with located:
        check_name(name)
        written = write_compute(name, axes, body, Written(location))
    inputs = tuple(source for source in written.sources.values() if isinstance(source, Tensor))
    assert len(inputs) == len(written.sources), "a tensor of a kernel that is being built"
    operation = Operation(name, "compute", location, written.op, inputs, labels=dict(written.bound))
    return [
        Tensor(value, dtype, operation, list(axes))
        for value, dtype in zip(written.op.results, written.dtypes, strict=True)
    ]


def _without_index(out: BodyResult) -> BodyResult:
    """Positions are int64 in tensors: the IR's index type is no element of an array."""
    if isinstance(out, Sequence) and not isinstance(out, str | bytes):
        return cast("BodyResult", [_without_index(each) for each in out])
    if isinstance(out, Scalar) and isinstance(out.dtype, IndexType):
        return out.cast(i64)
    return out


def elementwise(name: str, function: Callable[..., Any], *operands: Operand) -> Tensor:
    """A compute of a function of elements, with NumPy's broadcasting; numbers stay numbers.

    Raises: ExpressionError: shapes that do not broadcast, element types that differ.
    """
    tensors = [operand for operand in operands if isinstance(operand, AnyTensor)]
    with located:
        shape = broadcast_shape([tensor.shape for tensor in tensors])
    names = next((t.names for t in tensors if len(t.names) == len(shape)), tuple(axis_names(shape)))

    def body(*indices: Index) -> BodyResult:
        return function(*(x.at(indices) if isinstance(x, AnyTensor) else x for x in operands))

    return define(name, dict(zip(names, shape, strict=True)), body)[0]


def broadcast_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """NumPy's rule: aligned at the end, a dimension of 1 fits any.

    Raises: ExpressionError: two dimensions differ.
    """
    rank = max((len(shape) for shape in shapes), default=0)
    result: list[int] = []
    for at in range(-rank, 0):
        sizes = {shape[at] for shape in shapes if len(shape) >= -at}
        if len(sizes - {1}) > 1:
            listed = ", ".join(str(list(shape)) for shape in shapes)
            raise ExpressionError(f"shapes {listed} do not broadcast")
        result.append(next(iter(sizes - {1}), 1))
    return tuple(result)


def check_tensors(*given: object) -> None:
    """Refuse anything else where tensors are expected.

    Raises: ExpressionError.
    """
    for each in given:
        if not isinstance(each, AnyTensor):
            raise ExpressionError(
                f"expected a tensor, got {each!r}",
                hint="an array's content is given at the call, or as `params=` of build",
            )


def listed_tensors(given: object) -> list[AnyTensor]:
    """What stands alone, or in a list of tensors.

    Raises: ExpressionError: something in it is no tensor.
    """
    several = isinstance(given, list | tuple)
    found = list(cast("Sequence[AnyTensor]", given if several else [given]))
    check_tensors(*found)
    return found


def as_tensor(x: AnyTensor) -> Tensor:
    """The tensor itself; a view of one is computed.

    Raises: ExpressionError: it is neither.
    """
    if isinstance(x, Tensor):
        return x
    check_tensors(x)

    def element(*indices: Index) -> Scalar:
        return x.read(indices)

    return define("slice", axis_names(x.shape), element)[0]
