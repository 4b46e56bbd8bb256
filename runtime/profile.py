"""Where the time of a model goes: every launch and host step timed by itself, on one thread."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from time import perf_counter

from .arrays import Array
from .executable import BoundStep, Executable, Workspace, bind, run_on_host
from .program import HostStep, LaunchCode, Segment

Timed = LaunchCode | HostStep


class Profiler(Executable):
    """An executable that runs its launches one by one and keeps the best time of each."""

    def __init__(self, executable: Executable):
        super().__init__(executable.program, 1, executable.pool_code)
        self.seconds: dict[int, float] = {}
        self.steps: list[Timed] = []
        for step in self.program.steps:
            self.steps += step.launches if isinstance(step, Segment) else [step]
        self._next = 0

    def profile(self, inputs: Mapping[str, object], rounds: int) -> list[tuple[Timed, float]]:
        """Run `rounds` times; every step with the seconds of its fastest run, in order."""
        for _ in range(rounds):
            self._next = 0
            self(inputs)
        return [(step, self.seconds[number]) for number, step in enumerate(self.steps)]

    def run_step(
        self,
        bound: BoundStep,
        values: list[Array | None],
        workspace: Workspace,
        direct: Mapping[int, Array],
    ) -> None:
        """As the executable does, with times taken."""
        if isinstance(bound.step, HostStep):
            start = perf_counter()
            run_on_host(bound.step, values)
            self._note(perf_counter() - start)
            return
        bind(bound, values, workspace, direct)
        for launch in bound.step.launches:
            self._note(_time_launch(launch, workspace))

    def _note(self, seconds: float) -> None:
        best = self.seconds.get(self._next, seconds)
        self.seconds[self._next] = min(best, seconds)
        self._next += 1


def _time_launch(launch: LaunchCode, workspace: Workspace) -> float:
    pointers = [int(workspace.frame[slot]) + offset for slot, offset in launch.pointers]
    types = [ctypes.c_void_p] * len(pointers)
    function = ctypes.CFUNCTYPE(None, *types, ctypes.c_int64, ctypes.c_int64)(launch.function)
    start = perf_counter()
    function(*pointers, 0, launch.extent)
    return perf_counter() - start
