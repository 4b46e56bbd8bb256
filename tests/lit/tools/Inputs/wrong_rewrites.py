"""A plug-in of passes that change the meaning, each in another way."""

from dataclasses import dataclass
from math import inf

from xdsl.context import Context
from xdsl.dialects import arith
from xdsl.dialects.builtin import AffineMapAttr, FloatAttr, ModuleOp, StringAttr, f16, f32
from xdsl.ir import Operation
from xdsl.ir.affine import AffineExpr, AffineMap
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from nnc.core.irtypes import ints
from nnc.dialects import loop, te
from nnc.dialects.graph.binary import AddOp, SubOp
from nnc.dialects.graph.elementwise import ReluOp


def _first(module: ModuleOp, kind: type[Operation]) -> Operation | None:
    return next((op for op in module.walk() if isinstance(op, kind)), None)


@dataclass(frozen=True)
class WrongFoldPass(ModulePass):
    """x + y -> x + x: a fold that loses an operand."""

    name = "wrong-fold"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        add = _first(op, AddOp)
        if isinstance(add, AddOp):
            Rewriter.replace_op(add, AddOp.of(add.a, add.a))


@dataclass(frozen=True)
class DropReluPass(ModulePass):
    """relu(x) -> x."""

    name = "drop-relu"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        relu = _first(op, ReluOp)
        if isinstance(relu, ReluOp):
            Rewriter.replace_op(relu, [], [relu.x])


@dataclass(frozen=True)
class WrongCommutePass(ModulePass):
    """a - b -> b - a: a common subexpression that is none."""

    name = "wrong-commute"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        sub = _first(op, SubOp)
        if isinstance(sub, SubOp):
            Rewriter.replace_op(sub, SubOp.of(sub.b, sub.a))


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
    """Sums of products go through f16."""

    name = "wrong-type"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for mul in list(op.walk()):
            if isinstance(mul, arith.MulfOp):
                narrow = arith.TruncFOp(mul.result, f16)
                widened = arith.ExtFOp(narrow.result, f32)
                mul.result.replace_all_uses_with(widened.result)
                Rewriter.insert_op([narrow, widened], InsertPoint.after(mul))
                narrow.operands[0] = mul.result


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
    """The last iteration of every loop is left out."""

    name = "wrong-tail"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for each in op.walk():
            if isinstance(each, loop.ForOp) and each.constant_range is not None:
                _, high = each.constant_range
                each.properties["upper"] = AffineMapAttr(AffineMap.constant_map(high - 1))


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
    DropReluPass,
    HarmlessPass,
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
