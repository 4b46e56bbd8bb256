"""`loop.intrinsic` to LLVM IR, by the names of dialects/intrinsics.py.

Each dot product of neighbours is one instruction where the target has it for the width of the
register, else the same arithmetic term by term.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from xdsl.ir import SSAValue

from ...core.affine import const, simplify
from ...dialects.loop import IntrinsicOp, LoadOp, tile_type
from .indices import LANE, Position, lane_stride, split_constant
from .memory import splat
from .text import scalar_type

if TYPE_CHECKING:
    from .registers import Registers


@dataclass(frozen=True)
class Native:
    """An instruction for registers of `width` 32-bit lanes.

    Attributes:
        feature: what the target must have.
        accumulates: whether it takes the accumulator, as its first operand.
        operand: LLVM type of the two factors.
    """

    width: int
    feature: str
    symbol: str
    accumulates: bool
    operand: str


@dataclass(frozen=True)
class Lowering:
    """How one intrinsic is written.

    Attributes:
        extend: casts of x's and of w's elements to 32 bits.
        natives: instructions, the best one for a width first.
    """

    terms: int
    extend: tuple[str, str]
    natives: tuple[Native, ...]


LOWERINGS: dict[str, Lowering] = {
    "dot4_u8s8": Lowering(
        4,
        ("zext", "sext"),
        tuple(
            Native(n, "avx512vnni", f"llvm.x86.avx512.vpdpbusd.{32 * n}", True, f"<{n} x i32>")
            for n in (16, 8, 4)
        ),
    ),
    "dot2_s16s16": Lowering(
        2,
        ("sext", "sext"),
        (
            *(
                Native(n, "avx512vnni", f"llvm.x86.avx512.vpdpwssd.{32 * n}", True, f"<{n} x i32>")
                for n in (16, 8, 4)
            ),
            Native(16, "avx512bw", "llvm.x86.avx512.pmaddw.d.512", False, "<32 x i16>"),
            Native(8, "avx2", "llvm.x86.avx2.pmadd.wd", False, "<16 x i16>"),
            Native(4, "sse2", "llvm.x86.sse2.pmadd.wd", False, "<8 x i16>"),
        ),
    ),
}


def expand(tiles: Registers, op: IntrinsicOp, position: Position) -> str:
    """One register of the result."""
    lowering = LOWERINGS[op.intrinsic.data]
    acc = tiles.vector(op.acc, position)
    has = set(tiles.target.features.split(","))
    for native in lowering.natives:
        if native.width == position.width and f"+{native.feature}" in has:
            return _native(tiles, op, position, native, acc)
    vector = f"<{position.width} x i32>" if position.width > 1 else "i32"
    for term in range(lowering.terms):
        at = _at_term(op, position, term)
        factors: list[str] = []
        for value, cast in zip(op.args, lowering.extend, strict=True):
            scalar = scalar_type(tile_type(value).element_type)
            source = f"<{position.width} x {scalar}>" if position.width > 1 else scalar
            part = tiles.vector(value, at)
            factors.append(tiles.writer.define(f"{cast} {source} {part} to {vector}"))
        product = tiles.writer.define(f"mul {vector} {factors[0]}, {factors[1]}")
        acc = tiles.writer.define(f"add {vector} {acc}, {product}")
    return acc


def _native(tiles: Registers, op: IntrinsicOp, position: Position, native: Native, acc: str) -> str:
    vector, writer = f"<{position.width} x i32>", tiles.writer
    factors: list[tuple[str, str]] = []
    for value in op.args:
        whole = _neighbours(tiles, op, value, position)
        if native.operand != vector:
            whole = writer.define(f"bitcast {vector} {whole} to {native.operand}")
        factors.append((native.operand, whole))
    if native.accumulates:
        return writer.call(vector, native.symbol, [(vector, acc), *factors])
    product = writer.call(vector, native.symbol, factors)
    return writer.define(f"add {vector} {acc}, {product}")


def _at_term(op: IntrinsicOp, position: Position, term: int) -> Position:
    axes = tuple(sorted([*position.axes, (op.labels.data[1].data, term)]))
    return Position(axes, position.offset, position.width)


def _neighbours(tiles: Registers, op: IntrinsicOp, value: SSAValue, position: Position) -> str:
    """All terms of each lane side by side, as a vector of 32-bit lanes."""
    terms = LOWERINGS[op.intrinsic.data].terms
    type_ = tile_type(value)
    scalar = scalar_type(type_.element_type)
    own = [tiles.own(type_, _at_term(op, position, term)) for term in range(terms)]
    width = own[0].width
    writer = tiles.writer
    key = ("neighbours", value, own[0], position.width)
    if (known := writer.recall(key)) is not None:
        return known
    lanes = f"<{width} x i32>" if width > 1 else "i32"
    name = _load_together(tiles, value, own, lanes)
    if name is None:
        name = _interleave(tiles, [tiles.register(value, at) for at in own], scalar, width)
        name = writer.define(f"bitcast <{terms * width} x {scalar}> {name} to {lanes}")
    if width == 1:
        name = splat(writer, name, "i32", position.width)
    writer.scope.memo[key] = name
    return name


def _load_together(
    tiles: Registers, value: SSAValue, own: list[Position], type_: str
) -> str | None:
    """One load, where the terms of each lane lie side by side in memory."""
    load = value.owner
    if not isinstance(load, LoadOp) or load.mask is not None or load.indices:
        return None
    if any(tiles.writer.recall((value, at)) is not None for at in own):
        return None  # it has been loaded, perhaps before a store
    access, known = tiles.access(load), tiles.indices.known()
    exprs = [access.at(at) for at in own]
    width = own[0].width
    strides = {lane_stride(split_constant(expr)[0]) if width > 1 else len(own) for expr in exprs}
    if strides != {len(own)}:
        return None
    if any(simplify(e - exprs[0], known) != const(term) for term, e in enumerate(exprs)):
        return None
    base = simplify(exprs[0] - LANE * len(own), known) if width > 1 else exprs[0]
    pointer = tiles.memory.address(access, base, [])
    return tiles.writer.define(f"load {type_}, ptr {pointer}, align {access.bytes}")


def _interleave(tiles: Registers, parts: list[str], scalar: str, width: int) -> str:
    """`<w x T>` for each term to `<terms * w x T>`, lane by lane."""
    writer = tiles.writer
    if width == 1:
        whole = "poison"
        for term, part in enumerate(parts):
            text = f"insertelement <{len(parts)} x {scalar}> {whole}, {scalar} {part}, i32 {term}"
            whole = writer.define(text)
        return whole
    total = len(parts) * width
    joined = parts
    size = width
    while len(joined) > 1:
        type_, mask = f"<{size} x {scalar}>", _mask(range(2 * size))
        joined = [
            writer.define(f"shufflevector {type_} {a}, {type_} {b}, {mask}")
            for a, b in zip(joined[::2], joined[1::2], strict=True)
        ]
        size *= 2
    type_ = f"<{total} x {scalar}>"
    order = [term * width + lane for lane in range(width) for term in range(len(parts))]
    return writer.define(f"shufflevector {type_} {joined[0]}, {type_} poison, {_mask(order)}")


def _mask(order: range | list[int]) -> str:
    return f"<{len(order)} x i32> <{', '.join(f'i32 {at}' for at in order)}>"
