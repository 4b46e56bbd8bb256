"""What was measured, as data: written as JSON, read again, summed up."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

from .ratios import Ratio, ratio
from .session import Contest, Outcome

OWN = "nnc"
TOLERANCE = 1e-3
"""Outputs further from the reference than this are wrong."""
PACKAGES = ("nnc-compiler", "onnxruntime", "openvino", "torch", "numpy")


@dataclass(frozen=True)
class Result:
    """One subject at one number of threads.

    Attributes:
        limit: seconds that the machine needs at least, by its rates in the same rounds.
        rates: what was measured of the machine, by round.
    """

    name: str
    group: str
    threads: int
    outcomes: dict[str, Outcome]
    limit: float | None = None
    rates: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    @staticmethod
    def of(name: str, group: str, threads: int, contest: Contest, limit: float | None) -> Result:
        """The result of a contest; a system with wrong outputs has failed."""
        for outcome in contest.outcomes.values():
            if outcome.difference is not None and outcome.difference > TOLERANCE:
                outcome.error = outcome.error or f"outputs differ by {outcome.difference:.1e}"
        return Result(name, group, threads, contest.outcomes, limit, contest.probes)

    @property
    def ratio(self) -> Ratio | None:
        """Ours against the fastest other; `None` if we or all others failed."""
        own = self.outcomes.get(OWN)
        others = {k: o.latencies for k, o in self.outcomes.items() if k != OWN and o.ran}
        return ratio(own.latencies, others) if own is not None and own.ran and others else None

    @property
    def ratio_of_best(self) -> float | None:
        """The same of the shortest runs: steadier where other processes disturb."""
        bests = {name: o.best for name, o in self.outcomes.items() if o.ran and o.best is not None}
        own = bests.pop(OWN, None)
        return min(bests.values()) / own if own is not None and bests else None


@dataclass(frozen=True)
class Run:
    """Results with what a reader needs to repeat them."""

    results: list[Result]
    command: str
    day: str
    rounds: int
    machine: dict[str, str]

    def write(self, path: Path) -> None:
        """As JSON; the ratios stand in it too."""
        content = asdict(self)
        for written, result in zip(content["results"], self.results, strict=True):
            written["ratio"] = asdict(result.ratio) if result.ratio is not None else None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")

    @staticmethod
    def read(path: Path) -> Run:
        """What `write` wrote."""
        content: dict[str, Any] = json.loads(path.read_text())
        content["results"] = [_result(one) for one in content["results"]]
        return Run(**content)


def _result(content: dict[str, Any]) -> Result:
    del content["ratio"]
    content["outcomes"] = {name: Outcome(**one) for name, one in content["outcomes"].items()}
    return Result(**content)


def new_run(argv: Sequence[str], rounds: int) -> Run:
    """A run of today on this machine, without results yet."""
    arguments = [Path(argv[0]).name, *argv[1:]]
    command = f"python benchmarks/{shlex.join(arguments)}"
    return Run([], command, date.today().isoformat(), rounds, _machine())


def _machine() -> dict[str, str]:
    versions = {name: version for name in PACKAGES if (version := _version(name))}
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return {
        "cpu": _cpu(),
        "processors": str(cores),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **versions,
    }


def _cpu() -> str:
    from nnc.targets import host

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()} ({host().cpu})"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
