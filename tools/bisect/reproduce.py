"""A small module, and the passes of nn-opt that show the failure on it.

It begins where the pass does, or, where that is not small enough, at a higher level with more
passes: one operator of the graph says more than the thirty loops that it becomes.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import ModuleOp

from ...core.errors import NncError
from ...core.testing import Outcome, call
from ...dialects import te
from ...reference.semantics import check
from ..opt.check import native_mismatches
from ..opt.pipeline import Step
from ..reduce.command import write_module
from ..reduce.session import Session, num_operations
from .extract import kernel_alone, neighbourhood
from .finding import CODE, PLAN, Finding
from .kernels import calls_of
from .steps import Pipeline, text_of

SMALL_ENOUGH = 10
"""Operations: a reproducer of so many needs no other start."""
TRIALS, SECONDS = 600, 15.0
"""Of one reduction."""
RADII = (0, 1, 2, 4)
"""Uses around the op to blame that a reproducer may begin with."""


@dataclass(frozen=True)
class Reproducer:
    """A module on which the last of some passes, or the code made after them, is wrong.

    Attributes:
        native: whether it is the code that is wrong, not the last pass.
    """

    module: ModuleOp
    steps: Sequence[Step]
    native: bool = False

    @property
    def operations(self) -> int:
        """How many there are, without functions, kernels and their ends."""
        return num_operations(self.module)

    def arguments(self, path: str, plugins: Sequence[str]) -> list[str]:
        """Of nn-opt."""
        words = [path, *(word for plugin in plugins for word in ("--load-plugin", plugin))]
        if self.steps:
            words += ["-p", text_of(self.steps)]
        return [*words, "--check-native" if self.native else "--check-semantics"]


class Failing:
    """Whether the last step, or the code after it, changes what a module means."""

    def __init__(self, pipeline: Pipeline, steps: Sequence[Step], native: bool):
        self.pipeline, self.steps, self.native = pipeline, steps, native

    def __call__(self, module: ModuleOp) -> bool:
        before = module
        try:
            for step in self.steps:
                before = module.clone()
                self.pipeline.apply(step, module)
            if self.native:
                return bool(native_mismatches(module))
            return bool(check(before, module).mismatches)
        except (NncError, AssertionError, IndexError, KeyError, ValueError):
            return False  # another failure than the one that is looked for


class Reproduction:
    """Tries starts from the pass upward; keeps the smallest."""

    def __init__(self, pipeline: Pipeline, finding: Finding):
        self.pipeline, self.finding = pipeline, finding

    def run(self) -> Reproducer | None:
        """The smallest reproducer found; `None` if none fails on inputs of nn-opt's own."""
        best: Reproducer | None = None
        for module, steps in self._starts():
            found = self._reduced(module, steps)
            if found is not None and (best is None or found.operations < best.operations):
                best = found
            if best is not None and best.operations <= SMALL_ENOUGH:
                break
        return best

    @property
    def _native(self) -> bool:
        return self.finding.stage in (CODE, PLAN)

    def _starts(self) -> Iterator[tuple[ModuleOp, Sequence[Step]]]:
        """Modules that may fail, with the steps to run on each."""
        step = self.finding.step
        steps = self.pipeline.steps
        end = len(steps) if step is None else step + 1
        first = len(steps) if step is None else step
        for number in self._levels(first):
            state = self.pipeline.state(number)
            for module in self._parts(state):
                yield module, steps[number:end]

    def _levels(self, first: int) -> Iterator[int]:
        """States to begin with: before the pass, as te kernels, as the graph."""
        names = [step.flag for step in self.pipeline.steps]
        if self.finding.stage == PLAN:  # of a program: what shows it are several kernels
            yield from (names.index(name) for name in ("fuse",) if name in names)
        yield first
        for name in ("convert-te-to-loop", "convert-graph-to-te", "fuse", "winograd"):
            if name in names[:first]:
                yield names.index(name)
        if first:
            yield 0

    def _parts(self, state: ModuleOp) -> Iterator[ModuleOp]:
        """The op to blame and more and more of what is around it, then all."""
        op = self.finding.op
        if isinstance(op, te.CallOp) and self.finding.stage != PLAN and calls_of(state):
            yield kernel_alone(state, op.callee.string_value())
        elif op is not None:
            for radius in RADII:
                part = neighbourhood(state, op, radius)
                if part is not None:
                    yield part
        yield state

    def _reduced(self, module: ModuleOp, steps: Sequence[Step]) -> Reproducer | None:
        fails = Failing(self.pipeline, steps, self._native)
        if not fails(module.clone()):
            return None
        session = Session(module, fails, TRIALS, SECONDS)
        return Reproducer(session.run(), steps, self._native)


def write(reproducer: Reproducer, finding: Finding, path: str, plugins: Sequence[str]) -> str:
    """Write it; its first lines say how to run it, and what it shows. Returns the command.

    Raises: InputError: the file cannot be written.
    """
    command = shlex.join(["nn-opt", *reproducer.arguments(path, plugins)])
    where = f" at {finding.node}" if finding.node else ""
    what = f"'{finding.stage}'{where}: {finding.how}"
    write_module(reproducer.module, path, f"// {command}\n// {what}\n")
    return command


def run(reproducer: Reproducer, path: str, plugins: Sequence[str]) -> Outcome:
    """What nn-opt says to it."""
    from ..nn_opt import main

    return call(main, reproducer.arguments(path, plugins))
