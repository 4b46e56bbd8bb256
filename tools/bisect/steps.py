"""A pipeline as steps, and the module after each of them."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import DiagnosticException

from ...compiler.pipelines import (
    DECLARE,
    FAST,
    FAST_TILES,
    FUSE,
    GRAPH,
    TE,
    TO_NEST,
    TO_TILES,
    extended,
)
from ...core.errors import NncError, PassError
from ...dialects.sched import ScheduleOp
from ...lowering.graph_to_te.registry import load_lowerings
from ..opt.instruments import PassFailure
from ..opt.manager import PassManager
from ..opt.pipeline import Step, build
from ..opt.registry import Registry

FAILURES = Exception
"""What passes, users' ones too, and code generation may raise on what an earlier pass has broken,
or on a part of a module that means nothing by itself: anything."""


def describe_error(error: Exception | None) -> str:
    """What failed, in a line; empty where nothing did."""
    if error is None or isinstance(error, NncError):
        return "" if error is None else error.message
    return f"{type(error).__name__}: {error}"


def default_pipeline(numerics: str, has_schedules: bool) -> str:
    """What `nnc.compile` does to a module, users' passes included, as the text of a pipeline."""
    fast = numerics == "fast"
    schedule = "schedule-kernels" if fast else "schedule-kernels{numerics=strict}"
    names = [
        *extended(GRAPH),
        *(extended(FAST) if fast else ()),
        *extended(FUSE),
        *extended(TE),
        *extended(TO_NEST),
        schedule,
        *(("apply-schedules",) if has_schedules else ()),
        *extended(TO_TILES),
        *(extended(FAST_TILES) if fast else ()),
        *DECLARE,
    ]
    return ",".join(names)


def has_schedules(module: ModuleOp) -> bool:
    """Whether a module brings schedules of its own."""
    return any(isinstance(op, ScheduleOp) for op in module.ops)


class Pipeline:
    """Steps, and the module before the first (state 0) and after each of them.

    Raises: PassError: a malformed text, or an unknown pass.
    """

    def __init__(self, text: str, registry: Registry, module: ModuleOp):
        self.registry = registry
        self.steps: list[Step] = build([text], registry)
        self._states: list[ModuleOp] = [module]
        load_lowerings()  # fuse leaves outside what has none

    def state(self, number: int) -> ModuleOp:
        """The module after so many steps; not to be changed.

        Raises: PassError: a step fails, or leaves the module broken.
        """
        while len(self._states) <= number:
            module = self._states[-1].clone()
            self.apply(self.steps[len(self._states) - 1], module)
            self._states.append(module)
        return self._states[number]

    def cut(self) -> Exception | None:
        """Leave out the first step that fails, and those after it; why it does."""
        for number in range(1, len(self.steps) + 1):
            try:
                self.state(number)
            except FAILURES as error:
                del self.steps[number - 1 :]
                return error
        return None

    def apply(self, step: Step, module: ModuleOp) -> None:
        """Run one step on a module.

        Raises: PassError: it fails, or leaves the module broken.
        """
        try:
            PassManager([step], self.registry.context()).run(module)
        except PassFailure as failure:
            found = "; ".join(one.message for one in failure.diagnostics)
            raise PassError(f"{step.flag}: {found}") from failure
        except NncError as error:
            where, hint = error.where, error.hint
            raise PassError(f"{step.flag}: {error.message}", where=where, hint=hint) from error
        except DiagnosticException as error:
            raise PassError(f"{step.flag}: {error}") from error
