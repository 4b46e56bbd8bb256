"""Which op a pass broke: two traces of main, before and after it, compared value by value.

Values belong together when their ops have a location in common and their shapes are the same. The
first value in program order that has no equal on the other side is where it goes wrong. If it is
computed from what it was computed from before, its own op is to blame; if an operand has become
another value, that operand's op is, which the pass dropped, merged or folded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.dialects.builtin import LocationAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Operation, SSAValue

from ...core.locations import describe, describe_location, parts
from ...dialects.graph import base as graph
from .trace import Trace
from .values import Difference, Tolerance, Wanted, compare


@dataclass(frozen=True)
class Culprit:
    """The op to blame.

    Attributes:
        op: before the pass, or after it where it has no counterpart.
        how: what became of it.
        difference: of the value in which it shows.
        location: where the op and what it is made of come from, if that is more than the op.
        instead: the op, after the pass, whose result is used in its place.
    """

    op: Operation
    how: str
    difference: Difference
    location: LocationAttr | None = None
    instead: Operation | None = None

    @property
    def node(self) -> str:
        """The nodes of the model, or the lines of the text, that it comes from."""
        location = None if self.location is None else describe_location(self.location)
        return location or describe(self.op)


class _Before:
    """The values before a pass, by the locations of their ops."""

    def __init__(self, trace: Trace):
        self.trace = trace
        self.by_location: defaultdict[LocationAttr, list[SSAValue]] = defaultdict(list)
        for op in trace.ops:
            for location in parts(op.location):
                self.by_location[location] += op.results

    def candidates(self, op: Operation, wanted: Wanted) -> list[SSAValue]:
        """Values that a result of `op` may be compared with."""
        found: dict[SSAValue, None] = {}
        for location in parts(op.location):
            found.update(dict.fromkeys(self.by_location[location]))
        return [v for v in found if self.trace.values[v].array.shape == wanted.array.shape]


def locate(before: Trace, after: Trace, tolerance: Tolerance) -> Culprit | None:
    """The op that a pass broke; `None` if no value shows it."""
    return _Location(_Before(before), after, tolerance).find()


class _Location:
    def __init__(self, before: _Before, after: Trace, tolerance: Tolerance):
        self.before, self.after, self.tolerance = before, after, tolerance

    def find(self) -> Culprit | None:
        for op in self.after.ops:
            if isinstance(op, ReturnOp):
                return self._at_return(op)
            for value in op.results:
                wrong = self._compare(op, value)
                if wrong is not None:
                    return self._blame(op, *wrong)
        return None

    def _compare(self, op: Operation, value: SSAValue) -> tuple[SSAValue, Difference] | None:
        """The best counterpart of a value that has none which is equal."""
        got = self.after.values[value]
        worst: tuple[SSAValue, Difference] | None = None
        for candidate in self.before.candidates(op, got):
            wanted = self.before.trace.values[candidate]
            difference = compare(wanted, got.array, self.tolerance)
            if not difference.is_wrong:
                return None
            owner = candidate.owner
            if worst is None or (isinstance(owner, Operation) and owner.name == op.name):
                worst = candidate, difference
        return worst

    def _blame(self, op: Operation, counterpart: SSAValue, difference: Difference) -> Culprit:
        was = counterpart.owner
        assert isinstance(was, Operation)
        if isinstance(op, graph.ConstantOp) and not isinstance(was, graph.ConstantOp):
            return Culprit(was, f"{was.name} became a constant with another content", difference)
        if was.name == op.name and len(was.operands) == len(op.operands):
            lost, instead = self._changed_operand(was.operands, op.operands)
            if isinstance(lost, graph.ConstantOp):
                how = f"{op.name} reads another constant than {describe(lost)}"
                return Culprit(was, how, difference)
            if lost is not None:
                how = f"the result of {lost.name} is no longer used"
                return Culprit(lost, how, difference, instead=instead)
            if not all(map(self._are_equal, was.operands, op.operands)):
                return Culprit(was, f"{was.name} takes its operands in another order", difference)
        return Culprit(was, f"{was.name} gives another result", difference)

    def _at_return(self, op: ReturnOp) -> Culprit | None:
        last = self.before.trace.ops[-1]
        for old, new in zip(last.operands, op.operands, strict=False):
            wanted, got = self.before.trace.values[old], self.after.values[new]
            difference = compare(wanted, got.array, self.tolerance)
            if difference.is_wrong and isinstance(old.owner, Operation):
                how = f"the result of {old.owner.name} is no longer returned"
                return Culprit(old.owner, how, difference, instead=_owner(new))
        return None

    def _changed_operand(
        self, old: Sequence[SSAValue], new: Sequence[SSAValue]
    ) -> tuple[Operation | None, Operation | None]:
        """The op of the first operand whose value is another one now, and that one's."""
        for was, now in zip(old, new, strict=True):
            if self._are_equal(was, now) or any(self._are_equal(was, other) for other in new):
                continue  # as it was, or in another place
            return _owner(was), _owner(now)
        return None, None

    def _are_equal(self, old: SSAValue, new: SSAValue) -> bool:
        wanted, got = self.before.trace.values[old], self.after.values[new]
        return not compare(wanted, got.array, self.tolerance).is_wrong


def _owner(value: SSAValue) -> Operation | None:
    return value.owner if isinstance(value.owner, Operation) else None
