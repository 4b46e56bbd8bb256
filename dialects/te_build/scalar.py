"""Scalars and indices of a body that is being written."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeGuard, cast, overload

from xdsl.dialects import arith
from xdsl.dialects.builtin import BFloat16Type, IndexType, f32, i1, i64
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineExpr

from ...core.affine import const
from ...core.dtypes import dtype_name
from ...core.errors import ExpressionError
from . import ops
from .ops import Family, Number, Properties, bitwidth, is_float, is_unsigned, plain

if TYPE_CHECKING:
    from .body import Body

Value: TypeAlias = "Scalar | Index | Number"
"""What an expression accepts: a number takes the other operand's type."""


class Comparable:
    """Comparisons, shared by scalars and indices; each gives an i1 scalar."""

    __array_ufunc__ = None  # `np.int64(2) * i` asks i

    def __bool__(self) -> NoReturn:
        raise ExpressionError(
            "an element is true or false only when the kernel runs",
            hint="write if_then_else(c, a, b) for a choice, and `&`, `|`, `~` for and, or, not",
        )

    def __eq__(self, other: object) -> Any:  # a Scalar, which object's own type does not allow
        return self._equality("eq", other)

    def __ne__(self, other: object) -> Any:
        return self._equality("ne", other)

    __hash__ = object.__hash__

    def _equality(self, name: str, other: object) -> Any:
        if isinstance(other, Comparable | Real):
            return self.scalar().compare(name, cast("Value", other))
        return NotImplemented

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
    """An affine expression of the axes of a compute, and of opaque scalars.

    What is not affine (`i * j`, `i * x[i]`) is a scalar, which as an index is opaque.
    """

    def __init__(self, body: Body, expr: AffineExpr):
        self._place = (body, expr)

    def place(self) -> tuple[Body, AffineExpr]:
        """The body that it belongs to, and its expression there."""
        return self._place

    @property
    def body(self) -> Body:
        """The body that it belongs to."""
        return self.place()[0]

    @property
    def expr(self) -> AffineExpr:
        """The expression, over the axes and symbols of the body."""
        return self.place()[1]

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

    def __rsub__(self, other: Scalar | int) -> Index:
        return self * -1 + other

    def __neg__(self) -> Index:
        return self * -1

    @overload
    def __mul__(self, other: int) -> Index: ...
    @overload
    def __mul__(self, other: Index | Scalar) -> Scalar: ...
    def __mul__(self, other: Value) -> Index | Scalar:
        if not _is_whole(other):
            return self.scalar() * other
        if other == 1:
            return self
        return (
            self._with(AffineBinaryOpKind.Mul, int(other)) if other else Index(self.body, const(0))
        )

    @overload
    def __rmul__(self, other: int) -> Index: ...
    @overload
    def __rmul__(self, other: Scalar) -> Scalar: ...
    def __rmul__(self, other: Scalar | int) -> Index | Scalar:
        return self * other

    @overload
    def __floordiv__(self, other: int) -> Index: ...
    @overload
    def __floordiv__(self, other: Index | Scalar) -> Scalar: ...
    def __floordiv__(self, other: Value) -> Index | Scalar:
        if not _is_whole(other) or other <= 0:
            return self.scalar() // other
        return self if other == 1 else self._with(AffineBinaryOpKind.FloorDiv, int(other))

    @overload
    def __mod__(self, other: int) -> Index: ...
    @overload
    def __mod__(self, other: Index | Scalar) -> Scalar: ...
    def __mod__(self, other: Value) -> Index | Scalar:
        if not _is_whole(other) or other <= 0:
            return self.scalar() % other
        if other == 1:
            return Index(self.body, const(0))
        return self._with(AffineBinaryOpKind.Mod, int(other))


def _is_whole(value: Value) -> TypeGuard[int]:
    return isinstance(value, Integral)


def as_index(body: Body, value: Value) -> Index:
    """A number or a scalar as an index; a scalar becomes opaque.

    Raises: ExpressionError: it is a float, or belongs to another compute.
    """
    if isinstance(value, Index):
        if value.body is not body:
            raise ExpressionError("an axis of another compute")
        return value
    if isinstance(value, Scalar):
        if is_float(value.dtype):
            raise ExpressionError(
                f"{dtype_name(value.dtype)} is no index", hint="cast it to int64, or the axis"
            )
        return body.opaque(value)
    if not _is_whole(value):
        raise ExpressionError(f"an index is an axis, an integer or a scalar, got {value!r}")
    return Index(body, const(int(value)))


class Scalar(Comparable):
    """A value of a body, of a graph element type (or `index`)."""

    def __init__(self, body: Body, value: SSAValue, dtype: Attribute):
        self.body = body
        self.value = value
        self.dtype = dtype

    def scalar(self) -> Scalar:
        return self

    def like(self, other: Value) -> Scalar:
        """`other` as a scalar of this one's type; only numbers and indices are converted.

        Raises: ExpressionError: it has another type, or belongs to another compute.
        """
        if isinstance(other, Index):
            other = other.cast(self.dtype)
        if not isinstance(other, Scalar):
            return self.body.literal(other, self.dtype)
        if other.body is not self.body:
            raise ExpressionError("an element of another compute")
        if other.dtype != self.dtype:
            mine, its = dtype_name(self.dtype), dtype_name(other.dtype)
            raise ExpressionError(
                f"operands of {mine} and {its}", hint=f"cast one of them: te.cast('{mine}', x)"
            )
        return other

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

    def __rfloordiv__(self, other: Number) -> Scalar:
        return self.like(other) // self

    def __mod__(self, other: Value) -> Scalar:
        """The remainder of `//`, with the sign of `other`; integers only."""
        if is_unsigned(self.dtype):
            return self.binary(ops.REM, other)
        return self - (self // other) * other

    def __rmod__(self, other: Number) -> Scalar:
        return self.like(other) % self

    def __pow__(self, other: Value) -> Scalar:
        return self.binary(ops.POWER, other)

    def __rpow__(self, other: Number) -> Scalar:
        return self.like(other) ** self

    def __and__(self, other: Value) -> Scalar:
        return self.binary(ops.AND, other)

    __rand__ = __and__

    def __or__(self, other: Value) -> Scalar:
        return self.binary(ops.OR, other)

    __ror__ = __or__

    def __xor__(self, other: Value) -> Scalar:
        return self.binary(ops.XOR, other)

    __rxor__ = __xor__

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
