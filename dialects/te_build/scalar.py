"""Scalars and indices of a body that is being written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from xdsl.dialects import arith
from xdsl.dialects.builtin import (
    AffineMapAttr,
    BFloat16Type,
    DenseIntOrFPElementsAttr,
    IndexType,
    f32,
    i1,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineExpr, AffineMap

from ...core.affine import Range as AxisRange
from ...core.affine import Ranges, const, dim, linear_terms, sym
from ..te import CoeffOp, IndexOp, ReadOp, YieldOp
from . import ops
from .ops import INDEX, Family, Number, Properties, bitwidth, is_float, is_unsigned, plain

if TYPE_CHECKING:
    from .kernel import KernelBuilder

Value: TypeAlias = "Scalar | Index | Number"
"""What an expression accepts: a number takes the other operand's type."""


class Body:
    """The block that a compute's function is writing to; equal ops are made once."""

    def __init__(self, kernel: KernelBuilder, block: Block, axes: Sequence[tuple[str, int]]):
        self.kernel = kernel
        self.block = block
        self.axes: list[tuple[str, int]] = list(axes)
        self.symbols: list[SSAValue] = []
        self._memo: dict[tuple[object, ...], SSAValue] = {}
        self._reads: list[tuple[ReadOp | CoeffOp, tuple[AffineExpr, ...]]] = []

    @property
    def ranges(self) -> Ranges:
        """What is known of the axes."""
        ranges: list[AxisRange] = [(0, extent) for _, extent in self.axes]
        return Ranges(tuple(ranges))

    def emit(
        self,
        op: tuple[type[Operation], Properties],
        operands: Sequence[SSAValue],
        type_: Attribute,
    ) -> SSAValue:
        """The result of a pure op."""
        cls, properties = op
        key = (cls, *map(id, operands), type_, *properties.values())
        if (found := self._memo.get(key)) is None:
            found = self._memo[key] = self.append(op, operands, type_)
        return found

    def append(
        self,
        op: tuple[type[Operation], Properties],
        operands: Sequence[SSAValue],
        type_: Attribute,
    ) -> SSAValue:
        """As `emit`, always a new op."""
        new = op[0].create(
            operands=operands,
            result_types=[type_],
            properties=op[1],
            location=self.kernel.location,
        )
        self.block.add_op(new)
        return new.results[0]

    def read(
        self,
        source: SSAValue,
        exprs: tuple[AffineExpr, ...],
        symbols: Sequence[SSAValue],
        fill: Attribute | None,
        type_: Attribute,
    ) -> SSAValue:
        """A `te.read`; its map is made by `finish`, when all axes are known."""
        key = (ReadOp, id(source), exprs, *map(id, symbols), id(fill))
        if (found := self._memo.get(key)) is None:
            properties: Properties = {} if fill is None else {"fill": fill}
            found = self._memo[key] = self.append((ReadOp, properties), (source, *symbols), type_)
            assert isinstance(found.owner, ReadOp)
            self._reads.append((found.owner, exprs))
        return found

    def coeff(
        self, values: DenseIntOrFPElementsAttr, exprs: tuple[AffineExpr, ...], type_: Attribute
    ) -> SSAValue:
        """A `te.coeff`."""
        result = self.append((CoeffOp, {"values": values}), (), type_)
        assert isinstance(result.owner, CoeffOp)
        self._reads.append((result.owner, exprs))
        return result

    def finish(self, values: Sequence[Scalar]) -> None:
        """End the block with `te.yield`."""
        self.finish_values([value.value for value in values])

    def finish_values(self, values: Sequence[SSAValue]) -> None:
        """As `finish`."""
        rank = len(self.axes)
        for op, exprs in self._reads:
            map_ = AffineMap(rank, max(0, len(op.operands) - 1), exprs)
            op.properties["map"] = AffineMapAttr(map_)
        self.block.add_op(YieldOp.create(operands=values, location=self.kernel.location))

    def constant(self, value: Number, dtype: Attribute) -> Scalar:
        """A literal of a graph element type or of `index`."""
        attribute = ops.literal(value, dtype)
        key = (arith.ConstantOp, id(attribute))  # -0.0 equals 0.0; the cached attributes differ
        if (found := self._memo.get(key)) is None:
            op = (arith.ConstantOp, {"value": attribute})
            found = self._memo[key] = self.append(op, (), plain(dtype))
        return Scalar(self, found, dtype)

    def opaque(self, scalar: Scalar) -> Index:
        """A data-dependent scalar as an index."""
        value = scalar.cast(INDEX).value
        for position, known in enumerate(self.symbols):
            if known is value:
                return Index(self, sym(position))
        self.symbols.append(value)
        return Index(self, sym(len(self.symbols) - 1))

    def number(self, expr: AffineExpr) -> Scalar:
        """The value of an index expression, computed with arith on `index`."""
        total: Scalar | None = None
        for atom, factor in linear_terms(expr).items():
            term = self.constant(factor, INDEX) if atom is None else self._atom(atom)
            if atom is not None and factor != 1:
                term = term * factor
            total = term if total is None else total + term
        return self.constant(0, INDEX) if total is None else total

    def _atom(self, atom: AffineExpr) -> Scalar:
        if isinstance(atom, AffineBinaryOpExpr):
            lhs, rhs = self.number(atom.lhs), self.number(atom.rhs)
            if atom.kind is AffineBinaryOpKind.FloorDiv:
                return lhs // rhs
            assert atom.kind is AffineBinaryOpKind.Mod
            return lhs - (lhs // rhs) * rhs
        for position, (name, _) in enumerate(self.axes):
            if atom == dim(position):
                op = (IndexOp, IndexOp(name).properties)
                return Scalar(self, self.emit(op, (), INDEX), INDEX)
        for position, value in enumerate(self.symbols):
            if atom == sym(position):
                return Scalar(self, value, INDEX)
        raise AssertionError(f"index {atom} belongs to another compute")


class Comparable:
    """Comparisons, shared by scalars and indices; each gives an i1 scalar."""

    def scalar(self) -> Scalar:
        """This value as a scalar of its body."""
        raise NotImplementedError

    def eq(self, other: Value) -> Scalar:
        """`self == other`."""
        return self.scalar().compare("eq", other)

    def ne(self, other: Value) -> Scalar:
        """`self != other`; true for NaN."""
        return self.scalar().compare("ne", other)

    def __lt__(self, other: Value) -> Scalar:
        return self.scalar().compare("lt", other)

    def __le__(self, other: Value) -> Scalar:
        return self.scalar().compare("le", other)

    def __gt__(self, other: Value) -> Scalar:
        return self.scalar().compare("gt", other)

    def __ge__(self, other: Value) -> Scalar:
        return self.scalar().compare("ge", other)


class Index(Comparable):
    """An affine expression of the axes of a compute, and of opaque scalars."""

    def __init__(self, body: Body, expr: AffineExpr):
        self.body = body
        self.expr = expr

    def scalar(self) -> Scalar:
        return self.body.number(self.expr)

    def cast(self, dtype: Attribute) -> Scalar:
        """The position as a number of a graph element type."""
        return self.scalar().cast(dtype)

    def _with(self, kind: AffineBinaryOpKind, other: int) -> Index:
        return Index(self.body, AffineBinaryOpExpr(kind, self.expr, const(other)))

    def __add__(self, other: Index | Scalar | int) -> Index:
        return Index(self.body, self.expr + as_index(self.body, other).expr)

    __radd__ = __add__

    def __sub__(self, other: Index | Scalar | int) -> Index:
        return self + as_index(self.body, other) * -1

    def __rsub__(self, other: int) -> Index:
        return self * -1 + other

    def __neg__(self) -> Index:
        return self * -1

    def __mul__(self, other: int) -> Index:
        if other == 1:
            return self
        return self._with(AffineBinaryOpKind.Mul, other) if other else Index(self.body, const(0))

    __rmul__ = __mul__

    def __floordiv__(self, other: int) -> Index:
        return self if other == 1 else self._with(AffineBinaryOpKind.FloorDiv, other)

    def __mod__(self, other: int) -> Index:
        if other == 1:
            return Index(self.body, const(0))
        return self._with(AffineBinaryOpKind.Mod, other)


def as_index(body: Body, value: Index | Scalar | int) -> Index:
    """A number or a scalar as an index; a scalar becomes opaque."""
    if isinstance(value, Index):
        return value
    return body.opaque(value) if isinstance(value, Scalar) else Index(body, const(value))


class Scalar(Comparable):
    """A value of a body, of a graph element type (or `index`)."""

    def __init__(self, body: Body, value: SSAValue, dtype: Attribute):
        self.body = body
        self.value = value
        self.dtype = dtype

    def scalar(self) -> Scalar:
        return self

    def like(self, other: Value) -> Scalar:
        """`other` as a scalar of this one's type; only numbers and indices are converted."""
        if isinstance(other, Index):
            other = other.scalar()
        if isinstance(other, Scalar):
            assert other.dtype == self.dtype, f"operands of {self.dtype} and {other.dtype}"
            return other
        return self.body.constant(other, self.dtype)

    def binary(self, family: Family, other: Value) -> Scalar:
        """An op of two operands of one type."""
        rhs = self.like(other)
        operands = (self.value, rhs.value)
        return Scalar(
            self.body, self.body.emit(family.of(self.dtype), operands, self.value.type), self.dtype
        )

    def unary(self, family: Family) -> Scalar:
        """An op of one operand."""
        value = self.body.emit(family.of(self.dtype), (self.value,), self.value.type)
        return Scalar(self.body, value, self.dtype)

    def compare(self, name: str, other: Value) -> Scalar:
        """An i1: eq, ne, lt, le, gt or ge."""
        operands = (self.value, self.like(other).value)
        value = self.body.emit(ops.comparison(name, self.dtype), operands, i1)
        return Scalar(self.body, value, i1)

    def __add__(self, other: Value) -> Scalar:
        return self.binary(ops.ADD, other)

    def __radd__(self, other: Number) -> Scalar:
        return self.like(other) + self

    def __sub__(self, other: Value) -> Scalar:
        return self.binary(ops.SUB, other)

    def __rsub__(self, other: Number) -> Scalar:
        return self.like(other) - self

    def __mul__(self, other: Value) -> Scalar:
        return self.binary(ops.MUL, other)

    def __rmul__(self, other: Number) -> Scalar:
        return self.like(other) * self

    def __truediv__(self, other: Value) -> Scalar:
        return self.binary(ops.DIV, other)

    def __rtruediv__(self, other: Number) -> Scalar:
        return self.like(other) / self

    def __floordiv__(self, other: Value) -> Scalar:
        return self.binary(ops.FLOORDIV, other)

    def __and__(self, other: Value) -> Scalar:
        return self.binary(ops.AND, other)

    def __or__(self, other: Value) -> Scalar:
        return self.binary(ops.OR, other)

    def __xor__(self, other: Value) -> Scalar:
        return self.binary(ops.XOR, other)

    def __lshift__(self, other: Value) -> Scalar:
        return self.binary(ops.SHIFT_LEFT, other)

    def __rshift__(self, other: Value) -> Scalar:
        return self.binary(ops.SHIFT_RIGHT, other)

    def __invert__(self) -> Scalar:
        return self ^ (1 if self.dtype == i1 else -1)

    def __neg__(self) -> Scalar:
        if is_float(self.dtype):
            op = (arith.NegfOp, ops.ABS.of(self.dtype)[1])
            value = self.body.emit(op, (self.value,), self.value.type)
            return Scalar(self.body, value, self.dtype)
        return 0 - self

    def __abs__(self) -> Scalar:
        return self if is_unsigned(self.dtype) else self.unary(ops.ABS)

    def cast(self, dtype: Attribute) -> Scalar:
        """This value in another graph element type: floats to integers truncate, to i1 `!= 0`."""
        if dtype == self.dtype:
            return self
        if isinstance(self.dtype, IndexType) or isinstance(dtype, IndexType):
            return self._cast_index(dtype)
        if dtype == i1:
            return self.ne(0)
        if is_float(self.dtype):
            return self._cast_float(dtype)
        if is_float(dtype):
            if bitwidth(dtype) < 32:  # one rounding for what f32 holds exactly
                return self.cast(f32).cast(dtype)
            unsigned = is_unsigned(self.dtype)
            return self._convert(arith.UIToFPOp if unsigned else arith.SIToFPOp, dtype)
        return self._cast_int(dtype)

    def _convert(self, cls: type[Operation], dtype: Attribute) -> Scalar:
        properties: Properties = {}
        value = self.body.emit((cls, properties), (self.value,), plain(dtype))
        return Scalar(self.body, value, dtype)

    def _cast_index(self, dtype: Attribute) -> Scalar:
        if isinstance(dtype, IndexType):
            wide = self if self.dtype != i1 and not is_unsigned(self.dtype) else self.cast(i64)
            return wide._convert(arith.IndexCastOp, dtype)
        number = self._convert(arith.IndexCastOp, i64)
        return number.cast(dtype)

    def _cast_float(self, dtype: Attribute) -> Scalar:
        if not is_float(dtype):
            return self._convert(arith.FPToUIOp if is_unsigned(dtype) else arith.FPToSIOp, dtype)
        old, new = bitwidth(self.dtype), bitwidth(dtype)
        if old == new:  # f16 and bf16
            assert isinstance(self.dtype, BFloat16Type) != isinstance(dtype, BFloat16Type)
            return self.cast(f32).cast(dtype)
        return self._convert(arith.ExtFOp if old < new else arith.TruncFOp, dtype)

    def _cast_int(self, dtype: Attribute) -> Scalar:
        old, new = bitwidth(self.dtype), bitwidth(dtype)
        if old == new:
            return Scalar(self.body, self.value, dtype)
        if old > new:
            return self._convert(arith.TruncIOp, dtype)
        return self._convert(arith.ExtUIOp if is_unsigned(self.dtype) else arith.ExtSIOp, dtype)
