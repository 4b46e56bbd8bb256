"""poly.eval -> graph.mul, graph.add, by Horner's rule."""

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from nnc.core.dtypes import numpy_dtype
from nnc.core.irtypes import tensor_element
from nnc.core.rewriting import Pattern, Rewriter, rewrite
from nnc.dialects.graph.base import ConstantOp
from nnc.dialects.graph.binary import AddOp, MulOp

from .poly import EvalOp


class Horner(Pattern[EvalOp]):
    """eval(x, [c0, c1, ..., cn]) -> c0 + x (c1 + x (... + x cn))"""

    def rewrite(self, op: EvalOp, rw: Rewriter) -> None:
        dtype = numpy_dtype(tensor_element(op.x.type))
        numbers = [np.asarray(c.value.data, dtype) for c in op.coefficients]
        constants = [rw.insert(ConstantOp.of(number)).res for number in numbers]
        value = constants.pop()
        if not constants:  # a constant polynomial has x's shape too
            zero = rw.insert(ConstantOp.of(np.asarray(0, dtype))).res
            value = rw.insert(AddOp.of(rw.insert(MulOp.of(op.x, zero)).res, value)).res
        for constant in reversed(constants):
            product = rw.insert(MulOp.of(op.x, value)).res
            value = rw.insert(AddOp.of(product, constant)).res
        rw.replace(op, [], [value])


@dataclass(frozen=True)
class ConvertPolyToGraphPass(ModulePass):
    """Polynomials by Horner's rule: poly.eval -> graph.mul, graph.add."""

    name = "convert-poly-to-graph"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [Horner()])
