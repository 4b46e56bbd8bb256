"""A small module, and the passes of nn-opt that show the failure on it.

It begins where the pass does, or, where that is not small enough, at a higher level with more
passes: one operator of the graph says more than the thirty loops that it becomes.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from ...compiler.checking import check_native
from ...compiler.isolate import Crashed
from ...compiler.options import Options
from ...core.testing import Outcome, call
from ...dialects import loop, te
from ...passes.graph.bind_inputs import main_function
from ...reference.runnable import Runnable, inputs_for, runnables
from ...reference.semantics import NOT_CHECKED, Report, check
from ..opt.pipeline import Step, render
from ..opt.reproducer import Recipe
from ..opt.reproducer import write as write_reproducer
from ..reduce.extents import ShrinkExtents
from ..reduce.moves import MOVES, Move
from ..reduce.session import BROKEN, Session, is_valid, num_operations
from .extract import kernel_alone, neighbourhood, outline
from .finding import CODE, CONSTANTS, ENTRY, PLAN, Finding
from .inside import narrowed_kernel
from .kernels import Natively, calls_of
from .steps import FAILURES, Pipeline
from .trace import widened
from .values import Tolerance, Wanted, compare

SMALL_ENOUGH = 10
"""Operations: a reproducer of so many needs no other start."""
TRIALS, SECONDS = 600, 15.0
"""Of one reduction."""
ALL_SECONDS, LEAST_SECONDS = 40.0, 5.0
"""No other start is tried after this; one that was found late is reduced for so long."""
SMALL_FIRST: tuple[Move, ...] = (ShrinkExtents(), *MOVES)
"""What is small runs quickly: every later trial takes less time."""
BOUNDS = (3, 8, 17)
"""Of extents: a module that is as small as that is tried first."""
MANY = 30
"""Operations: other starts are tried before one of more."""
LOOSE = Tolerance(relative=1e-4)
"""For kernels that are compared as code: another order of long sums is no failure."""
WHOLE = (PLAN, CONSTANTS, ENTRY)
"""Stages that show in a program only, not in a kernel by itself."""
RADII = (0, 1, 2, 4, 8, 16)
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

    @property
    def recipe(self) -> Recipe:
        """What nn-opt does with the module."""
        native = self.native
        return Recipe(render(self.steps), check_semantics=not native, check_native=native)


class Failing:
    """Whether the last step, or the code after it, changes what a module means.

    Kernels that are too large for the interpreters are compared as code: they become smaller.
    """

    def __init__(self, pipeline: Pipeline, steps: Sequence[Step], native: bool):
        self.pipeline, self.steps, self.native = pipeline, steps, native
        self.natively = Natively(Options.of(threads=1))

    def __call__(self, module: ModuleOp) -> bool:
        before = module
        try:
            for step in self.steps:
                before = module.clone()
                self.pipeline.apply(step, module)
            if self.native:
                return bool(check_native(module).mismatches)
            report = check(before, module)
            return bool(report.mismatches) or self._code_differs(before, module, report)
        except FAILURES:
            return False  # another failure than the one that is looked for

    def is_shown(self, module: ModuleOp) -> bool:
        """Whether --check-semantics sees it."""
        before = module
        for step in self.steps:
            before = module.clone()
            self.pipeline.apply(step, module)
        return bool(check(before, module).mismatches)

    def _code_differs(self, before: ModuleOp, after: ModuleOp, report: Report) -> bool:
        """Whether the code of a kernel that was not interpreted is another."""
        old, new = runnables(before), runnables(after)
        names = [o.name for o in report.outcomes if o.status == NOT_CHECKED]
        kinds = (te.KernelOp, loop.KernelOp)
        return any(
            self._differ(old[name], new[name])
            for name in names
            if isinstance(old[name].op, kinds) and isinstance(new[name].op, kinds)
        )

    def _differ(self, old: Runnable, new: Runnable) -> bool:
        inputs = inputs_for(old, np.random.default_rng(0), (0, 3), False)
        right = self.natively(old.op, inputs)
        try:
            other = self.natively(new.op, inputs)
        except Crashed:
            return True
        wanted = [Wanted(array, widened(array)) for array in right]
        pairs = zip(wanted, other, strict=True)
        return any(compare(want, got, LOOSE).is_wrong for want, got in pairs)


class Reproduction:
    """Tries starts from the pass upward; keeps the smallest."""

    def __init__(self, pipeline: Pipeline, finding: Finding):
        self.pipeline, self.finding = pipeline, finding

    def run(self) -> Reproducer | None:
        """The smallest reproducer found; `None` if none fails on inputs of nn-opt's own.

        Where it is open which of several stages is to blame, the one that can be reproduced is:
        the finding then names it.
        """
        stages = [(self.finding.stage, self.finding.step), *self.finding.others]
        rounds = ((True, True), (False, True), (False, False))
        end = time.monotonic() + ALL_SECONDS
        for (is_near, is_small), (stage, step) in product(rounds, stages):
            self.finding.stage, self.finding.step = stage, step
            half = (end - time.monotonic()) / 2  # however slow the first starts are, others follow
            best = self._smallest(is_near, is_small, time.monotonic() + half)
            if best is not None:
                self.finding.others = []
                return best
        self.finding.stage, self.finding.step = stages[0]
        return None

    def _smallest(self, is_near: bool, is_small: bool, end: float) -> Reproducer | None:
        """Of the starts near the stage, or of all, until `end`; extents made small, or as they are.

        A reproducer that is near and is not small enough is no reason to stop.
        """
        best: Reproducer | None = None
        for module, steps in self._nearest() if is_near else self._starts():
            if time.monotonic() > end:
                break
            found = self._reduced(module, steps, is_small, end)
            if found is not None and (best is None or found.operations < best.operations):
                best = found
            if best is not None and best.operations <= SMALL_ENOUGH:
                break
        is_enough = not is_near or (best is not None and best.operations <= SMALL_ENOUGH)
        return best if is_enough else None

    @property
    def _native(self) -> bool:
        return self.finding.stage in (CODE, *WHOLE)

    def _nearest(self) -> Iterator[tuple[ModuleOp, Sequence[Step]]]:
        """Modules right before the stage, and where its kernel still is one of te."""
        steps = self.pipeline.steps
        first, end = self._span
        lowered = [n for n in range(first) if steps[n].flag == "convert-te-to-loop"]
        for number in (first, *lowered):
            for module in self._parts(self.pipeline.state(number)):
                yield module, steps[number:end]

    @property
    def _span(self) -> tuple[int, int]:
        """The states before and after the stage."""
        last, step = len(self.pipeline.steps), self.finding.step
        return (last, last) if step is None else (step, step + 1)

    def _starts(self) -> Iterator[tuple[ModuleOp, Sequence[Step]]]:
        """Modules that may fail, with the steps to run on each."""
        steps = self.pipeline.steps
        first, end = self._span
        levels = list(dict.fromkeys(self._levels(first)))
        late: list[tuple[ModuleOp, Sequence[Step]]] = []
        for number in levels:
            for module in self._parts(self.pipeline.state(number)):
                if num_operations(module) > MANY:
                    late.append((module, steps[number:end]))
                else:
                    yield module, steps[number:end]
        yield from late
        for number in levels:
            yield self.pipeline.state(number), steps[number:end]

    def _levels(self, first: int) -> Iterator[int]:
        """States to begin with: before the pass, as te kernels, as the graph."""
        names = [step.flag for step in self.pipeline.steps]
        if self.finding.stage in WHOLE:  # of a program: what shows it are several kernels
            yield from (names.index(name) for name in ("fuse",) if name in names)
        yield first
        for name in ("convert-te-to-loop", "convert-graph-to-te", "fuse", "winograd"):
            if name in names[:first]:
                yield names.index(name)
        if first:
            yield 0

    def _parts(self, state: ModuleOp) -> Iterator[ModuleOp]:
        """The op to blame, and more and more of what is around it; without one, each by itself."""
        op = self.finding.op
        if op is None:
            yield from self._single(state)
            return
        if isinstance(op, te.CallOp) and self.finding.stage not in WHOLE and calls_of(state):
            yield kernel_alone(state, op.callee.string_value())
            return
        alone = [([op], 0)] if self.finding.around else []
        for ops, radius in [*alone, *(([op, *self.finding.around], each) for each in RADII)]:
            part = neighbourhood(state, ops, radius)
            if part is not None:
                yield part

    def _single(self, state: ModuleOp) -> Iterator[ModuleOp]:
        """Every op of main by itself; alike ones, as those of equal blocks of a network, once."""
        seen: set[object] = set()
        for op in main_function(state).body.block.ops:
            symbol = op.callee if isinstance(op, te.CallOp) else None
            key = (op.name, symbol, tuple(op.operand_types), tuple(op.result_types))
            if key in seen or not op.operands or not op.results:
                continue
            seen.add(key)
            yield outline(state, {op})

    def _reduced(
        self, module: ModuleOp, steps: Sequence[Step], is_small: bool, end: float
    ) -> Reproducer | None:
        """The smallest that is found until `end`."""
        fails = Failing(self.pipeline, steps, self._native)
        starts = _small(module) if is_small else [module]
        start = next((each for each in starts if fails(each.clone())), None)
        if start is None:
            return None
        seconds = min(SECONDS, max(end - time.monotonic(), LEAST_SECONDS))
        reduced = Session(start, fails, TRIALS, seconds, moves=SMALL_FIRST).run()
        if not self._native and not fails.is_shown(reduced.clone()):
            return None
        return Reproducer(reduced, steps, self._native)


def _small(module: ModuleOp) -> Iterator[ModuleOp]:
    """The module with no extent over some bound, where it can be made so."""
    shrink = ShrinkExtents()
    for bound in BOUNDS:
        large = {old for old, _ in shrink.sites(module) if old > bound}
        candidate = module.clone()
        try:
            shrink.apply(candidate, [(old, bound) for old in large])
        except BROKEN:
            continue
        if is_valid(candidate):
            yield candidate
        if not large:
            break


def narrow(reproducer: Reproducer, pipeline: Pipeline, finding: Finding) -> None:
    """Name the part of the kernel to blame, as the reproducer shows it; the model's was too large.

    A reproducer that has no kernels, or whose parts do not show it, says nothing.
    """
    if reproducer.native or finding.part or not reproducer.steps:
        return
    before = reproducer.module.clone()
    for step in reproducer.steps[:-1]:
        pipeline.apply(step, before)
    after = before.clone()
    pipeline.apply(reproducer.steps[-1], after)
    new = runnables(after)
    for name, old in runnables(before).items():
        kinds = (te.KernelOp, loop.KernelOp)
        if not isinstance(old.op, kinds) or name not in new:
            continue
        inputs = inputs_for(old, np.random.default_rng(0), (0, 3), False)
        found = narrowed_kernel(old.op, new[name].op, inputs, Tolerance())
        if found is not None:
            op = finding.op
            finding.blame(found, op.callee.string_value() if isinstance(op, te.CallOp) else name)
            return


def write(reproducer: Reproducer, finding: Finding, path: str, plugins: Sequence[str]) -> str:
    """Write it; its first lines say how to run it, and what it shows. Returns the command.

    Raises: NncError: the file cannot be written.
    """
    command = shlex.join(["nn-opt", *_arguments(path, plugins)])
    where = f" at {finding.node}" if finding.node else ""
    what = f"'{finding.stage}'{where}: {finding.how}"
    write_reproducer(path, reproducer.module, reproducer.recipe, [command, what])
    return command


def run(path: str, plugins: Sequence[str]) -> Outcome:
    """What nn-opt says to a reproducer."""
    from ..nn_opt import main

    return call(main, _arguments(path, plugins))


def _arguments(path: str, plugins: Sequence[str]) -> list[str]:
    return ["--run-reproducer", *(f"--load-plugin={plugin}" for plugin in plugins), path]
