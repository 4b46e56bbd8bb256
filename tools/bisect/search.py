"""The search: outputs first, then states of the graph, then kernels, then the program's memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from xdsl.ir import Operation

from ...compiler.isolate import isolated
from ...compiler.options import Options
from ...compiler.program import Compiled, compile_kernels
from ...compiler.signature import output_signatures
from ...compiler.timing import Timings
from ...core.errors import NncError
from ...core.locations import describe
from ...dialects.loop import KernelOp
from ...runtime.arrays import Array
from ...runtime.executable import Executable
from ...runtime.profile import Stepper
from .finding import CODE, CONSTANTS, ENTRY, IMPORT, PLAN, THREADS, Finding
from .inside import narrowed
from .kernels import Case, Natively, callee_of, calls_of, cases_of, check_case, suspects
from .locate import Culprit, locate
from .plan import (
    CONSTANT,
    CRASHED,
    MISWRITTEN,
    OVERLAPPING,
    OVERWRITTEN,
    SHARED,
    Broken,
    find_broken,
)
from .steps import FAILURES, Pipeline, describe_error
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
        failure = self.pipeline.cut()
        graph_states = self._graph_states()
        self.say("running the whole pipeline")
        compiled = None
        if self._has_kernels(graph_states):
            compiled, broken = self._compile()
            failure = failure or broken
            self.margins = self._run(wanted, compiled, broken)
        else:
            self.margins = self._compare(wanted, self._outputs(graph_states))
        finding = None
        if any(difference.is_wrong for difference in self.margins.values()):
            finding = self._search(wanted, graph_states, compiled)
        if failure is not None and (finding is None or not finding.stage):
            raise failure
        if finding is not None:
            finding.failure = describe_error(failure)
            finding.output, finding.difference = self._worst(self.margins)
        return finding

    def _search(
        self, wanted: Mapping[str, Wanted], graph_states: int, compiled: Compiled | None
    ) -> Finding:
        """Where the whole, which is wrong, first is."""
        finding = self._in_graph(wanted, graph_states)
        if finding is None and self._has_kernels(graph_states):
            finding = self._in_kernels(graph_states, compiled)
        return finding or Finding("", None, "", "every part is right by itself, the whole is not")

    def _has_kernels(self, graph_states: int) -> bool:
        """Whether the last state is one of kernels."""
        return graph_states < len(self.pipeline.steps) or not graph_states

    def _compile(self) -> tuple[Compiled | None, Exception | None]:
        """The last state as a program, or why there is none."""
        state = self.pipeline.state(len(self.pipeline.steps)).clone()
        try:
            return compile_kernels(state, self.options, Timings()), None
        except FAILURES as error:
            return None, error

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

    def _run(
        self, wanted: Mapping[str, Wanted], compiled: Compiled | None, broken: Exception | None
    ) -> dict[str, Difference]:
        """How far the outputs of the whole program are off."""
        if compiled is None:
            reason = f"there is no code for it: {describe_error(broken)}"
            return dict.fromkeys(wanted, Difference(reason=reason))
        try:
            return self._compare(wanted, isolated(lambda: compiled.executable.run(self.inputs)))
        except NncError as error:  # or whatever failed on memory that the code has broken
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

    def _in_kernels(self, before: int, compiled: Compiled | None) -> Finding | None:
        """The first call whose kernel is wrong, then the step that broke it."""
        last = len(self.pipeline.steps)
        self.say("running every kernel on right inputs")
        natively = Natively(self.options)
        cases = cases_of(self.pipeline.state(last), self.trace(before))
        for case in cases:
            difference = check_case(case, case.call, natively, self.tolerance)
            if difference.is_wrong:
                return self._in_kernel(case, difference, before, natively)
        return None if compiled is None else self._in_plan(compiled, cases)

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
            finding.blame(inner, case.symbol)
            finding.local = inner.difference
        return finding

    def _in_plan(self, compiled: Compiled, cases: Sequence[Case]) -> Finding | None:
        """Kernels are right one by one: memory that is reused too early, constants, or threads."""
        self.say("watching the memory of the program")
        found = find_broken(compiled, self.inputs, cases, self.tolerance)
        if found is not None:
            promised = self._promised(found, cases)
            return promised or _in_program(found, cases)
        if self.options.threads > 1:
            single = replace(self.options, threads=1)
            state = self.pipeline.state(len(self.pipeline.steps)).clone()
            if self._is_right(compile_kernels(state, single, Timings()).executable):
                how = f"wrong on {self.options.threads} threads, right on one"
                return Finding(THREADS, None, "", how)
        if self._is_right(Stepper(compiled.executable, lambda launched: launched.run())):
            how = "the calls are right one by one; the function that makes them all is not"
            return Finding(ENTRY, None, "", how)
        return None

    def _is_right(self, executable: Executable) -> bool:
        """Whether the outputs of a program are."""
        try:
            outputs = isolated(lambda: executable.run(self.inputs))
        except NncError:
            return False
        return not self._worst(self._compare(self._wanted(), outputs))[1].is_wrong

    def _promised(self, broken: Broken, cases: Sequence[Case]) -> Finding | None:
        """The pass after which a kernel says that an operand and a result may be one buffer."""
        if broken.kind != SHARED or broken.pair is None:
            return None
        case = cases[broken.call]
        for number, step in enumerate(self.pipeline.steps):
            calls = calls_of(self.pipeline.state(number + 1))
            kernel = callee_of(calls[case.number]) if calls else None
            if isinstance(kernel, KernelOp) and broken.pair in kernel.inout_pairs:
                result = broken.pair[1] - len(case.call.operands)
                how = (
                    f"kernel @{case.symbol} says that result {result} may lie in the memory of "
                    f"operand {broken.number}, and reads the operand after it has written there"
                )
                node, local = describe(case.call), broken.difference
                return Finding(step.flag, number, node, how, case.call, local=local)
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


def _in_program(broken: Broken, cases: Sequence[Case]) -> Finding:
    """What went wrong although every kernel is right by itself."""
    call = cases[broken.call].call
    reader = describe(call)
    if broken.kind == CRASHED:
        how = f"{broken.difference.reason} in a kernel that is right by itself"
        return Finding(PLAN, None, reader, how, call)
    if broken.kind == MISWRITTEN:
        how = f"kernel @{cases[broken.call].symbol} gives another result than by itself"
        return Finding(CODE, None, reader, how, call, local=broken.difference)
    if broken.kind == OVERLAPPING:
        how = f"results and temporaries of @{cases[broken.call].symbol} lie over one another"
        return Finding(PLAN, None, reader, how, call, local=broken.difference)
    maker = call.operands[broken.number].owner
    node = describe(maker) if isinstance(maker, Operation) else ""
    stage, how = PLAN, f"it is read elsewhere than it was written by {reader}"
    if broken.kind == CONSTANT:
        stage, how = CONSTANTS, f"it is another constant in the memory that {reader} reads"
    elif broken.kind in (OVERWRITTEN, SHARED) and broken.writer == broken.call:
        how = f"its memory is written by its last reader, {reader}, while it is read"
    elif broken.kind == OVERWRITTEN:
        writer = "" if broken.writer is None else f" by {describe(cases[broken.writer].call)}"
        how = f"its memory is written{writer} before {reader} reads it"
    finding = Finding(stage, None, node, how, call, local=broken.difference)
    if isinstance(maker, Operation) and broken.writer not in (None, broken.call):
        finding.around = [maker, cases[broken.writer].call]
    return finding


def _finding(flag: str, step: int, culprit: Culprit | None) -> Finding:
    if culprit is None:
        return Finding(flag, step, "", "no single value shows where")
    finding = Finding(flag, step, culprit.node, culprit.how, culprit.op, local=culprit.difference)
    finding.around = [] if culprit.instead is None else [culprit.instead]
    return finding
