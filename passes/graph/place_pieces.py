"""place-pieces: pieces are written where they will lie together, parts are read where they are.

A concatenation whose pieces lie one after the other in memory moves nothing if each producer writes
into its range of the result; a slice or split whose results are ranges of the operand moves nothing
at all. Such a kernel becomes a bare operator marked `in_place`, which makes no code: the plan of
the program gives its values their places (lowering/program).

    %0 = graph.kernel @conv(%x, %w) ... : tensor<1x32x8x8xf32, blocked>
    %1 = graph.kernel @max_pool(%x) ... : tensor<1x16x8x8xf32, blocked>
    %2 = graph.kernel @concat(%0, %1) ... : tensor<1x48x8x8xf32, blocked>
->
    %0 = graph.kernel @conv(%x, %w) ... : tensor<1x32x8x8xf32, blocked>
    %1 = graph.kernel @max_pool(%x) ... : tensor<1x16x8x8xf32, blocked>
    %2 = graph.concat(%0, %1) {axis = 1, in_place} : tensor<1x48x8x8xf32, blocked>

A piece that must stay where it is (an input, a constant, what the caller or a host step sees, a
part of two results) is copied by a kernel of its own, where that is less than copying all. Runs
after `assign-layouts`, on static shapes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, BlockArgument, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from ...core.explain import why_not
from ...core.names import fresh
from ...core.passes import Statistic
from ...core.walk import walk
from ...dialects.graph.base import ConstantOp, KernelOp, Pattern, YieldOp
from ...dialects.graph.elementwise import IdentityOp
from ...dialects.graph.pieces import ConcatOp, SliceOp, SplitOp
from .places import Places, Range, elements, joined, mark_in_place, parts

PLACED = Statistic("placed piece", "pieces that are written where they will lie")
COPIED = Statistic("copied piece", "pieces that must stay where they are")
PARTS = Statistic("cut in place", "slices and splits that move nothing")
LAUNCH_ELEMENTS = 1024
"""How many elements are copied in the time that one more kernel costs."""


@dataclass
class _Join:
    """A concatenation without a kernel of its own; the pieces at `copied` are copied."""

    kernel: KernelOp
    op: ConcatOp
    copied: set[int]


class _Pieces:
    """The kernels of one block that only move pieces."""

    def __init__(self, block: Block, names: set[str]):
        self.block = block
        self.names = names
        self.places = Places(block)
        self.joins: list[_Join] = []
        self.cuts: list[tuple[KernelOp, SliceOp | SplitOp]] = []

    def run(self) -> None:
        """Decide in program order, then change."""
        for op in self.block.ops:
            only = _only_operator(op)
            if isinstance(op, KernelOp) and isinstance(only, ConcatOp):
                self.consider_join(op, only)
            elif isinstance(op, KernelOp) and isinstance(only, SliceOp | SplitOp):
                self.consider_cut(op, only)
            else:
                self.places.visit(op)
        for join in self.joins:
            self.make_join(join)
        for kernel, op in self.cuts:
            _unwrap(kernel, op, {})
            PARTS.add()

    def consider_join(self, kernel: KernelOp, op: ConcatOp) -> None:
        """Place the pieces that can be placed, if that saves something."""
        found = joined(op)
        if found is None:
            why_not(op, "its pieces do not lie one after the other in memory")
            return
        result = kernel.results[0]
        ranges = [Range(_outside(kernel, piece.value), piece.offset) for piece in found]
        refused = self.places.refused(result, ranges)
        saved = elements(result.type) - sum(piece.size for piece in refused)
        if saved <= LAUNCH_ELEMENTS * max(len(refused) - 1, 0) or not saved:
            why_not(op, "most of its pieces must stay where they are")
            return
        self.places.take(result, [piece for piece in ranges if piece not in refused])
        copied = {number for number, piece in enumerate(ranges) if piece in refused}
        self.joins.append(_Join(kernel, op, copied))

    def consider_cut(self, kernel: KernelOp, op: SliceOp | SplitOp) -> None:
        """Let the results be ranges of the operand."""
        found = parts(op)
        if found is None:
            why_not(op, "a part of it is not one range of memory")
            return
        offsets = {part.value: part.offset for part in found}
        results = [
            Range(result, offsets[inner])
            for result, inner in zip(kernel.results, _yielded(kernel), strict=True)
        ]
        if self.places.cut(_outside(kernel, op.data), results):
            self.cuts.append((kernel, op))
        else:
            why_not(op, "its result has memory of its own, for the caller or a host step")

    def make_join(self, join: _Join) -> None:
        """Put the concatenation where its kernel is, copies of what is not placed before it."""
        copies: dict[int, SSAValue] = {}
        for number in join.copied:
            source = _lifted(_outside(join.kernel, join.op.inputs[number]), join.kernel)
            copies[number] = self.copy(source, join.kernel)
            COPIED.add()
        PLACED.add(len(join.op.inputs) - len(copies))
        _unwrap(join.kernel, join.op, copies)

    def copy(self, value: SSAValue, user: KernelOp) -> SSAValue:
        """A kernel that copies a value, before `user`."""
        name = fresh("copy", self.names)
        self.names.add(name)
        kernel = KernelOp(name, [value], [value.type])
        identity = IdentityOp.of(kernel.body.block.args[0])
        Rewriter.replace_value_with_new_type(identity.results[0], value.type)
        end = YieldOp(identity.results[0])
        kernel.body.block.add_ops([identity, end])
        kernel.pattern = StringAttr(Pattern.ELEMWISE.name.lower())
        for op in (kernel, identity, end):
            op.location = user.location
        self.block.insert_op_before(kernel, user)
        kernel.results[0].name_hint = value.name_hint
        return kernel.results[0]


def _only_operator(op: Operation) -> Operation | None:
    """The one operator of a kernel, constants aside."""
    if not isinstance(op, KernelOp):
        return None
    ops = [inner for inner in op.body.block.ops if not isinstance(inner, ConstantOp | YieldOp)]
    return ops[0] if len(ops) == 1 else None


def _yielded(kernel: KernelOp) -> Sequence[SSAValue]:
    last = kernel.body.block.last_op
    assert last is not None
    return last.operands


def _outside(kernel: KernelOp, value: SSAValue) -> SSAValue:
    """What an argument of a kernel stands for; a constant inside it stands for itself."""
    return kernel.args[value.index] if isinstance(value, BlockArgument) else value


def _lifted(value: SSAValue, kernel: KernelOp) -> SSAValue:
    """The value, or a copy in front of the kernel of a constant that stands inside."""
    if not isinstance(value.owner, ConstantOp) or value.owner.parent is not kernel.body.block:
        return value
    constant = value.owner.clone()
    Rewriter.insert_op(constant, InsertPoint.before(kernel))
    return constant.res


def _unwrap(kernel: KernelOp, op: Operation, copies: dict[int, SSAValue]) -> None:
    """Put the one operator of a kernel in its place, marked; some operands are replaced."""
    point = InsertPoint.before(kernel)
    operands = [
        copies[number] if number in copies else _lifted(_outside(kernel, value), kernel)
        for number, value in enumerate(op.operands)
    ]
    results = list(_yielded(kernel))
    new = op.clone()
    new.operands = operands
    new.location = kernel.location
    mark_in_place(new)
    Rewriter.insert_op(new, point)
    for old, inner in zip(kernel.results, results, strict=True):
        made = new.results[op.results.index(inner)]
        made.name_hint = old.name_hint
        old.replace_all_uses_with(made)
    Rewriter.erase_op(kernel)


@dataclass(frozen=True)
class PlacePiecesPass(ModulePass):
    """Concatenations, slices and splits that only name memory, where the memory allows it."""

    name = "place-pieces"
    statistics = (PLACED, COPIED, PARTS)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        names = {inner.sym_name.data for inner in walk(op) if isinstance(inner, KernelOp)}
        for function in op.ops:
            if isinstance(function, FuncOp) and function.body.blocks:
                _Pieces(function.body.block, names).run()
