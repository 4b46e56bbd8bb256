"""schedule-kernels: write a schedule for every kernel that has none.

    loop.kernel @scale ... { canonical nest }
      ->  loop.kernel @scale ... { canonical nest }
          sched.schedule @scale { split y.i, 64  vectorize y.i.i ... }

By default the schedule is also applied. The machine is the module's `nnc.target`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.passes import ModulePass

from ..core.explain import why_not
from ..dialects import loop, sched
from ..targets import DEFAULT, resolve


@dataclass(frozen=True)
class ScheduleKernelsPass(ModulePass):
    """Schedule each loop.kernel without a sched.schedule by the library's rules."""

    name: ClassVar[str] = "schedule-kernels"

    apply_schedule: bool = True
    """Whether to run the schedule; otherwise it is left as an op."""
    numerics: str = "fast"
    """"strict" keeps the order of every float sum."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        from .library import schedule_kernel

        ops = list(op.body.block.ops)
        named = op.attributes.get("nnc.target")
        target = resolve(named.data if isinstance(named, StringAttr) else DEFAULT)
        has_own = {s.kernel.string_value() for s in ops if isinstance(s, sched.ScheduleOp)}
        for kernel in ops:
            if not isinstance(kernel, loop.KernelOp):
                continue
            if kernel.sym_name.data in has_own:
                why_not(kernel, "it has a sched.schedule of its own")
            else:
                subject = kernel if self.apply_schedule else kernel.clone()
                made = schedule_kernel(subject, target, self.numerics)
                if not self.apply_schedule:
                    op.body.block.insert_op_after(made, kernel)
