"""Draws steps of a schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from xdsl.ir.affine import AffineMap

from nnc.core.errors import ScheduleError
from nnc.dialects.intrinsics import INTRINSICS
from nnc.schedules.primitives.lookup import buffer_name
from nnc.schedules.primitives.space import reads_in
from nnc.schedules.primitives.table import PRIMITIVES
from nnc.schedules.replay import Schedule


class Steps:
    """Draws a primitive and arguments for it that have a fair chance."""

    def __init__(self, data: st.DataObject, s: Schedule):
        self.data = data
        self.s = s

    def pick(self, options: Sequence[Any]) -> Any:
        if not options:
            raise ScheduleError("nothing to choose from")
        return self.data.draw(st.sampled_from(list(options)))

    def compute(self) -> str:
        return self.pick(self.s.computes())

    def space(self) -> str:
        return self.pick(["global", "scratch", "register"])

    def neighbours(self, compute: str, *, readers: bool) -> list[str]:
        """The loops around the computes that read `compute`, or that it reads."""
        own = {out for stmt in self.s.statements(compute) for out in stmt.outs}
        own_reads = {r.source for stmt in self.s.statements(compute) for r in reads_in(stmt)}
        found: list[str] = []
        for other in self.s.computes():
            stmt = self.s.statements(other)[0]
            reads = {read.source for read in reads_in(stmt)}
            if (own & reads) if readers else (own_reads & set(stmt.outs)):
                found += self.s.loops(other)
        return found

    def split(self) -> None:
        tail = self.pick([None, "mask", "peel", "shift", "pad", "balanced"])
        holes = [f"${label}" for label in self.s.answers]
        self.s.split(self.pick(self.s.loops()), self.pick([1, 2, 3, 4, *holes]), tail)

    def fuse(self) -> None:
        around = self.s.loops(self.compute())
        at: int = self.pick(range(len(around) - 1))
        self.s.fuse(around[at], around[at + 1])

    def reorder(self) -> None:
        around = self.s.loops(self.compute())
        chosen = self.data.draw(st.permutations(around))
        self.s.reorder(*chosen[: self.pick(range(len(chosen) + 1))])

    def tile(self) -> None:
        around = self.s.loops(self.compute())
        at: int = self.pick(range(len(around) - 1))
        self.s.tile(around[at], around[at + 1], self.pick([1, 2, 3]), self.pick([1, 2, 3]))

    def partition(self) -> None:
        loop = self.pick(self.s.loops())
        self.s.partition(loop, [self.pick(range(self.s.extent(loop) or 1))])

    def compute_at(self) -> None:
        compute = self.compute()
        self.s.compute_at(compute, self.pick(self.neighbours(compute, readers=True)))

    def reverse_compute_at(self) -> None:
        compute = self.compute()
        self.s.reverse_compute_at(compute, self.pick(self.neighbours(compute, readers=False)))

    def compute_inline(self) -> None:
        self.s.compute_inline(self.compute())

    def compute_root(self) -> None:
        self.s.compute_root(self.compute())

    def rfactor(self) -> None:
        compute = self.compute()
        self.s.rfactor(compute, self.pick(self.s.loops(compute)))

    def decompose_reduction(self) -> None:
        compute = self.compute()
        self.s.decompose_reduction(compute, self.pick(self.s.loops(compute)))

    def tensorize(self) -> None:
        self.s.tensorize(self.pick(self.s.loops()), self.pick(list(INTRINSICS)))

    def prefetch(self) -> None:
        names = [name.data for name in self.s.kernel.arg_names]
        self.s.prefetch(self.pick(names), self.pick(self.s.loops()), self.pick([1, 2, 5]))

    def choose(self) -> None:
        self.s.choose(f"t{len(self.s.answers)}", [1, 2, 3], self.pick([1, 2, 3]))

    def cache_read(self) -> None:
        reader = self.compute()
        sources = [r.source for stmt in self.s.statements(reader) for r in reads_in(stmt)]
        # names, not values: what is drawn is shown, and a value shows all that it comes from
        names = [buffer_name(self.s.kernel, source) for source in sources]
        self.s.cache_read(self.pick(names), reader, self.space())

    def cache_write(self) -> None:
        self.s.cache_write(self.compute(), self.space())

    def set_scope(self) -> None:
        self.s.set_scope(self.compute(), self.space())

    def pack(self) -> None:
        names = [self.s.kernel.arg_names.data[i].data for i in self.s.kernel.const_positions]
        layouts = [
            AffineMap.from_callable(lambda i, j: (j // 3, i, j % 3)),
            AffineMap.from_callable(lambda i, j: (i // 2, j)),
        ]
        self.s.pack(self.pick(names), self.pick(layouts))

    def parallel(self) -> None:
        self.s.parallel(self.pick(self.s.loops()))

    def vectorize(self) -> None:
        self.s.vectorize(self.pick(self.s.loops()))

    def unroll(self) -> None:
        self.s.unroll(self.pick(self.s.loops()))


MARKS = ("parallel", "vectorize", "unroll")
MOVES = tuple(op.name.split(".")[1] for op in PRIMITIVES if op.name.split(".")[1] not in MARKS)


def random_step(data: st.DataObject, s: Schedule, names: Sequence[str]) -> None:
    getattr(Steps(data, s), data.draw(st.sampled_from(names)))()
