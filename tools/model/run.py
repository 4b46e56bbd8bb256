"""`nnc run`: a model on given or random inputs."""

from __future__ import annotations

import sys
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from rich.table import Table

from ...compiler.model import Model, compile
from ...compiler.options import Options
from ...compiler.source import load
from ...compiler.timing import Timings
from ...runtime.arrays import Array
from ..terminal import console, waiting
from .arrays import random_inputs, read_inputs, write_outputs
from .flags import Flags
from .timing import print_timing

if TYPE_CHECKING:
    from ...compiler.caching import Cache

SHOWN = 4
"""Elements of an output that the table shows."""


def run(flags: Flags) -> None:
    """Compile, run once, show or write the outputs."""
    with waiting(flags.color):
        model = compile_model(flags)
    given = read_inputs(flags.inputs, model.inputs)
    missing = [each.name for each in model.inputs if each.name not in given]
    if missing:
        print(f"random content (seed {flags.seed}) for {', '.join(missing)}", file=sys.stderr)
    arrays = random_inputs(model.inputs, flags.seed, given)
    outputs = model(arrays)
    start = perf_counter()
    outputs = model(arrays)
    elapsed = perf_counter() - start
    if flags.output is not None:
        write_outputs(flags.output, outputs)
    console(flags.color, sys.stdout).print(output_table(outputs))
    print_timing(flags, model.timings)
    print(f"{elapsed * 1e3:.3f} ms on {model.options.threads} threads", file=sys.stderr)


def compile_model(flags: Flags, cache: Cache = None) -> Model:
    """The model that the flags name; `cache` as of `nnc.compile`."""
    if flags.interpret:
        options = replace(Options.of(threads=1), interpret=True)
        return Model(lambda: load(flags.model), options, Timings(), dict(flags.shapes))
    return compile(
        flags.model,
        flags.target,
        flags.threads,
        flags.numerics,
        shape=dict(flags.shapes),
        schedules=flags.schedules,
        cache=cache,
    )


def output_table(outputs: dict[str, Array]) -> Table:
    """Names, shapes, dtypes, and the first elements."""
    table = Table("output", "shape", "dtype", "first elements")
    for name, array in outputs.items():
        first = " ".join(f"{value:.5g}" for value in array.reshape(-1)[:SHOWN].tolist())
        more = " ..." if array.size > SHOWN else ""
        shape = "x".join(map(str, array.shape)) or "scalar"
        table.add_row(name, shape, array.dtype.name, first + more)
    return table
