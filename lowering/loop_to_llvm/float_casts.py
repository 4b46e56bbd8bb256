"""Conversions between float types that LLVM would make a call of a run-time library.

bf16 is the upper half of an f32: widening shifts, narrowing rounds to nearest even in integers.
f64 reaches f16 and bf16 through an f32 that is rounded to odd, so that rounding twice gives what
rounding once would.
"""

from __future__ import annotations

from dataclasses import dataclass

from .text import FunctionWriter, splat_literal, vector_type


@dataclass(frozen=True)
class _Lanes:
    """Instructions on `width` lanes; values are of the type that each call names."""

    writer: FunctionWriter
    width: int

    def cast(self, name: str, source: str, value: str, result: str) -> str:
        types = (vector_type(each, self.width) for each in (source, result))
        return self.writer.define(f"{name} {next(types)} {value} to {next(types)}")

    def integer(self, name: str, bits: int, lhs: str, rhs: str | int) -> str:
        scalar = f"i{bits}"
        right = rhs if isinstance(rhs, str) else splat_literal(rhs, scalar, self.width)
        return self.writer.define(f"{name} {vector_type(scalar, self.width)} {lhs}, {right}")

    def select(self, condition: str, scalar: str, then: str, otherwise: str) -> str:
        bools, type_ = vector_type("i1", self.width), vector_type(scalar, self.width)
        return self.writer.define(
            f"select {bools} {condition}, {type_} {then}, {type_} {otherwise}"
        )

    def compare(self, predicate: str, scalar: str, lhs: str, rhs: str) -> str:
        type_ = vector_type(scalar, self.width)
        return self.writer.define(f"fcmp {predicate} {type_} {lhs}, {rhs}")


def convert(writer: FunctionWriter, value: str, source: str, result: str, width: int) -> str:
    """`value` from one LLVM float type to another, wider or narrower; bf16 is held as an i16."""
    lanes = _Lanes(writer, width)
    if source == result:
        return value
    if source == "bfloat":
        return convert(writer, _widened(lanes, value), "float", result, width)
    if result in ("half", "bfloat") and source == "double":
        value, source = _rounded_to_odd(lanes, value), "float"
    if result == "bfloat":
        value = value if source == "float" else lanes.cast("fpext", source, value, "float")
        return _narrowed(lanes, value)
    sizes = {"half": 2, "float": 4, "double": 8}
    return lanes.cast(
        "fpext" if sizes[result] > sizes[source] else "fptrunc", source, value, result
    )


def _widened(lanes: _Lanes, value: str) -> str:
    """The f32 of a bf16."""
    wide = lanes.cast("zext", "i16", value, "i32")
    return lanes.cast("bitcast", "i32", lanes.integer("shl", 32, wide, 16), "float")


def _narrowed(lanes: _Lanes, value: str) -> str:
    """The bf16 nearest to an f32, ties to even; NaN stays a (quiet) NaN."""
    bits = lanes.cast("bitcast", "float", value, "i32")
    upper = lanes.integer("lshr", 32, bits, 16)
    tie = lanes.integer("add", 32, lanes.integer("and", 32, upper, 1), 0x7FFF)
    rounded = lanes.integer("lshr", 32, lanes.integer("add", 32, bits, tie), 16)
    quiet = lanes.integer("or", 32, upper, 0x40)
    is_nan = lanes.compare("uno", "float", value, value)
    chosen = lanes.select(is_nan, "i32", quiet, rounded)
    return lanes.cast("trunc", "i32", chosen, "i16")


def _rounded_to_odd(lanes: _Lanes, value: str) -> str:
    """An f64 as f32: exact, or else the neighbour whose last bit is 1."""
    nearest = lanes.cast("fptrunc", "double", value, "float")
    back = lanes.cast("fpext", "float", nearest, "double")
    is_exact = lanes.compare("ueq", "double", back, value)
    bits = lanes.cast("bitcast", "float", nearest, "i32")
    is_negative = lanes.compare("olt", "double", value, splat_literal(0, "double", lanes.width))
    above = lanes.compare("ogt", "double", back, value)
    below = lanes.compare("olt", "double", back, value)
    is_too_far = lanes.select(is_negative, "i1", below, above)
    toward_zero = lanes.select(is_too_far, "i32", lanes.integer("sub", 32, bits, 1), bits)
    odd = lanes.integer("or", 32, toward_zero, 1)
    return lanes.cast("bitcast", "i32", lanes.select(is_exact, "i32", bits, odd), "float")
