"""Which arith or math op an operation is, by element type, and literals of a type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf, isfinite
from typing import TypeAlias

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import (
    AnyFloat,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    f32,
    i1,
    i64,
)
from xdsl.ir import Attribute, Operation

from ...core.dtypes import dtype_name, signless
from ...core.dtypes import is_unsigned as _is_unsigned
from ...core.errors import ExpressionError

Number: TypeAlias = "int | float | bool"
Properties: TypeAlias = "Mapping[str, Attribute]"

INDEX = IndexType()
_NONE: Properties = {}
_FAST: Properties = {"fastmath": arith.FastMathFlagsAttr("none")}
_WRAP: Properties = {"overflowFlags": arith.IntegerOverflowAttr("none")}
_WRAPPING = (arith.AddiOp, arith.SubiOp, arith.MuliOp, arith.ShLIOp)


@dataclass(frozen=True)
class Family:
    """The ops of one operation on floats, on signed and on unsigned integers."""

    name: str
    real: type[Operation] | None
    signed: type[Operation] | None
    unsigned: type[Operation] | None

    def of(self, dtype: Attribute) -> tuple[type[Operation], Properties]:
        """The op for a graph element type, and the properties it must have."""
        if is_float(dtype):
            cls, properties = self.real, _FAST
        else:
            cls = self.unsigned if is_unsigned(dtype) else self.signed
            properties = _WRAP if cls in _WRAPPING else _NONE
        if cls is None:
            raise ExpressionError(
                f"{self.name} of {dtype_name(dtype)} is not defined", hint="cast the operand first"
            )
        return cls, properties


ADD = Family("add", arith.AddfOp, arith.AddiOp, arith.AddiOp)
SUB = Family("sub", arith.SubfOp, arith.SubiOp, arith.SubiOp)
MUL = Family("mul", arith.MulfOp, arith.MuliOp, arith.MuliOp)
DIV = Family("div", arith.DivfOp, arith.DivSIOp, arith.DivUIOp)
FLOORDIV = Family("floordiv", None, arith.FloorDivSIOp, arith.DivUIOp)
REM = Family("rem", None, arith.RemSIOp, arith.RemUIOp)
MAX = Family("max", arith.MaximumfOp, arith.MaxSIOp, arith.MaxUIOp)
MIN = Family("min", arith.MinimumfOp, arith.MinSIOp, arith.MinUIOp)
AND = Family("and", None, arith.AndIOp, arith.AndIOp)
OR = Family("or", None, arith.OrIOp, arith.OrIOp)
XOR = Family("xor", None, arith.XOrIOp, arith.XOrIOp)
SHIFT_LEFT = Family("shift left", None, arith.ShLIOp, arith.ShLIOp)
SHIFT_RIGHT = Family("shift right", None, arith.ShRSIOp, arith.ShRUIOp)
ABS = Family("abs", math.AbsFOp, math.AbsIOp, None)
POWER = Family("power", math.PowFOp, math.IPowIOp, math.IPowIOp)
COPYSIGN = Family("copysign", math.CopySignOp, None, None)

MATH: dict[str, Family] = {
    op.name.removeprefix("math."): Family(op.name, op, None, None)
    for op in (
        *(math.AcosOp, math.AcoshOp, math.AsinOp, math.AsinhOp, math.AtanOp, math.AtanhOp),
        *(math.CbrtOp, math.CeilOp, math.CosOp, math.CoshOp, math.ErfOp, math.Exp2Op, math.ExpOp),
        *(math.ExpM1Op, math.FloorOp, math.Log10Op, math.Log1pOp, math.Log2Op, math.LogOp),
        *(math.RoundEvenOp, math.RoundOp, math.RsqrtOp, math.SinOp, math.SinhOp, math.SqrtOp),
        *(math.TanOp, math.TanhOp, math.TruncOp),
    )
}
"""The functions of one real number."""

_REAL_PREDICATES = {"eq": 1, "gt": 2, "ge": 3, "lt": 4, "le": 5, "ne": 13}
_SIGNED_PREDICATES = {"eq": 0, "ne": 1, "lt": 2, "le": 3, "gt": 4, "ge": 5}
_UNSIGNED_PREDICATES = {"eq": 0, "ne": 1, "lt": 6, "le": 7, "gt": 8, "ge": 9}
_PREDICATES = [IntegerAttr(number, i64) for number in range(16)]


def comparison(name: str, dtype: Attribute) -> tuple[type[Operation], Properties]:
    """The op of eq, ne, lt, le, gt or ge. On floats they are ordered, but NaN `ne` everything."""
    if is_float(dtype):
        return arith.CmpfOp, {**_FAST, "predicate": _PREDICATES[_REAL_PREDICATES[name]]}
    table = _UNSIGNED_PREDICATES if is_unsigned(dtype) else _SIGNED_PREDICATES
    return arith.CmpiOp, {"predicate": _PREDICATES[table[name]]}


def is_float(dtype: Attribute) -> bool:
    """Whether an element type is a floating-point one."""
    return isinstance(dtype, AnyFloat)


def is_unsigned(dtype: Attribute) -> bool:
    """Whether arithmetic on this graph element type is unsigned; booleans count as such."""
    return dtype == i1 or (not isinstance(dtype, IndexType) and _is_unsigned(dtype))


def bitwidth(dtype: Attribute) -> int:
    """Bits of an integer or float element type."""
    name = dtype_name(dtype)
    return 1 if name == "bool" else int(name.lstrip("abcdefghijklmnopqrstuvwxyz"))


def plain(dtype: Attribute) -> Attribute:
    """The te element type of a graph element type."""
    return dtype if isinstance(dtype, IndexType) else signless(dtype)


def lowest(dtype: Attribute) -> float | int:
    """The least value of a type: minus infinity of floats."""
    if is_float(dtype):
        return -inf
    return 0 if is_unsigned(dtype) else -(1 << (bitwidth(dtype) - 1))


def highest(dtype: Attribute) -> float | int:
    """The greatest value of a type: infinity of floats."""
    if is_float(dtype):
        return inf
    bits = bitwidth(dtype)
    return (1 << bits) - 1 if is_unsigned(dtype) else (1 << (bits - 1)) - 1


def type_of(number: Number) -> Attribute:
    """The element type of a number that no operand gives one: i1, i64 or f32."""
    if isinstance(number, bool):
        return i1
    return i64 if isinstance(number, int) else f32


def check_number(value: Number, dtype: Attribute) -> None:
    """Refuse a number that a type does not have; integers may be meant as signed or unsigned.

    Raises: ExpressionError.
    """
    if is_float(dtype):
        return
    whole = isfinite(value) and value == int(value)
    bits = 64 if isinstance(dtype, IndexType) else bitwidth(dtype)
    if not whole or not -(1 << (bits - 1)) <= value < (1 << bits):
        raise ExpressionError(
            f"{value} is no {dtype_name(dtype)}",
            hint="a number takes the type of the other operand: cast that one first",
        )


def literal(value: Number, dtype: Attribute) -> Attribute:
    """The (signless) attribute of a number of a graph element type; integers wrap."""
    # keyed by text: 0.0 == -0.0, and NaN != NaN
    return _literal(repr(float(value)) if is_float(dtype) else str(int(value)), dtype)


@lru_cache(maxsize=4096)
def _literal(text: str, dtype: Attribute) -> Attribute:
    if isinstance(dtype, AnyFloat):
        return FloatAttr(float(text), dtype)
    value = int(text)
    if isinstance(dtype, IndexType):
        return IntegerAttr(value, dtype)
    bits = bitwidth(dtype)
    value &= (1 << bits) - 1
    if bits > 1 and value >> (bits - 1):
        value -= 1 << bits
    return IntegerAttr(value, IntegerType(bits), truncate_bits=True)
