"""`nnc bench --profile`: the time of every kernel and host step by itself."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from ...runtime.profile import Profiler, Timed
from ...runtime.program import HostStep
from .arrays import random_inputs
from .flags import Flags
from .run import compile_model
from .timing import print_timing

SHOWN = 24


def run(flags: Flags) -> None:
    """Run some rounds and print the slowest steps."""
    model = compile_model(flags)
    arrays = random_inputs(model.inputs, flags.seed)
    compiled = model.variant(tuple(arrays[each.name].shape for each in model.inputs))
    profiler = Profiler(compiled.executable)
    Console(markup=False).print(_table(profiler.profile(arrays, flags.rounds)))
    print_timing(flags, model.timings)


def _table(steps: list[tuple[Timed, float]]) -> Table:
    total = sum(seconds for _, seconds in steps)
    title = f"{len(steps)} launches, {total * 1e3:.3f} ms on one thread, best times"
    table = Table("ms", "%", "step", "parallel", "nodes", title=title)
    for step, seconds in sorted(steps, key=lambda pair: -pair[1])[:SHOWN]:
        if isinstance(step, HostStep):
            name, extent = f"host: {step.operator}", ""
        else:
            name, extent = step.name, str(step.extent)
        share = 100 * seconds / total if total else 0.0
        table.add_row(f"{seconds * 1e3:.3f}", f"{share:.1f}", name, extent, step.where)
    return table
