"""`nnc bench --profile`: the time of every kernel and host step by itself, beside its limit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from xdsl.dialects.builtin import ModuleOp

from ...compiler.program import Compiled
from ...dialects import te
from ...runtime.profile import Profile, Profiler, Timed
from ...runtime.program import HostStep
from ...textir import print_module
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
    """

    name: str
    symbol: str
    where: str
    seconds: float
    parallel: list[int]
    work: Work | None = None


def run(flags: Flags) -> None:
    """Run some rounds; print every step, the slowest first, then the kernels' schedules."""
    model = compile_model(flags)
    arrays = random_inputs(model.inputs, flags.seed)
    compiled = model.variant(tuple(arrays[each.name].shape for each in model.inputs))
    machine = Machine(model.options.target)
    profile = Profiler(compiled.executable).profile(arrays, flags.rounds)
    rows = sorted(rows_of(profile.steps, compiled), key=lambda row: -row.seconds)
    weights = sum(array.nbytes for array in compiled.executable.program.constants.values())
    console = Console(markup=False)
    console.print(_table(rows, profile, machine, weights))
    console.print(
        f"one call as a whole takes {profile.whole * 1e3:.3f} ms; the steps account for "
        f"{100 * profile.share:.1f} % of it",
        highlight=False,
    )
    _print_schedules(console, rows, compiled)
    print_timing(flags, model.timings)


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


def _table(rows: Sequence[Row], profile: Profile, machine: Machine, weights: int) -> Table:
    total = sum(row.seconds for row in rows)
    counts = f"{len(rows)} steps, {len(profile.steps)} launches"
    title = f"{counts}, best times on one thread: {total * 1e3:.3f} ms"
    caption = f"limit: {machine.gflops:.0f} GFLOP/s, or the bytes at their memory's rate"
    table = Table(title=title, caption=caption)
    for name in ("ms", "%", "GFLOP/s", "GB/s", "% of limit"):
        table.add_column(name, justify="right")
    for name in ("kernel", "parallel", "nodes"):
        table.add_column(name, overflow="fold")
    for row in rows:
        share = 100 * row.seconds / total if total else 0.0
        rates = _rates(row, machine, weights)
        parallel = " | ".join(map(str, row.parallel))
        time = f"{row.seconds * 1e3:.3f}"
        table.add_row(time, f"{share:.1f}", *rates, row.name, parallel, _nodes(row.where))
    return table


def _rates(row: Row, machine: Machine, weights: int) -> tuple[str, str, str]:
    if row.work is None or not row.seconds:
        return "", "", ""
    gflops = row.work.operations / row.seconds / 1e9
    gigabytes = row.work.num_bytes / row.seconds / 1e9
    limit = machine.limit(row.work, weights) / row.seconds
    return f"{gflops:.1f}", f"{gigabytes:.1f}", f"{100 * limit:.0f}"


def _nodes(where: str) -> str:
    """`node 'a', node 'b'` as `a, b`."""
    return re.sub(r"node '([^']*)'", r"\1", where)


def _print_schedules(console: Console, rows: Sequence[Row], compiled: Compiled) -> None:
    for symbol in dict.fromkeys(row.symbol for row in rows):
        schedule = compiled.kernels.schedules.get(symbol)
        if schedule is not None:
            text = print_module(ModuleOp([schedule.clone()]))
            console.print(text, highlight=False, soft_wrap=True)
