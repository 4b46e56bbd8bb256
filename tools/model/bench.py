"""`nnc bench`: latency, alone or against another runtime.

Each system has a process of its own, is warm before it is timed, and is stopped while the other is
timed; short rounds alternate, so that a change of the machine's speed meets both.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from rich.console import Console
from rich.table import Table

from ...compiler.signature import Signature, input_signatures
from ...compiler.source import load
from ...core.errors import NncError
from ...passes.graph.infer_shapes import specialize
from ...runtime.threads import default_threads
from . import profile
from .arrays import random_inputs, save_arrays
from .flags import Flags

ROUND_SECONDS = 0.05
MAX_RUNS = 200
"""Runs of one round: as many as fit into ROUND_SECONDS, at least one."""


class Worker:
    """One system in its process."""

    def __init__(self, task: dict[str, Any]):
        self.name = str(task["system"])
        self.times: list[float] = []
        self._process = subprocess.Popen(
            [sys.executable, "-m", "nnc.tools.model.bench_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        ready = self._ask(json.dumps(task))
        if "error" in ready:
            self.close()
            raise NncError(f"{self.name} cannot run the model: {ready['error']}")
        self.load_seconds = float(ready["load"])
        self._runs = max(1, min(MAX_RUNS, round(ROUND_SECONDS / ready["seconds"])))
        self._process.send_signal(signal.SIGSTOP)

    def round(self) -> None:
        """Time some runs."""
        self._process.send_signal(signal.SIGCONT)
        self.times += self._ask(str(self._runs))["times"]
        self._process.send_signal(signal.SIGSTOP)

    def _ask(self, line: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise NncError(f"the process of {self.name} ended", hint="its error stands above")
        return cast("dict[str, Any]", json.loads(answer))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def run(flags: Flags) -> None:
    """Time the systems and print medians, minima and the ratio."""
    if flags.profile:
        profile.run(flags)
        return
    module = load(flags.model)
    specialize(module, dict(flags.shapes))
    signatures = input_signatures(module)
    threads = min(flags.threads or default_threads(), default_threads())
    systems = ["nnc", *([flags.against] if flags.against else [])]
    with TemporaryDirectory() as folder:
        workers: list[Worker] = []
        try:
            for system in systems:
                task = _task(flags, system, threads, signatures, Path(folder))
                workers.append(Worker(task))
            for _ in range(flags.rounds):
                for worker in workers:
                    worker.round()
        finally:
            for worker in workers:
                worker.close()
        Console(markup=False).print(_report(flags, workers, threads))
        if len(systems) > 1:
            Console(markup=False).print(_agreement(Path(folder), systems))


def _task(
    flags: Flags, system: str, threads: int, signatures: Sequence[Signature], folder: Path
) -> dict[str, Any]:
    inputs = folder / "inputs.npz"
    if not inputs.exists():
        save_arrays(inputs, random_inputs(signatures, flags.seed))
    return {
        "system": system,
        "model": flags.model,
        "threads": threads,
        "target": flags.target,
        "numerics": flags.numerics,
        "shapes": dict(flags.shapes),
        "inputs": str(inputs),
        "outputs": str(folder / f"{system}.npz"),
    }


def _report(flags: Flags, workers: Sequence[Worker], threads: int) -> Table:
    title = f"{flags.model}, {threads} threads, {flags.rounds} rounds"
    table = Table("", "median ms", "best ms", "runs", "load + first run s", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for worker in workers:
        table.add_row(
            worker.name,
            f"{statistics.median(worker.times) * 1e3:.4g}",
            f"{min(worker.times) * 1e3:.4g}",
            str(len(worker.times)),
            f"{worker.load_seconds:.2f}",
        )
    if len(workers) > 1:
        own, other = (statistics.median(worker.times) for worker in workers)
        best = min(workers[1].times) / min(workers[0].times)
        table.add_row(f"{workers[1].name} / nnc", f"{other / own:.2f}", f"{best:.2f}", "", "")
    return table


def _agreement(folder: Path, systems: Sequence[str]) -> str:
    """How far the systems' outputs lie apart, relative to the largest element."""
    first, second = (np.load(folder / f"{system}.npz") for system in systems)
    worst = 0.0
    with first, second:
        for name in second.files:
            a, b = (np.asarray(found[name], np.float64) for found in (first, second))
            if a.shape != b.shape:
                return f"outputs differ in shape: {name}: {a.shape} against {b.shape}"
            if a.size:
                worst = max(worst, float(np.max(np.abs(a - b)) / max(np.max(np.abs(b)), 1e-30)))
    return f"largest difference of the outputs, relative to their largest element: {worst:.2g}"
