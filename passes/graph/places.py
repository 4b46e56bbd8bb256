"""Where the values of a function lie: in memory of their own, or inside that of another value.

Three kinds of operators make no memory. A view (reshape ...) is its operand's memory under another
shape. A *part*, a `graph.slice` or `graph.split` marked `in_place`, is a range of it. A *join*, a
`graph.concat` marked `in_place`, is memory that its operands' producers fill, each its own range:

    %0 = graph.kernel @conv(...) : tensor<1x32x8x8xf32>       at 0 of %2
    %1 = graph.kernel @pool(...) : tensor<1x16x8x8xf32>       at 2048 of %2
    %2 = graph.concat(%0, %1) {axis = 1, in_place} : tensor<1x48x8x8xf32>

`place-pieces` sets the marks where this holds, the plan of the program then places the memory; both
ask `Places`. All offsets are in elements.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.dialects.builtin import AffineMapAttr, UnitAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineDimExpr,
    AffineExpr,
)

from ...core.affine import used
from ...core.dtypes import numpy_dtype
from ...core.errors import PassError
from ...core.irtypes import tensor_element, tensor_shape
from ...core.locations import describe
from ...dialects.buffers import buffer_of
from ...dialects.graph.base import ConstantOp, KernelOp
from ...dialects.graph.movement import RelayoutOp
from ...dialects.graph.pieces import ConcatOp, SliceOp, SplitOp
from ...dialects.graph.types import dims, is_ranked, layout
from ...dialects.te import CallOp

VIEWS = frozenset(
    f"graph.{name}" for name in ("flatten", "identity", "reshape", "squeeze", "unsqueeze")
)
"""Operators whose result is their first operand's memory under another shape."""
IN_PLACE = "in_place"
"""The mark of a join or part, a unit attribute."""
Kind = AffineBinaryOpKind


def is_in_place(op: Operation) -> bool:
    """Whether an operator is marked to make no memory."""
    return IN_PLACE in op.attributes


def mark_in_place(op: Operation) -> None:
    """Mark a concat, slice or split."""
    op.attributes[IN_PLACE] = UnitAttr()


def is_static(value: SSAValue) -> bool:
    """Whether all extents are known."""
    extents = dims(value.type) if is_ranked(value.type) else None
    return extents is not None and all(isinstance(extent, int) for extent in extents)


def elements(type_: Attribute) -> int:
    """Physical elements of a tensor of known shape, the padding of its layout included."""
    return buffer_of(type_).num_elements


def tensor_bytes(value: SSAValue) -> int:
    """Bytes of a value of known shape, the padding of its layout included."""
    return elements(value.type) * numpy_dtype(tensor_element(value.type)).itemsize


@dataclass(frozen=True)
class Range:
    """Elements of a larger value's memory that a value is, from `offset` on."""

    value: SSAValue
    offset: int

    @property
    def size(self) -> int:
        """Physical elements."""
        return elements(self.value.type)


def joined(op: ConcatOp) -> list[Range] | None:
    """Where the operands lie in the result, `None` if they do not lie there in one piece each."""
    if not all(is_static(value) for value in (*op.inputs, op.res)):
        return None
    axis, start = op.axis.value.data % len(tensor_shape(op.res.type)), 0
    ranges: list[Range] = []
    for value in op.inputs:
        offset = offset_along(op.res.type, value.type, axis, start)
        if offset is None or (ranges and offset != ranges[-1].offset + ranges[-1].size):
            return None
        ranges.append(Range(value, offset))
        start += tensor_shape(value.type)[axis]
    total = ranges[-1].offset + ranges[-1].size if ranges else 0
    return ranges if total == elements(op.res.type) else None


def parts(op: SliceOp | SplitOp) -> list[Range] | None:
    """Where the results lie in the operand, `None` if one is not a range of its memory."""
    if not all(is_static(value) for value in (op.data, *op.results)):
        return None
    found = _slice_start(op) if isinstance(op, SliceOp) else _split_starts(op)
    if found is None:
        return None
    axis, starts = found
    ranges: list[Range] = []
    for result, start in zip(op.results, starts, strict=True):
        offset = offset_along(op.data.type, result.type, axis, start)
        if offset is None:
            return None
        ranges.append(Range(result, offset))
    return ranges


