"""An executable: a program bound to memory and threads, called like a function of arrays."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from ..core.errors import InputError, NncError
from .arrays import Array, aligned_bytes, aligned_empty, ready
from .inputs import accept, check_names
from .program import ARENA, BARRIER, FIRST_SLOT, SCRATCH, HostStep, Program, Segment, TensorSpec
from .threads import PoolCode, pool

_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
STAGED_BYTES = 64 * 1024
"""Values that callers see and that are no larger than this live in the workspace and are copied:
that takes less time than asking NumPy for the address of a fresh array."""


class Workspace:
    """Memory of one running call: arena, scratch, small inputs and outputs, and the frame."""

    def __init__(self, program: Program, threads: int):
        self.arena = aligned_bytes(program.arena_bytes)
        self.scratch = aligned_bytes(program.scratch_bytes * threads)
        self.frame = np.zeros(FIRST_SLOT + program.num_slots, np.int64)
        self.frame[ARENA] = self.arena.ctypes.data
        self.frame[SCRATCH] = self.scratch.ctypes.data
        self.address = int(self.frame.ctypes.data)
        self.staged: dict[int, Array] = {}
        for slot, array in program.constants.items():
            self.frame[FIRST_SLOT + slot] = array.ctypes.data
        for slot, spec in enumerate(program.inputs):
            self._stage(slot, spec.shape, spec.dtype)
        for segment in program.steps:
            if isinstance(segment, Segment):
                for write in segment.writes:
                    self._stage(*write)

    def _stage(self, slot: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if prod(shape) * dtype.itemsize <= STAGED_BYTES:
            array = self.staged[slot] = aligned_empty(shape, dtype)
            self.frame[FIRST_SLOT + slot] = array.ctypes.data

    def take_input(self, slot: int, spec: TensorSpec, value: object) -> Array:
        """The array to compute with: in the workspace if it is small, else ready where it is."""
        staged = self.staged.get(slot)
        if staged is None:
            array = accept(spec, value)
            self.frame[FIRST_SLOT + slot] = array.ctypes.data
            return array
        if type(value) is not np.ndarray or value.shape != spec.shape or value.dtype != spec.dtype:
            value = accept(spec, value)
        np.copyto(staged, value)
        return staged


class Executable:
    """Runs a program; any number of Python threads may call it at once.

    Each concurrent call has a workspace of its own. The process has one pool of threads: a call
    that finds it in use runs on its own thread alone, with the same results.
    """

    def __init__(self, program: Program, threads: int, pool_code: Callable[[], PoolCode]):
        self.program = program
        self.threads = threads
        self.pool_code = pool_code
        self._names = {spec.name: None for spec in program.inputs}
        self._entries = {
            step.entry: _ENTRY(step.entry) for step in program.steps if isinstance(step, Segment)
        }
        self._workspaces: deque[Workspace] = deque()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Names, shapes and dtypes of the inputs."""
        return self.program.inputs

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Names, shapes and dtypes of the outputs."""
        return tuple(output.spec for output in self.program.outputs)

    def __call__(
        self, inputs: Mapping[str, object] | None = None, /, **named: object
    ) -> dict[str, Array]:
        """Run on arrays by input name; gives new arrays by output name.

        Raises: InputError: names, dtypes or shapes that do not fit.
        """
        given = {**inputs, **named} if inputs is not None else named
        if given.keys() != self._names.keys():
            check_names(given, list(self._names))
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = Workspace(self.program, self.threads)
        try:
            return self._run(given, workspace)
        finally:
            self._workspaces.append(workspace)

    def _run(self, given: Mapping[str, object], workspace: Workspace) -> dict[str, Array]:
        program = self.program
        values: list[Array | None] = [None] * program.num_slots
        for slot, spec in enumerate(program.inputs):
            values[slot] = workspace.take_input(slot, spec, given[spec.name])
        for slot, array in program.constants.items():
            values[slot] = array
        for number, step in enumerate(program.steps):
            self.run_step(step, values, workspace)
            for slot in program.last_use[number]:
                values[slot] = None
        results: dict[str, Array] = {}
        for output in program.outputs:
            array = output.use.of(values)
            shared = output.copy or output.use.slot in workspace.staged
            results[output.spec.name] = array.copy() if shared else array
        return results

    def run_step(
        self, step: Segment | HostStep, values: list[Array | None], workspace: Workspace
    ) -> None:
        """Run one step: it reads and fills `values`."""
        if isinstance(step, HostStep):
            run_on_host(step, values)
            return
        self.bind(step, values, workspace)
        if self.threads > 1 and step.is_parallel:
            workers = pool(self.pool_code)
            if workers.try_acquire():
                try:
                    workspace.frame[BARRIER] = workers.barrier
                    workers.run(step.entry, workspace.address, self.threads)
                finally:
                    workers.release()
                return
        self._entries[step.entry](workspace.address, 0, 1)

    def bind(self, segment: Segment, values: list[Array | None], workspace: Workspace) -> None:
        """Put the addresses of what a segment reads and writes into the frame."""
        frame, staged = workspace.frame, workspace.staged
        for slot in segment.host_reads:
            array = values[slot]
            assert array is not None, f"slot {slot} is read before it is filled"
            frame[FIRST_SLOT + slot] = array.ctypes.data
        for slot, shape, dtype in segment.writes:
            array = staged.get(slot)
            if array is None:
                array = aligned_empty(shape, dtype)
                frame[FIRST_SLOT + slot] = array.ctypes.data
            values[slot] = array


def run_on_host(step: HostStep, values: list[Array | None]) -> None:
    """Run one operator in Python.

    Raises: InputError: it cannot take these values.
    """
    args = [use.of(values) if use is not None else None for use in step.args]
    results: Sequence[Array]
    try:
        with np.errstate(all="ignore"):
            results = step.run(*args)
    except NncError:
        raise
    except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError) as error:
        raise InputError(
            f"{step.operator} cannot run on these values: {error}", where=step.where or None
        ) from error
    for slot, result in zip(step.results, results, strict=True):
        values[slot] = ready(np.asarray(result))
