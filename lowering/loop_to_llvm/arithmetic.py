"""Elementwise tile ops, one register at a time: arith and the cheap part of math."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from xdsl.dialects.builtin import BFloat16Type, Float16Type, Float32Type
from xdsl.ir import Attribute

from ...core.errors import PassError
from . import float_casts
from .text import (
    FunctionWriter,
    float_name,
    is_float,
    mangled,
    scalar_type,
    splat_literal,
    vector_literal,
    vector_type,
)


@dataclass(frozen=True)
class Operation:
    """What an expansion needs to know.

    Attributes:
        args: operands, all of `width` lanes.
        source, result: element types of the first operand and of the result.
    """

    writer: FunctionWriter
    args: list[str]
    source: Attribute
    result: Attribute
    width: int
    predicate: int | None = None

    @property
    def source_type(self) -> str:
        """LLVM type of the operands."""
        return vector_type(scalar_type(self.source), self.width)

    @property
    def result_type(self) -> str:
        """LLVM type of the result."""
        return vector_type(scalar_type(self.result), self.width)

    def const(self, value: float) -> str:
        """A constant of the operands' type."""
        return splat_literal(value, scalar_type(self.source), self.width)

    def intrinsic(self, stem: str, *args: str, flags: str = "") -> str:
        """An overloaded LLVM intrinsic on the operands' type."""
        type_ = self.source_type
        return self.writer.call(
            type_, f"llvm.{stem}.{mangled(type_)}", [(type_, arg) for arg in args], flags
        )

    def compare(self, predicate: str, lhs: str, rhs: str) -> str:
        """`fcmp` or `icmp`."""
        kind = "fcmp" if is_float(self.source) else "icmp"
        return self.writer.define(f"{kind} {predicate} {self.source_type} {lhs}, {rhs}")

    def select(self, condition: str, then: str, otherwise: str, type_: str | None = None) -> str:
        """`select` lane by lane."""
        bools = vector_type("i1", self.width)
        type_ = type_ or self.source_type
        return self.writer.define(
            f"select {bools} {condition}, {type_} {then}, {type_} {otherwise}"
        )


Expand = Callable[[Operation], str]

_FLOAT_BINARY = {"addf": "fadd", "subf": "fsub", "mulf": "fmul", "divf": "fdiv"}
_INT_BINARY = {
    **{"addi": "add", "subi": "sub", "muli": "mul"},
    **{"andi": "and", "ori": "or", "xori": "xor"},
}
_CASTS = {
    **{"sitofp": "sitofp", "uitofp": "uitofp", "bitcast": "bitcast"},
    **{"extsi": "sext", "extui": "zext", "trunci": "trunc"},
}
_INTRINSICS = {
    **{"arith.maxnumf": "maxnum", "arith.minnumf": "minnum"},
    **{"arith.maxsi": "smax", "arith.minsi": "smin", "arith.maxui": "umax", "arith.minui": "umin"},
    **{"math.absf": "fabs", "math.ceil": "ceil", "math.floor": "floor", "math.trunc": "trunc"},
    **{"math.roundeven": "roundeven", "math.round": "round", "math.sqrt": "sqrt"},
    **{"math.copysign": "copysign", "math.fma": "fma"},
}
CMPF = (
    *("false", "oeq", "ogt", "oge", "olt", "ole", "one", "ord"),
    *("ueq", "ugt", "uge", "ult", "ule", "une", "uno", "true"),
)
CMPI = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")


def _float_binary(llvm: str) -> Expand:
    def expand(op: Operation) -> str:
        flags = "" if llvm == "fdiv" else "contract "
        return op.writer.define(f"{llvm} {flags}{op.source_type} {op.args[0]}, {op.args[1]}")

    return expand


def _int_binary(llvm: str) -> Expand:
    return lambda op: op.writer.define(f"{llvm} {op.source_type} {op.args[0]}, {op.args[1]}")


