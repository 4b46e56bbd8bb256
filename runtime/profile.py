"""Where the time of a model goes: every launch and host step timed by itself, on one thread."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from .arrays import Array
from .executable import BoundStep, Executable, Workspace, bind, run_on_host
from .program import HostStep, LaunchCode, Segment

Timed = LaunchCode | HostStep


@dataclass(frozen=True)
class Profile:
    """Best times over the rounds, in seconds: what other processes add is left out.

    Attributes:
        steps: every launch and host step, in order.
        whole: a call of the executable with nothing timed inside it.
        share: what part of such a call the steps account for; the median over the rounds.
    """

    steps: list[tuple[Timed, float]]
    whole: float
    share: float


@dataclass(frozen=True)
class NativeCall:
    """A call of compiled code: `function(*pointers, 0, extent)`, addresses as numbers."""

    function: int
    pointers: tuple[int, ...]
    extent: int

    @staticmethod
    def of(launch: LaunchCode, workspace: Workspace) -> NativeCall:
        """A whole launch on the pointers that the frame holds now."""
        frame = workspace.frame
        pointers = tuple(int(frame[slot]) + offset for slot, offset in launch.pointers)
        return NativeCall(launch.function, pointers, launch.extent)

    def bound(self) -> Callable[[], None]:
        """A function that makes the call."""
        types = [ctypes.c_void_p] * len(self.pointers)
        prototype = ctypes.CFUNCTYPE(None, *types, ctypes.c_int64, ctypes.c_int64)
        function = prototype(self.function)
        return lambda: function(*self.pointers, 0, self.extent)


@dataclass(frozen=True)
class Launched:
    """A launch that is about to run: `run()` does it."""

    launch: LaunchCode
    workspace: Workspace
    run: Callable[[], None]


class Stepper(Executable):
    """An executable that hands each launch to `watch`, which runs it; on one thread."""

    def __init__(self, executable: Executable, watch: Callable[[Launched], None]):
        super().__init__(executable.program, 1, executable.pool_code)
        self._watch = watch

    def run_step(
        self,
        bound: BoundStep,
        values: list[Array | None],
        workspace: Workspace,
        direct: Mapping[int, Array],
    ) -> None:
        """As the executable does, launch by launch."""
        if isinstance(bound.step, HostStep):
            run_on_host(bound.step, values)
            return
        bind(bound, values, workspace, direct)
        for launch in bound.step.launches:
            self._watch(Launched(launch, workspace, NativeCall.of(launch, workspace).bound()))


class Profiler(Stepper):
    """An executable that can run its launches one by one."""

    def __init__(self, executable: Executable):
        super().__init__(executable, self._time)
        self.steps: list[Timed] = []
        for step in self.program.steps:
            self.steps += step.launches if isinstance(step, Segment) else [step]
        self._times: list[float] | None = None
        self._last: tuple[Workspace, list[Array | None]] | None = None

    def profile(self, inputs: Mapping[str, object], rounds: int) -> Profile:
        """Run `rounds` times as a whole and as often step by step, in turn."""
        wholes: list[float] = []
        times: list[list[float]] = []
        self(inputs)
        for _ in range(rounds):
            start = perf_counter()
            self(inputs)
            wholes.append(perf_counter() - start)
            times.append(self._time_steps(inputs))
        seconds = [min(each) for each in zip(*times, strict=True)]
        shares = [sum(each) / whole for each, whole in zip(times, wholes, strict=True)]
        steps = list(zip(self.steps, seconds, strict=True))
        return Profile(steps, min(wholes), median(shares))

    def launches(
        self, inputs: Mapping[str, object], chosen: Callable[[LaunchCode], bool]
    ) -> list[NativeCall]:
        """Some of the launches, on the memory of a call: it stays valid until the next one.

        There are no steps on the host.
        """
        workspace = self._workspace_of(inputs)
        launches = [s for s in self.steps if isinstance(s, LaunchCode) and chosen(s)]
        return [NativeCall.of(launch, workspace) for launch in launches]

    def entry(self, inputs: Mapping[str, object]) -> NativeCall:
        """The first segment's function on the frame of a call: valid until the next one."""
        workspace = self._workspace_of(inputs)
        segment = next(step for step in self.program.steps if isinstance(step, Segment))
        return NativeCall(segment.entry, (workspace.address,), 1)

    def _workspace_of(self, inputs: Mapping[str, object]) -> Workspace:
        self._time_steps(inputs)
        assert self._last is not None
        return self._last[0]

    def _time_steps(self, inputs: Mapping[str, object]) -> list[float]:
        self._times = []
        try:
            self(inputs)
            return self._times
        finally:
            self._times = None

    def run_step(
        self,
        bound: BoundStep,
        values: list[Array | None],
        workspace: Workspace,
        direct: Mapping[int, Array],
    ) -> None:
        """As the executable does, or with times taken."""
        if self._times is None:
            Executable.run_step(self, bound, values, workspace, direct)
            return
        start = perf_counter()
        super().run_step(bound, values, workspace, direct)
        if isinstance(bound.step, HostStep):
            self._times.append(perf_counter() - start)
        else:
            self._last = workspace, list(values)

    def _time(self, launched: Launched) -> None:
        assert self._times is not None
        start = perf_counter()
        launched.run()
        self._times.append(perf_counter() - start)
