"""Well-formed te bodies with random expressions: written readably, read exactly."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.dialects import arith, math
from xdsl.dialects.builtin import (
    FloatAttr,
    IndexType,
    IntegerAttr,
    ModuleOp,
    TensorType,
    f32,
    i1,
    i64,
)
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap

from nnc.core.verifier import problems
from nnc.dialects import te
from nnc.dialects.index_space import PARALLEL, AxisAttr
from nnc.textir import parse, print_module
from nnc.textir.equality import equal

FLOAT_OPS: list[Any] = [
    arith.AddfOp,
    arith.SubfOp,
    arith.MulfOp,
    arith.DivfOp,
    arith.MaximumfOp,
    arith.MinnumfOp,
    math.PowFOp,
]
UNARY: list[Any] = [arith.NegfOp, math.ExpOp, math.TanhOp, math.AbsFOp]
INT_OPS: list[Any] = [arith.AddiOp, arith.SubiOp, arith.MuliOp, arith.MaxSIOp, arith.DivUIOp]
TENSOR = TensorType(f32, [8, 6])


class BodyMaker:
    """A random straight-line body over axes i: 8, j: 6."""

    def __init__(self, seed: int, source: SSAValue):
        self.r = Random(seed)
        self.source = source
        self.block = Block()
        self.values: dict[Any, list[SSAValue]] = {f32: [], i64: [], i1: [], IndexType(): []}

    def add(self, op: Operation) -> None:
        self.block.add_op(op)
        (result,) = op.results
        if self.r.random() < 0.15:
            result.name_hint = self.r.choice(["v", "i", "sum", "t_1"])
        self.values[result.type].append(result)

    def pick(self, type_: Any) -> SSAValue:
        """Mostly the newest value, so that trees grow; sometimes any, so that values are shared."""
        pool = self.values[type_]
        if not pool or self.r.random() < 0.2:
            self.constant(type_)
        return pool[-1] if self.r.random() < 0.5 else self.r.choice(pool)

    def constant(self, type_: Any) -> None:
        if type_ == f32:
            values = [0.0, -0.0, -1.5, 0.1, float("inf"), float("nan"), 3e-9]
            self.add(arith.ConstantOp(FloatAttr(self.r.choice(values), f32)))
        else:
            number = self.r.choice([0, 1]) if type_ == i1 else self.r.choice([-4, 0, 7])
            self.add(arith.ConstantOp(IntegerAttr(number, type_)))

    def index(self) -> AffineExpr:
        i, j = AffineExpr.dimension(0), AffineExpr.dimension(1)
        exprs = [i, j, i * 2 - j, (i + j) // 2 + 1, (i * 3) % 5, AffineExpr.constant(2), i - 1]
        return self.r.choice(exprs)

    def read(self) -> None:
        symbols: list[SSAValue] = []
        results = [self.index(), self.index()]
        if self.r.random() < 0.3:
            symbols = [self.pick(IndexType())]
            results[0] = AffineExpr.symbol(0) + results[0] * self.r.choice([1, 2])
        fill = FloatAttr(self.r.choice([0.0, -1.0, float("-inf")]), f32)
        map_ = AffineMap(2, len(symbols), tuple(results))
        self.add(te.ReadOp(self.source, map_, symbols, fill))

    def step(self) -> None:
        match self.r.randrange(9):
            case 0 | 1:
                self.read()
            case 2 | 3:
                self.add(self.r.choice(FLOAT_OPS)(self.pick(f32), self.pick(f32)))
            case 4:
                self.add(self.r.choice(UNARY)(self.pick(f32)))
            case 5:
                kind = self.r.choice(["olt", "oeq", "ult", "une"])
                self.add(arith.CmpfOp(self.pick(f32), self.pick(f32), kind))
            case 6:
                self.add(arith.SelectOp(self.pick(i1), self.pick(f32), self.pick(f32)))
            case 7:
                self.add(te.IndexOp(self.r.choice("ij")))
                self.add(arith.IndexCastOp(self.pick(IndexType()), i64))
            case _:
                self.add(self.r.choice(INT_OPS)(self.pick(i64), self.pick(i64)))
                self.add(arith.SIToFPOp(self.pick(i64), f32))

    def body(self) -> Region:
        for _ in range(self.r.randrange(1, 12)):
            self.step()
        self.block.add_op(te.YieldOp(self.pick(f32)))
        return Region(self.block)


def kernel(seed: int) -> ModuleOp:
    block = Block(arg_types=[TENSOR])
    axes = [AxisAttr.get("i", PARALLEL, 8), AxisAttr.get("j", PARALLEL, 6)]
    compute = te.ComputeOp("c", axes, [TENSOR], BodyMaker(seed, block.args[0]).body())
    block.add_ops([compute, te.ReturnOp(compute.results[0])])
    return ModuleOp([te.KernelOp("k", [TENSOR], [TENSOR], ["x"], body=Region(block))])


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.integers(0, 2**32))
def test_bodies_round_trip(seed: int) -> None:
    module = kernel(seed)
    assert problems(module) == []
    text = print_module(module)
    assert equal(module, parse(text), names=True) is None, text
    assert '"(' not in text, text
    assert equal(module, parse(print_module(module, generic=True)), names=True) is None


def test_bodies_are_mostly_expressions() -> None:
    """Reads and arithmetic are written as such, hardly ever as ops."""
    lines = "".join(print_module(kernel(seed)) for seed in range(200)).splitlines()
    statements = [line for line in lines if line.startswith("    ")]
    assert sum("te.read" in line for line in statements) == 0
    assert sum(" = arith." in line for line in statements) < len(statements) / 10
