"""Passes that make a real model's result wrong, each in another way; for test_bisect.py."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import TypeVar

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import AffineMapAttr, FloatAttr, ModuleOp, f16, f32
from xdsl.ir import Operation
from xdsl.ir.affine import AffineMap
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from nnc.core.walk import walk
from nnc.dialects import loop, te
from nnc.dialects.graph.base import ConstantOp, KernelOp, constant_value
from nnc.dialects.graph.binary import AddOp, PReluOp
from nnc.dialects.graph.elementwise import ReluOp

_Op = TypeVar("_Op", bound=Operation)


def _all(module: ModuleOp, kind: type[_Op]) -> Iterator[_Op]:
    return (op for op in list(walk(module)) if isinstance(op, kind))


@dataclass(frozen=True)
class WrongFoldPass(ModulePass):
    """x + c -> x + c', where c' is c with its elements turned around."""

    name = "wrong-fold"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for add in _all(op, AddOp):
            array = constant_value(add.b)
            if array is not None and array.size > 1:
                folded = ConstantOp.of(array[..., ::-1].copy())
                folded.location = add.location
                Rewriter.insert_op(folded, InsertPoint.before(add))
                add.operands[1] = folded.res
                return


@dataclass(frozen=True)
class DropActivationPass(ModulePass):
    """prelu(x, s) -> x, relu(x) -> x: the last one of the network."""

    name = "drop-activation"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        found = [each for each in walk(op) if isinstance(each, PReluOp | ReluOp)]
        Rewriter.replace_op(found[-1], [], [found[-1].operands[0]])


@dataclass(frozen=True)
class BadCsePass(ModulePass):
    """Two constants of the same shape are one."""

    name = "bad-cse"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        known: dict[object, ConstantOp] = {}
        for constant in _all(op, ConstantOp):
            if constant.array.size > 8 and constant.array.dtype.kind == "f":
                first = known.setdefault(constant.res.type, constant)
                if first is not constant:
                    Rewriter.replace_op(constant, [], [first.res])
                    return


@dataclass(frozen=True)
class BadFusionOrderPass(ModulePass):
    """relu(a + b) in a kernel becomes relu(a) + b."""

    name = "bad-fusion-order"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in _all(op, KernelOp):
            for relu in [o for o in kernel.body.block.ops if isinstance(o, ReluOp)]:
                add = relu.x.owner
                if isinstance(add, AddOp) and add.a.type == relu.res.type:
                    early = ReluOp.of(add.a)
                    early.location = relu.location
                    late = AddOp.of(early.res, add.b)
                    late.location = add.location
                    Rewriter.insert_op([early], InsertPoint.before(relu))
                    Rewriter.replace_op(relu, late)
                    return


@dataclass(frozen=True)
class WrongIndexMapPass(ModulePass):
    """Windows that reach over the border are moved by one."""

    name = "wrong-index-map"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for read in _all(op, te.ReadOp):
            if read.fill is not None:
                map_ = read.map.data
                *front, last = map_.results
                moved = AffineMap(map_.num_dims, map_.num_symbols, (*front, last + 1))
                read.properties["map"] = AffineMapAttr(moved)


@dataclass(frozen=True)
class WrongDtypePass(ModulePass):
    """Products go through f16 before they are summed."""

    name = "wrong-dtype"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for compute in _all(op, te.ComputeOp):
            muls = [o for o in compute.body.block.ops if isinstance(o, arith.MulfOp)]
            if muls and compute.reduce_axes:
                mul = muls[-1]
                narrow = arith.TruncFOp(mul.result, f16)
                wide = arith.ExtFOp(narrow.result, f32)
                mul.result.replace_all_uses_with(wide.result)
                Rewriter.insert_op([narrow, wide], InsertPoint.after(mul))
                narrow.operands[0] = mul.result
                return


@dataclass(frozen=True)
class WrongTailPass(ModulePass):
    """The last iteration of a kernel's first loop is left out."""

    name = "wrong-tail"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in _all(op, loop.KernelOp):
            outermost = next((o for o in kernel.body.block.ops if isinstance(o, loop.ForOp)), None)
            if outermost is not None and outermost.constant_range is not None:
                _, high = outermost.constant_range
                outermost.properties["upper"] = AffineMapAttr(AffineMap.constant_map(high - 1))


@dataclass(frozen=True)
class WrongReductionInitPass(ModulePass):
    """Maxima start from 0."""

    name = "wrong-reduction-init"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for constant in _all(op, loop.ConstantOp):
            if constant.value == FloatAttr(-inf, f32):
                constant.properties["value"] = FloatAttr(0.0, f32)


PASSES = [
    BadCsePass,
    BadFusionOrderPass,
    DropActivationPass,
    WrongDtypePass,
    WrongFoldPass,
    WrongIndexMapPass,
    WrongReductionInitPass,
    WrongTailPass,
]