def _cast(llvm: str) -> Expand:
    def expand(op: Operation) -> str:
        if op.source_type == op.result_type:
            return op.args[0]
        return op.writer.define(f"{llvm} {op.source_type} {op.args[0]} to {op.result_type}")

    return expand


def _float_cast(op: Operation) -> str:
    source, result = float_name(op.source), float_name(op.result)
    return float_casts.convert(op.writer, op.args[0], source, result, op.width)


def _float_to_int(signed: bool) -> Expand:
    """Toward zero; outside the range the nearest value, NaN is 0 (a defined result everywhere)."""

    def expand(op: Operation) -> str:
        name = f"llvm.fpto{'s' if signed else 'u'}i.sat"
        suffix = f"{mangled(op.result_type)}.{mangled(op.source_type)}"
        return op.writer.call(op.result_type, f"{name}.{suffix}", [(op.source_type, op.args[0])])

    return expand


def _intrinsic(stem: str) -> Expand:
    return lambda op: op.intrinsic(stem, *op.args)


def _extremum(predicate: str) -> Expand:
    """The larger or smaller one, or a NaN; of two zeros either.

    One instruction gives the right side where it wins, else the left one, NaN included; a NaN on
    the right takes a second. What a reduction gathers is on the left: no step of it waits for that
    test.
    """

    def expand(op: Operation) -> str:
        lhs, rhs = op.args
        if not lhs.startswith("%"):
            lhs, rhs = rhs, lhs
        result = op.select(op.compare(predicate, rhs, lhs), rhs, lhs)
        is_number = not rhs.startswith("%") and rhs != op.const(math.nan)
        return result if is_number else op.select(op.compare("uno", rhs, rhs), rhs, result)

    return expand


def _shift(llvm: str) -> Expand:
    """Shifting by the width or more gives 0 (arithmetic: the sign)."""

    def expand(op: Operation) -> str:
        bits = int(scalar_type(op.source)[1:])
        amount = op.args[1]
        inside = op.compare("ult", amount, op.const(bits))
        if llvm == "ashr":
            amount = op.select(inside, amount, op.const(bits - 1))
            return op.writer.define(f"ashr {op.source_type} {op.args[0]}, {amount}")
        safe = op.select(inside, amount, op.const(0))
        value = op.writer.define(f"{llvm} {op.source_type} {op.args[0]}, {safe}")
        return op.select(inside, value, op.const(0))

    return expand


def _divide(llvm: str) -> Expand:
    """Integer division that never traps: by 0 it gives x / 1, MIN / -1 wraps.

    Lanes that are masked off hold any value, and the hardware traps for those too.
    """
    signed = llvm.startswith("s")

    def expand(op: Operation) -> str:
        lhs, rhs = op.args
        unsafe = op.compare("eq", rhs, op.const(0))
        if signed:
            minus_one = op.compare("eq", rhs, op.const(-1))
            bools = vector_type("i1", op.width)
            unsafe = op.writer.define(f"or {bools} {unsafe}, {minus_one}")
            safe = op.select(unsafe, op.const(1), rhs)
            result = op.writer.define(f"{llvm} {op.source_type} {lhs}, {safe}")
            if llvm == "srem":
                return op.select(minus_one, op.const(0), result)
            negated = op.writer.define(f"sub {op.source_type} {op.const(0)}, {lhs}")
            return op.select(minus_one, negated, result)
        safe = op.select(unsafe, op.const(1), rhs)
        return op.writer.define(f"{llvm} {op.source_type} {lhs}, {safe}")

    return expand


