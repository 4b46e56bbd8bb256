"""Where a program of right kernels goes wrong: in whose memory, and because of whom.

The launches run one by one, in a child process. Before each call its operands are compared with
what they should be, and after it its results: the first that is wrong says why.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from xdsl.ir import SSAValue

from ...compiler.isolate import isolated_until
from ...compiler.native import unpacked
from ...compiler.program import Compiled
from ...core.dtypes import numpy_dtype
from ...core.errors import NncError
from ...dialects import loop
from ...dialects.graph import base as graph
from ...dialects.loop import BufferType
from ...lowering.program.launch import KernelCode
from ...passes.graph.places import Places
from ...reference.graph.run import as_callee_reads, as_caller_reads
from ...runtime.arrays import Array, address, aligned_bytes, ready
from ...runtime.executable import Workspace
from ...runtime.profile import Launched, NativeCall, Stepper
from ...runtime.program import LaunchCode
from .kernels import Case, callee_of
from .values import Difference, Tolerance, Wanted, compare

CONSTANT = "constant"
OVERWRITTEN = "overwritten"
MISREAD = "misread"
MISWRITTEN = "miswritten"
OVERLAPPING = "overlapping"
SHARED = "shared"
CRASHED = "crashed"


@dataclass(frozen=True)
class Broken:
    """The first call at which a program goes wrong.

    Attributes:
        kind: what is wrong. A constant is another one in memory; an operand was overwritten, or is
            read elsewhere than it was written; operands are right and the result is not, because of
            the code or of what lies over it; or because the result lies where an operand does, as
            the kernel says it may; or it crashed.
        call: its number among main's calls.
        number: of the operand, or of the result.
        writer: the call that wrote over the operand, if that was seen.
        pair: of the arguments that are one buffer, as in the kernel's `inout`.
        difference: of the operand, or of the result.
    """

    kind: str
    call: int
    number: int = 0
    writer: int | None = None
    difference: Difference = field(default_factory=Difference)
    pair: tuple[int, int] | None = None


def find_broken(
    compiled: Compiled, inputs: Mapping[str, Array], cases: Sequence[Case], tolerance: Tolerance
) -> Broken | None:
    """Run step by step; `None` where every call takes and gives what it should.

    Args:
        compiled: the program.
        inputs: arrays by name.
        cases: its calls, with what they should take and give.
        tolerance: how far they may be off.
    """
    if not cases:
        return None
    started = mmap.mmap(-1, 8)  # shared with the child: the call at which it died

    def run(finish: Callable[[Broken | None], NoReturn]) -> None:
        watch = _Watch(compiled, cases, tolerance, started, finish)
        Stepper(compiled.executable, watch).run(inputs)

    try:
        return isolated_until(run)
    except NncError as error:
        return Broken(CRASHED, _number(started), difference=Difference(reason=error.message))


def _number(board: mmap.mmap) -> int:
    return int.from_bytes(board[:8], "little")


@dataclass
class _Live:
    """A value where a call wrote it."""

    value: SSAValue
    pointer: tuple[int, int]
    buffer: BufferType
    content: bytes
    writer: int | None = None


@dataclass
class _Watch:
    """Looks at memory before and after each launch."""

    compiled: Compiled
    cases: Sequence[Case]
    tolerance: Tolerance
    started: mmap.mmap
    finish: Callable[[Broken | None], NoReturn]

    def __post_init__(self):
        self.phases = iter(self._phases())
        self.launches: list[LaunchCode] = []
        self.taken: list[bytes] = []
        self.live: dict[SSAValue, _Live] = {}
        block = self.cases[0].call.parent_block()
        assert block is not None, "main's"
        self.places = Places.of(block)

    def _phases(self) -> list[tuple[Case, bool, bool]]:
        """For each launch its call, whether it is the first one of it, and the last."""
        found: list[tuple[Case, bool, bool]] = []
        for case in self.cases:
            count = sum(1 for _, extent in self._code(case).phases if extent)
            found += [(case, at == 0, at == count - 1) for at in range(count)]
        return found

    def _code(self, case: Case) -> KernelCode:
        return self.compiled.kernels.code[case.symbol]

    def __call__(self, launched: Launched) -> None:
        case, is_first, is_last = next(self.phases)
        pointers = list(zip(launched.launch.pointers, self._code(case).args, strict=False))
        if is_first:
            self.started[:8] = case.number.to_bytes(8, "little")
            self._check_operands(case, pointers, launched.workspace)
            self.launches = []
            places = pointers[: len(case.call.operands)]
            self.taken = [_bytes(*place, launched.workspace) for place in places]
        self.launches.append(launched.launch)
        launched.run()
        if is_last:
            self._check_results(case, pointers, launched.workspace)

    def _check_operands(self, case: Case, pointers: Sequence[_Place], workspace: Workspace) -> None:
        wanted = _as_read(case)
        for number, (operand, place) in enumerate(zip(case.call.operands, pointers, strict=False)):
            found = _difference(wanted[number], place, workspace, self.tolerance)
            if not found.is_wrong:
                continue
            lost = self._overwritten(operand)
            if isinstance(self._root(operand).owner, graph.ConstantOp):
                kind = CONSTANT
            else:
                kind = MISREAD if lost is None else OVERWRITTEN
            writer = None if lost is None else lost.writer
            self.finish(Broken(kind, case.number, number, writer, found))

    def _root(self, value: SSAValue) -> SSAValue:
        return self.places.root(value)[0]

    def _overwritten(self, value: SSAValue) -> _Live | None:
        """What was written over in the memory in which a value lies."""
        root = self._root(value)
        lives = [live for live in self.live.values() if self._root(live.value) is root]
        return next((live for live in lives if live.writer is not None), None)

    def _check_results(self, case: Case, pointers: Sequence[_Place], workspace: Workspace) -> None:
        call = case.call
        places = pointers[len(call.operands) :]
        got = [_read(place, workspace) for place, _ in zip(places, call.results, strict=False)]
        self._note_overwritten(case, workspace)
        pairs = zip(case.results, _for_caller(case, got), strict=True)
        for number, (wanted, array) in enumerate(pairs):
            found = compare(wanted, array, self.tolerance)
            if found.is_wrong:
                self._blame(case, number, found, pointers)
        for value, (pointer, buffer) in zip(call.results, places, strict=False):
            content = _bytes(pointer, buffer, workspace)
            self.live[value] = _Live(value, pointer, buffer, content)

    def _note_overwritten(self, case: Case, workspace: Workspace) -> None:
        for live in self.live.values():
            if live.writer is None and not _is_same(live, workspace):
                live.writer = case.number

    def _blame(
        self, case: Case, number: int, found: Difference, pointers: Sequence[_Place]
    ) -> NoReturn:
        """Operands were right; the code is wrong, or it writes over what it reads."""
        if not self._is_right_alone(case):
            self.finish(Broken(MISWRITTEN, case.number, number, None, found))
        for operand, result in self._code(case).inout:
            if pointers[operand][0] == pointers[result][0]:
                pair = operand, result
                if not self._is_right_alone(case, pair):
                    broken = Broken(SHARED, case.number, operand, case.number, found, pair)
                    self.finish(broken)
        for at, operand in enumerate(case.call.operands):
            lost = self._overwritten(operand)
            if lost is not None and lost.writer == case.number:
                self.finish(Broken(OVERWRITTEN, case.number, at, case.number, found))
        self.finish(Broken(OVERLAPPING, case.number, number, None, found))

    def _is_right_alone(self, case: Case, shared: tuple[int, int] | None = None) -> bool:
        """Whether the code of a call is right where nothing else than a pair is one buffer."""
        code, call = self._code(case), case.call
        results = [_size(buffer) for buffer in code.args[len(call.operands) :]]
        made = [aligned_bytes(size) for size in (*results, *code.temporaries, self._scratch)]
        taken = [ready(np.frombuffer(content, np.uint8)) for content in self.taken]
        if shared is not None:
            made[shared[1] - len(taken)] = taken[shared[0]]
        addresses = tuple(address(array) for array in (*taken, *made))
        for launch in self.launches:
            NativeCall(launch.function, addresses, launch.extent).bound()()
        got = [
            _logical(array.tobytes(), buffer)
            for array, buffer in zip(made, code.args[len(call.operands) :], strict=False)
        ]
        pairs = zip(case.results, _for_caller(case, got), strict=True)
        return not any(compare(want, array, self.tolerance).is_wrong for want, array in pairs)

    @property
    def _scratch(self) -> int:
        return self.compiled.executable.program.scratch_bytes


_Place = tuple[tuple[int, int], BufferType]


def _as_read(case: Case) -> list[Wanted]:
    """What the kernel of a call should find in its arguments' memory."""
    kernel = callee_of(case.call)
    if not isinstance(kernel, loop.KernelOp):
        return case.wanted_inputs
    narrow = as_callee_reads(kernel, case.call, [each.array for each in case.wanted_inputs])
    wide = as_callee_reads(kernel, case.call, [each.wide for each in case.wanted_inputs])
    return [Wanted(x, w) for x, w in zip(narrow, wide, strict=True)]


