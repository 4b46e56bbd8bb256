"""multiply-by-reciprocals: a division by powers of two is a multiplication, exactly.

%y = graph.div(%x, dense<8.0>)  ->  %y = graph.mul(%x, dense<0.125>)
"""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.universe import Universe

import nnc
from nnc.core.catalog import constant
from nnc.core.explain import why_not
from nnc.core.rewriting import Pattern, Rewriter, rewrite
from nnc.dialects.graph.base import ConstantOp, constant_value
from nnc.dialects.graph.binary import DivOp, MulOp


class DivByPowersOfTwo(Pattern[DivOp]):
    """x / c -> x * (1 / c) if every c is a power of two whose reciprocal is a normal float"""

    def rewrite(self, op: DivOp, rw: Rewriter) -> None:
        divisor = constant_value(op.b)
        if divisor is None or divisor.dtype not in (np.float32, np.float64):
            return
        fractions, exponents = np.frexp(divisor)
        if not (np.all(np.abs(fractions) == 0.5) and np.all(np.abs(exponents) < 120)):
            why_not(op, "a divisor is no power of two")
            return
        reciprocals = rw.insert(ConstantOp.of(1 / divisor))
        rw.replace(op, MulOp.of(op.a, reciprocals.res))


@dataclass(frozen=True)
class MultiplyByReciprocalsPass(ModulePass):
    """Multiply where a divisor is a power of two: div(x, 8) -> mul(x, 0.125)."""

    name = "multiply-by-reciprocals"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [DivByPowersOfTwo()])


UNIVERSE = Universe(
    all_passes={MultiplyByReciprocalsPass.name: constant(MultiplyByReciprocalsPass)}
)
nnc.register_pass(MultiplyByReciprocalsPass, after="fold-constants")
