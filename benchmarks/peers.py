"""Networks against other runtimes: latency at 1 and 2 threads, beside what the machine allows.

    make bench
    python benchmarks/peers.py --only resnet18,mlp --threads 1 --quick

Each system has a process of its own, which is stopped while another is timed. The rounds alternate
between the systems, and the machine's FMA and memory rates are measured in the same rounds. A
system that fails on a network is reported as such, and the rest goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
from measure.picture import picture
from measure.results import Result, Run, new_run
from measure.session import Contest, Outcome, Subject, compete
from measure.table import (
    around_markers,
    failures,
    group_means,
    markdown,
    put_into_page,
    terminal_table,
)
from networks import GROUPS, NETWORKS, Network
from networks.work import Work, model_work
from platformdirs import user_cache_path
from rich.console import Console

from nnc.core.errors import InputError, NncError
from nnc.runtime.threads import default_threads
from nnc.targets import host
from nnc.tools.model.rates import FmaPeak, ReadRate

SYSTEMS = ("nnc", "onnxruntime", "openvino", "torch")
ROUNDS = 15
QUICK_ROUNDS = 3
DEFAULT_GROUPS = ("networks", "topologies", "trained")
FMA, READ = "FMA GFLOP/s", "weights GB/s"


class Flags(argparse.Namespace):
    """What the command line says."""

    only: list[str]
    threads: list[int]
    rounds: int
    quick: bool
    systems: list[str]
    out: Path
    cache: Path
    picture: Path | None
    readme: Path | None
    show: Path | None
    list: bool


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _counts(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def parse_flags(argv: Sequence[str]) -> Flags:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add = parser.add_argument
    add("--only", type=_words, default=list(DEFAULT_GROUPS), help="networks or groups: a,b,...")
    add("--threads", type=_counts, default=[1, 2], help="numbers of threads (default 1,2)")
    add("--rounds", type=int, default=ROUNDS, help=f"interleaved rounds (default {ROUNDS})")
    add("--quick", action="store_true", help=f"only {QUICK_ROUNDS} rounds")
    add("--systems", type=_words, default=list(SYSTEMS), help=f"of {','.join(SYSTEMS)}")
    add("--out", type=Path, default=Path("build/bench/peers.json"), help="results as JSON")
    add("--cache", type=Path, default=user_cache_path("nnc") / "benchmarks", help="for models")
    add("--picture", type=Path, help="write an SVG picture")
    add("--readme", type=Path, help="put the table between the markers of this page")
    add("--show", type=Path, help="measure nothing, show the results of this JSON file")
    add("--list", action="store_true", help="say which networks there are")
    return parser.parse_args(argv, Flags())


def choose(words: Iterable[str]) -> list[Network]:
    """The networks that are named, or whose group is.

    Raises: InputError: there is no such network or group.
    """
    words = list(words)
    if unknown := [word for word in words if word not in NETWORKS and word not in GROUPS]:
        raise InputError(
            f"unknown network or group '{unknown[0]}'",
            hint=f"groups: {', '.join(GROUPS)}; networks: {', '.join(NETWORKS)}",
        )
    return [one for one in NETWORKS.values() if one.name in words or one.group in words]


def measure(network: Network, threads: int, flags: Flags, console: Console) -> Result:
    """One network at one number of threads; every failure is in the result."""
    try:
        path = network.file(flags.cache)
        work = model_work(path)
    except NncError as error:
        nothing = Contest({name: Outcome(error=str(error)) for name in flags.systems}, {})
        return Result.of(network.name, network.group, threads, nothing, None)
    inputs = network.inputs(np.random.default_rng(1))
    subject = Subject(network.name, str(path), inputs)
    weights = sum(one.weight_bytes for one in work)
    probes: dict[str, Callable[[], float]] = {
        FMA: FmaPeak(host(), threads),
        READ: ReadRate(host(), max(weights, 1 << 18), threads),
    }
    console.print(f"{network.name}, threads {threads}")
    rounds = QUICK_ROUNDS if flags.quick else flags.rounds
    contest = compete(subject, flags.systems, threads, rounds, probes, cache=flags.cache)
    return Result.of(network.name, network.group, threads, contest, _limit(work, contest))


def _limit(work: Sequence[Work], contest: Contest) -> float | None:
    """Seconds that the contractions take at the rates of the same rounds."""
    rates = [np.median(contest.probes[name]) for name in (FMA, READ) if contest.probes[name]]
    if len(rates) < 2:
        return None
    return sum(one.seconds(float(rates[0]), float(rates[1])) for one in work) or None


def show(run: Run, flags: Flags, console: Console) -> None:
    """Print the results; write picture and page if asked."""
    console.print(terminal_table(run))
    for line in (*group_means(run.results), *failures(run.results)):
        console.print(line, highlight=False)
    if flags.picture is not None:
        flags.picture.write_text(picture(run))
    if flags.readme is not None:
        link = None if flags.picture is None else flags.picture.as_posix()
        put_into_page(flags.readme, markdown(run, link))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write after each network, show."""
    arguments = sys.argv[1:] if argv is None else argv
    flags = parse_flags(arguments)
    console = Console(markup=False, width=None if sys.stdout.isatty() else 140)
    try:
        if flags.list:
            for network in NETWORKS.values():
                console.print(f"{network.group:12} {network.name}", highlight=False)
            return 0
        if flags.show is not None:
            show(Run.read(flags.show), flags, console)
            return 0
        if flags.readme is not None:
            around_markers(flags.readme)  # says now, not after hours, that there are none
        run = new_run(["peers.py", *arguments], QUICK_ROUNDS if flags.quick else flags.rounds)
        for network in choose(flags.only):
            for threads in flags.threads:
                if threads > default_threads():
                    console.print(f"{threads} threads: this process may use fewer processors")
                    continue
                run.results.append(measure(network, threads, flags, console))
                run.write(flags.out)
        show(run, flags, console)
    except NncError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(f"results: {flags.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
