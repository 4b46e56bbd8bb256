"""Which operators run together: the groups that `fuse` makes kernels of.

NNVM's pattern classes, decided in two steps over one block.

1. *Epilogues.* An anchor (a convolution, product, pool or reduction) takes the elementwise and
   broadcast operators behind it, as long as each has the anchor's shape and the whole group has
   one way out: the walk goes from post-dominator to post-dominator, so `x * sigmoid(x)` goes along,
   and a value that is also used elsewhere ends the group and is written to memory. Of two anchors
   that meet, the later one gets the epilogue.
2. *Producers.* An elementwise, broadcast or injective operator all of whose users are in one group
   joins it: before a reduction, in an epilogue, or in a group without an anchor. Convolutions and
   products read their operands many times and take none.

Nothing is computed much more often than before: an operator in a group is evaluated as often as its
users read it, and may join where that is not more than it has elements (one whose class says
`IS_CHEAP`: 8 times).
Reshapes are views of memory and cost nothing outside a kernel; only those that add or drop extents
of 1 go inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from xdsl.ir import Block, Operation, SSAValue

from ...core.explain import why_not
from ...core.symbolic import Dim, less_equal, maximum, product
from ...dialects.graph.base import GraphOp, Pattern
from ...dialects.graph.pieces import ConcatOp
from ...dialects.graph.types import Dims, MaybeDim, dims
from .places import VIEWS, joined
from .post_dominators import post_dominators, users

CHEAP_REPEATS = 8
"""How often a cheap operator may be computed again for each of its elements."""


@dataclass(eq=False)
class Group:
    """Operators that become one kernel; all values but those of `sink` stay inside."""

    sink: GraphOp
    members: set[GraphOp] = field(default_factory=set[GraphOp])
    anchor: GraphOp | None = None
    before_anchor: set[GraphOp] = field(default_factory=set[GraphOp])
    """The anchor and what it is computed from."""
    ops: list[GraphOp] = field(default_factory=list[GraphOp])
    """The members in program order."""


@dataclass(frozen=True)
class Limits:
    """What bounds a group."""

    max_ops: int = 32
    injective_epilogue: bool = False
    """Whether a transpose may follow a convolution or product into its kernel."""


def group_block(block: Block, is_host: Callable[[GraphOp], bool], limits: Limits) -> list[Group]:
    """The groups of one block, in the order of their sinks; each has one member or more.

    Host operators, constants and ops of other dialects are in no group.
    """
    ops = [op for op in block.ops if isinstance(op, GraphOp) and not op.regions and not is_host(op)]
    grouping = _Grouping(block, ops, limits)
    for op in reversed(ops):
        if is_anchor(op):
            grouping.add_epilogue(op)
    for op in reversed(ops):
        if op not in grouping.group_of:
            grouping.place(op)
    for op in ops:
        grouping.leave_view_outside(op)
    for op in ops:
        grouping.group_of[op].ops.append(op)
    return [grouping.group_of[op] for op in ops if grouping.group_of[op].sink is op]


def is_anchor(op: GraphOp) -> bool:
    """Whether a group is built around `op`."""
    anchors = (Pattern.OUT_ELEMWISE_FUSABLE, Pattern.COMM_REDUCE)
    return op.PATTERN in anchors


class _Grouping:
    """The state of `group_block`."""

    def __init__(self, block: Block, ops: Sequence[GraphOp], limits: Limits):
        self.limits = limits
        self.group_of: dict[Operation, Group] = {}
        self.evaluations: dict[GraphOp, Dim | None] = {}
        """How many times each op in a group computes an element; `None` if not known."""
        self.candidates = frozenset(ops)
        self.dominator = post_dominators(block)

    def _add(self, op: GraphOp, group: Group, evaluations: Dim | None) -> None:
        group.members.add(op)
        self.group_of[op] = group
        self.evaluations[op] = evaluations

    def add_epilogue(self, anchor: GraphOp) -> None:
        """Start the group of `anchor` and grow it from post-dominator to post-dominator."""
        group = Group(anchor, anchor=anchor, before_anchor={anchor})
        self._add(anchor, group, _size(anchor))
        while (step := self._step(group)) is not None:
            for op in step:
                self._add(op, group, _size(anchor))
            group.sink = step[-1]
        if len(users(group.sink)) > 1:
            why_not(group.sink, "its value is used more than once, so it is written to memory")

    def _step(self, group: Group) -> list[GraphOp] | None:
        """What comes into `group` next, the new sink last; `None` where the group ends."""
        target, anchor = self.dominator.get(group.sink), group.anchor
        assert anchor is not None
        if target is None or target not in self.candidates:
            return None
        between = self._between(group.sink, target)
        if between is None or len(group.members) + len(between) > self.limits.max_ops:
            why_not(anchor, f"its kernel would have more than {self.limits.max_ops} operators")
            return None
        step: list[GraphOp] = []
        for op in between:
            if (reason := self._refusal(op, anchor)) is not None:
                why_not(op, f"does not follow {anchor.name} into its kernel: {reason}")
                return None
            assert isinstance(op, GraphOp)
            step.append(op)
        return step

    def _between(self, start: Operation, end: Operation) -> list[Operation] | None:
        """The ops on the ways from `start` to its post-dominator `end`, which is the last."""
        found: dict[Operation, None] = {}
        stack = [start]
        while stack:
            for user in users(stack.pop()):
                if user is not end and user not in found:
                    found[user] = None
                    stack.append(user)
            if len(found) > self.limits.max_ops:
                return None
        return [*found, end]

    def _refusal(self, op: Operation, anchor: GraphOp) -> str | None:
        """Why `op` cannot stand behind `anchor` in one kernel, if so."""
        if not isinstance(op, GraphOp) or op not in self.candidates:
            return "it runs on the host"
        if op in self.group_of:
            return "it belongs to a later anchor"
        if self.limits.injective_epilogue and op.name == "graph.transpose":
            return None
        if op.PATTERN > Pattern.BROADCAST:
            return f"it is {op.PATTERN.name.lower()}"
        if len(op.results) != 1 or dims(op.results[0].type) != dims(anchor.results[0].type):
            return "its shape differs"
        return None

    def place(self, op: GraphOp) -> None:
        """Let `op` join the group of all its users, or start one."""
        group = self._group_of_users(op)
        if group is not None and self._joins(op, group):
            self._add(op, group, self._reads(op, group))
            if any(user in group.before_anchor for user in users(op)):
                group.before_anchor.add(op)
        else:
            anchor = op if op.PATTERN is Pattern.OPAQUE else None
            self._add(op, Group(op, anchor=anchor), _size(op))

    def _group_of_users(self, op: GraphOp) -> Group | None:
        groups = {self.group_of.get(user) for user in users(op)}
        return groups.pop() if len(groups) == 1 else None

    def _joins(self, op: GraphOp, group: Group) -> bool:
        if op.PATTERN > Pattern.INJECTIVE or len(group.members) >= self.limits.max_ops:
            return False
        if is_view(group.sink) or is_reshape(op):
            return False
        if isinstance(op, ConcatOp):  # best written piece by piece: its users read memory
            return False
        if group.anchor is not None and not self._takes_producer(op, group):
            return False
        if self._is_placed(group.sink):
            why_not(op, "it writes its piece of a concatenation where that will lie")
            return False
        evaluations, size = self._reads(op, group), _size(op)
        if evaluations is None or size is None:
            return False
        repeats = CHEAP_REPEATS if op.IS_CHEAP or op.PATTERN is Pattern.INJECTIVE else 1
        if less_equal(evaluations, size * repeats) is not True:
            why_not(op, "its users would compute each of its elements again and again")
            return False
        return True

    def _is_placed(self, op: GraphOp) -> bool:
        """Whether `op` needs no kernel: a concatenation of ranges that kernels write anyway."""
        if not isinstance(op, ConcatOp) or joined(op) is None:
            return False
        return any(self._is_written(value) for value in op.inputs)

    def _is_written(self, value: SSAValue) -> bool:
        """Whether a kernel writes a value to memory whatever becomes of its users."""
        owner = value.owner
        while isinstance(owner, GraphOp) and is_view(owner):
            owner = owner.operands[0].owner
        group = self.group_of.get(owner) if isinstance(owner, Operation) else None
        return group is not None and group.anchor is not None and is_anchor(group.anchor)

    def _takes_producer(self, op: GraphOp, group: Group) -> bool:
        """Whether the users of `op` in an anchored group may compute it where they read it."""
        anchor = group.anchor
        assert anchor is not None
        if not is_anchor(anchor):
            return False
        if anchor.PATTERN is Pattern.COMM_REDUCE:
            return True
        feeds_anchor = any(user in group.before_anchor for user in users(op))
        is_allowed = not feeds_anchor or anchor.PASSES_OVER_INPUT > 0
        return is_allowed and op.PATTERN <= Pattern.BROADCAST

    def _reads(self, op: GraphOp, group: Group) -> Dim | None:
        """How many elements of `op` its users in `group` read."""
        counts: list[Dim] = []
        for user in users(op):
            assert isinstance(user, GraphOp)
            count = self.evaluations[user]
            if user is group.anchor:
                size = _size(op)
                count = None if size is None else size * max(user.PASSES_OVER_INPUT, 1)
            if count is None:
                return None
            counts.append(count)
        return maximum(*counts)

    def leave_view_outside(self, op: GraphOp) -> None:
        """A view that reads nothing of its group is free outside, as a view of memory."""
        group = self.group_of[op]
        if is_view(op) and op is not group.sink and op.operands[0].owner not in group.members:
            group.members.remove(op)
            self._add(op, Group(op), _size(op))


def is_view(op: GraphOp) -> bool:
    """Whether the result of `op` is the operand's memory under another shape."""
    return op.name in VIEWS


def is_reshape(op: GraphOp) -> bool:
    """Whether `op` is a view that does more than add or drop extents of 1."""
    if not is_view(op):
        return False
    before, after = dims(op.operands[0].type), dims(op.results[0].type)
    return before is None or after is None or _without_ones(before) != _without_ones(after)


def _without_ones(extents: Dims) -> list[MaybeDim]:
    return [extent for extent in extents if extent != 1]


def _size(op: GraphOp) -> Dim | None:
    """The number of elements of the first result, if known."""
    extents = dims(op.results[0].type)
    known = [extent for extent in extents or () if extent is not None]
    return None if extents is None or len(known) < len(extents) else product(known)
