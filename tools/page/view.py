"""All that a page shows of a compiled model."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ...compiler.kernels import watching
from ...compiler.levels import KernelLevels, KernelTracer
from ...compiler.model import Model
from ...compiler.program import Compiled
from ...compiler.trace import PassStep, trace_passes
from ...dialects import loop, te
from ..model import summary
from ..model.profile import Report, Row
from ..model.summary import Grid
from .network import HOST, Network, Node, network_of
from .svg import Picture, picture
from .times import CallTime


@dataclass
class View:
    """A compiled model, ready to be shown.

    Attributes:
        about: what it was compiled for.
        grids, remarks: the summary, as `nnc inspect` prints it.
        times: of calls, by node number.
        parallel: iterations that threads share, by kernel.
        levels: of each distinct kernel, by one of its names.
        same: for every kernel, the name under which `levels` has it.
    """

    title: str
    about: str
    network: Network
    grids: list[Grid]
    remarks: list[str]
    times: dict[int, CallTime] = field(default_factory=dict[int, CallTime])
    parallel: dict[str, str] = field(default_factory=dict[str, str])
    levels: Mapping[str, KernelLevels] = field(default_factory=dict[str, KernelLevels])
    same: dict[str, str] = field(default_factory=dict[str, str])
    passes: list[PassStep] = field(default_factory=list[PassStep])

    def picture(self, *, alone: bool) -> Picture:
        """The network, drawn."""
        return picture(self.network, self.times, alone=alone)


def view(model: Model, compiled: Compiled, title: str, report: Report | None) -> View:
    """What can be seen without lowering anything again."""
    network = network_of(compiled, model.module)
    times = join_times(network, compiled, report) if report is not None else {}
    threads = compiled.executable.threads
    about = [model.options.target.name, f"{threads} threads", f"{model.options.numerics} numerics"]
    remarks = [summary.parameters_text(model.module)]
    if report is not None:
        about.append(f"{report.whole * 1e3:.3f} ms on one thread")
        remarks.append(
            f"times: best of some rounds, on one thread; the steps account for "
            f"{100 * report.share:.1f} % of a call. Limit: {report.gflops:.0f} GFLOP/s, or the "
            f"bytes at their memory's rate"
        )
    host = summary.host_grid(compiled)
    if host is None:
        remarks.append("nothing runs on the host")
    grids = [
        summary.signature_grid("inputs", model.inputs),
        summary.signature_grid("outputs", model.outputs),
        summary.memory_grid(compiled.executable, model.options.target.name),
        *([host] if host is not None else []),
        summary.operator_grid(model.module),
    ]
    return View(title, ", ".join(about), network, grids, remarks, times)


@contextmanager
def looking_on() -> Generator[dict[str, KernelLevels]]:
    """The levels of all kernels that are compiled while the block runs, by name."""
    found: dict[str, KernelLevels] = {}

    def tracer(name: str) -> KernelTracer:
        made = KernelTracer(name)
        found[name] = made.result
        return made

    with watching(tracer):
        yield found


def look_inside(
    seen: View, model: Model, compiled: Compiled, levels: Mapping[str, KernelLevels]
) -> None:
    """Add passes and kernels' levels.

    Args: levels: what was seen while compiling, of each distinct kernel.
    """
    kernels = compiled.kernels
    by_symbol: dict[str, str] = {}
    ops = [op for op in compiled.module.ops if isinstance(op, te.KernelOp | loop.KernelOp)]
    seen.passes = trace_passes(model.module, model.options)
    seen.levels = levels
    for name in (op.sym_name.data for op in ops):
        symbol = kernels.symbols[name]
        code = kernels.code[name]
        seen.parallel[name] = summary.parallel_text(code)
        seen.same[name] = by_symbol.setdefault(symbol, name)


def join_times(network: Network, compiled: Compiled, report: Report) -> dict[int, CallTime]:
    """Times of the network's nodes; a step of a profile that fits none is left out."""
    waiting: dict[tuple[str, str], list[Row]] = {}
    for row in report.rows:
        waiting.setdefault((row.symbol, row.where), []).append(row)
    times: dict[int, CallTime] = {}
    for number, node in enumerate(network.nodes):
        rows = waiting.get((_symbol(node, compiled), node.where))
        if rows:
            times[number] = _call_time(rows.pop(0), report.total)
    return times


def _symbol(node: Node, compiled: Compiled) -> str:
    if node.kind == HOST or not node.kernels:
        return ""
    return compiled.kernels.symbols[node.kernels[0]]


def _call_time(row: Row, total: float) -> CallTime:
    share = row.seconds / total if total else 0.0
    if row.rates is None:
        return CallTime(row.seconds, share)
    return CallTime(row.seconds, share, row.limit, *row.rates)
