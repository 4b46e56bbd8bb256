"""Pipelines as data: which passes run at each level, in which order, users' passes among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import DiagnosticException

from ..core import extensions
from ..core.catalog import Catalog
from ..core.errors import PassError, did_you_mean
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
FUSE: tuple[str, ...] = ("fuse", "assign-layouts", "place-pieces")
"""Operators to kernels, and how the tensors between them lie in memory."""
TE: tuple[str, ...] = ("convert-graph-to-te",)
"""graph.kernel to te.kernel and a call."""
TO_NEST: tuple[str, ...] = ("convert-te-to-loop",)
"""One te.kernel to canonical nests, which a schedule then edits."""
TO_TILES: tuple[str, ...] = ("form-tiles",)
"""Scheduled nests to tile form."""
FAST_TILES: tuple[str, ...] = ("fold-addends",)
"""Tile form to tile form where the order of a sum is free."""
DECLARE: tuple[str, ...] = ("declare-inout",)
"""What a kernel in tile form tells its callers."""


PHASES = {
    "graph": GRAPH,
    "fast": FAST,
    "fuse": FUSE,
    "te": TE,
    "nest": TO_NEST,
    "tiles": TO_TILES,
}
"""By the names that users place passes with."""
KIND = "pass"


@dataclass(frozen=True, eq=False)
class Placed:
    """A user's pass, and where it runs: at the end of a phase, or beside a pass."""

    cls: type[ModulePass]
    phase: str | None
    after: str | None
    before: str | None

    def check(self, where: str) -> None:
        """Raises: NncError: there is no such place; `where` asked for it."""
        kind, name, known = "phase", self.phase, list(PHASES)
        if name is None:
            kind, name = "pass", self.after or self.before or ""
            ours = {each for names in PHASES.values() for each in names}
            known = sorted(ours | extensions.known(KIND).keys())
        if name not in known:
            hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
            raise PassError(f"the pipeline has no {kind} '{name}'", where=where, hint=hint)

    def put(self, name: str, names: list[str], phase: str | None) -> None:
        """Put it where it belongs, if that is in `names`."""
        if self.phase is not None:
            if self.phase == phase:
                names.append(name)
            return
        beside = self.after or self.before
        if beside in names:
            last = len(names) - 1 - names[::-1].index(beside)
            names.insert(last + (self.after is not None), name)


def _placed() -> dict[str, Placed]:
    return {name: entry.value for name, entry in extensions.table(KIND).items()}


def extended(names: Sequence[str]) -> list[str]:
    """These passes with those that users have placed among them, in order of registration."""
    phase = next((phase for phase, known in PHASES.items() if known == tuple(names)), None)
    found = list(names)
    for name, placed in _placed().items():
        placed.put(name, found, phase)
    return found


AfterPass = Callable[[str, ModuleOp], None]


def run_passes(
    names: Sequence[str],
    module: ModuleOp,
    timings: Timings,
    ctx: Context | None = None,
    after: AfterPass | None = None,
) -> None:
    """Run passes by name on `module`, in place, with those that users have placed among them.

    After each, `after` is called with its name and the module.
    Raises: PassError and the other errors of the passes.
    """
    ctx = ctx or context()
    load_lowerings()  # fuse leaves outside what has none
    users = _placed()
    for name in extended(names) if users else names:
        pass_: ModulePass = users[name].cls() if name in users else CATALOG[name]()()
        with timings.stage(name):
            try:
                pass_.apply(ctx, module)
            except DiagnosticException as error:
                raise PassError(f"{name}: {error}") from error
        if name in users:
            _check_users(name, module)
        if after is not None:
            after(name, module)


def _check_users(name: str, module: ModuleOp) -> None:
    """Raises: PassError: a user's pass has left the module broken."""
    if found := problems(module):
        owner = extensions.table(KIND)[name].owner
        shown = "\n".join(problem.diagnostic().render({}) for problem in found[:8])
        raise PassError(f"pass '{name}' of {owner} left the module broken:\n{shown}")


def verify(module: ModuleOp, timings: Timings) -> None:
    """Check every op of `module`.

    Raises: PassError: with all that is wrong.
    """
    with timings.stage("verify"):
        if found := problems(module):
            shown = "\n".join(problem.diagnostic().render({}) for problem in found[:8])
            raise PassError(f"the module is not valid:\n{shown}")
