"""A plug-in of passes that run on single ops: one that stays inside, and some that do not."""

import os
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr, UnitAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from nnc.core.errors import PassError
from nnc.core.locations import describe
from nnc.core.passes import OpPass, Statistic
from nnc.dialects.graph.base import ConstantOp, KernelOp, constant_value

SEEN = Statistic("seen op", "ops in the kernels")
LARGE = Statistic("large kernel", "kernels of more than ten ops")


@dataclass(frozen=True)
class MarkKernelPass(OpPass[KernelOp]):
    """Marks a kernel, and counts the ops in it."""

    name = "mark-kernel"
    statistics = (SEEN, LARGE)
    mark: str = "testing.marked"

    def run(self, ctx: Context, op: KernelOp) -> None:
        op.attributes[self.mark] = UnitAttr()
        number = sum(1 for _ in op.body.block.ops)
        SEEN.add(number)
        LARGE.add(number > 10)


@dataclass(frozen=True)
class MarkNextPass(OpPass[FuncOp]):
    """Marks what stands behind a function, which is none of its business."""

    name = "mark-next"

    def run(self, ctx: Context, op: FuncOp) -> None:
        if op.next_op is not None:
            op.next_op.attributes["testing.marked"] = UnitAttr()


@dataclass(frozen=True)
class MoveOutPass(OpPass[KernelOp]):
    """Moves the first op of a kernel before it, if it reads nothing."""

    name = "move-out"

    def run(self, ctx: Context, op: KernelOp) -> None:
        first, block = op.body.block.first_op, op.parent
        if first is not None and block is not None and not first.operands:
            first.detach()
            block.insert_op_before(first, op)


@dataclass(frozen=True)
class RefuseFunctionPass(OpPass[FuncOp]):
    """Refuses, or crashes at, a function of this name."""

    name = "refuse-function"
    symbol: str = "g"
    crash: bool = False

    def run(self, ctx: Context, op: FuncOp) -> None:
        if op.sym_name.data == self.symbol:
            if self.crash:
                raise RuntimeError(f"no @{self.symbol}, please")
            raise PassError(f"@{self.symbol} is refused")


@dataclass(frozen=True)
class CrashAtSumPass(ModulePass):
    """Crashes at a constant whose elements have this sum."""

    name = "crash-at-sum"
    total: int = 0

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for inner in op.walk():
            if isinstance(inner, ConstantOp):
                array = constant_value(inner.res)
                assert array is not None
                if array.sum() == self.total:
                    raise RuntimeError(f"{describe(inner.next_op)} follows {array.size} elements")


@dataclass(frozen=True)
class DiePass(ModulePass):
    """Ends the process, as a crash in a library or the lack of memory does."""

    name = "die"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        os._exit(9)


@dataclass(frozen=True)
class NameAnyPass(OpPass[Operation]):
    """Writes down what it ran on."""

    name = "name-op"

    def run(self, ctx: Context, op: Operation) -> None:
        op.attributes["testing.op"] = StringAttr(op.name)


PASSES = [
    CrashAtSumPass,
    DiePass,
    MarkKernelPass,
    MarkNextPass,
    MoveOutPass,
    NameAnyPass,
    RefuseFunctionPass,
]
