"""convert-te-to-linalg: every te.kernel becomes a func.func of linalg.generic ops on tensors.

What it leaves is upstream MLIR (linalg, tensor, arith, math, scf, func): `nn-opt -t mlir` prints
what `mlir-opt` reads. docs/mlir.md has the pipeline that takes it on to LLVM.

    te.kernel @k(%x: tensor<4x3xf32>) -> tensor<4xf32> {
      %s = te.compute @s [i: 4] sum [k: 3] { %x[i, k] } : tensor<4xf32>
      te.return %s
    }

->

    func.func @k(%x: tensor<4x3xf32>) -> tensor<4xf32> {
      %e = tensor.empty() : tensor<4xf32>
      %f = linalg.fill(%zero, %e) : tensor<4xf32>
      %s = linalg.generic(%x, %f) {maps = [(i, k) -> (i, k), (i, k) -> (i)], ...} {
        ^bb0(%v: f32, %acc: f32):
          linalg.yield(arith.addf(%acc, %v))
      } : tensor<4xf32>
      func.return %s
    }

An affine read is an operand with its index map; one that may leave its tensor is an operand that
tensor.pad has made larger. Data-dependent indices, and guards on divided ones, are tensor.extract
in the body. A te.scan is an scf.for that carries its states, a te.call a func.call. Structural
zeros of a te.coeff select -0.0, which changes no sum. It runs on the module alone: a pass on a
kernel may not put another op in the place of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...core.counters import may
from ...core.passes import Statistic
from ...dialects import te
from ..left import explain_left
from ..upstream.module import convert_calls, drop_our_attributes
from .kernel import KernelConverter

CONVERTED = Statistic("converted kernel", "te kernels that became functions")


@dataclass(frozen=True)
class ConvertTeToLinalgPass(ModulePass):
    """te.kernel -> func.func of linalg.generic on tensors, which upstream mlir-opt reads."""

    name: ClassVar[str] = "convert-te-to-linalg"
    statistics: ClassVar = (CONVERTED,)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        explain_left(op, te.KernelOp)
        for kernel in [inner for inner in op.body.block.ops if isinstance(inner, te.KernelOp)]:
            if not may(CONVERTED.name, kernel):
                continue
            CONVERTED.add()
            converted = KernelConverter(kernel).convert()
            op.body.block.insert_op_before(converted, kernel)
            kernel.detach()
            kernel.erase(safe_erase=False)
        convert_calls(op)
        drop_our_attributes(op)
