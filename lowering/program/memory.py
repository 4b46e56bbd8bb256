"""The memory plan: where in one arena each buffer lives, given when it is alive.

Greedy: one buffer after the other, each at the lowest place where it meets no placed buffer that is
alive at the same time, in several orders of which the smallest arena is taken. Offsets are aligned
to a cache line; large buffers begin at different places of a 4 KiB page, so that streams do not
fall into the same cache sets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

LINE = 64
PAGE = 4096
STAGGER = 5 * LINE
"""Distance within the page of one large buffer from the last; odd in lines, so it visits all."""
LARGE = 4 * PAGE


@dataclass(frozen=True)
class Lifetime:
    """A buffer of `size` bytes, alive from step `first` to step `last`, both included."""

    size: int
    first: int
    last: int

    def meets(self, other: Lifetime) -> bool:
        """Whether there is a step at which both are alive."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class ArenaPlan:
    """One offset for each buffer, and the arena's size in bytes."""

    offsets: tuple[int, ...]
    size: int


def align(size: int, to: int = LINE) -> int:
    """`size` rounded up to a multiple of `to`."""
    return -(-size // to) * to


def plan_arena(buffers: Sequence[Lifetime]) -> ArenaPlan:
    """Place every buffer; two that are alive at one step never overlap.

    No order is best everywhere. The largest first suits equal lifetimes; a buffer that many kernels
    fill piece by piece lives long and had better come before larger ones; in a chain, what is made
    first.

    >>> plan_arena([Lifetime(100, 0, 1), Lifetime(64, 1, 2), Lifetime(64, 2, 3)])
    ArenaPlan(offsets=(0, 128, 0), size=192)
    """
    orders: tuple[Callable[[Lifetime], tuple[int, ...]], ...] = (
        lambda buffer: (-buffer.size, buffer.first),
        lambda buffer: (-buffer.size * (buffer.last - buffer.first + 1),),
        lambda buffer: (buffer.first, -buffer.size),
    )
    plans: list[ArenaPlan] = []
    for key in orders:
        order = sorted(range(len(buffers)), key=lambda i, key=key: (*key(buffers[i]), i))
        plans.append(_place_in_order(buffers, order))
    return min(plans, key=lambda plan: plan.size)


def _place_in_order(buffers: Sequence[Lifetime], order: Sequence[int]) -> ArenaPlan:
    offsets = [0] * len(buffers)
    placed: list[tuple[int, int, Lifetime]] = []
    for rank, index in enumerate(order):
        buffer = buffers[index]
        phase = rank * STAGGER % PAGE if buffer.size >= LARGE else None
        taken = sorted((low, high) for low, high, other in placed if buffer.meets(other))
        offset = _first_gap(taken, align(buffer.size), phase)
        offsets[index] = offset
        if buffer.size:
            placed.append((offset, offset + align(buffer.size), buffer))
    return ArenaPlan(tuple(offsets), max((high for _, high, _ in placed), default=0))


def _first_gap(taken: Sequence[tuple[int, int]], size: int, phase: int | None) -> int:
    """The lowest aligned offset at `phase` of a page that leaves the taken intervals alone."""
    offset = _at_phase(0, phase)
    for low, high in taken:
        if offset + size <= low:
            break
        if high > offset:
            offset = _at_phase(high, phase)
    return offset


def _at_phase(offset: int, phase: int | None) -> int:
    return offset if phase is None else offset + (phase - offset) % PAGE
