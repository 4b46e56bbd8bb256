"""convert-loop-to-mlir: every loop.kernel becomes a func.func of scf loops over memrefs.

What it leaves is upstream MLIR (scf, memref, vector, arith, math, func): `nn-opt -t mlir` prints
what `mlir-opt` reads. docs/mlir.md has the pipeline that takes it on to LLVM.

    loop.kernel @k(%x: buffer<100xf32>, %y: out buffer<100xf32>) {
      loop.for %i = 0 to 100 parallel {name = "y.i"} {
        loop.stmt @y [i: 100] = [%i] -> %y[i] { %x[i] * 2.0 }
    } }

->

    func.func @k(%x: memref<100xf32>, %y: memref<100xf32>) {
      scf.parallel (%i) = (0) to (100) step (1) {
        memref.store(arith.mulf(memref.load(%x, %i), 2.0), %y, %i)
    } }

Both forms are taken. Inputs come first, then outputs; a buffer with a layout is a memref of its
physical shape. In nest form vectorize and unroll loops are plain loops. In tile form a tile is one
vector along its lanes for each position on its register axes, as machine code has it, and loads
that are not contiguous go lane by lane. Prefetches go; tensorized tiles are refused. It runs on the
module alone: a pass on a kernel may not put another op in the place of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...core.counters import may
from ...core.errors import PassError
from ...core.locations import describe
from ...core.passes import Statistic
from ...dialects import loop, te
from ..left import explain_left
from ..upstream.module import drop_our_attributes
from .kernel import convert_kernel

CONVERTED = Statistic("converted kernel", "loop kernels that became functions")


@dataclass(frozen=True)
class ConvertLoopToMlirPass(ModulePass):
    """loop.kernel -> func.func of scf, memref and vector, which upstream mlir-opt reads."""

    name: ClassVar[str] = "convert-loop-to-mlir"
    statistics: ClassVar = (CONVERTED,)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for inner in op.walk():
            if isinstance(inner, te.CallOp):
                raise PassError(
                    "a call on tensors has no counterpart over the kernel's memrefs",
                    where=describe(inner),
                    hint="convert-te-to-linalg takes functions that call kernels",
                )
        explain_left(op, loop.KernelOp)
        for kernel in [inner for inner in op.body.block.ops if isinstance(inner, loop.KernelOp)]:
            if not may(CONVERTED.name, kernel):
                continue
            CONVERTED.add()
            op.body.block.insert_ops_before(convert_kernel(kernel), kernel)
            kernel.detach()
            kernel.erase(safe_erase=False)
        drop_our_attributes(op)
