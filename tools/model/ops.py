"""`nnc ops`: the operators that are supported, and where each runs."""

from __future__ import annotations

import sys

from rich.table import Table

from ...dialects.graph import registry
from ...lowering.graph_to_te.registry import load_lowerings
from ..terminal import console
from .flags import Flags


def run(flags: Flags) -> None:
    """Print one line for each operator."""
    load_lowerings()
    operators = sorted(registry.operators().values(), key=lambda one: one.name)
    table = Table("operator", "ONNX", "runs", "owner", title=f"{len(operators)} operators")
    for one in operators:
        where = "compiled" if callable(one.definition) else "on the host"
        owner = registry.owner_of(one.name)
        table.add_row(one.name.removeprefix("graph."), one.onnx_name, where, owner)
    console(flags.color, sys.stdout).print(table)
    print("Operators that ONNX defines by others are expanded; views (reshape ...) cost nothing.")
