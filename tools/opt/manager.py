"""Running a pipeline: each pass on the module, or on each op of its anchor.

    steps = build(["canonicalize,func.func(cse)"], registry)     # pipeline.py
    PassManager(steps, registry.context()).run(module)

Whoever bisects counts changes around it (`core/counters.py`), or runs `steps[:n]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from itertools import groupby

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...core import counters
from ...core.diagnostics import Diagnostic, Severity
from ...core.dominance import undominated
from ...core.verifier import problems
from .inside import Fence, named
from .instruments import Instrument, PassFailure
from .pipeline import Step
from .timing import Timing


class PassManager:
    """Runs the steps of a pipeline on modules.

    Args:
        steps: what to run, in order.
        context: handed to the passes.
        verify_each: check the module after each step, and that a pass on single ops stays inside.
        instruments: what to do around each pass.
        timing: what takes the time.

    Attributes:
        step: the one at work; after a failure the one that failed.
    """

    def __init__(
        self,
        steps: Sequence[Step],
        context: Context,
        *,
        verify_each: bool = True,
        instruments: Sequence[Instrument] = (),
        timing: Timing | None = None,
    ):
        self.steps = steps
        self.context = context
        self.verify_each = verify_each
        self.instruments = instruments
        self.timing = timing or Timing()
        self.step: Step | None = None

    def run(self, module: ModuleOp) -> None:
        """Run all steps, in place.

        Raises: PassFailure: the module is broken after a step; and what passes raise.
        """
        self._run_nest(self.steps, 0, module)
        self.step = None

    def _run_nest(self, steps: Sequence[Step], depth: int, module: ModuleOp) -> None:
        """Steps that share their first `depth` anchors."""
        for anchor, group in groupby(steps, lambda step: step.anchors[depth : depth + 1]):
            if not anchor:
                for step in group:
                    self._run_step(step, module)
            else:
                with self.timing.stage(f"'{anchor[0]}' Pipeline"):
                    self._run_nest(list(group), depth + 1, module)

    def _run_step(self, step: Step, module: ModuleOp) -> None:
        self.step = step
        for one in self.instruments:
            one.begin(step, module)
        scopes = step.scopes(module)
        at: Operation = module
        try:
            with self.timing.stage(step.title):
                with ExitStack() as stack:
                    for one in self.instruments:
                        stack.enter_context(one.running(step))
                    fence = self._fence(step, module, scopes)
                    for at in scopes:
                        self._run_on(step, at, fence)
                if fence is not None:
                    fence.close()
            for one in self.instruments:
                one.end(step, module)
        except BaseException:
            for one in self.instruments:
                one.failed(step, at)
            raise

    def _run_on(self, step: Step, op: Operation, fence: Fence | None) -> None:
        counted = counters.active()
        if counted is not None and not counted.may_run(step.flag):
            return
        for one in self.instruments:
            one.before(step, op)
        if fence is not None:
            fence.enter(op)
        step.run(self.context, op)
        if fence is not None:
            fence.leave(op)
        if self.verify_each:
            with self.timing.stage("Verifier", joined=True):
                self._verify(step, op, fence)
        for one in self.instruments:
            one.after(step, op)

    @staticmethod
    def _verify(step: Step, op: Operation, fence: Fence | None) -> None:
        try:
            verify(op, step)
        except PassFailure:
            if fence is not None:
                fence.close()  # what is broken inside may come from what was done outside
            raise

    def _fence(self, step: Step, module: ModuleOp, scopes: list[Operation]) -> Fence | None:
        is_whole = not step.anchors or not self.verify_each
        return None if is_whole else Fence(step.flag, module, scopes)


def verify(root: Operation, after: Step | None = None) -> None:
    """Check an op and everything in it, dominance included.

    Raises: PassFailure: with all that is wrong.
    """
    found = [one.diagnostic() for one in problems(root)]
    found += [one.diagnostic() for one in undominated(root)]
    if found:
        if after is not None:
            what = "the module" if isinstance(root, ModuleOp) else f"the {named(root)}"
            text = f"pass '{after.flag}' left {what} broken"
            found.append(Diagnostic(Severity.NOTE, text))
        raise PassFailure(found)
