"""fold-addends: a sum of products begins with what is added to it, instead of with zero.

    %z = loop.constant 0.0                            %b = loop.load %bias[j]
    %c = loop.for %k carry (%a = %z) {                %s = loop.pick %b[j] : tile<i: 8, j: 16 lanes>
      %n = loop.contract %l, %r, %a                   %c = loop.for %k carry (%a = %s) {
      loop.yield %n                           ->        %n = loop.contract %l, %r, %a
    }                                                   loop.yield %n
    %b = loop.load %bias[j]                           }
    %y = loop.addf %c, %b                             ... %c for %y ...

Registers that start as copies cost nothing, additions after the last product do: they delay the
next tile. The addend is one that rows of the tile share (a bias); one that has all of the tile's
axes would only be read earlier. It changes the order of a sum, so it is no part of strict numerics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.ir.affine import AffineMap

from ...core.affine import dim
from ...core.counters import may
from ...core.explain import why_not
from ...core.passes import OpPass, Statistic
from ...core.walk import erase
from ...dialects.loop import (
    ELEMENTWISE,
    ConstantOp,
    ContractOp,
    ForOp,
    KernelOp,
    LoadOp,
    PickOp,
    StoreOp,
    YieldOp,
    tile_type,
)

FOLDED = Statistic("folded addend", "sums that begin with what was added to them")


@dataclass(frozen=True)
class Sum:
    """A sum of products that a loop carries from zero, and the renaming of its axes after it."""

    loop: ForOp
    index: int
    pick: PickOp | None

    @staticmethod
    def of(value: SSAValue) -> Sum | None:
        """The sum whose only use `value` is, if it is one."""
        pick = value.owner if isinstance(value.owner, PickOp) else None
        if pick is not None:
            if not _is_renaming(pick) or not value.has_one_use():
                return None
            value = pick.value
        loop = value.owner
        if not isinstance(loop, ForOp) or not value.has_one_use():
            return None
        index = next(i for i, result in enumerate(loop.results) if result is value)
        return Sum(loop, index, pick) if _is_zero(loop.inits[index]) else None

    def axes_of(self, addend: LoadOp) -> AffineMap | None:
        """Where the addend's axes stand among those of the sum; None if it has all or others."""
        after = tile_type(self.pick.res if self.pick else self.loop.results[self.index])
        labels = [axis.label for axis in after.axes]
        own = [axis.label for axis in tile_type(addend.res).axes]
        if len(own) >= len(labels) or not set(own) <= set(labels):
            return None
        return AffineMap(len(labels), 0, tuple(dim(labels.index(label)) for label in own))


def _is_renaming(pick: PickOp) -> bool:
    map_ = pick.map.data
    return map_ == AffineMap.identity(map_.num_dims)


def _is_zero(value: SSAValue) -> bool:
    init = value.owner
    held = init.value if isinstance(init, ConstantOp) else None
    return isinstance(held, FloatAttr) and cast("FloatAttr[Any]", held).value.data == 0


def _adds_products(loop: ForOp, index: int) -> bool:
    """Whether a loop's carried value goes through contracts, and loops of such, to its yield."""
    value: SSAValue = loop.body.block.args[1 + index]
    while True:
        use = value.get_user_of_unique_use()
        if isinstance(use, ContractOp) and use.acc is value:
            value = use.res
        elif isinstance(use, ForOp) and value in use.inits:
            inner = list(use.inits).index(value)
            if not _adds_products(use, inner):
                return False
            value = use.results[inner]
        else:
            return isinstance(use, YieldOp) and use.operands[index] is value


def _can_stand_before(addend: LoadOp, loop: ForOp) -> bool:
    """Whether what is added is known where the loop begins, and the same there."""
    outer: Operation | None = loop
    around = {loop.parent}
    while not isinstance(outer, KernelOp):
        assert outer is not None
        outer = outer.parent_op()
        around.add(outer.parent if outer is not None else None)
    stores = (op for op in outer.walk() if isinstance(op, StoreOp))
    if addend.parent not in around or any(store.dest is addend.source for store in stores):
        return False
    return addend.parent is not loop.parent or all(
        not isinstance(operand.owner, Operation)
        or operand.owner.parent is not loop.parent
        or operand.owner.is_before_in_block(loop)
        for operand in addend.operands
    )


def fold_addends(block: Block) -> None:
    """Fold what rows share into the sums of a block and of the blocks in it."""
    for op in list(block.ops):
        for region in op.regions:
            fold_addends(region.block)
        if isinstance(op, ELEMENTWISE["arith.addf"]):
            lhs, rhs = op.args
            for value, addend in ((lhs, rhs), (rhs, lhs)):
                if (found := Sum.of(value)) is not None:
                    _fold(op, found, value, addend)
                    break


def _obstacle(found: Sum, addend: SSAValue) -> str | None:
    """Why a sum cannot begin with an addend, if so."""
    load = addend.owner
    if not isinstance(load, LoadOp):
        return "what is added is not read from memory"
    if found.axes_of(load) is None:
        return "no rows of the tile share what is added"
    if not _adds_products(found.loop, found.index):
        return "the loop does more than to add products"
    if not _can_stand_before(load, found.loop):
        return "what is added is not known before the sum"
    return None


def _fold(op: Operation, found: Sum, value: SSAValue, addend: SSAValue) -> None:
    if (reason := _obstacle(found, addend)) is not None:
        why_not(op, reason)
        return
    if not may(FOLDED.name, op):
        return
    FOLDED.add()
    load, loop, block = addend.owner, found.loop, found.loop.parent
    assert isinstance(load, LoadOp)
    assert block is not None
    if load.parent is block and not load.is_before_in_block(loop):
        load.detach()
        block.insert_op_before(load, loop)
    axes = found.axes_of(load)
    assert axes is not None
    start = PickOp(load.res, axes, tile_type(loop.results[found.index]))
    start.location = op.location
    block.insert_op_before(start, loop)
    zero = loop.inits[found.index]
    loop.operands[len(loop.lower_args) + len(loop.upper_args) + found.index] = start.res
    op.results[0].replace_all_uses_with(value)
    erase(op)
    if not zero.uses and isinstance(zero.owner, ConstantOp):
        erase(zero.owner)


@dataclass(frozen=True)
class FoldAddendsPass(OpPass[KernelOp]):
    """Sums of products begin with the bias that is added to them (not for strict numerics)."""

    name = "fold-addends"
    statistics = (FOLDED,)

    def run(self, ctx: Context, op: KernelOp) -> None:
        fold_addends(op.body.block)
