"""`--timing`: where the time of a compilation goes."""

from __future__ import annotations

import sys

from rich.table import Table

from ...compiler.timing import Timings
from ..terminal import console
from .flags import Flags


def print_timing(flags: Flags, timings: Timings) -> None:
    """Seconds by stage, to stderr, if the flags ask for it."""
    if not flags.timing:
        return
    table = Table("stage", "ms", "%", title="compile time")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, seconds in timings.seconds.items():
        share = 100 * seconds / timings.total if timings.total else 0.0
        table.add_row(name, f"{seconds * 1e3:.1f}", f"{share:.1f}")
    table.add_row("total", f"{timings.total * 1e3:.1f}", "", style="bold")
    for name, seconds in timings.beside.items():
        table.add_row(f"{name}, meanwhile on a thread of its own", f"{seconds * 1e3:.1f}", "")
    console(flags.color, sys.stderr).print(table)