def _rounded_division(up: bool) -> Expand:
    """Floordivsi and ceildivsi: truncated division, corrected where signs and remainder ask."""

    def expand(op: Operation) -> str:
        quotient = _divide("sdiv")(op)
        remainder = _divide("srem")(op)
        inexact = op.compare("ne", remainder, op.const(0))
        signs = op.writer.define(f"xor {op.source_type} {op.args[0]}, {op.args[1]}")
        wanted = op.compare("sge" if up else "slt", signs, op.const(0))
        bools = vector_type("i1", op.width)
        both = op.writer.define(f"and {bools} {inexact}, {wanted}")
        return _stepped(op, "add" if up else "sub", quotient, both)

    return expand


def _ceil_unsigned(op: Operation) -> str:
    """Ceildivui."""
    inexact = op.compare("ne", _divide("urem")(op), op.const(0))
    return _stepped(op, "add", _divide("udiv")(op), inexact)


def _stepped(op: Operation, llvm: str, value: str, condition: str) -> str:
    """`value` plus or minus one where a condition holds."""
    bools = vector_type("i1", op.width)
    step = op.writer.define(f"zext {bools} {condition} to {op.source_type}")
    return op.writer.define(f"{llvm} {op.source_type} {value}, {step}")


def _compare(names: tuple[str, ...]) -> Expand:
    def expand(op: Operation) -> str:
        assert op.predicate is not None
        return op.compare(names[op.predicate], *op.args)

    return expand


def _select(op: Operation) -> str:
    condition, then, otherwise = op.args
    return op.select(condition, then, otherwise, op.result_type)


def _index_cast(op: Operation) -> str:
    source, result = scalar_type(op.source), scalar_type(op.result)
    if source == result:
        return op.args[0]
    wider = int(result[1:]) > int(source[1:])
    return _cast("sext" if wider else "trunc")(op)


def _abs_int(op: Operation) -> str:
    type_ = op.source_type
    args = [(type_, op.args[0]), ("i1", "false")]
    return op.writer.call(type_, f"llvm.abs.{mangled(type_)}", args)


ARITHMETIC: dict[str, Expand] = {
    **{f"arith.{name}": _float_binary(llvm) for name, llvm in _FLOAT_BINARY.items()},
    **{f"arith.{name}": _int_binary(llvm) for name, llvm in _INT_BINARY.items()},
    **{f"arith.{name}": _cast(llvm) for name, llvm in _CASTS.items()},
    **{name: _intrinsic(stem) for name, stem in _INTRINSICS.items()},
    "arith.extf": _float_cast,
    "arith.truncf": _float_cast,
    "arith.negf": lambda op: op.writer.define(f"fneg {op.source_type} {op.args[0]}"),
    "arith.fptosi": _float_to_int(signed=True),
    "arith.fptoui": _float_to_int(signed=False),
    "arith.shli": _shift("shl"),
    "arith.shrsi": _shift("ashr"),
    "arith.shrui": _shift("lshr"),
    "arith.divsi": _divide("sdiv"),
    "arith.divui": _divide("udiv"),
    "arith.remsi": _divide("srem"),
    "arith.remui": _divide("urem"),
    "arith.floordivsi": _rounded_division(up=False),
    "arith.ceildivsi": _rounded_division(up=True),
    "arith.ceildivui": _ceil_unsigned,
    "arith.maximumf": _extremum("ogt"),
    "arith.minimumf": _extremum("olt"),
    "arith.cmpf": _compare(CMPF),
    "arith.cmpi": _compare(CMPI),
    "arith.select": _select,
    "arith.index_cast": _index_cast,
    "math.absi": _abs_int,
    "math.isnan": lambda op: op.compare("uno", op.args[0], op.args[0]),
    "math.isinf": lambda op: op.compare(
        "oeq", op.intrinsic("fabs", op.args[0]), op.const(float("inf"))
    ),
    "math.isfinite": lambda op: op.compare(
        "olt", op.intrinsic("fabs", op.args[0]), op.const(float("inf"))
    ),
    "math.rsqrt": lambda op: op.writer.define(
        f"fdiv {op.source_type} {op.const(1.0)}, {op.intrinsic('sqrt', op.args[0])}"
    ),
}
"""How each scalar op is written, by its name."""


