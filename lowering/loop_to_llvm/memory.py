"""Loads and stores of one register: address, lanes, mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import copysign, prod

from xdsl.ir import SSAValue
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineExpr,
    AffineSymExpr,
)

from ...core.affine import dim, linear_terms, simplify, substitute, used
from ...dialects.loop import BufferType, LoadOp, StoreOp, TileType, buffer_type
from .indices import LANE, Guard, Indices, Position, floored, lane_stride, split_constant
from .lane_indices import LaneIndices
from .places import Places
from .strided import MAX_STRIDE, gathered, mask_of_vector, starts
from .text import (
    FunctionWriter,
    element_bytes,
    literal,
    mangled,
    register_value,
    scalar_type,
    splat,
    splat_literal,
    vector_type,
)
from .transpose import transposed

ZERO_BYTES = 4096
"""How far inner loops may move through the zeros."""
LARGEST_LOAD = 64


def strides(type_: BufferType) -> list[int]:
    """Elements between neighbours along each physical dimension."""
    shape = type_.physical_shape
    return [prod(shape[i + 1 :]) for i in range(len(shape))]


@dataclass
class Access:
    """Where a load or store goes: the element offset, over the op's own dimensions.

    Attributes:
        offset: elements from the start of the buffer; symbols are opaque indices.
        pointer: LLVM name of the buffer.
        bytes, size: of one element, of the whole buffer.
    """

    indices: Indices
    offset: AffineExpr
    places: Places
    pointer: str
    bytes: int
    size: int

    @staticmethod
    def of(op: LoadOp | StoreOp, tile: TileType, indices: Indices, pointer: str) -> Access:
        """Analyse one op."""
        buffer = buffer_type(op.source if isinstance(op, LoadOp) else op.dest)
        logical = list(op.map.data.results)
        physical = [substitute(expr, logical) for expr in buffer.layout_map.results]
        offset = sum(
            (expr * stride for expr, stride in zip(physical, strides(buffer), strict=True)),
            start=dim(0) * 0,
        )
        return Access(
            indices,
            offset,
            Places([offset], indices.dims(op.ivs), tile),
            pointer,
            element_bytes(buffer.element_type),
            buffer.num_elements * element_bytes(buffer.element_type),
        )

    def at(self, position: Position) -> AffineExpr:
        """The element offset of one register; dimension 0 is the lane."""
        return self.places.at(position, self.indices.known(position.width))[0]

    @cached_property
    def transposed_axis(self) -> str | None:
        """The register axis along which elements are neighbours while those of lanes are not."""
        terms, labels = linear_terms(self.offset), self.places.labels
        strides: dict[str, int] = {}
        lanes: str | None = None
        for number, (label, is_lanes) in enumerate(labels, len(self.places.loop_dims)):
            others = (term for term in terms if term is not None and term != dim(number))
            if not any(number in used(term)[0] for term in others):
                strides[label] = terms.get(dim(number), 0)
            lanes = label if is_lanes else lanes
        if lanes is None or strides.get(lanes, 0) in (0, 1):
            return None
        return next((label for label, stride in strides.items() if stride == 1), None)


class Memory:
    """Writes loads and stores.

    Args:
        index: gives the value (i64) of an opaque index tile at a position of one lane.
        has_masks: whether masked loads run at full speed.
    """

    def __init__(
        self,
        writer: FunctionWriter,
        lanes: LaneIndices,
        index: Callable[[SSAValue, Position], str],
        has_masks: bool,
    ):
        self.writer = writer
        self.has_masks = has_masks
        self.lanes = lanes
        self.indices = lanes.indices
        self.index = index

    def address(
        self,
        access: Access,
        expr: AffineExpr,
        opaque: Sequence[str],
        guard: str | None = None,
        zeros: bool = False,
    ) -> str:
        """A pointer to the element at `expr` (no lanes in it).

        Where `guard` fails it points to any element, or with `zeros` to zeros.
        """
        terms, constant = split_constant(expr)
        dynamic = {term: factor for term, factor in terms.items() if used(term)[1]}
        static = {t: f * access.bytes for t, f in terms.items() if t not in dynamic}
        if not dynamic and (guard is None or guard in self.indices.conditions):
            chosen = None
            if guard is not None:
                base, size = (self.zeros(), ZERO_BYTES) if zeros else (access.pointer, access.size)
                chosen = Guard(guard, base, size)
            return self.indices.pointer(access.pointer, static, constant * access.bytes, chosen)
        pointer = self.indices.pointer(access.pointer, static, constant * access.bytes)
        if dynamic:
            offset = self.writer.define(f"mul i64 {self._sum(dynamic, opaque)}, {access.bytes}")
            pointer = self.writer.define(f"getelementptr i8, ptr {pointer}, i64 {offset}")
        if guard is None:
            return pointer
        return self.writer.define(f"select i1 {guard}, ptr {pointer}, ptr {access.pointer}")

    def zeros(self) -> str:
        """Constant memory of zeros: what guarded loads read outside, instead of choosing later."""
        self.writer.declarations["nnc.zeros"] = (
            f"@nnc.zeros = private constant [{ZERO_BYTES + LARGEST_LOAD} x i8] zeroinitializer, "
            "align 64"
        )
        return "@nnc.zeros"

    def reads_zeros(self, op: LoadOp, mask: str, fill: float | None) -> bool:
        """Whether a load that one condition guards may read zeros where it fails."""
        is_zero = fill is None or (fill == 0 and copysign(1, fill) > 0)
        return mask in self.indices.conditions and is_zero and not op.indices

    def _sum(self, terms: dict[AffineExpr, int], opaque: Sequence[str]) -> str:
        total: str | None = None
        for term, factor in terms.items():
            value = self.opaque_value(term, opaque)
            scaled = value if factor == 1 else self.writer.define(f"mul i64 {value}, {factor}")
            total = scaled if total is None else self.writer.define(f"add i64 {total}, {scaled}")
        assert total is not None
        return total

    def opaque_value(self, term: AffineExpr, opaque: Sequence[str]) -> str:
        """The value of an expression with opaque indices in it."""
        if isinstance(term, AffineSymExpr):
            return opaque[term.position]
        if isinstance(term, AffineConstantExpr):
            return str(term.value)
        if not isinstance(term, AffineBinaryOpExpr):
            return self.indices.atom(term)
        lhs = self.opaque_value(term.lhs, opaque)
        if term.kind in (AffineBinaryOpKind.FloorDiv, AffineBinaryOpKind.Mod):
            return floored(self.writer.define, term, lhs)
        rhs = self.opaque_value(term.rhs, opaque)
        name = {AffineBinaryOpKind.Add: "add", AffineBinaryOpKind.Mul: "mul"}[term.kind]
        return self.writer.define(f"{name} i64 {lhs}, {rhs}")

    def opaque(self, op: LoadOp | StoreOp, position: Position) -> list[str]:
        """Values of the opaque indices for one lane."""
        return [self.index(value, position) for value in op.indices]

    def is_uniform(self, op: LoadOp | StoreOp) -> bool:
        """Whether all lanes share the opaque indices."""
        return not any(
            isinstance(value.type, TileType) and value.type.lanes is not None
            for value in op.indices
        )

    # Loads.

    def load(self, op: LoadOp, access: Access, position: Position, mask: str) -> str:
        """One register of a load. `mask` is "true", "false", an i1 or a vector of them."""
        element = buffer_type(op.source).element_type
        fill: float | None = getattr(getattr(op.fill, "value", None), "data", None)
        scalar = scalar_type(element)
        if fill is not None:
            fill = register_value(fill, element)
        if mask == "false":
            return splat_literal(0 if fill is None else fill, scalar, position.width)
        expr = access.at(position)
        if position.width == 1 and not self.reads_zeros(op, mask, fill):
            return self.scalar_load(access, expr, self.opaque(op, position), scalar, mask, fill)
        stride = lane_stride(split_constant(expr)[0]) if self.is_uniform(op) else None
        if position.width == 1 or (stride == 1 and self.reads_zeros(op, mask, fill)):
            base = simplify(expr - LANE, self.indices.known()) if position.width > 1 else expr
            pointer = self.address(access, base, [], mask, zeros=True)
            return self.vector_load(pointer, scalar, position.width, "true", fill, access.bytes)
        if stride == 1:
            base = simplify(expr - LANE, self.indices.known())
            pointer = self.address(access, base, self.opaque(op, position.lane(0)))
            return self.vector_load(pointer, scalar, position.width, mask, fill, access.bytes)
        if stride == 0 and (mask == "true" or self.is_scalar_mask(mask)):
            opaque = self.opaque(op, position.lane(0))
            value = self.scalar_load(access, expr, opaque, scalar, mask, fill)
            return splat(self.writer, value, scalar, position.width)
        is_strided = stride is not None and 1 < stride <= MAX_STRIDE and scalar != "i1"
        if is_strided and (mask == "true" or self.has_masks):
            return self.strided(op, access, position, stride or 1, mask)
        return self.gather(op, access, position, scalar, mask, fill)

    def strided(
        self, op: LoadOp, access: Access, position: Position, stride: int, mask: str
    ) -> str:
        """Lanes a few elements apart."""
        fill: float | None = getattr(getattr(op.fill, "value", None), "data", None)
        element = buffer_type(op.source).element_type
        scalar, width = scalar_type(element), position.width
        base = simplify(access.at(position) - LANE * stride, self.indices.known())
        opaque = self.opaque(op, position.lane(0))
        flags = mask if mask == "true" else self.lanes.vector_mask(mask, width)
        vectors: list[str] = []
        for start in starts(stride, width):
            part = flags
            if mask != "true":
                part = mask_of_vector(self.writer, flags, start, stride, width)
            pointer = self.address(access, base + start, opaque)
            vectors.append(self.vector_load(pointer, scalar, width, part, None, access.bytes))
        type_ = vector_type(scalar, width)
        value = gathered(self.writer, vectors, type_, width)
        if mask == "true" or fill is None:
            return value
        rest = splat_literal(register_value(fill, element), scalar, width)
        return self.writer.define(f"select <{width} x i1> {flags}, {type_} {value}, {type_} {rest}")

    def across(self, op: LoadOp, access: Access, rows: Sequence[Position]) -> list[str]:
        """Registers whose lanes lie far apart, but lane by lane next to each other."""
        scalar = scalar_type(buffer_type(op.source).element_type)
        memory = "i8" if scalar == "i1" else scalar
        width = rows[0].width
        vectors: list[str] = []
        for lane in range(width):
            pointer = self.address(access, access.at(rows[0].lane(lane)), [])
            text = f"load {vector_type(memory, len(rows))}, ptr {pointer}, align {access.bytes}"
            vectors.append(self.writer.define(text))
        names = transposed(self.writer, vectors, memory, len(rows))
        if scalar != "i1":
            return names
        type_ = vector_type(memory, width)
        return [self.writer.define(f"icmp ne {type_} {n}, zeroinitializer") for n in names]

    def gather(
        self,
        op: LoadOp,
        access: Access,
        position: Position,
        scalar: str,
        mask: str,
        fill: float | None,
    ) -> str:
        """Lane by lane."""
        type_ = vector_type(scalar, position.width)
        result = "poison"
        for lane in range(position.width):
            one = position.lane(lane)
            flag = self.lane_of_mask(mask, lane, position.width)
            value = self.scalar_load(
                access, access.at(one), self.opaque(op, one), scalar, flag, fill
            )
            result = self.writer.define(
                f"insertelement {type_} {result}, {scalar} {value}, i32 {lane}"
            )
        return result

    def lane_of_mask(self, mask: str, lane: int, width: int) -> str:
        """One lane of a mask; a mask for all lanes is its own."""
        if mask == "true" or self.is_scalar_mask(mask):
            return mask
        return self.writer.define(f"extractelement <{width} x i1> {mask}, i32 {lane}")

    def is_scalar_mask(self, mask: str) -> bool:
        """Whether a mask is one i1 for all lanes."""
        return mask in self.indices.conditions

    def scalar_load(
        self,
        access: Access,
        expr: AffineExpr,
        opaque: Sequence[str],
        scalar: str,
        mask: str,
        fill: float | None,
    ) -> str:
        """One element; where the mask is false it is `fill`, or another one without `fill`."""
        pointer = self.address(access, expr, opaque, None if mask == "true" else mask)
        memory = "i8" if scalar == "i1" else scalar
        value = self.writer.define(f"load {memory}, ptr {pointer}, align {access.bytes}")
        if scalar == "i1":
            value = self.writer.define(f"icmp ne i8 {value}, 0")
        if mask == "true" or fill is None:
            return value
        text = f"select i1 {mask}, {scalar} {value}, {scalar} {literal(fill, scalar)}"
        return self.writer.define(text)

    def vector_load(
        self, pointer: str, scalar: str, width: int, mask: str, fill: float | None, align: int
    ) -> str:
        """Neighbouring elements."""
        memory = "i8" if scalar == "i1" else scalar
        type_ = vector_type(memory, width)
        if mask == "true":
            value = self.writer.define(f"load {type_}, ptr {pointer}, align {align}")
        else:
            flags = self.lanes.vector_mask(mask, width)
            rest = splat_literal(0 if fill is None else fill, memory, width)
            value = self.writer.call(
                type_,
                f"llvm.masked.load.{mangled(type_)}.p0",
                [
                    ("ptr", pointer),
                    ("i32", str(align)),
                    (f"<{width} x i1>", flags),
                    (type_, rest),
                ],
            )
        if scalar != "i1":
            return value
        zero = splat_literal(0, "i8", width)
        return self.writer.define(f"icmp ne {type_} {value}, {zero}")

    # Stores.

    def store(self, op: StoreOp, access: Access, position: Position, value: str, mask: str) -> None:
        """One register of a store."""
        if mask == "false":
            return
        element = buffer_type(op.dest).element_type
        scalar = scalar_type(element)
        memory = "i8" if scalar == "i1" else scalar
        if scalar == "i1":
            source = vector_type("i1", position.width)
            value = self.writer.define(
                f"zext {source} {value} to {vector_type('i8', position.width)}"
            )
        expr = access.at(position)
        if position.width == 1:
            pointer = self.address(access, expr, self.opaque(op, position))
            self.guarded(mask, f"store {memory} {value}, ptr {pointer}, align {access.bytes}")
            return
        stride = lane_stride(split_constant(expr)[0]) if self.is_uniform(op) else None
        type_ = vector_type(memory, position.width)
        if stride != 1:
            self.scatter(op, access, position, value, mask, memory)
            return
        base = simplify(expr - LANE, self.indices.known())
        pointer = self.address(access, base, self.opaque(op, position.lane(0)))
        if mask == "true" or self.is_scalar_mask(mask):
            self.guarded(mask, f"store {type_} {value}, ptr {pointer}, align {access.bytes}")
            return
        self.writer.call(
            "void",
            f"llvm.masked.store.{mangled(type_)}.p0",
            [
                (type_, value),
                ("ptr", pointer),
                ("i32", str(access.bytes)),
                (f"<{position.width} x i1>", mask),
            ],
        )

    def scatter(
        self, op: StoreOp, access: Access, position: Position, value: str, mask: str, memory: str
    ) -> None:
        """Lane by lane."""
        type_ = vector_type(memory, position.width)
        for lane in range(position.width):
            one = position.lane(lane)
            flag = self.lane_of_mask(mask, lane, position.width)
            item = self.writer.define(f"extractelement {type_} {value}, i32 {lane}")
            pointer = self.address(access, access.at(one), self.opaque(op, one))
            self.guarded(flag, f"store {memory} {item}, ptr {pointer}, align {access.bytes}")

    def guarded(self, mask: str, text: str) -> None:
        """An instruction that runs where a scalar mask holds."""
        if mask == "true":
            self.writer.line(text)
            return
        then, join = self.writer.fresh_label("then"), self.writer.fresh_label("join")
        self.writer.line(f"br i1 {mask}, label %{then}, label %{join}")
        self.writer.start_block(then)
        self.writer.line(text)
        self.writer.line(f"br label %{join}")
        self.writer.start_block(join)
