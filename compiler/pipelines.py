"""Pipelines as data: which passes run at each level, in which order."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import DiagnosticException

from ..core.catalog import Catalog
from ..core.errors import PassError
from ..core.verifier import problems
from ..dialects import context
from ..lowering import CONVERSIONS
from ..lowering.graph_to_te.registry import load_lowerings
from ..passes import PASSES
from ..schedules import PASSES as SCHEDULE_PASSES
from .timing import Timings

CATALOG: Catalog = {**PASSES, **CONVERSIONS, **SCHEDULE_PASSES}

GRAPH: tuple[str, ...] = (
    "infer-shapes",
    "canonicalize",
    "fold-constants",
    "recognize",
    "simplify-inference",
    "canonicalize",
    "cse",
    "dce",
)
"""Graph to graph, before anything is decided about kernels."""
FAST: tuple[str, ...] = ("winograd",)
"""Other algorithms for the same sums, not under strict numerics."""
FUSE: tuple[str, ...] = ("fuse", "assign-layouts")
"""Operators to kernels, and how the tensors between them lie in memory."""
TE: tuple[str, ...] = ("convert-graph-to-te",)
"""graph.kernel to te.kernel and a call."""
TO_NEST: tuple[str, ...] = ("convert-te-to-loop",)
"""One te.kernel to canonical nests, which a schedule then edits."""
TO_TILES: tuple[str, ...] = ("form-tiles",)
"""Scheduled nests to tile form."""
FAST_TILES: tuple[str, ...] = ("fold-addends",)
"""Tile form to tile form where the order of a sum is free."""


def run_passes(
    names: Sequence[str], module: ModuleOp, timings: Timings, ctx: Context | None = None
) -> None:
    """Run passes by name on `module`, in place.

    Raises: PassError and the other errors of the passes.
    """
    ctx = ctx or context()
    load_lowerings()  # fuse leaves outside what has none
    for name in names:
        pass_: ModulePass = CATALOG[name]()()
        with timings.stage(name):
            try:
                pass_.apply(ctx, module)
            except DiagnosticException as error:
                raise PassError(f"{name}: {error}") from error


def verify(module: ModuleOp, timings: Timings) -> None:
    """Check every op of `module`.

    Raises: PassError: with all that is wrong.
    """
    with timings.stage("verify"):
        if found := problems(module):
            shown = "\n".join(problem.diagnostic().render({}) for problem in found[:8])
            raise PassError(f"the module is not valid:\n{shown}")
