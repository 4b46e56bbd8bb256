"""The search: outputs first, then states of the graph, then kernels, then the program's memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from xdsl.ir import Operation

from ...compiler.options import Options
from ...compiler.program import Compiled, compile_kernels
from ...compiler.signature import output_signatures
from ...compiler.timing import Timings
from ...core.locations import describe
from ...runtime.arrays import Array
from .finding import CODE, IMPORT, PLAN, THREADS, Finding
from .inside import narrowed
from .isolate import Crashed, isolated
from .kernels import Case, Natively, calls_of, cases_of, check_case, suspects
from .locate import Culprit, locate
from .plan import Overwritten, find_overwritten
from .steps import Pipeline
from .trace import Trace, trace
from .values import Difference, Tolerance, Wanted, compare

LINEAR_SECONDS = 10.0
"""States are all evaluated, in order, where that takes less than this; else binary search."""
Outputs = Mapping[str, Array]


@dataclass
class Search:
    """One bisection.

    Attributes:
        pipeline: state 0 is the module as it was imported, all shapes known.
        inputs: arrays by name.
        options: what the last state is compiled for.
        tolerance: how far a value may be off.
        given: outputs of another reference by name; without it those of state 0 are right.
        say: told what is being done.
        margins: how far each output of the whole is off, once it has run.
    """

    pipeline: Pipeline
    inputs: Mapping[str, Array]
    options: Options
    tolerance: Tolerance
    given: Outputs | None = None
    say: Callable[[str], None] = lambda text: None
    margins: dict[str, Difference] = field(default_factory=dict[str, Difference])
    _traces: dict[int, Trace] = field(default_factory=dict[int, Trace])

    def run(self) -> Finding | None:
        """The finding; `None` where the result is right: `margins` says how right.

        Raises: NncError: a pass fails, or the reference cannot run the model.
        """
        self.say("running the model as it was imported with the reference")
        wanted = self._wanted()
        finding = self._check_import(wanted)
        if finding is not None:
            return finding
        last = len(self.pipeline.steps)
        graph_states = self._graph_states()
        self.say("running the whole pipeline")
        compiled = None
        if graph_states < last or not graph_states:
            compiled = compile_kernels(self.pipeline.state(last).clone(), self.options, Timings())
            self.margins = self._run(wanted, compiled)
        else:
            self.margins = self._compare(wanted, self._outputs(last))
        if not any(difference.is_wrong for difference in self.margins.values()):
            return None
        finding = self._in_graph(wanted, graph_states)
        if finding is None and compiled is not None:
            finding = self._in_kernels(graph_states, compiled)
        if finding is None:
            finding = Finding("", None, "", "every part is right by itself, the whole is not")
        finding.output, finding.difference = self._worst(self.margins)
        return finding

    @property
    def names(self) -> list[str]:
        """Of the outputs."""
        return [signature.name for signature in output_signatures(self.pipeline.state(0))]

    def trace(self, number: int) -> Trace:
        """Main of a state, run by the reference."""
        if number not in self._traces:
            self._traces[number] = trace(self.pipeline.state(number), self.inputs)
        return self._traces[number]

    def _wanted(self) -> dict[str, Wanted]:
        """Right outputs; how exact they can be is known from state 0."""
        found = dict(zip(self.names, self.trace(0).results, strict=True))
        for name, array in (self.given or {}).items():
            if name in found and found[name].array.shape == array.shape:
                shift = array.astype(found[name].wide.dtype) - found[name].array
                found[name] = Wanted(array, found[name].wide + shift)
            elif name in found:
                found[name] = replace(found[name], array=array)
        return found

    def _outputs(self, number: int) -> Outputs:
        """What a state of the graph gives."""
        results = self.trace(number).results
        return dict(zip(self.names, [each.array for each in results], strict=True))

    def _compare(self, wanted: Mapping[str, Wanted], got: Outputs) -> dict[str, Difference]:
        pairs = zip(wanted.items(), got.values(), strict=True)
        return {name: compare(want, array, self.tolerance) for (name, want), array in pairs}

    def _run(self, wanted: Mapping[str, Wanted], compiled: Compiled) -> dict[str, Difference]:
        """How far the outputs of the whole program are off."""
        try:
            return self._compare(wanted, isolated(lambda: compiled.executable.run(self.inputs)))
        except Crashed as error:
            return dict.fromkeys(wanted, Difference(reason=error.message))

    def _worst(self, found: Mapping[str, Difference]) -> tuple[str, Difference]:
        name = max(found, key=lambda each: (found[each].is_wrong, found[each].absolute))
        return name, found[name]

    def _check_import(self, wanted: Mapping[str, Wanted]) -> Finding | None:
        if self.given is None:
            return None
        name, difference = self._worst(self._compare(wanted, self._outputs(0)))
        if not difference.is_wrong:
            return None
        how = "the imported graph, run by our reference, already differs"
        return Finding(IMPORT, None, "", how, output=name, difference=difference)

    def _graph_states(self) -> int:
        """The last state before main calls kernels."""
        last = len(self.pipeline.steps)
        found = [n for n in range(last + 1) if not calls_of(self.pipeline.state(n))]
        return max(found, default=0)

    def _in_graph(self, wanted: Mapping[str, Wanted], last: int) -> Finding | None:
        """The first pass of graph to graph after which the outputs are wrong."""
        trail: dict[int, Difference] = {}

        def is_wrong(number: int) -> bool:
            if number not in trail:
                trail[number] = self._worst(self._compare(wanted, self._outputs(number)))[1]
            return trail[number].is_wrong

        self.say("evaluating the graph after its passes")
        start = time.monotonic()
        if not last or not is_wrong(last):
            return None
        seconds = time.monotonic() - start
        first = first_wrong(is_wrong, last, linear=seconds * last < LINEAR_SECONDS)
        step = self.pipeline.steps[first - 1]
        culprit = locate(self.trace(first - 1), self.trace(first), self.tolerance)
        finding = _finding(step.flag, first - 1, culprit)
        flags = ["(as imported)", *(each.flag for each in self.pipeline.steps)]
        finding.trail = [(flags[number], trail[number]) for number in sorted(trail)]
        return finding

    def _in_kernels(self, before: int, compiled: Compiled) -> Finding | None:
        """The first call whose kernel is wrong, then the step that broke it."""
        last = len(self.pipeline.steps)
        self.say("running every kernel on right inputs")
        natively = Natively(self.options)
        for case in cases_of(self.pipeline.state(last), self.trace(before)):
            difference = check_case(case, case.call, natively, self.tolerance)
            if difference.is_wrong:
                return self._in_kernel(case, difference, before, natively)
        return self._in_plan(compiled)

    def _in_kernel(
        self, case: Case, difference: Difference, before: int, natively: Natively
    ) -> Finding:
        self.say(f"taking @{case.symbol} through the passes")
        found = suspects(case, self.pipeline, before, natively, self.tolerance)
        node = describe(case.call)
        how = f"kernel @{case.symbol} gives another result"
        if not found.steps:
            return Finding(CODE, None, node, how, case.call, local=difference)
        stages = [(self.pipeline.steps[number].flag, number) for number in found.steps]
        finding = Finding(*stages[0], node, how, case.call, local=found.difference)
        finding.others = [*stages[1:], *(() if found.certain else ((CODE, None),))]
        last = found.steps[0]
        states = self.pipeline.state(last), self.pipeline.state(last + 1)
        inner = narrowed(case, states, self.trace(before), self.tolerance)
        if inner is not None:
            finding.node, finding.how = inner.node, f"{inner.how} in kernel @{case.symbol}"
            finding.local = inner.difference
        return finding

    def _in_plan(self, compiled: Compiled) -> Finding | None:
        """Kernels are right one by one: memory that is reused too early, or threads."""
        self.say("watching the memory of the program")
        found = find_overwritten(compiled, self.inputs)
        if found is not None:
            return _overwritten(found)
        if self.options.threads > 1:
            single = replace(self.options, threads=1)
            state = self.pipeline.state(len(self.pipeline.steps)).clone()
            alone = self._run(self._wanted(), compile_kernels(state, single, Timings()))
            if not self._worst(alone)[1].is_wrong:
                how = f"wrong on {self.options.threads} threads, right on one"
                return Finding(THREADS, None, "", how)
        return None


def first_wrong(is_wrong: Callable[[int], bool], last: int, *, linear: bool) -> int:
    """The first wrong number up to `last`, which is wrong; 0 is right.

    Binary search finds one that is wrong after one that is right: the first, unless a later pass
    mends what an earlier one broke.
    """
    if linear:
        return next(number for number in range(1, last + 1) if is_wrong(number))
    right, wrong = 0, last
    while wrong - right > 1:
        middle = (right + wrong) // 2
        right, wrong = (right, middle) if is_wrong(middle) else (middle, wrong)
    return wrong


def _overwritten(found: Overwritten) -> Finding:
    maker = found.value.owner
    node = describe(maker) if isinstance(maker, Operation) else ""
    reader = describe(found.reader)
    if found.writer is found.reader:
        how = f"its memory is written by its last reader, {reader}, while it is read"
    else:
        writer = f" by {describe(found.writer)}" if found.writer is not None else ""
        how = f"its memory is written{writer} before {reader} reads it"
    return Finding(PLAN, None, node, how, found.reader)


def _finding(flag: str, step: int, culprit: Culprit | None) -> Finding:
    if culprit is None:
        return Finding(flag, step, "", "no single value shows where")
    return Finding(flag, step, culprit.node, culprit.how, culprit.op, local=culprit.difference)
