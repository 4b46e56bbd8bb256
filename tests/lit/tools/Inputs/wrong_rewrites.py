"""A plug-in of passes that change the meaning, each in another way: on texts and on real models."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import TypeVar

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import AffineMapAttr, FloatAttr, ModuleOp, StringAttr, f16, f32
from xdsl.ir import Operation
from xdsl.ir.affine import AffineExpr, AffineMap
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from nnc.core.irtypes import ints
from nnc.core.walk import walk
from nnc.dialects import loop, te
from nnc.dialects.graph.base import ConstantOp, KernelOp, constant_value
from nnc.dialects.graph.binary import AddOp, PReluOp, SubOp
from nnc.dialects.graph.elementwise import ReluOp

_Op = TypeVar("_Op", bound=Operation)


def _all(module: ModuleOp, kind: type[_Op]) -> Iterator[_Op]:
    return (op for op in list(walk(module)) if isinstance(op, kind))


@dataclass(frozen=True)
class WrongFoldPass(ModulePass):
    """x + c -> x + c', c' being c turned around; x + y -> x + x where there is no such constant."""

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
        for add in _all(op, AddOp):
            Rewriter.replace_op(add, AddOp.of(add.a, add.a))
            return


@dataclass(frozen=True)
class DropReluPass(ModulePass):
    """relu(x) -> x, prelu(x, s) -> x: the last one."""

    name = "drop-relu"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        found = [each for each in walk(op) if isinstance(each, PReluOp | ReluOp)]
        for last in found[-1:]:
            Rewriter.replace_op(last, [], [last.operands[0]])


@dataclass(frozen=True)
class WrongCommutePass(ModulePass):
    """a - b -> b - a: a common subexpression that is none."""

    name = "wrong-commute"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for sub in _all(op, SubOp):
            Rewriter.replace_op(sub, SubOp.of(sub.b, sub.a))
            return


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
class WrongCsePass(ModulePass):
    """The second read of a te body becomes the first one, though it reads elsewhere."""

    name = "wrong-cse"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for compute in op.walk():
            if not isinstance(compute, te.ComputeOp):
                continue
            reads = [o for o in compute.body.block.ops if isinstance(o, te.ReadOp)]
            if len(reads) > 1 and reads[0].source is reads[1].source:
                Rewriter.replace_op(reads[1], [], [reads[0].res])


@dataclass(frozen=True)
class WrongIndexMapPass(ModulePass):
    """The guarded reads of a kernel are moved by one: a window's padding is off."""

    name = "wrong-index-map"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for read in op.walk():
            if isinstance(read, te.ReadOp) and read.fill is not None:
                *front, last = read.map.data.results
                map_ = read.map.data
                moved = AffineMap(map_.num_dims, map_.num_symbols, (*front, last + 1))
                read.properties["map"] = AffineMapAttr(moved)


@dataclass(frozen=True)
class WrongTypePass(ModulePass):
    """Products go through f16 before they are summed: those of the first sum."""

    name = "wrong-type"

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
class WrongReductionInitPass(ModulePass):
    """A maximum starts from 0, not from minus infinity: the first step is compared with it."""

    name = "wrong-reduction-init"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for constant in op.walk():
            if isinstance(constant, loop.ConstantOp) and constant.value == FloatAttr(-inf, f32):
                constant.properties["value"] = FloatAttr(0.0, f32)


@dataclass(frozen=True)
class WrongTailPass(ModulePass):
    """The last iteration of every kernel's first loop is left out."""

    name = "wrong-tail"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in _all(op, loop.KernelOp):
            outermost = next((o for o in kernel.body.block.ops if isinstance(o, loop.ForOp)), None)
            if outermost is not None and outermost.constant_range is not None:
                _, high = outermost.constant_range
                outermost.properties["upper"] = AffineMapAttr(AffineMap.constant_map(high - 1))


@dataclass(frozen=True)
class DropStatementPass(ModulePass):
    """The last statement of a nest but one goes: the first nest that has several."""

    name = "drop-statement"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for kernel in _all(op, loop.KernelOp):
            statements = [each for each in walk(kernel) if isinstance(each, loop.StmtOp)]
            if len(statements) > 1:
                Rewriter.erase_op(statements[-2])
                return


@dataclass(frozen=True)
class ReadNextPass(ModulePass):
    """The first statement that reads a temporary reads the next element, around the end."""

    name = "read-next"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for read in _all(op, loop.ReadOp):
            extents = loop.buffer_type(read.source).extents
            if isinstance(read.source.owner, loop.AllocOp) and extents and extents[-1] > 1:
                map_ = read.map.data
                *front, last = map_.results
                moved = AffineMap(
                    map_.num_dims, map_.num_symbols, (*front, (last + 1) % extents[-1])
                )
                read.properties["map"] = AffineMapAttr(moved)
                return


@dataclass(frozen=True)
class SumFromOnePass(ModulePass):
    """Sums of products start from 1 in tile form: those of the first loop that has one."""

    name = "sum-from-one"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for each in _all(op, loop.ContractOp):
            block = each.parent
            around = block.parent_op() if block is not None else None
            if isinstance(around, loop.ForOp) and each.acc in around.body.block.args:
                at = list(around.body.block.args).index(each.acc) - 1
                start = around.inits[at].owner
                if isinstance(start, loop.ConstantOp):
                    one = start.clone()
                    one.properties["value"] = FloatAttr(1.0, f32)
                    Rewriter.insert_op(one, InsertPoint.before(around))
                    around.operands[list(around.operands).index(start.res)] = one.res
                    return


@dataclass(frozen=True)
class WrongStorePass(ModulePass):
    """Statements write their results in reversed order."""

    name = "wrong-store"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for statement in op.walk():
            if isinstance(statement, loop.StmtOp):
                statement.properties["out_maps"] = type(statement.out_maps)(
                    [_reversed(map_attr.data) for map_attr in statement.out_maps]
                )


def _reversed(map_: AffineMap) -> AffineMapAttr:
    *front, last = map_.results
    flipped = AffineExpr.constant(5) - last
    return AffineMapAttr(AffineMap(map_.num_dims, map_.num_symbols, (*front, flipped)))


@dataclass(frozen=True)
class WrongCombinerPass(ModulePass):
    """A sum becomes a maximum."""

    name = "wrong-combiner"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for compute in op.walk():
            if isinstance(compute, te.ComputeOp) and compute.combiner is not None:
                compute.properties["combiner"] = type(compute.combiner)([StringAttr("max")])


@dataclass(frozen=True)
class HarmlessPass(ModulePass):
    """Gives the module an attribute: the meaning stays."""

    name = "harmless"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        op.attributes["testing.seen"] = ints([1])


PASSES = [
    BadCsePass,
    BadFusionOrderPass,
    DropReluPass,
    DropStatementPass,
    HarmlessPass,
    ReadNextPass,
    SumFromOnePass,
    WrongCombinerPass,
    WrongCommutePass,
    WrongCsePass,
    WrongFoldPass,
    WrongIndexMapPass,
    WrongReductionInitPass,
    WrongStorePass,
    WrongTailPass,
    WrongTypePass,
]
