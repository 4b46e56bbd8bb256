"""A compiled model as the runtime sees it: slots for values, and steps that fill them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .arrays import Array

ARENA, SCRATCH, BARRIER, FIRST_SLOT = range(4)
"""Places in the frame, the table of pointers that an entry function takes: the intermediates'
memory, the threads' scratch memory, the barrier, then one pointer for each slot."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or an output: its name, extents and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __str__(self) -> str:
        return f"{self.name}: {self.dtype.name}{list(self.shape)}"


@dataclass(frozen=True)
class Use:
    """The value in a slot, seen with a shape (`None`: the one it has)."""

    slot: int
    shape: tuple[int, ...] | None = None

    def of(self, values: Sequence[Array | None]) -> Array:
        """The array."""
        value = values[self.slot]
        assert value is not None, f"slot {self.slot} is read before it is filled"
        if self.shape is None or value.shape == self.shape:
            return value
        return value.reshape(self.shape)


@dataclass(frozen=True)
class LaunchCode:
    """One phase of one kernel inside a segment, for profiles: `function(*pointers, low, high)`.

    Attributes:
        pointers: for each argument, its place in the frame and an offset in bytes.
        extent: iterations of its outermost parallel loop.
        name, where: the kernel, and the model's nodes.
    """

    function: int
    pointers: tuple[tuple[int, int], ...]
    extent: int
    name: str
    where: str


@dataclass(frozen=True)
class Segment:
    """Compiled code: one call of `entry(frame, tid, threads)` runs it.

    Attributes:
        entry: the function's address.
        reads: slots whose arrays it takes, but for constants.
        host_reads: those of them that host steps fill.
        writes: slots that it fills, with shape and dtype.
        launches: what the entry function runs, in order.
        is_parallel: whether several threads have something to do in it.
    """

    entry: int
    reads: tuple[int, ...]
    host_reads: tuple[int, ...]
    writes: tuple[tuple[int, tuple[int, ...], np.dtype[Any]], ...]
    launches: tuple[LaunchCode, ...] = ()
    is_parallel: bool = True


@dataclass(frozen=True)
class HostStep:
    """One operator that runs in Python.

    Attributes:
        run: takes the operands' arrays (`None` for one that is left out), gives the results'.
        operator, where: what it is, and the model's node, for messages.
    """

    run: Callable[..., Sequence[Array]]
    args: tuple[Use | None, ...]
    results: tuple[int, ...]
    operator: str = ""
    where: str = ""


@dataclass(frozen=True)
class Output:
    """An output and where it comes from; `copy` where the memory is also somebody else's."""

    spec: TensorSpec
    use: Use
    copy: bool = False


@dataclass(frozen=True)
class Program:
    """Inputs fill the first slots, in order; `constants` fill others; the steps fill the rest.

    Attributes:
        last_use: for each step, the slots that nobody reads after it.
        keep: what keeps the code of the segments in memory.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[Output, ...]
    steps: tuple[Segment | HostStep, ...]
    num_slots: int
    last_use: tuple[tuple[int, ...], ...]
    constants: Mapping[int, Array] = field(default_factory=dict[int, Array])
    arena_bytes: int = 0
    scratch_bytes: int = 0
    keep: object = None
