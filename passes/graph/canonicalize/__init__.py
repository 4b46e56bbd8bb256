"""Bring ops into the one form that later passes expect, until nothing changes.

Constants are folded where a dialect says how, dead ops go, and patterns apply: those of this
folder's tables to graph operators, those that an op class names itself (xDSL's canonicalization
hook) to any op. A right side is never worse than its left side. Without `numerics=fast` every
result keeps its bits.

    %0 = graph.transpose(%x) {perm = [1, 0]} : tensor<3x2xf32>
    %1 = graph.transpose(%0) {perm = [1, 0]} : tensor<2x3xf32>        ->    func.return %x
    func.return %1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xdsl.context import Context
from xdsl.ir import Operation

from ....core.catalog import lazy
from ....core.errors import PassError
from ....core.passes import OpPass
from ....core.rewriting import Pattern, PatternSet, rewrite
from ....core.walk import walk

TABLES = lazy(
    __name__,
    {
        "graph elementwise": "elementwise:patterns",
        "graph movement": "movement:patterns",
    },
)
"""Functions of `fast` that give a table's patterns; the first word is the dialect."""

NUMERICS = ("strict", "fast")


def canonicalization_patterns(root: Operation, fast: bool) -> Sequence[Pattern[Any]]:
    """The patterns of the dialects that occur in `root`."""
    dialects = {op.name.partition(".")[0] for op in walk(root)}
    found: list[Pattern[Any]] = []
    for name, load in TABLES.items():
        if name.partition(" ")[0] in dialects:
            found += load()(fast)
    return found


@dataclass(frozen=True)
class CanonicalizePass(OpPass[Operation]):
    """Simplify ops and bring them into canonical form."""

    name = "canonicalize"

    numerics: str = "strict"
    """`strict` keeps every bit; `fast` also allows what is exact in real numbers only."""

    def run(self, ctx: Context, op: Operation) -> None:
        if self.numerics not in NUMERICS:
            raise PassError(f"numerics is {' or '.join(NUMERICS)}, got '{self.numerics}'")
        patterns = canonicalization_patterns(op, self.numerics == "fast")
        rewrite(op, PatternSet(patterns, hooks=True), context=ctx)