def _for_caller(case: Case, results: list[Array]) -> list[Array]:
    """What the kernel of a call gives, as main reads it."""
    kernel = callee_of(case.call)
    is_loop = isinstance(kernel, loop.KernelOp)
    return as_caller_reads(kernel, case.call, results) if is_loop else results


def _difference(
    wanted: Wanted, place: _Place, workspace: Workspace, tolerance: Tolerance
) -> Difference:
    got = _read(place, workspace)
    shape = got.shape  # a view's own
    return compare(Wanted(wanted.array.reshape(shape), wanted.wide.reshape(shape)), got, tolerance)


def _is_same(live: _Live, workspace: Workspace) -> bool:
    return _bytes(live.pointer, live.buffer, workspace) == live.content


def _read(place: _Place, workspace: Workspace) -> Array:
    """The content of a buffer, as a logical array."""
    return _logical(_bytes(*place, workspace), place[1])


def _logical(content: bytes, buffer: BufferType) -> Array:
    flat = np.frombuffer(content, numpy_dtype(buffer.element_type))[: buffer.num_elements]
    return unpacked(flat.reshape(buffer.physical_shape), buffer)


def _bytes(pointer: tuple[int, int], buffer: BufferType, workspace: Workspace) -> bytes:
    slot, offset = pointer
    return ctypes.string_at(int(workspace.frame[slot]) + offset, _size(buffer))


def _size(buffer: BufferType) -> int:
    return buffer.num_elements * numpy_dtype(buffer.element_type).itemsize
