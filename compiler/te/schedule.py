"""Schedules of tensor expressions: stages found by tensor, axes by the objects that they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias, cast

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation
from xdsl.ir.affine import AffineMap

from ...core.errors import ExpressionError, ScheduleError
from ...dialects.sched import Number
from ...frontends.te.compute import ReduceAxis
from ...frontends.te.kernel import Kernel, create_kernel
from ...frontends.te.origin import here, located
from ...frontends.te.tensor import Axis, Tensor, check_tensors
from ...frontends.te.tensor import Operation as Source
from ...lowering.te_to_loop.kernel import KernelConverter
from ...schedules.replay import Schedule as NestSchedule

Loop: TypeAlias = "str | Axis | ReduceAxis"
"""A loop: its name (`c.i.o`), the axis it was (`i` of the stage), or that axis as an object."""


class Schedule(NestSchedule):
    """How to run a kernel of tensor expressions.

    `s[c]` is the stage of a tensor; the methods of `schedules.replay.Schedule` take loops by name.
    Every primitive is checked and applied when it is called.
    """

    def __init__(self, source: Kernel):
        super().__init__(KernelConverter(source.op).convert())
        self.source = source

    def __getitem__(self, compute: Tensor | str) -> Stage:
        """The stage of a tensor, or of a compute by its symbol (as `cache_write` returns one).

        Raises: ExpressionError: the kernel does not compute it.
        """
        with located:
            if isinstance(compute, str):
                self.statements(compute)
                return Stage(self, compute, None)
            check_tensors(compute)
            symbol = self.source.symbols.get(compute.op)
            if symbol is None:
                computed = ", ".join(f"'{name}'" for name in self.source.symbols.values())
                raise ExpressionError(
                    f"the schedule has no stage '{compute.name}'", hint=f"it computes {computed}"
                )
        return Stage(self, symbol, compute.op)

    def run(self, op: Operation) -> Any:
        """Run a primitive; its place, for messages and logs, is the user's line."""
        op.location = here()
        with located:
            for name, value in op.properties.items():
                if isinstance(value, StringAttr) and not isinstance(
                    cast("object", value.data), str
                ):
                    what = f"expected a name as {name}, got {value.data!r}"
                    raise ScheduleError(f"{op.name.removeprefix('sched.')}: {what}")
            return super().run(op)


