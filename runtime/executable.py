"""An executable: a program bound to memory and threads, called like a function of arrays."""

from __future__ import annotations

import ctypes
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from ..core.errors import InputError, NncError
from .arrays import Array, address, aligned_bytes, aligned_empty, ready
from .inputs import accept, check_names, joined
from .outputs import OutputArrays, check_outputs
from .program import (
    ARENA,
    BARRIER,
    FIRST_SLOT,
    SCRATCH,
    HostStep,
    Output,
    Program,
    Segment,
    TensorSpec,
)
from .threads import PoolCode, pool

_ENTRY = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
STAGED_BYTES = 64 * 1024
"""Values that callers see and that are no larger than this live in the workspace and are copied:
that takes less time than asking NumPy for the address of a fresh array."""
_NO_ARRAYS: dict[int, Array] = {}


@dataclass(frozen=True, slots=True)
class BoundStep:
    """One step with what a call needs of it, computed once: a call costs microseconds.

    Attributes:
        entry: the segment's function; `None` for a host step.
        is_shared: whether several threads run it.
        host_reads: slots whose addresses change with every call, since a host step fills them.
        fresh: slots that it fills and that are too large for the workspace, with shape and dtype.
        dead: slots that nobody reads after it.
    """

    step: Segment | HostStep
    entry: Callable[[int, int, int], None] | None
    is_shared: bool
    host_reads: tuple[int, ...]
    fresh: tuple[tuple[int, tuple[int, ...], np.dtype[Any]], ...]
    dead: tuple[int, ...]

    @staticmethod
    def of(step: Segment | HostStep, dead: tuple[int, ...], threads: int) -> BoundStep:
        """Bind a step of a program that runs on `threads` threads."""
        if isinstance(step, HostStep):
            return BoundStep(step, None, False, (), (), dead)
        fresh = tuple(write for write in step.writes if not is_staged(write[1], write[2]))
        shared = threads > 1 and step.is_parallel
        return BoundStep(step, _ENTRY(step.entry), shared, step.host_reads, fresh, dead)