def _slice_start(op: SliceOp) -> tuple[int, Sequence[int]] | None:
    """(the one axis that is cut, where the result starts); `None` for steps and several axes."""
    before, after = tensor_shape(op.data.type), tensor_shape(op.res.type)
    starts = [op.first_along(axis) for axis in range(len(before))]
    cut = [axis for axis in range(len(before)) if before[axis] != after[axis]]
    if len(cut) > 1 or None in starts:
        return None
    axis = cut[0] if cut else 0
    start = starts[axis]
    return None if start is None else (axis, [start])


def _split_starts(op: SplitOp) -> tuple[int, Sequence[int]]:
    axis = op.axis.value.data % len(tensor_shape(op.data.type))
    extents = [tensor_shape(result.type)[axis] for result in op.results]
    return axis, [sum(extents[:i]) for i in range(len(extents))]


def offset_along(whole: Attribute, piece: Attribute, axis: int, start: int) -> int | None:
    """Where `piece` begins, which is `whole` from `start` on along `axis`, if it is one range.

    It is where nothing but extents of 1 stands before the axis in memory, and where it begins with
    a block if the axis lies in blocks.
    """
    if layout(whole) != layout(piece) or not elements(piece):
        return None
    outer, inner = buffer_of(whole).physical_shape, buffer_of(piece).physical_shape
    blocks = _blocks(whole, axis)
    if blocks is None:
        return None
    position, block = blocks
    if outer[position + 1 :] != inner[position + 1 :] or start % block:
        return None
    if any(extent != 1 for extent in outer[:position]):
        return None
    return start // block * prod(outer[position + 1 :])


def _blocks(type_: Attribute, axis: int) -> tuple[int, int] | None:
    """(physical dimension that counts along `axis`, how many at a time), if there is one such."""
    form = layout(type_)
    if not isinstance(form, AffineMapAttr):
        return axis, 1
    counting: list[tuple[int, int]] = []
    within: list[int] = []
    for position, expr in enumerate(form.data.results):
        if axis not in used(expr)[0]:
            continue
        kind, block = _step(expr)
        if kind is None:
            return None
        if kind is Kind.FloorDiv:
            counting.append((position, block))
        else:
            within.append(block)
    if len(counting) != 1 or within != ([counting[0][1]] if counting[0][1] != 1 else []):
        return None
    return counting[0]


def _step(expr: AffineExpr) -> tuple[AffineBinaryOpKind | None, int]:
    """Whether an index counts blocks or runs within one, and their size."""
    if isinstance(expr, AffineDimExpr):
        return Kind.FloorDiv, 1
    if (
        isinstance(expr, AffineBinaryOpExpr)
        and expr.kind in (Kind.FloorDiv, Kind.Mod)
        and isinstance(expr.lhs, AffineDimExpr)
        and isinstance(expr.rhs, AffineConstantExpr)
    ):
        return expr.kind, expr.rhs.value
    return None, 0