class Stage:
    """One compute in a schedule, with TVM's methods; loops are meant to be this compute's."""

    def __init__(self, schedule: Schedule, symbol: str, op: Source | None):
        self.schedule, self.symbol, self._op = schedule, symbol, op

    @property
    def op(self) -> Source:
        """What the user's tensor comes from: `s[c].op.axis`."""
        if self._op is None:
            raise ExpressionError(f"'{self.symbol}' was made by a primitive", hint="use `loops`")
        return self._op

    @property
    def loops(self) -> list[str]:
        """The names of the loops around it, outermost first."""
        return self.schedule.loops(self.symbol)

    def loop(self, loop: Loop) -> str:
        """The name of a loop."""
        if isinstance(loop, Axis):
            symbol = self.schedule.source.symbols.get(loop.operation)
            if symbol is None:
                raise ExpressionError(f"axis '{loop.label}' is of no compute of this schedule")
            return f"{symbol}.{loop.label}"
        if isinstance(loop, ReduceAxis):
            label = self.op.labels.get(loop)
            if label is None:
                raise ExpressionError(f"'{self.symbol}' does not reduce over '{loop.name}'")
            return f"{self.symbol}.{label}"
        if not isinstance(loop, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            hint = "an axis, or a loop's name"
            raise ExpressionError(f"expected a loop, got {loop!r}", hint=hint)
        return f"{self.symbol}.{loop}" if f"{self.symbol}.{loop}" in self.schedule.loops() else loop

    def split(
        self,
        loop: Loop,
        factor: Number | None = None,
        *,
        nparts: int | None = None,
        tail: str | None = None,
    ) -> tuple[str, str]:
        """Split a loop into an outer and an inner one of `factor`, or of `nparts` outer ones."""
        name = self.loop(loop)
        if (factor is None) == (nparts is None):
            raise ExpressionError("split takes a factor or nparts")
        if factor is None:
            extent = self.schedule.extent(name)
            if extent is None or not nparts or nparts < 1:
                raise ExpressionError(f"'{name}' cannot be split into {nparts} parts")
            factor = max(1, -(-extent // nparts))
        return self.schedule.split(name, factor, tail)

    def tile(
        self, first: Loop, second: Loop, first_factor: Number, second_factor: Number
    ) -> tuple[str, str, str, str]:
        """Split two loops and reorder: the names of both outer ones, then of both inner ones."""
        names = self.loop(first), self.loop(second)
        return self.schedule.tile(*names, first_factor, second_factor)

    def fuse(self, outer: Loop, inner: Loop, *more: Loop) -> str:
        """Fuse loops, outermost first; the name of the fused one."""
        names = [self.loop(loop) for loop in (outer, inner, *more)]
        return self.schedule.fuse(*names)

    def reorder(self, *loops: Loop) -> None:
        """Put loops in this order, outermost first."""
        self.schedule.reorder(*(self.loop(loop) for loop in loops))

    def partition(self, loop: Loop, cuts: Sequence[int]) -> list[str]:
        """Cut a loop at these points; the names of the parts."""
        return self.schedule.partition(self.loop(loop), cuts)

    def parallel(self, loop: Loop) -> None:
        """Let threads share an outermost loop."""
        self.schedule.parallel(self.loop(loop))

    def vectorize(self, loop: Loop) -> None:
        """Make a loop the lanes of tiles."""
        self.schedule.vectorize(self.loop(loop))

    def unroll(self, loop: Loop) -> None:
        """Make a loop a register axis of tiles."""
        self.schedule.unroll(self.loop(loop))

    def compute_at(self, consumer: Stage, loop: Loop) -> None:
        """Compute what one iteration of the consumer's loop reads, there."""
        self.schedule.compute_at(self.symbol, _stage(consumer).loop(loop))

    def reverse_compute_at(self, producer: Stage, loop: Loop) -> None:
        """Compute what one iteration of the producer's loop makes ready, there."""
        self.schedule.reverse_compute_at(self.symbol, _stage(producer).loop(loop))

    def compute_root(self) -> None:
        """Have a nest of its own at the top of the kernel again."""
        self.schedule.compute_root(self.symbol)

    def compute_inline(self) -> None:
        """Put the body in the place of its reads."""
        self.schedule.compute_inline(self.symbol)

    def cache_read(self, tensor: Tensor | str, space: str = "scratch") -> Stage:
        """Read a tensor through a copy; the stage of the copy."""
        name = tensor if isinstance(tensor, str) else self._buffer(tensor)
        return self.schedule[self.schedule.cache_read(name, self.symbol, space)]

    def cache_write(self, space: str = "scratch") -> Stage:
        """Write through a copy; the stage that computes, while this one copies."""
        return self.schedule[self.schedule.cache_write(self.symbol, space)]

    def set_scope(self, space: str) -> None:
        """Say where the result lives, which no output does."""
        self.schedule.set_scope(self.symbol, space)

    def pack(self, tensor: Tensor | str, layout: AffineMap) -> None:
        """Give a const placeholder another layout."""
        self.schedule.pack(tensor if isinstance(tensor, str) else self._buffer(tensor), layout)

    def rfactor(self, loop: Loop) -> Stage:
        """Reduce for each iteration of a reduce loop first; the stage of the partial results."""
        return self.schedule[self.schedule.rfactor(self.symbol, self.loop(loop))]

    def decompose_reduction(self, loop: Loop) -> Stage:
        """Write start values just before a loop; the stage that does."""
        return self.schedule[self.schedule.decompose_reduction(self.symbol, self.loop(loop))]

    def tensorize(self, loop: Loop, intrinsic: str) -> None:
        """Make the nest from a loop on one machine instruction."""
        self.schedule.tensorize(self.loop(loop), intrinsic)

    def prefetch(self, tensor: Tensor | str, loop: Loop, distance: Number) -> None:
        """Ask for what a later iteration of a loop reads of a placeholder."""
        name = tensor if isinstance(tensor, str) else self._buffer(tensor)
        self.schedule.prefetch(name, self.loop(loop), distance)

    def _buffer(self, tensor: Tensor) -> str:
        """The name of a tensor's buffer."""
        source = self.schedule.source
        if tensor in source.inputs:
            return source.op.arg_names.data[source.inputs.index(tensor)].data
        stage = self.schedule[tensor]
        suffix = tensor.name.removeprefix(tensor.op.name)
        return f"{stage.symbol}{suffix}"


def _stage(given: object) -> Stage:
    if not isinstance(given, Stage):
        raise ExpressionError(f"expected a stage, got {given!r}", hint="s[tensor]")
    return given


def create_schedule(
    outputs: Tensor | Sequence[Tensor],
    inputs: Sequence[Tensor] | None = None,
    name: str | None = None,
) -> Schedule:
    """A schedule of the kernel that computes tensors: every compute in a nest of its own.

    Args:
        outputs: what the kernel returns.
        inputs: its arguments in order; those that it reads where none are given.
        name: its symbol.

    Raises: ExpressionError: as `create_kernel`.
    """
    return Schedule(create_kernel(outputs, inputs, name))
