"""What an entry function runs: phases of kernels on memory that the plan has placed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...dialects.loop import BufferType


@dataclass(frozen=True)
class Place:
    """`size` bytes at `offset` of what `slot` of the frame points to."""

    slot: int
    offset: int
    size: int

    def overlaps(self, other: Place) -> bool:
        """Whether the two share a byte."""
        return (
            self.slot == other.slot
            and self.offset < other.offset + other.size
            and other.offset < self.offset + self.size
        )


@dataclass(frozen=True)
class Launch:
    """One phase of one kernel: `symbol(*reads, *writes, scratch, lo, hi)`.

    Attributes:
        extent: of the outermost parallel loop, which the threads share out.
        reads: places of the kernel's inputs.
        writes: places of its outputs, then of its temporaries.
        alone: so small that one thread is faster than several.
        where: the node this comes from, a comment in the text.
    """

    symbol: str
    extent: int
    reads: tuple[Place, ...]
    writes: tuple[Place, ...]
    alone: bool = False
    where: str = ""

    @property
    def on_first_thread(self) -> bool:
        """Whether only thread 0 runs it."""
        return self.alone or self.extent <= 1


def must_wait(launch: Launch, before: Sequence[Launch]) -> bool:
    """Whether a barrier must stand between `launch` and those that ran since the last one.

    It must where `launch` reads or overwrites what another thread may write, or overwrites what
    another thread may read. Launches of the first thread follow each other anyway.
    """
    return any(
        not (launch.on_first_thread and other.on_first_thread)
        and (
            _touch(launch.reads, other.writes)
            or _touch(launch.writes, other.writes)
            or _touch(launch.writes, other.reads)
        )
        for other in before
    )


def _touch(some: Sequence[Place], others: Sequence[Place]) -> bool:
    return any(a.overlaps(b) for a in some for b in others)


@dataclass(frozen=True)
class KernelCode:
    """What a call of a compiled kernel needs to know.

    Attributes:
        phases: (symbol, extent of the outermost parallel loop), run in order.
        args: types of the buffers, inputs first, then outputs.
        num_outputs: how many of them are written.
        temporaries: bytes of each buffer that lives in the arena during the call.
        scratch: bytes of one thread's own memory.
        alone: so small that one thread is faster than several.
        inout: (operand, result) by argument number: those that may share their memory.
    """

    phases: tuple[tuple[str, int], ...]
    args: tuple[BufferType, ...]
    num_outputs: int
    temporaries: tuple[int, ...] = ()
    scratch: int = 0
    alone: bool = False
    inout: tuple[tuple[int, int], ...] = ()
