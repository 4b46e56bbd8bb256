"""`nnc bench`: latency, alone or against another runtime.

Each system has a process of its own, is warm before it is timed, and is stopped while the other is
timed; short rounds alternate, so that a change of the machine's speed meets both.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rich.table import Table

from ...compiler.signature import Signature, input_signatures
from ...compiler.source import load
from ...core.extensions import environment
from ...passes.graph.infer_shapes import specialize
from ...runtime.threads import default_threads
from ..terminal import console, waiting
from . import profile
from .arrays import random_inputs, save_arrays
from .flags import Flags
from .processes import Worker

WORKER = (sys.executable, "-m", "nnc.tools.model.bench_worker")


def run(flags: Flags) -> None:
    """Time the systems and print medians, minima and the ratio."""
    if flags.profile is not None:
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
            with waiting(flags.color) as line:
                for system in systems:
                    line.step(f"loading in {system}")
                    task = _task(flags, system, threads, signatures, Path(folder))
                    workers.append(Worker(task, WORKER, environment=environment()))
                for number in range(flags.rounds):
                    line.step("rounds", number, flags.rounds)
                    for worker in workers:
                        worker.round()
        finally:
            for worker in workers:
                worker.close()
        to = console(flags.color, sys.stdout)
        to.print(_report(flags, workers, threads))
        if len(systems) > 1:
            to.print(_agreement(Path(folder), systems))


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
        "schedules": flags.schedules,
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
