"""Runs systems against each other on one model: interleaved rounds, one process at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from nnc.core.errors import NncError
from nnc.tools.model.arrays import save_arrays
from nnc.tools.model.processes import Worker

Array = np.ndarray[Any, Any]
WORKER = (sys.executable, "-m", "systems.worker")
BENCHMARKS = Path(__file__).parents[1]


@dataclass(frozen=True)
class Subject:
    """What is run: a model on inputs.

    Attributes:
        reference: the system whose outputs the others' are compared with.
    """

    name: str
    model: str
    inputs: Mapping[str, Array]
    reference: str = "onnxruntime"


@dataclass
class Outcome:
    """What one system did.

    Attributes:
        error: why it could not run, or stopped.
        load_seconds: from the model to the first result.
        latencies: the median of each round, in seconds.
        best: the shortest run, in seconds.
        difference: the largest of an output's elements from the reference's, relative to the
            largest of the reference's.
    """

    error: str | None = None
    load_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list[float])
    best: float | None = None
    difference: float | None = None

    @property
    def median(self) -> float:
        """Of the rounds' latencies."""
        return median(self.latencies)

    @property
    def ran(self) -> bool:
        """Whether it was measured to the end."""
        return self.error is None and bool(self.latencies)

    def divide(self, runs: int) -> None:
        """What was timed as one run was so many."""
        self.latencies = [seconds / runs for seconds in self.latencies]
        self.best = self.best / runs if self.best is not None else None


Probes = Mapping[str, Callable[[], float]]


@dataclass
class Contest:
    """Outcomes by system, and what the probes measured in each round."""

    outcomes: dict[str, Outcome]
    probes: dict[str, list[float]]


def compete(
    subject: Subject,
    systems: Sequence[str],
    threads: int,
    rounds: int,
    probes: Probes | None = None,
    command: Sequence[str] = WORKER,
    cache: Path | None = None,
) -> Contest:
    """Time the systems in turn; each round begins with another one, and with the probes.

    A system that fails is reported in its outcome, and the others go on.
    """
    probes = probes or {}
    contest = Contest({name: Outcome() for name in systems}, {name: [] for name in probes})
    workers: dict[str, Worker] = {}
    with TemporaryDirectory() as folder:
        try:
            save_arrays(Path(folder) / "inputs.npz", subject.inputs)
            for name in systems:
                task = _task(subject, name, threads, Path(folder))
                _start(workers, contest, task, command, _environment(threads, cache))
            for number in range(rounds):
                for name, probe in probes.items():
                    contest.probes[name].append(probe())
                _round(workers, contest, number)
        finally:
            for worker in workers.values():
                worker.close()
        _compare(contest, subject.reference, Path(folder))
    return contest


def _task(subject: Subject, system: str, threads: int, folder: Path) -> dict[str, Any]:
    return {
        "system": system,
        "subject": subject.name,
        "model": subject.model,
        "threads": threads,
        "target": "cpu",
        "numerics": "fast",
        "schedules": None,
        "shapes": {},
        "inputs": str(folder / "inputs.npz"),
        "outputs": str(folder / f"{system}.npz"),
    }


def _environment(threads: int, cache: Path | None) -> dict[str, str]:
    """Ours, but for what would slow down a system that reads it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OPENBLAS_", "OMP_", "KMP_"))}
    kept["PYTHONPATH"] = os.pathsep.join([str(BENCHMARKS), *filter(None, [kept.get("PYTHONPATH")])])
    kept["OPENBLAS_NUM_THREADS"] = str(threads)
    if cache is not None:
        kept["TORCHINDUCTOR_CACHE_DIR"] = str(cache / "inductor")
    return kept


def _start(
    workers: dict[str, Worker],
    contest: Contest,
    task: dict[str, Any],
    command: Sequence[str],
    environment: dict[str, str],
) -> None:
    outcome = contest.outcomes[task["system"]]
    try:
        worker = Worker(task, command, environment=environment)
    except NncError as error:
        outcome.error = str(error)
        return
    outcome.load_seconds = worker.load_seconds
    workers[worker.name] = worker


def _round(workers: dict[str, Worker], contest: Contest, number: int) -> None:
    names = list(workers)
    start = number % len(names) if names else 0
    for name in names[start:] + names[:start]:
        try:
            workers[name].round()
        except NncError as error:
            contest.outcomes[name].error = str(error)
            workers.pop(name).close()
            continue
        outcome = contest.outcomes[name]
        outcome.latencies.append(median(workers[name].rounds[-1]))
        outcome.best = min(workers[name].times)


def _compare(contest: Contest, reference: str, folder: Path) -> None:
    wanted = _load(folder / f"{reference}.npz")
    if wanted is None:
        return
    for name, outcome in contest.outcomes.items():
        found = _load(folder / f"{name}.npz")
        if name == reference or found is None:
            continue
        try:
            outcome.difference = difference(found, wanted)
        except ValueError as error:
            outcome.error = str(error)


def _load(path: Path) -> dict[str, Array] | None:
    if not path.is_file():
        return None
    with np.load(path) as found:
        return dict(found)


def difference(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> float:
    """The largest over the outputs, in their order, of max |a - b| / max |b|.

    Raises: ValueError: their number or shapes differ, or one has an element that is not finite.
    """
    if len(found) != len(wanted):
        raise ValueError(f"{len(found)} outputs, expected {len(wanted)}")
    worst = 0.0
    for (name, b), a in zip(wanted.items(), found.values(), strict=True):
        if a.shape != b.shape:
            raise ValueError(f"output '{name}' has shape {a.shape}, expected {b.shape}")
        if not b.size:
            continue
        gap = np.abs(a.astype(np.float64) - b)
        if not np.isfinite(gap).all():
            raise ValueError(f"output '{name}' is not finite")
        worst = max(worst, float(gap.max()) / max(float(np.abs(b).max()), 1e-30))
    return worst
