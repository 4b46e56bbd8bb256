"""LLVM IR as text: types, literals, and functions written out of order.

A function is a tree of scopes, one for each loop body. A scope has a prologue, which stands before
its other lines: what depends on outer loops only is put there, at any time, and so is computed once
for each iteration of those.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from itertools import count

from xdsl.dialects.builtin import BFloat16Type, Float16Type, Float32Type, Float64Type, IndexType
from xdsl.ir import Attribute, Operation

from ...core.irtypes import integer_width
from .debug import LineTable

_FLOATS: dict[type[Attribute], tuple[str, int]] = {
    Float16Type: ("half", 2),
    BFloat16Type: ("bfloat", 2),
    Float32Type: ("float", 4),
    Float64Type: ("double", 8),
}


def scalar_type(element: Attribute) -> str:
    """LLVM's type of an element in a register: `f32` -> `float`, `bf16` -> `i16`."""
    if isinstance(element, IndexType):
        return "i64"
    if (width := integer_width(element)) is not None:
        return f"i{width}"
    name = float_name(element)
    return "i16" if name == "bfloat" else name


def float_name(element: Attribute) -> str:
    """LLVM's name of a float type: `bf16` -> `bfloat`."""
    return _FLOATS[type(element)][0]


def register_value(value: float, element: Attribute) -> float | int:
    """A number as a register of its type holds it: bf16 as its bits.

    LLVM turns most operations on bf16 registers into calls of a run-time library, so we have none.
    """
    if not isinstance(element, BFloat16Type):
        return value
    return _round_to_bfloat(int.from_bytes(struct.pack(">f", value), "big"))


def element_bytes(element: Attribute) -> int:
    """Bytes of one element in memory; a boolean takes one."""
    if isinstance(element, IndexType):
        return 8
    if (width := integer_width(element)) is not None:
        return (width + 7) // 8
    return _FLOATS[type(element)][1]


def is_float(element: Attribute) -> bool:
    """Whether an element type is a floating-point one."""
    return type(element) in _FLOATS


def vector_type(scalar: str, width: int) -> str:
    """The type of `width` lanes; one lane is a scalar."""
    return scalar if width == 1 else f"<{width} x {scalar}>"


def literal(value: float, scalar: str) -> str:
    """A constant of a scalar type, floats by their bits."""
    if scalar.startswith("i"):
        return str(int(value))
    if scalar == "half":
        return f"0xH{int.from_bytes(struct.pack('>e', value), 'big'):04X}"
    if scalar == "float":
        value = struct.unpack(">f", struct.pack(">f", value))[0]
    return f"0x{int.from_bytes(struct.pack('>d', value), 'big'):016X}"


def _round_to_bfloat(bits: int) -> int:
    """The nearest bfloat16 of a float32's bits, ties to even; NaN stays NaN."""
    if (bits & 0x7FFFFFFF) > 0x7F800000:
        return (bits >> 16) | 0x40
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16) & 0xFFFF


def splat_literal(value: float, scalar: str, width: int) -> str:
    """A constant in every lane."""
    text = literal(value, scalar)
    return text if width == 1 else f"splat ({scalar} {text})"


def vector_literal(values: list[int], scalar: str) -> str:
    """A vector constant of integers, given lane by lane."""
    if len(values) == 1:
        return str(values[0])
    return "<" + ", ".join(f"{scalar} {value}" for value in values) + ">"


@dataclass
class Scope:
    """A place of a function: the entry, or the body of a loop or branch.

    Attributes:
        memo: names of what has been computed here, by key.
    """

    depth: int
    head: list[str] = field(default_factory=list[str])
    prologue: list[str] = field(default_factory=list[str])
    lines: list[str | Scope] = field(default_factory=list["str | Scope"])
    memo: dict[object, str] = field(default_factory=dict[object, str])

    def text(self) -> list[str]:
        """All lines, inner scopes in their places."""
        out = [*self.head, *self.prologue]
        for line in self.lines:
            if isinstance(line, Scope):
                out += line.text()
            else:
                out.append(line)
        return out


class FunctionWriter:
    """Writes the body of one function.

    Args:
        is_avx512: whether the function runs on a CPU with AVX-512's instructions.
        debug: where to say which op an instruction comes from, if anywhere.

    Attributes:
        source: the op that is being written.
    """

    def __init__(self, is_avx512: bool = False, debug: LineTable | None = None) -> None:
        self.is_avx512 = is_avx512
        self.debug = debug
        self.source: Operation | None = None
        self.scopes = [Scope(0, head=["entry:"])]
        self.label = "entry"
        self.declarations: dict[str, str] = {}
        self._names = count()

    @property
    def scope(self) -> Scope:
        """The innermost scope."""
        return self.scopes[-1]

    def name(self, stem: str = "v") -> str:
        """A fresh value name."""
        return f"%{stem}{next(self._names)}"

    def fresh_label(self, stem: str) -> str:
        """A fresh block label."""
        return f"{stem}{next(self._names)}"

    def line(self, text: str) -> None:
        """Append an instruction without a result."""
        self.scope.lines.append(f"  {text}{self._mark()}")

    def define(self, text: str) -> str:
        """Append an instruction; its name."""
        name = self.name()
        self.scope.lines.append(f"  {name} = {text}{self._mark()}")
        return name

    def define_at(self, scope: Scope, text: str) -> str:
        """As `define`, but before everything in `scope`."""
        name = self.name()
        scope.prologue.append(f"  {name} = {text}{self._mark()}")
        return name

    def _mark(self) -> str:
        return "" if self.debug is None else self.debug.mark(self.source)

    def start_block(self, label: str) -> None:
        """Begin a basic block in the innermost scope."""
        self.scope.lines.append(f"{label}:")
        self.label = label

    def enter(self, label: str) -> Scope:
        """Open a scope that begins with its own basic block."""
        scope = Scope(len(self.scopes), head=[f"{label}:"])
        self.scope.lines.append(scope)
        self.scopes.append(scope)
        self.label = label
        return scope

    def leave(self) -> None:
        """Close the innermost scope; its memory of what has been computed goes with it."""
        self.scopes.pop()

    def recall(self, key: object) -> str | None:
        """What a key has been computed as, in this scope or one around it."""
        for scope in reversed(self.scopes):
            if key in scope.memo:
                return scope.memo[key]
        return None

    def call(self, result: str, name: str, args: list[tuple[str, str]], flags: str = "") -> str:
        """Call an intrinsic or library function, declared on the way."""
        types = ", ".join(type_ for type_, _ in args)
        self.declarations[name] = f"declare {result} @{name}({types})"
        operands = ", ".join(f"{type_} {value}" for type_, value in args)
        text = f"call {flags}{result} @{name}({operands})"
        if result == "void":
            self.line(text)
            return ""
        return self.define(text)


def splat(writer: FunctionWriter, value: str, scalar: str, width: int) -> str:
    """A scalar in every lane."""
    if width == 1:
        return value
    type_ = f"<{width} x {scalar}>"
    first = writer.define(f"insertelement {type_} poison, {scalar} {value}, i64 0")
    return writer.define(
        f"shufflevector {type_} {first}, {type_} poison, <{width} x i32> zeroinitializer"
    )


def mangled(type_: str) -> str:
    """The suffix of an overloaded intrinsic: `<8 x float>` -> `v8f32`."""
    scalars = {"half": "f16", "float": "f32", "double": "f64", "ptr": "p0"}
    if type_.startswith("<"):
        width, _, scalar = type_[1:-1].partition(" x ")
        return f"v{width}{scalars.get(scalar, scalar)}"
    return scalars.get(type_, type_)