def is_staged(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether an input or a segment's output of this size lives in the workspace."""
    return prod(shape) * dtype.itemsize <= STAGED_BYTES


class Workspace:
    """Memory of one running call: arena, scratch, small inputs and outputs, and the frame.

    Attributes:
        values: the arrays that each call finds in its slots: constants, and what is staged.
        staged: the arrays of the small inputs and outputs, by slot.
        inputs: for each input its name, slot, spec, shape, dtype and staged array if it has one.
    """

    def __init__(self, program: Program, threads: int):
        self.arena = aligned_bytes(program.arena_bytes)
        self.scratch = aligned_bytes(program.scratch_bytes * threads)
        self.frame = np.zeros(FIRST_SLOT + program.num_slots, np.int64)
        self.frame[ARENA] = address(self.arena)
        self.frame[SCRATCH] = address(self.scratch)
        self.address = address(self.frame)
        self.values: list[Array | None] = [None] * program.num_slots
        self.staged: dict[int, Array] = {}
        for slot, array in program.constants.items():
            self.frame[FIRST_SLOT + slot] = address(array)
            self.values[slot] = array
        for slot, spec in enumerate(program.inputs):
            self._stage(slot, spec.shape, spec.dtype)
        for segment in program.steps:
            if isinstance(segment, Segment):
                for write in segment.writes:
                    self._stage(*write)
        self.outputs = tuple(
            (output.spec.name, output.use, self._staged_output(output), output.copy)
            for output in program.outputs
        )
        self.inputs = tuple(
            (spec.name, slot, spec, spec.shape, spec.dtype, self.staged.get(slot))
            for slot, spec in enumerate(program.inputs)
        )

    def _stage(self, slot: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        if is_staged(shape, dtype):
            array = self.staged[slot] = self.values[slot] = aligned_empty(shape, dtype)
            self.frame[FIRST_SLOT + slot] = address(array)

    def _staged_output(self, output: Output) -> Array | None:
        array = self.staged.get(output.use.slot)
        return None if array is None else output.use.of(self.values)

    def take_inputs(self, given: Mapping[str, object]) -> list[Array | None]:
        """The values of a call: inputs are copied if they are small, else used where they are.

        Raises: InputError: dtypes or shapes that do not fit.
        """
        values = self.values.copy()
        for name, slot, spec, shape, dtype, staged in self.inputs:
            value = given[name]
            if staged is None:
                array = values[slot] = accept(spec, value)
                self.frame[FIRST_SLOT + slot] = address(array)
            elif type(value) is np.ndarray and value.shape == shape and value.dtype == dtype:
                staged[...] = value
            else:
                staged[...] = accept(spec, value)
        return values

    def give_outputs(self, values: Sequence[Array | None]) -> dict[str, Array]:
        """The outputs of a call by name, as arrays of their own."""
        results: dict[str, Array] = {}
        for name, use, staged, copy in self.outputs:
            if staged is not None:
                results[name] = staged.copy()
            else:
                array = use.of(values)
                results[name] = array.copy() if copy else array
        return results


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
        self._steps = tuple(
            BoundStep.of(step, dead, threads)
            for step, dead in zip(program.steps, program.last_use, strict=True)
        )
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
        self,
        inputs: Mapping[str, object] | None = None,
        out: Mapping[str, Array] | None = None,
        /,
        **named: object,
    ) -> dict[str, Array]:
        """Run on arrays by input name; gives arrays by output name.

        Args:
            inputs: by name.
            out: arrays to be filled and given back, by output name; the others are new. Compiled
                code writes into them where they are contiguous, begin on a cache line and lie
                apart from the inputs; else the result is copied into them.
            **named: further inputs.

        Raises: InputError: names, dtypes or shapes that do not fit.
        """
        return self.run(joined(inputs, named), out)

    def run(
        self, given: Mapping[str, object], out: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """As calling it."""
        if given.keys() != self._names.keys():
            check_names(given, list(self._names))
        try:
            workspace = self._workspaces.pop()
        except IndexError:
            workspace = Workspace(self.program, self.threads)
        try:
            if out is not None:
                return self._run_into(given, out, workspace)
            values = workspace.take_inputs(given)
            self._run_steps(values, workspace, _NO_ARRAYS)
            return workspace.give_outputs(values)
        finally:
            self._workspaces.append(workspace)

    def _run_into(
        self, given: Mapping[str, object], out: Mapping[str, Array], workspace: Workspace
    ) -> dict[str, Array]:
        arrays = check_outputs(out, self.program.outputs)
        values = workspace.take_inputs(given)
        read = [
            array
            for _, slot, _, _, _, staged in workspace.inputs
            if staged is None and (array := values[slot]) is not None
        ]
        into = OutputArrays(arrays, read, self.program.outputs, workspace.staged.keys())
        self._run_steps(values, workspace, into.direct)
        return into.fill(workspace.give_outputs(values))

    def _run_steps(
        self, values: list[Array | None], workspace: Workspace, direct: Mapping[int, Array]
    ) -> None:
        for step in self._steps:
            self.run_step(step, values, workspace, direct)
            for slot in step.dead:
                values[slot] = None

    def run_step(
        self,
        bound: BoundStep,
        values: list[Array | None],
        workspace: Workspace,
        direct: Mapping[int, Array],
    ) -> None:
        """Run one step: it reads and fills `values`, those in `direct` where they are."""
        if bound.entry is None:
            assert isinstance(bound.step, HostStep)
            run_on_host(bound.step, values)
            return
        if bound.host_reads or bound.fresh:
            bind(bound, values, workspace, direct)
        if bound.is_shared:
            workers = pool(self.pool_code)
            if workers.try_acquire():
                try:
                    workspace.frame[BARRIER] = workers.barrier
                    assert isinstance(bound.step, Segment)
                    workers.run(bound.step.entry, workspace.address, self.threads)
                finally:
                    workers.release()
                return
        bound.entry(workspace.address, 0, 1)


def bind(
    bound: BoundStep,
    values: list[Array | None],
    workspace: Workspace,
    direct: Mapping[int, Array],
) -> None:
    """Put the addresses of what a segment reads and writes into the frame."""
    frame = workspace.frame
    for slot in bound.host_reads:
        array = values[slot]
        assert array is not None, f"slot {slot} is read before it is filled"
        frame[FIRST_SLOT + slot] = address(array)
    for slot, shape, dtype in bound.fresh:
        given = direct.get(slot)
        array = given.reshape(shape) if given is not None else aligned_empty(shape, dtype)
        frame[FIRST_SLOT + slot] = address(array)
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
