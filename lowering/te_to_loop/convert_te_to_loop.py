"""convert-te-to-loop: every te.kernel becomes a loop.kernel of canonical nests.

One nest for each compute, in order; its loops are named `<compute>.<axis>`, parallel axes first.
The arguments are buffers, inputs first, then one for each result: what is returned is written
there, every other compute has a buffer of its own at the top of the kernel. Schedules (sched) then
say in which order and where.

    te.kernel @k(%x: tensor<4x3xf32>) -> tensor<4xf32> {
      %s = te.compute @s [i: 4] sum [k: 3] { %x[i, k] } : tensor<4xf32>
      %y = te.compute @y [i: 4] { %s[i] * 2.0 } : tensor<4xf32>
      te.return %y
    }

becomes

    loop.kernel @k(%x: buffer<4x3xf32>, %y: out buffer<4xf32>) {
      %s = loop.alloc : buffer<4xf32>
      loop.for %i = 0 to 4 {name = "s.i"} {
        loop.for %k = 0 to 3 {name = "s.k"} {
          loop.stmt @s [i: 4] sum [k: 3] = [%i, %k] -> %s[i] { %x[i, k] }
      } }
      loop.for %i_1 = 0 to 4 {name = "y.i"} {
        loop.stmt @y [i: 4] = [%i_1] -> %y[i] { %s[i] * 2.0 }
    } }

A te.scan becomes a serial loop over its steps: each step's states are written to the kept results,
then copied to a buffer that the next step reads.

It runs on the module alone: a pass on a kernel may not put another op in the place of it.
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
from .kernel import KernelConverter

CONVERTED = Statistic("converted kernel", "te kernels that became loop kernels")


@dataclass(frozen=True)
class ConvertTeToLoopPass(ModulePass):
    """te.kernel -> loop.kernel: one canonical loop nest for each compute, in order."""

    name: ClassVar[str] = "convert-te-to-loop"
    statistics: ClassVar = (CONVERTED,)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        explain_left(op, te.KernelOp)
        for kernel in list(op.body.block.ops):
            if isinstance(kernel, te.KernelOp) and may(CONVERTED.name, kernel):
                CONVERTED.add()
                converted = KernelConverter(kernel).convert()
                op.body.block.insert_op_before(converted, kernel)
                kernel.detach()
                kernel.erase(safe_erase=False)
