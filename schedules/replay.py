"""Schedules written in Python: each call runs a primitive and logs it.

    s = Schedule(kernel)
    outer, inner = s.split("y.j", 48)
    s.parallel(outer)
    s.vectorize(inner)
    module.body.block.add_op(s.to_ir())      # sched.schedule @... { split y.j, 48 ... }

Method names are TVM's; the log is the schedule dialect, so that what Python wrote can be printed,
parsed, searched and replayed by apply-schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xdsl.ir import Attribute, Operation
from xdsl.ir.affine import AffineMap

from ..core.errors import ScheduleError
from ..core.irtypes import as_attribute
from ..dialects import sched
from ..dialects.loop import ForOp, KernelOp, StmtOp
from .primitives.choose import Answers, answer, fill
from .primitives.lookup import find_loop, find_stmts, loops_of, stmts_in
from .primitives.set_scope import check_scopes
from .primitives.space import loops_around, role
from .primitives.table import apply_primitive

Candidate = int | str | Attribute
"""What a choice may be: a number, a word, a layout."""


class Schedule:
    """Edits a `loop.kernel` in place and logs what it did.

    A refused primitive raises ScheduleError, is not logged, and leaves the kernel as it was.

    Args:
        kernel: in nest form.
        answers: to the choices that will be made, by name; others take their default.
        after: called with each primitive that was run.
    """

    def __init__(
        self,
        kernel: KernelOp,
        answers: Mapping[str, Candidate] | None = None,
        after: Callable[[Operation], None] | None = None,
    ):
        self._after = after
        self.kernel = kernel
        self.given: Answers = {n: as_attribute(value) for n, value in (answers or {}).items()}
        self.answers: Answers = {}
        self._log: list[Operation] = []

    def to_ir(self) -> sched.ScheduleOp:
        """The primitives run so far, as an op, with the answers that were given."""
        answers = {name: value for name, value in self.given.items() if name in self.answers}
        log = [op.clone() for op in self._log]
        return sched.ScheduleOp(self.kernel.sym_name.data, log, answers)

    @property
    def length(self) -> int:
        """How many primitives have been run."""
        return len(self._log)

    def check(self) -> None:
        """Raises: ScheduleError: a thread's own buffer is used by several phases."""
        check_scopes(self.kernel)

    def run(self, op: Operation) -> Any:
        """Run one op of the sched dialect and log it; returns what the primitive returns."""
        if isinstance(op, sched.ChooseOp):
            op.verify_()
            self.answers[op.label.data] = answer(op, self.given)
        result = apply_primitive(self.kernel, fill(op, self.answers))
        self._log.append(op)
        if self._after is not None and not isinstance(op, sched.ChooseOp):
            self._after(op)
        return result

    def choose(
        self,
        label: str,
        candidates: Sequence[Candidate],
        default: Candidate | None = None,
    ) -> str:
        """Leave a hole: the result, `$label`, may stand for a number or word in what follows.

        `answers[label]` is the candidate that it is now; without `default` that is the first.
        """
        options = [as_attribute(candidate) for candidate in candidates]
        if not options or label in self.answers:
            raise ScheduleError(f"choose: '{label}' has no candidates, or is chosen already")
        first = options[0] if default is None else as_attribute(default)
        return self.run(sched.ChooseOp(label, options, first))

    def split(self, loop: str, factor: sched.Number, tail: str | None = None) -> tuple[str, str]:
        """Split a loop; the names of the outer and the inner one."""
        return self.run(sched.SplitOp(loop, factor, tail))

    def fuse(self, outer: str, inner: str, *more: str) -> str:
        """Fuse loops, outermost first; the name of the fused one."""
        fused: str = self.run(sched.FuseOp(outer, inner))
        for loop in more:
            fused = self.run(sched.FuseOp(fused, loop))
        return fused

    def reorder(self, *loops: str) -> None:
        """Put loops in this order, outermost first."""
        self.run(sched.ReorderOp(loops))

    def tile(
        self, first: str, second: str, first_factor: sched.Number, second_factor: sched.Number
    ) -> tuple[str, str, str, str]:
        """Split two loops and reorder; the names of the four."""
        return self.run(sched.TileOp(first, second, first_factor, second_factor))

    def partition(self, loop: str, cuts: Sequence[int]) -> list[str]:
        """Cut a loop at these points; the names of the parts."""
        return self.run(sched.PartitionOp(loop, cuts))

    def parallel(self, loop: str) -> None:
        """Let threads share an outermost loop."""
        self.run(sched.ParallelOp(loop))

    def vectorize(self, loop: str) -> None:
        """Make a loop the lanes of tiles."""
        self.run(sched.VectorizeOp(loop))

    def unroll(self, loop: str) -> None:
        """Make a loop a register axis of tiles."""
        self.run(sched.UnrollOp(loop))

    def compute_at(self, compute: str, loop: str) -> None:
        """Compute a producer inside a consumer's loop."""
        self.run(sched.ComputeAtOp(compute, loop))

    def reverse_compute_at(self, compute: str, loop: str) -> None:
        """Compute a consumer inside its producer's loop."""
        self.run(sched.ReverseComputeAtOp(compute, loop))

    def compute_root(self, compute: str) -> None:
        """Give a compute its canonical nest at the top of the kernel again."""
        self.run(sched.ComputeRootOp(compute))

    def compute_inline(self, compute: str) -> None:
        """Put the body of a compute in the place of its reads."""
        self.run(sched.ComputeInlineOp(compute))

    def cache_read(self, buffer: str, reader: str, space: str = "scratch") -> str:
        """Read through a copy; the symbol of the copy."""
        return self.run(sched.CacheReadOp(buffer, reader, space))

    def cache_write(self, compute: str, space: str = "scratch") -> str:
        """Write through a copy; the symbol of the compute with the old body."""
        return self.run(sched.CacheWriteOp(compute, space))

    def set_scope(self, compute: str, space: str) -> None:
        """Say where the buffer of an intermediate compute lives."""
        self.run(sched.SetScopeOp(compute, space))

    def pack(self, operand: str, layout: AffineMap | str) -> None:
        """Give a const argument another layout."""
        self.run(sched.PackOp(operand, layout))

    def rfactor(self, compute: str, loop: str) -> str:
        """Reduce for each iteration of a reduce loop first; the symbol of the partial results."""
        return self.run(sched.RfactorOp(compute, loop))

    def decompose_reduction(self, compute: str, loop: str) -> str:
        """Write start values just before a loop; the symbol of the compute that does."""
        return self.run(sched.DecomposeReductionOp(compute, loop))

    def tensorize(self, loop: str, intrinsic: str) -> None:
        """Make the nest from a loop on one machine instruction."""
        self.run(sched.TensorizeOp(loop, intrinsic))

    def prefetch(self, buffer: str, loop: str, distance: sched.Number) -> None:
        """Ask for what a later iteration of a loop reads of an argument."""
        self.run(sched.PrefetchOp(buffer, loop, distance))

    def computes(self) -> list[str]:
        """The symbols of the computes, in order; each once."""
        return list(dict.fromkeys(stmt.sym_name.data for stmt in stmts_in(self.kernel)))

    def statements(self, compute: str) -> list[StmtOp]:
        """The statements of a compute: one, or one for each part of its nest."""
        return find_stmts(self.kernel, compute)

    def loops(self, compute: str | None = None) -> list[str]:
        """The names of all loops, or of those around a compute, outermost first."""
        if compute is None:
            return [loop.loop_name.data for loop in loops_of(self.kernel)]
        return [loop.loop_name.data for loop in loops_around(find_stmts(self.kernel, compute)[0])]

    def loop(self, name: str) -> ForOp:
        """The loop of that name."""
        return find_loop(self.kernel, name)

    def extent(self, loop: str) -> int | None:
        """How many iterations a loop has; `None` where that depends on other loops."""
        interval = find_loop(self.kernel, loop).constant_range
        return None if interval is None else max(0, interval[1] - interval[0])

    def role(self, compute: str, loop: str) -> str:
        """What a loop is to a compute: parallel, reduce, mixed or free."""
        return role(find_stmts(self.kernel, compute)[0], find_loop(self.kernel, loop))


def replay(kernel: KernelOp, schedule: sched.ScheduleOp) -> Schedule:
    """Run a logged schedule on a kernel; more primitives may follow.

    Raises: ScheduleError: one is refused.
    """
    made = Schedule(kernel, schedule.answers.data if schedule.answers else {})
    for op in schedule.body.block.ops:
        made.run(op.clone())
    return made
