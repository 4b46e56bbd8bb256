"""apply-schedules: run each schedule on the kernel of its name.

    loop.kernel @scale(%x: buffer<100xf32>, %y: out buffer<100xf32>) {
      loop.for %i = 0 to 100 {name = "y.i"} {
        loop.stmt @y [i: 100] = [%i] -> %y[i] { %x[i] * 2.0 }
    } }
    sched.schedule @scale { split y.i, 16  vectorize y.i.i }

becomes

    loop.kernel @scale(%x: buffer<100xf32>, %y: out buffer<100xf32>) {
      loop.for %io = 0 to 7 {name = "y.i.o"} {
        loop.for %ii = 0 to 16 vectorize {name = "y.i.i"} {
          loop.stmt @y [i: 100] = [16 * %io + %ii] -> %y[i] { %x[i] * 2.0 }
    } } }
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from ..core.errors import ScheduleError
from ..core.locations import describe
from ..core.walk import erase
from ..dialects import loop, sched
from .primitives.choose import filled
from .primitives.lookup import suggestion
from .primitives.set_scope import check_scopes
from .primitives.table import apply_primitive


@dataclass(frozen=True)
class ApplySchedulesPass(ModulePass):
    """Run every sched.schedule on the loop.kernel of its name, then drop it."""

    name: ClassVar[str] = "apply-schedules"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        kernels = {
            kernel.sym_name.data: kernel
            for kernel in op.body.block.ops
            if isinstance(kernel, loop.KernelOp)
        }
        for schedule in list(op.body.block.ops):
            if isinstance(schedule, sched.ScheduleOp):
                apply_schedule(find_kernel(schedule, kernels), schedule)
                erase(schedule)


def find_kernel(schedule: sched.ScheduleOp, kernels: dict[str, loop.KernelOp]) -> loop.KernelOp:
    """The kernel that a schedule is for.

    Raises: ScheduleError: there is none of that name at the loop level.
    """
    name = schedule.kernel.string_value()
    if name not in kernels:
        hint = suggestion(name, kernels) if kernels else "run convert-te-to-loop first"
        raise ScheduleError(f"no loop.kernel @{name}", where=describe(schedule), hint=hint)
    return kernels[name]


def apply_schedule(
    kernel: loop.KernelOp,
    schedule: sched.ScheduleOp,
    after: Callable[[Operation], None] | None = None,
) -> None:
    """Run the primitives in order, choices being what the schedule's answers say.

    After each, `after` is called with it.
    Raises: ScheduleError: one is refused; `where` is its place in the schedule.
    """
    for primitive, filled_in in filled(schedule):
        try:
            apply_primitive(kernel, filled_in)
        except ScheduleError as error:
            where = error.where or describe(primitive)
            raise ScheduleError(error.message, where=where, hint=error.hint) from None
        if after is not None:
            after(primitive)
    try:
        check_scopes(kernel)
    except ScheduleError as error:
        raise ScheduleError(error.message, where=describe(schedule), hint=error.hint) from None
