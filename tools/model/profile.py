"""`nnc bench --profile`: the time of every kernel and host step by itself, beside its limit."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from xdsl.dialects.builtin import ModuleOp

from ...compiler.model import Model
from ...compiler.program import Compiled
from ...core.errors import InputError
from ...dialects import te
from ...runtime.arrays import Array
from ...runtime.profile import Profiler, Timed
from ...runtime.program import HostStep
from ...textir import print_module
from ..files import writing
from ..terminal import console, waiting, write_ir
from .arrays import random_inputs
from .flags import Flags
from .run import compile_model
from .timing import print_timing
from .work import Machine, Work, kernel_work


@dataclass
class Row:
    """One call of a kernel (all its phases), or one host step.

    Attributes:
        symbol: the kernel's, in the object code; empty for a host step.
        parallel: iterations that threads share, by phase.
        work: `None` where nothing is known.
        limit: seconds that the work takes at least on this machine.
    """

    name: str
    symbol: str
    where: str
    seconds: float
    parallel: list[int]
    work: Work | None = None
    limit: float | None = None

    @property
    def rates(self) -> tuple[float, float] | None:
        """GFLOP/s and GB/s; `None` where nothing is known."""
        if self.work is None or not self.seconds:
            return None
        return self.work.operations / self.seconds / 1e9, self.work.num_bytes / self.seconds / 1e9


@dataclass
class Report:
    """A profile: all calls in the order in which they run.

    Attributes:
        launches: how many functions were timed.
        whole: seconds of a call with nothing timed inside it.
        share: the part of it that the rows account for.
        gflops: the rate behind the limits.
    """

    rows: list[Row]
    launches: int
    whole: float
    share: float
    gflops: float

    @property
    def total(self) -> float:
        """Seconds of all rows."""
        return sum(row.seconds for row in self.rows)


def run(flags: Flags) -> None:
    """Run some rounds; print every step, the slowest first, then the kernels' schedules."""
    with waiting(flags.color) as line:
        model = compile_model(flags)
        line.step("timing every step")
        report = measure(model, flags.seed, flags.rounds)
    to = console(flags.color, sys.stdout)
    to.print(_table(report))
    to.print(
        f"one call as a whole takes {report.whole * 1e3:.3f} ms; the steps account for "
        f"{100 * report.share:.1f} % of it"
    )
    if flags.output is not None:
        write_report(report, flags.output)
    arrays = random_inputs(model.inputs, flags.seed)
    _print_schedules(flags, report.rows, _variant(model, arrays))
    print_timing(flags, model.timings)


def measure(model: Model, seed: int, rounds: int) -> Report:
    """Time a model's steps on random inputs, and what this machine can do at most.

    Raises: InputError: an input has open extents.
    """
    arrays = random_inputs(model.inputs, seed)
    compiled = _variant(model, arrays)
    machine = Machine(model.options.target)
    profile = Profiler(compiled.executable).profile(arrays, rounds)
    rows = rows_of(profile.steps, compiled)
    weights = sum(array.nbytes for array in compiled.executable.program.constants.values())
    for row in rows:
        row.limit = machine.limit(row.work, weights) if row.work is not None else None
    return Report(rows, len(profile.steps), profile.whole, profile.share, machine.gflops)


def _variant(model: Model, arrays: Mapping[str, Array]) -> Compiled:
    return model.variant(tuple(arrays[each.name].shape for each in model.inputs))


def write_report(report: Report, path: str) -> None:
    """Write a profile as JSON.

    Raises: InputError: the file cannot be written.
    """
    with writing(path):
        Path(path).write_text(json.dumps(asdict(report), indent=1), "utf-8")


def read_report(path: str) -> Report:
    """Read what `write_report` wrote.

    Raises: InputError: it cannot be read, or is something else.
    """
    try:
        found = json.loads(Path(path).read_text("utf-8"))
        return Report(
            rows=[_row(row) for row in found["rows"]],
            launches=int(found["launches"]),
            whole=float(found["whole"]),
            share=float(found["share"]),
            gflops=float(found["gflops"]),
        )
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=path) from None
    except (ValueError, TypeError, KeyError):
        hint = "nnc bench MODEL --profile -o FILE writes one"
        raise InputError("expected a profile", where=path, hint=hint) from None


def _row(found: Mapping[str, Any]) -> Row:
    work, limit = found["work"], found["limit"]
    names = ("operations", "weight_bytes", "tensor_bytes")
    return Row(
        name=str(found["name"]),
        symbol=str(found["symbol"]),
        where=str(found["where"]),
        seconds=float(found["seconds"]),
        parallel=[int(extent) for extent in found["parallel"]],
        work=Work(*(int(work[name]) for name in names)) if work is not None else None,
        limit=float(limit) if limit is not None else None,
    )


def rows_of(steps: Sequence[tuple[Timed, float]], compiled: Compiled) -> list[Row]:
    """Launches joined to calls: a kernel's phases follow each other."""
    kernels = {op.sym_name.data: op for op in compiled.module.ops if isinstance(op, te.KernelOp)}
    by_symbol = {symbol: name for name, symbol in compiled.kernels.symbols.items()}
    rows: list[Row] = []
    last = -1
    for step, seconds in steps:
        if isinstance(step, HostStep):
            rows.append(Row(f"host: {step.operator}", "", step.where, seconds, []))
            continue
        symbol, _, phase = step.name.rpartition(".")
        if rows and rows[-1].symbol == symbol and int(phase) > last:
            rows[-1].seconds += seconds
            rows[-1].parallel.append(step.extent)
        else:
            name = by_symbol[symbol]
            row = Row(name, symbol, step.where, seconds, [step.extent])
            if name in kernels:
                row.work = kernel_work(kernels[name], compiled.kernels.code[name])
            rows.append(row)
        last = int(phase)
    return rows


def _table(report: Report) -> Table:
    total = report.total
    counts = f"{len(report.rows)} steps, {report.launches} launches"
    title = f"{counts}, best times on one thread: {total * 1e3:.3f} ms"
    caption = f"limit: {report.gflops:.0f} GFLOP/s, or the bytes at their memory's rate"
    table = Table(title=title, caption=caption)
    for name in ("ms", "%", "GFLOP/s", "GB/s", "% of limit"):
        table.add_column(name, justify="right")
    for name in ("kernel", "parallel", "nodes"):
        table.add_column(name, overflow="fold")
    for row in sorted(report.rows, key=lambda row: -row.seconds):
        share = 100 * row.seconds / total if total else 0.0
        parallel = " | ".join(map(str, row.parallel))
        time = f"{row.seconds * 1e3:.3f}"
        table.add_row(time, f"{share:.1f}", *_rates(row), row.name, parallel, _nodes(row.where))
    return table


def _rates(row: Row) -> tuple[str, str, str]:
    if row.rates is None or row.limit is None:
        return "", "", ""
    gflops, gigabytes = row.rates
    return f"{gflops:.1f}", f"{gigabytes:.1f}", f"{100 * row.limit / row.seconds:.0f}"


def _nodes(where: str) -> str:
    """`node 'a', node 'b'` as `a, b`."""
    return re.sub(r"node '([^']*)'", r"\1", where)


def _print_schedules(flags: Flags, rows: Sequence[Row], compiled: Compiled) -> None:
    for symbol in dict.fromkeys(row.symbol for row in rows):
        schedule = compiled.kernels.schedules.get(symbol)
        if schedule is not None:
            text = print_module(ModuleOp([schedule.clone()]))
            write_ir(f"{text}\n", flags.color, sys.stdout)
