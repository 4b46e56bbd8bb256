"""Matrix products, rows and depthwise convolutions on one thread: FMA peak, NumPy, onnxruntime.

    make bench
    python benchmarks/kernels_peers.py --only "gemm 512x512x512" --rounds 5

`nnc` is a call of the compiled model, `kernel` the compiled loops alone: these count against the
FMA peak, which is measured in the same rounds. Products come with constant weights and, marked
"dynamic", with both matrices given at the call.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from measure.ratios import Ratio, bootstrap, ratio
from measure.results import Result, Run, new_run
from measure.session import Outcome, Subject, compete
from measure.table import failures, milliseconds, ratio_text
from networks.kernels import KERNELS, Kernel
from rich.console import Console
from rich.table import Table

from nnc.core.errors import InputError, NncError
from nnc.targets import host
from nnc.tools.model.rates import FmaPeak

SYSTEMS = ("nnc", "kernel", "numpy", "onnxruntime")
ROUNDS = 15
FMA = "FMA GFLOP/s"


class Flags(argparse.Namespace):
    """What the command line says."""

    only: str
    rounds: int
    out: Path


def parse_flags(argv: Sequence[str]) -> Flags:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", default="", help=f"of {', '.join(KERNELS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"default {ROUNDS}")
    parser.add_argument("--out", type=Path, default=Path("build/bench/kernels.json"))
    return parser.parse_args(argv, Flags())


def choose(names: str) -> list[Kernel]:
    """The kernels that are named, or all.

    Raises: InputError: there is no such kernel.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in KERNELS]:
        raise InputError(f"unknown kernel '{unknown[0]}'", hint=f"kernels: {', '.join(KERNELS)}")
    return [KERNELS[name] for name in wanted] or list(KERNELS.values())


def measure(kernel: Kernel, rounds: int, folder: Path) -> Result:
    """All systems on one kernel."""
    path = folder / "kernel.onnx"
    path.write_bytes(kernel.model().SerializeToString())
    subject = Subject(kernel.name, str(path), kernel.arrays())
    contest = compete(subject, SYSTEMS, 1, rounds, {FMA: FmaPeak(host())})
    contest.outcomes["kernel"].divide(kernel.repeats)
    return Result.of(kernel.name, "kernels", 1, contest, None)


def of_peak(kernel: Kernel, result: Result) -> Ratio | None:
    """The part of the FMA peak that the kernel alone reaches, by round."""
    outcome, peaks = result.outcomes["kernel"], result.rates[FMA]
    if not outcome.ran or not kernel.operations:
        return None
    parts = kernel.operations / np.asarray(outcome.latencies) / 1e9 / np.asarray(peaks)
    return Ratio(FMA, float(np.median(parts)), *bootstrap(parts))


def against(result: Result, other: str) -> Ratio | None:
    """Of the whole call against another system."""
    own, theirs = result.outcomes["nnc"], result.outcomes[other]
    return ratio(own.latencies, {other: theirs.latencies}) if own.ran and theirs.ran else None


def table(run: Run) -> Table:
    """Latencies, the part of the peak, ratios."""
    titles = ["kernel", *(f"{name} ms" for name in SYSTEMS), "FMA GFLOP/s", "kernel / peak"]
    shown = Table(*titles, "numpy / nnc", "onnxruntime / nnc", title="one thread")
    for column in shown.columns[1:]:
        column.justify = "right"
    for result in run.results:
        latencies = [_latency(result.outcomes[name]) for name in SYSTEMS]
        ratios = [of_peak(KERNELS[result.name], result)]
        ratios += [against(result, "numpy"), against(result, "onnxruntime")]
        peak = f"{median(result.rates[FMA]):.1f}"
        shown.add_row(result.name, *latencies, peak, *map(ratio_text, ratios))
    return shown


def _latency(outcome: Outcome) -> str:
    return milliseconds(outcome.median) if outcome.ran else "failed"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write, show."""
    arguments = sys.argv[1:] if argv is None else argv
    flags = parse_flags(arguments)
    console = Console(markup=False, width=None if sys.stdout.isatty() else 160)
    run = new_run(["kernels_peers.py", *arguments], flags.rounds)
    try:
        with TemporaryDirectory() as folder:
            for kernel in choose(flags.only):
                console.print(kernel.name, highlight=False)
                run.results.append(measure(kernel, flags.rounds, Path(folder)))
                run.write(flags.out)
    except NncError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    console.print(table(run))
    for line in failures(run.results):
        console.print(line, highlight=False)
    console.print(f"results: {flags.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
