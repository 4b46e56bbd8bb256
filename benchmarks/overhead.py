"""What a call of a compiled model costs beyond the compiled code itself.

    make bench
    python benchmarks/overhead.py --rounds 50

The perceptron, one input and one output: calls of the model, in turn with its entry function run
from compiled code, one thread.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from measure.ratios import bootstrap
from measure.repeat import repeated
from networks import NETWORKS
from platformdirs import user_cache_path

from nnc.compiler.model import compile
from nnc.core.errors import NncError
from nnc.runtime.profile import Profiler

RUNS = 200
"""Calls of one round."""


@dataclass(frozen=True)
class Overhead:
    """Seconds of one call, of its entry function, and of the difference with its 95 % interval."""

    call: float
    entry: float
    difference: float
    low: float
    high: float


def measure(model: Path, inputs: dict[str, np.ndarray], rounds: int) -> Overhead:
    """Medians over the rounds.

    Raises: NncError: the model is not one compiled segment.
    """
    called = compile(model, threads=1)
    if called.compiled is None:
        raise NncError("its shapes are open", where=str(model))
    profiler = Profiler(called.compiled.executable)
    entry = repeated([profiler.entry(inputs)], RUNS)
    for run in (lambda: called(inputs), entry):
        _time(run)
    calls: list[float] = []
    entries: list[float] = []
    for _ in range(rounds):
        calls.append(_time(lambda: called(inputs)) / RUNS)
        start = perf_counter()
        entry()
        entries.append((perf_counter() - start) / RUNS)
    differences = np.asarray(calls) - np.asarray(entries)
    low, high = bootstrap(differences)
    return Overhead(median(calls), median(entries), float(np.median(differences)), low, high)


def _time(run: Callable[[], object]) -> float:
    start = perf_counter()
    for _ in range(RUNS):
        run()
    return perf_counter() - start


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--cache", type=Path, default=user_cache_path("nnc") / "benchmarks")
    flags = parser.parse_args(argv)
    network = NETWORKS["mlp"]
    path = network.file(flags.cache)
    found = measure(path, network.inputs(np.random.default_rng(1)), flags.rounds)
    print(
        f"{network.name}, 1 thread: a call {found.call * 1e6:.2f} us, the entry function "
        f"{found.entry * 1e6:.2f} us, between them {found.difference * 1e6:.2f} us "
        f"({found.low * 1e6:.2f}-{found.high * 1e6:.2f})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
