"""A register as a value: formulas read as arithmetic and are written as LLVM IR, line by line.

    x = Lanes(writer, "%v0", "float", 16)
    x.fma(2.0, 1.0).sqrt()      # llvm.fma of %v0, splat 2.0, splat 1.0; llvm.sqrt

A number on the right side becomes a constant in every lane. Comparisons give lanes of i1, integer
arithmetic wraps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .text import FunctionWriter, literal, mangled, vector_type

_INTEGER_OF = {"float": "i32", "double": "i64"}


@dataclass(frozen=True)
class Lanes:
    """`width` elements of the LLVM type `scalar`, in the register `name`."""

    writer: FunctionWriter
    name: str
    scalar: str
    width: int

    @property
    def type(self) -> str:
        """Its LLVM type."""
        return vector_type(self.scalar, self.width)

    def const(self, value: float) -> Lanes:
        """A number in every lane."""
        text = literal(value, self.scalar)
        return self._named(text if self.width == 1 else f"splat ({self.scalar} {text})")

    def _named(self, name: str, scalar: str | None = None) -> Lanes:
        return Lanes(self.writer, name, scalar or self.scalar, self.width)

    def _lift(self, other: Lanes | float) -> Lanes:
        return other if isinstance(other, Lanes) else self.const(other)

    def _write(self, text: str, scalar: str | None = None) -> Lanes:
        return self._named(self.writer.define(text), scalar)

    def _binary(self, floats: str, integers: str, other: Lanes | float) -> Lanes:
        name = floats if self.scalar in _INTEGER_OF else integers
        return self._write(f"{name} {self.type} {self.name}, {self._lift(other).name}")

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._binary("fadd", "add", other)

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._binary("fsub", "sub", other)

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._binary("fmul", "mul", other)

    def __truediv__(self, other: Lanes) -> Lanes:
        return self._binary("fdiv", "sdiv", other)

    def __rsub__(self, other: float) -> Lanes:
        return self.const(other) - self

    def __rtruediv__(self, other: float) -> Lanes:
        return self.const(other) / self

    def __neg__(self) -> Lanes:
        return self._write(f"fneg {self.type} {self.name}")

    def __and__(self, other: Lanes | int) -> Lanes:
        return self._binary("", "and", other)

    def __or__(self, other: Lanes | int) -> Lanes:
        return self._binary("", "or", other)

    def __xor__(self, other: Lanes | int) -> Lanes:
        return self._binary("", "xor", other)

    def __lshift__(self, other: int) -> Lanes:
        return self._binary("", "shl", other)

    def __rshift__(self, other: int) -> Lanes:
        """Arithmetic: the sign moves in."""
        return self._binary("", "ashr", other)

    def shifted_down(self, bits: int) -> Lanes:
        """Zeros move in."""
        return self._binary("", "lshr", bits)

    def intrinsic(self, stem: str, *args: Lanes | float) -> Lanes:
        """An overloaded LLVM intrinsic of lanes of one type."""
        values = [self, *(self._lift(arg) for arg in args)]
        name = f"llvm.{stem}.{mangled(self.type)}"
        pairs = [(self.type, value.name) for value in values]
        return self._named(self.writer.call(self.type, name, pairs))

    def fma(self, factor: Lanes | float, addend: Lanes | float) -> Lanes:
        """`self * factor + addend`, rounded once."""
        return self.intrinsic("fma", factor, addend)

    @property
    def has_scale(self) -> bool:
        """Whether one instruction multiplies by powers of two."""
        return self.writer.is_avx512 and self.scalar == "float" and self.width in (4, 8, 16)

    def scale(self, power: Lanes) -> Lanes:
        """`self * 2^power`, rounded once, for whole powers."""
        name = f"llvm.x86.avx512.mask.scalef.ps.{32 * self.width}"
        mask = f"i{max(8, self.width)}"
        args = [(lanes.type, lanes.name) for lanes in (self, power, self)]
        args.append((mask, "-1"))
        if self.width == 16:
            args.append(("i32", "4"))  # rounding as everywhere
        return self._named(self.writer.call(self.type, name, args))

    def __abs__(self) -> Lanes:
        return self.intrinsic("fabs")

    def sqrt(self) -> Lanes:
        """The square root."""
        return self.intrinsic("sqrt")

    def with_sign(self, other: Lanes) -> Lanes:
        """Its magnitude with the sign of another."""
        return self.intrinsic("copysign", other)

    def compare(self, predicate: str, other: Lanes | float) -> Lanes:
        """`fcmp` or `icmp`: lanes of i1."""
        kind = "fcmp" if self.scalar in _INTEGER_OF else "icmp"
        text = f"{kind} {predicate} {self.type} {self.name}, {self._lift(other).name}"
        return self._write(text, "i1")

    def choose(self, then: Lanes, otherwise: Lanes) -> Lanes:
        """Lanes of `then` where this condition holds, else those of `otherwise`."""
        sides = f"{then.type} {then.name}, {otherwise.type} {otherwise.name}"
        return self._write(f"select {self.type} {self.name}, {sides}", then.scalar)

    def within(self, low: float, high: float) -> Lanes:
        """Limited to [low, high]; NaN stays."""
        return self.at_most(high).at_least(low)

    def at_most(self, high: float) -> Lanes:
        """The lesser of it and a number; NaN stays."""
        return self.compare("ogt", high).choose(self.const(high), self)

    def at_least(self, low: float) -> Lanes:
        """The greater of it and a number; NaN stays."""
        return self.compare("olt", low).choose(self.const(low), self)

    def polynomial(self, *coefficients: float) -> Lanes:
        """Horner's rule, the highest power first."""
        result = self.const(coefficients[0])
        for coefficient in coefficients[1:]:
            result = result.fma(self, coefficient)
        return result

    def bits(self) -> Lanes:
        """A float's bits as an integer."""
        return self._cast("bitcast", _INTEGER_OF[self.scalar])

    def as_float(self) -> Lanes:
        """The float of these bits."""
        return self._cast("bitcast", "float" if self.scalar == "i32" else "double")

    def to_double(self) -> Lanes:
        """An f32, exactly."""
        return self._cast("fpext", "double")

    def to_float(self) -> Lanes:
        """An f64, rounded to f32."""
        return self._cast("fptrunc", "float")

    def integer_to_float(self) -> Lanes:
        """The number that an i32 is, as f32."""
        return self._cast("sitofp", "float")

    def _cast(self, name: str, scalar: str) -> Lanes:
        result = vector_type(scalar, self.width)
        return self._write(f"{name} {self.type} {self.name} to {result}", scalar)

    def is_any(self) -> str:
        """Whether a condition holds in some lane, as an i1."""
        if self.width == 1:
            return self.name
        whole = self.writer.define(f"bitcast {self.type} {self.name} to i{self.width}")
        return self.writer.define(f"icmp ne i{self.width} {whole}, 0")


def unless_rare(
    condition: Lanes, common: tuple[Lanes, ...], rare: Callable[[], tuple[Lanes, ...]]
) -> tuple[Lanes, ...]:
    """`common`, but in lanes where a condition holds `rare`, which runs only if there are any."""
    writer = condition.writer
    some = condition.is_any()
    label, join = writer.fresh_label("rare"), writer.fresh_label("join")
    before = writer.label
    writer.line(f"br i1 {some}, label %{label}, label %{join}")
    writer.start_block(label)
    chosen = [condition.choose(r, c) for r, c in zip(rare(), common, strict=True)]
    after = writer.label
    writer.line(f"br label %{join}")
    writer.start_block(join)
    result: list[Lanes] = []
    for mixed, plain in zip(chosen, common, strict=True):
        text = f"phi {plain.type} [ {plain.name}, %{before} ], [ {mixed.name}, %{after} ]"
        result.append(Lanes(writer, writer.define(text), plain.scalar, plain.width))
    return tuple(result)


Function = Callable[..., Lanes]
"""A function of one or more registers."""