def expand(name: str, op: Operation) -> str:
    """LLVM IR of one scalar op on one register.

    Raises: PassError: there is none.
    """
    from .math import MATH

    rule = ARITHMETIC.get(name) or MATH.get(name)
    if rule is None:
        raise PassError(f"'{name}' has no LLVM form")
    if name not in _HOLDS_BITS:
        # bf16 has no instructions; of f16 LLVM makes a library call for this one.
        narrow = Float16Type() if name == "math.fma" else BFloat16Type()
        for type_ in {narrow, BFloat16Type()} & {op.source, op.result}:
            return _through_single(rule, op, type_)
    return rule(op)


_HOLDS_BITS = ("arith.extf", "arith.truncf", "arith.select", "arith.bitcast")
"""Ops that take a bf16 as the bits it is held in."""


def _through_single(rule: Expand, op: Operation, narrow: Attribute) -> str:
    """An op on a 16-bit float type: done in f32 and rounded once."""
    single, name = Float32Type(), float_name(narrow)
    args = op.args
    if op.source == narrow:
        args = [float_casts.convert(op.writer, arg, name, "float", op.width) for arg in args]
    source = single if op.source == narrow else op.source
    result = single if op.result == narrow else op.result
    value = rule(Operation(op.writer, args, source, result, op.width, op.predicate))
    if op.result != narrow:
        return value
    return float_casts.convert(op.writer, value, "float", name, op.width)


_ACROSS_LANES = {
    **{"arith.addf": "fadd", "arith.mulf": "fmul"},
    **{"arith.addi": "add", "arith.muli": "mul", "arith.maxsi": "smax", "arith.minsi": "smin"},
    **{"arith.andi": "and", "arith.ori": "or"},
}


def across_lanes(name: str, op: Operation) -> str:
    """The lanes of one register combined to a scalar by a scalar op, in any order."""
    (value,) = op.args
    if op.width == 1:
        return value
    if op.source == BFloat16Type():
        single = Float32Type()
        wide = float_casts.convert(op.writer, value, "bfloat", "float", op.width)
        total = across_lanes(name, Operation(op.writer, [wide], single, single, op.width))
        return float_casts.convert(op.writer, total, "float", "bfloat", 1)
    if name not in _ACROSS_LANES:
        return _by_halves(name, op)
    kind, scalar = _ACROSS_LANES[name], scalar_type(op.source)
    function = f"llvm.vector.reduce.{kind}.{mangled(op.source_type)}"
    args = [(op.source_type, value)]
    if kind in ("fadd", "fmul"):
        start = splat_literal(-0.0 if kind == "fadd" else 1.0, scalar, 1)
        return op.writer.call(scalar, function, [(scalar, start), *args], "reassoc ")
    return op.writer.call(scalar, function, args)


def _by_halves(name: str, op: Operation) -> str:
    """The lanes combined two halves at a time; their number is a power of two."""
    (value,), width = op.args, op.width
    while width > 1:
        value = halved(name, Operation(op.writer, [value], op.source, op.source, width))
        width //= 2
    return value


def halved(name: str, op: Operation) -> str:
    """The two halves of a register combined by a scalar op."""
    width = op.width // 2
    parts = [_part(op.writer, op.args[0], op.source_type, first, width) for first in (0, width)]
    return expand(name, Operation(op.writer, parts, op.source, op.source, width))


def _part(writer: FunctionWriter, value: str, type_: str, first: int, width: int) -> str:
    """`width` neighbouring lanes of a register."""
    if width == 1:
        return writer.define(f"extractelement {type_} {value}, i32 {first}")
    lanes = vector_literal(list(range(first, first + width)), "i32")
    poison = f"{type_} {value}, {type_} poison"
    return writer.define(f"shufflevector {poison}, <{width} x i32> {lanes}")
