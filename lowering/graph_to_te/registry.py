"""Which operator is lowered how, and which runs on the host."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from xdsl.ir import Operation

from .site import Lowering

FAMILIES = (
    "elementwise",
    "linear",
    "conv",
    "pool",
    "reduce",
    "norm",
)
"""Files of this folder, each with a table `LOWERINGS` by op name."""

VIEWS = frozenset(
    f"graph.{name}" for name in ("flatten", "identity", "reshape", "squeeze", "unsqueeze")
)
"""Operators whose result is their operand's memory: outside of kernels no code is needed."""

HOST: dict[str, str] = {}
"""Operators that are never lowered, with the reason."""


@cache
def lowerings() -> dict[str, Lowering]:
    """The lowering of each operator, by op name."""
    table: dict[str, Lowering] = {}
    for family in FAMILIES:
        table.update(import_module(f".{family}", __package__).LOWERINGS)
    return table


def why_host(op: Operation) -> str | None:
    """Why an operator runs as a host step and not as a kernel; `None` if it is lowered."""
    reason = HOST.get(op.name)
    if reason is None and op.name not in lowerings():
        reason = "it has no lowering to te"
    return reason
