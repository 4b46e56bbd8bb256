"""Fused graph kernels, and operators that stand alone, become te kernels and calls.

    %y = graph.kernel @dense(%x, %w) {
    ^bb0(%a: tensor<4x8xf32>, %b: tensor<8x8xf32>):
      %0 = graph.matmul(%a, %b) : tensor<4x8xf32>
      %1 = graph.relu(%0) : tensor<4x8xf32>
      graph.yield %1
    } : tensor<4x8xf32>
->
    te.kernel @dense(%a: tensor<4x8xf32>, %b: tensor<8x8xf32> const) -> tensor<4x8xf32> {
      %matmul = te.compute @matmul [i: 4, j: 8] sum [k: 8] { %a[i, k] * %b[k, j] } : ...
      %relu = te.compute @relu [i: 4, j: 8] { select(%matmul[i, j] < 0.0, 0.0, ...) } : ...
      te.return %relu
    }
    %y = te.call @dense(%x, %w) : tensor<4x8xf32>

Equal kernels are made once. Operators that run on the host, views (reshape, squeeze ...) outside of
kernels and what is marked `in_place` (place-pieces) stay as they are; constants that nobody uses
any more go. It runs on the module alone, for that is where te kernels stand.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from ...core.counters import may
from ...core.explain import why_not
from ...core.names import fresh
from ...core.passes import Statistic
from ...core.walk import walk
from ...dialects import te
from ...dialects.graph.base import ConstantOp, GraphOp, KernelOp
from ...passes.graph.places import VIEWS, is_in_place
from .equal_kernels import structure
from .kernel import LoweredKernel, lower_kernel, lower_single
from .registry import why_host

LOWERED = Statistic("lowered op", "kernels and operators replaced by calls")


@dataclass(frozen=True)
class ConvertGraphToTePass(ModulePass):
    """Lower graph kernels and operators to te kernels and calls."""

    name = "convert-graph-to-te"
    statistics = (LOWERED,)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        kernels = _Kernels(op)
        for function in [f for f in op.ops if isinstance(f, FuncOp) and f.body.blocks]:
            for inner in [o for block in function.body.blocks for o in block.ops]:
                lowered = _lower(inner, kernels)
                if lowered is not None and may(LOWERED.name, inner):
                    LOWERED.add()
                    kernels.replace(inner, lowered)
            _erase_dead_constants(function)


def _lower(op: Operation, kernels: _Kernels) -> LoweredKernel | None:
    """The kernel of an op of main, `None` if it stays."""
    if isinstance(op, KernelOp):
        return lower_kernel(op)
    if not isinstance(op, GraphOp) or isinstance(op, ConstantOp):
        return None
    if op.name in VIEWS or is_in_place(op):
        why_not(op, "it computes nothing: its result lies in memory that is there")
        return None
    reason = why_host(op)
    if reason is not None:
        why_not(op, f"it runs on the host: {reason}")
        return None
    return lower_single(op, fresh(op.name.partition(".")[2], kernels.names))


class _Kernels:
    """The te kernels of a module, each structure once."""

    def __init__(self, module: ModuleOp):
        self.module = module
        self.names = {
            name.data for op in walk(module) if (name := getattr(op, "sym_name", None)) is not None
        }
        self.known: dict[object, str] = {}
        self.last: Operation | None = None

    def replace(self, op: Operation, lowered: LoweredKernel) -> None:
        """Put a call in the place of `op`."""
        key = structure(lowered.kernel)
        symbol = self.known.get(key)
        if symbol is None:
            symbol = self.known[key] = lowered.kernel.sym_name.data
            self.names.add(symbol)
            self._insert(lowered.kernel)
        call = te.CallOp(symbol, lowered.args, [result.type for result in op.results])
        call.location = op.location
        for constant in lowered.constants:
            Rewriter.insert_op(constant, InsertPoint.before(op))
        Rewriter.replace_op(op, call)
        for old, new in zip(lowered.result_names, call.results, strict=True):
            new.name_hint = old

    def _insert(self, kernel: te.KernelOp) -> None:
        block = self.module.body.block
        if self.last is None:
            first = block.first_op
            assert first is not None
            block.insert_op_before(kernel, first)
        else:
            block.insert_op_after(kernel, self.last)
        self.last = kernel


def _erase_dead_constants(function: FuncOp) -> None:
    for op in [o for block in function.body.blocks for o in block.ops]:
        if isinstance(op, ConstantOp) and op.res.first_use is None:
            Rewriter.erase_op(op)