class Places:
    """In which value's memory each value of a block lies.

    Values that others than kernels read or make (the caller, host steps) are seen from outside and
    have memory of their own, and so have constants.

    Attributes:
        inside: (value, offset) in which a value lies, for those without memory of their own.
    """

    def __init__(self, block: Block):
        self.inside: dict[SSAValue, tuple[SSAValue, int]] = {}
        self._seen: set[SSAValue] = set(block.args)
        self._segments: dict[SSAValue, set[int]] = {}
        """Between which host steps the memory of a value is written."""
        self._find_seen(block)

    @staticmethod
    def of(block: Block) -> Places:
        """The places of all values; what is marked is taken as it is marked.

        Raises: PassError: a mark where the memory cannot be shared.
        """
        places = Places(block)
        for op in block.ops:
            if not places.visit(op) and is_in_place(op):
                raise PassError(
                    f"{op.name} is marked {IN_PLACE}, but its memory cannot be that of its operand",
                    where=describe(op),
                    hint="take the mark away; place-pieces sets it where it holds",
                )
        return places

    def visit(self, op: Operation) -> bool:
        """Take note of an operator, in program order; whether it makes no memory."""
        if is_memory_view(op):
            self.inside[op.results[0]] = (op.operands[0], 0)
            return True
        if is_in_place(op) and isinstance(op, ConcatOp):
            ranges = joined(op)
            return ranges is not None and self.join(op.res, ranges)
        if is_in_place(op) and isinstance(op, SliceOp | SplitOp):
            ranges = parts(op)
            return ranges is not None and self.cut(op.data, ranges)
        return False

    def root(self, value: SSAValue) -> tuple[SSAValue, int]:
        """The value with memory of its own in which `value` lies, and at which element."""
        offset = 0
        while (found := self.inside.get(value)) is not None:
            value, offset = found[0], offset + found[1]
        return value, offset

    def cut(self, data: SSAValue, ranges: Sequence[Range]) -> bool:
        """Let parts lie in `data`, if nobody outside sees one and kernels do not pack the data."""
        seen = any(part.value in self._seen for part in ranges)
        if seen or isinstance(self.root(data)[0].owner, ConstantOp):
            return False
        for part in ranges:
            self.inside[part.value] = (data, part.offset)
        return True

    def join(self, result: SSAValue, ranges: Sequence[Range]) -> bool:
        """Let the pieces lie in `result`, if all of them can."""
        if self.refused(result, ranges):
            return False
        self.take(result, ranges)
        return True

    def take(self, result: SSAValue, ranges: Sequence[Range]) -> None:
        """Let pieces lie in `result` that are not refused."""
        segments = self._segments[result]
        for piece in ranges:
            root, offset = self.root(piece.value)
            if root is not result:
                segments |= self._segments[root]
                self.inside[root] = (result, piece.offset - offset)

    def refused(self, result: SSAValue, ranges: Sequence[Range]) -> list[Range]:
        """The pieces that cannot lie in `result`.

        The memory of a piece, with all that lies in it already, can be a range of the result if no
        other range must hold the same, and every element of it stands in the result.
        """
        found: dict[tuple[SSAValue, int], list[Range]] = {}
        for piece in ranges:
            root, offset = self.root(piece.value)
            found.setdefault((root, piece.offset - offset), []).append(piece)
        placed: set[SSAValue] = set()
        refused: list[Range] = []
        for (root, _), pieces in found.items():
            whole = sum(piece.size for piece in pieces) == elements(root.type)
            if whole and root not in placed and self._can_move(root, result):
                placed.add(root)
            else:
                refused += pieces
        return refused

    def _can_move(self, root: SSAValue, result: SSAValue) -> bool:
        if root in self._seen or isinstance(root.owner, ConstantOp | Block):
            return False
        # What the caller or a host step sees is filled by one entry function, not by several.
        return result not in self._seen or self._segments[root] <= self._segments[result]

    def _find_seen(self, block: Block) -> None:
        segment = 0
        for op in block.ops:
            if isinstance(op, ReturnOp) or not _is_compiled(op):
                segment += 1
                self._seen.update(op.results)
                operands = [value for inner in op.walk() for value in inner.operands]
                self._seen.update(_viewed(value) for value in operands)
            self._segments.update((result, {segment}) for result in op.results)


def _is_compiled(op: Operation) -> bool:
    """Whether no host step is needed for an operator of a function."""
    kinds = KernelOp | CallOp | RelayoutOp | ConstantOp
    return isinstance(op, kinds) or is_in_place(op) or is_memory_view(op)


def _viewed(value: SSAValue) -> SSAValue:
    """The value whose memory `value` is under another shape."""
    while isinstance(value.owner, Operation) and is_memory_view(value.owner):
        value = value.owner.operands[0]
    return value


def is_memory_view(op: Operation) -> bool:
    """Whether an operator of a function is its first operand's memory, whatever its shape."""
    return op.name in VIEWS and is_static(op.operands[0]) and is_static(op.results[0])
