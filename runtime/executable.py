"""An executable: a program bound to memory and threads, called like a function of arrays."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..core.errors import InputError, NncError
from .arrays import Array, aligned_bytes, aligned_empty, ready
from .inputs import accept, check_names
from .program import ARENA, BARRIER, FIRST_SLOT, SCRATCH, HostStep, Program, Segment, TensorSpec
from .threads import PoolCode, pool

_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)


class _Workspace:
    """Memory of one running call: arena, scratch, and the frame that points to them."""

    def __init__(self, program: Program, threads: int):
        self.arena = aligned_bytes(program.arena_bytes)
        self.scratch = aligned_bytes(program.scratch_bytes * threads)
        self.frame = np.zeros(FIRST_SLOT + program.num_slots, np.int64)
        self.frame[ARENA] = self.arena.ctypes.data
        self.frame[SCRATCH] = self.scratch.ctypes.data
        for slot, array in program.constants.items():
            self.frame[FIRST_SLOT + slot] = array.ctypes.data
        self.address = int(self.frame.ctypes.data)


class Executable:
    """Runs a program; any number of Python threads may call it at once.

    Each concurrent call has a workspace of its own. The process has one pool of threads: a call
    that finds it in use runs on its own thread alone, with the same results.
    """

    def __init__(self, program: Program, threads: int, pool_code: Callable[[], PoolCode]):
        self.program = program
        self.threads = threads
        self._pool_code = pool_code
        self._names = [spec.name for spec in program.inputs]
        self._entries = {
            step.entry: _ENTRY(step.entry) for step in program.steps if isinstance(step, Segment)
        }
        self._workspaces: deque[_Workspace] = deque()

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
        if given.keys() != set(self._names):
            check_names(given, self._names)
        values: list[Array | None] = [None] * self.program.num_slots
        for slot, spec in enumerate(self.program.inputs):
            values[slot] = accept(spec, given[spec.name])
        for slot, array in self.program.constants.items():
            values[slot] = array
        self._run(values)
        return {
            output.spec.name: output.use.of(values).copy() if output.copy else output.use.of(values)
            for output in self.program.outputs
        }

    def _run(self, values: list[Array | None]) -> None:
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = _Workspace(self.program, self.threads)
        try:
            for number, step in enumerate(self.program.steps):
                if isinstance(step, Segment):
                    self._run_segment(step, values, workspace)
                else:
                    _run_on_host(step, values)
                for slot in self.program.last_use[number] if self.program.last_use else ():
                    values[slot] = None
        finally:
            self._workspaces.append(workspace)

    def _run_segment(
        self, segment: Segment, values: list[Array | None], workspace: _Workspace
    ) -> None:
        frame = workspace.frame
        for slot in segment.reads:
            array = values[slot]
            assert array is not None, f"slot {slot} is read before it is filled"
            frame[FIRST_SLOT + slot] = array.ctypes.data
        for slot, shape, dtype in segment.writes:
            array = values[slot] = aligned_empty(shape, dtype)
            frame[FIRST_SLOT + slot] = array.ctypes.data
        if self.threads > 1:
            workers = pool(self._pool_code)
            if workers.try_acquire():
                try:
                    frame[BARRIER] = workers.barrier
                    workers.run(segment.entry, workspace.address, self.threads)
                finally:
                    workers.release()
                return
        self._entries[segment.entry](workspace.address, 0, 1)


def _run_on_host(step: HostStep, values: list[Array | None]) -> None:
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
