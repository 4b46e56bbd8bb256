"""Our rewrite driver: patterns found by op type, one worklist, locations kept.

xDSL's own driver scans its patterns linearly, walks the whole region again after each change, and
drops locations. Here a pattern names its op type, the driver dispatches through one dict, revisits
only what a rewrite touched, and gives each new op the location of what it replaces.

    class ReluOfRelu(Pattern[ReluOp]):
        '''relu(relu(x)) -> relu(x)'''

        def rewrite(self, op: ReluOp, rw: Rewriter) -> None:
            if isinstance(op.x.owner, ReluOp):
                rw.replace(op, [], [op.x])

    rewrite(module, [ReluOfRelu()])
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import islice
from types import UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin

from xdsl.builder import InsertOpInvT
from xdsl.context import Context
from xdsl.dialects.builtin import UNKNOWN_LOC, LocationAttr
from xdsl.folder import Folder
from xdsl.ir import Operation, SSAValue, Use
from xdsl.pattern_rewriter import PatternRewriter, RewritePattern
from xdsl.rewriter import InsertPoint
from xdsl.traits import ConstantLike, HasCanonicalizationPatternsTrait, HasFolder, IsolatedFromAbove
from xdsl.utils.worklist import Worklist

from .counters import active, may
from .effects import is_dead
from .errors import NncError, PassError
from .explain import count, listener, why_not
from .locations import describe, fuse, set_location
from .walk import erase, is_inside, walk

OpT = TypeVar("OpT", bound=Operation)

REWRITES_PER_OP = 32
"""How often, on average, an op may be rewritten before the driver takes it for a ping-pong."""


class Rewriter(PatternRewriter):
    """What a pattern changes the IR with: xDSL's rewriter, and locations are kept."""

    location: LocationAttr = UNKNOWN_LOC
    """Given to each inserted op that has none: that of the op at hand."""

    def aim(self, op: Operation) -> None:
        """Make `op` the op at hand: insert before it, in its name."""
        self.current_operation = op
        self.insertion_point = InsertPoint.before(op)
        self.location = op.location
        self.name_hint = None
        self.has_done_action = False

    def insert(self, op: InsertOpInvT, insertion_point: InsertPoint | None = None) -> InsertOpInvT:
        for new in (op,) if isinstance(op, Operation) else op:
            set_location(new, self.location)
        return super().insert(op, insertion_point)

    def replace(
        self,
        op: Operation,
        new_ops: Operation | Sequence[Operation],
        new_results: Sequence[SSAValue | None] | None = None,
        safe_erase: bool = True,
        *,
        origins: Sequence[Operation] = (),
    ) -> None:
        """Put `new_ops` in the place of `op`.

        Args:
            op: is erased.
            new_ops: inserted before `op`; those without a location get that of `op`.
            new_results: stand for `op`'s results; by default those of the last new op.
            safe_erase: refuse to erase a value that is still used.
            origins: other ops whose work the new ones do: the location is fused from all.
        """
        with self.located(op, *origins):
            super().replace(op, new_ops, new_results, safe_erase)

    def erase(self, op: Operation, safe_erase: bool = True) -> None:
        if op.regions:
            self.has_done_action = True
            self.handle_operation_removal(op)
            erase(op)
        else:
            super().erase(op, safe_erase)

    @contextmanager
    def located(self, *ops: Operation) -> Generator[None]:
        """Ops inserted in this block come from all of `ops`."""
        before = self.location
        self.location = fuse(op.location for op in ops)
        try:
            yield
        finally:
            self.location = before


class Pattern(Generic[OpT]):
    """One rewrite. The class's docstring is its equation; `Pattern[AOp | BOp]` says what it sees.

    `rewrite` looks at `op` and, if the left side matches, changes the IR through `rw` alone.
    """

    ops: tuple[type[Operation], ...] = (Operation,)
    """The op classes it sees, taken from the type argument; subclasses match too."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for base in getattr(cls, "__orig_bases__", ()):
            origin = get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Pattern):
                found = _op_classes(get_args(base)[0])
                cls.ops = found or cls.ops

    @property
    def name(self) -> str:
        """How statistics and notes call it."""
        return type(self).__name__

    @abstractmethod
    def rewrite(self, op: OpT, rw: Rewriter) -> None:
        """Rewrite `op`, or leave it."""


class _Refused(Exception):
    """A debug counter does not allow the change that a rule is about to make."""


class _CountedRewriter(Rewriter):
    """Asks the debug counters before the first change that a rule makes."""

    rule: str = ""

    def attempt(self, pattern: Pattern[Any], op: Operation) -> None:
        """Apply a rule to `op`; if a counter refuses it, `op` is as it was."""
        self.rule = pattern.name
        before = list(op.operands), dict(op.properties), dict(op.attributes)
        try:
            pattern.rewrite(op, self)
        except _Refused:
            # A rule that changes its op in place says so only then.
            op.operands, op.properties, op.attributes = before

    def __setattr__(self, name: str, value: Any) -> None:
        # All methods that change IR set this first, but for the two below.
        if name == "has_done_action" and value and not self.has_done_action:
            assert self._current_operation is not None
            if not may(self.rule, self._current_operation):
                raise _Refused
        super().__setattr__(name, value)

    def replace_all_uses_with(
        self, from_value: SSAValue, to_value: SSAValue | None, safe_erase: bool = True
    ) -> None:
        if from_value is not to_value and from_value.first_use is not None:
            self.has_done_action = True
        super().replace_all_uses_with(from_value, to_value, safe_erase)

    def replace_uses_with_if(
        self, from_value: SSAValue, to_value: SSAValue, predicate: Callable[[Use], bool]
    ) -> None:
        if from_value is not to_value and any(map(predicate, from_value.uses)):
            self.has_done_action = True
        super().replace_uses_with_if(from_value, to_value, predicate)


def _op_classes(argument: Any) -> tuple[type[Operation], ...]:
    if get_origin(argument) in (Union, UnionType):
        return tuple(cls for member in get_args(argument) for cls in _op_classes(member))
    return (argument,) if isinstance(argument, type) else ()


class Upstream(Pattern[Operation]):
    """One of xDSL's own patterns, run by our driver."""

    def __init__(self, pattern: RewritePattern):
        self.pattern = pattern

    @property
    def name(self) -> str:
        return type(self.pattern).__name__

    def rewrite(self, op: Operation, rw: Rewriter) -> None:
        try:
            self.pattern.match_and_rewrite(op, rw)
        except OverflowError:  # xDSL folds constants in f64, and cannot store an infinity so
            why_not(op, "the result is beyond the greatest number of its type")


class _EraseDead(Pattern[Operation]):
    """An op without effect whose results are unused goes."""

    @property
    def name(self) -> str:
        return "dead op"

    def rewrite(self, op: Operation, rw: Rewriter) -> None:
        rw.erase(op)


class _Fold(Pattern[Operation]):
    """An op that its class can fold becomes constants, or other values."""

    @property
    def name(self) -> str:
        return "fold"

    def __init__(self, folder: Folder):
        self.folder = folder

    def rewrite(self, op: Operation, rw: Rewriter) -> None:
        folded = self.folder.try_fold(op)
        if folded is not None and list(folded[0]) != list(op.results):
            values, constants = folded
            rw.replace(op, constants, values)


AnyPattern = Pattern[Any] | RewritePattern


class PatternSet:
    """Patterns by op class: the candidates of an op are one dict look-up.

    Args:
        patterns: in order of preference.
        hooks: also those that op classes name themselves (xDSL's canonicalization trait), after
            the given ones.
    """

    def __init__(self, patterns: Iterable[AnyPattern], *, hooks: bool = False):
        self._patterns = [p if isinstance(p, Pattern) else Upstream(p) for p in patterns]
        unwritten: Any = Pattern
        for pattern in self._patterns:
            if type(pattern).rewrite is unwritten.rewrite:
                raise PassError(f"pattern {pattern.name} does not define rewrite(self, op, rw)")
        self._hooks = hooks
        self._by_class: dict[type[Operation], list[Pattern[Any]]] = {}

    def of(self, op_class: type[Operation]) -> list[Pattern[Any]]:
        """The patterns that an op of this class may match."""
        found = self._by_class.get(op_class)
        if found is None:
            found = [p for p in self._patterns if issubclass(op_class, p.ops)]
            if self._hooks:
                found += [Upstream(pattern) for pattern in _hooked(op_class)]
            self._by_class[op_class] = found
        return found


def _hooked(op_class: type[Operation]) -> Iterator[RewritePattern]:
    for trait in op_class.traits:
        if isinstance(trait, HasCanonicalizationPatternsTrait):
            yield from trait.get_patterns(op_class)


def rewrite(
    root: Operation,
    patterns: Iterable[AnyPattern] | PatternSet,
    *,
    context: Context | None = None,
    limit: int | None = None,
) -> Counter[str]:
    """Apply patterns to the ops inside `root` until none matches; dead ops go on the way.

    Args:
        root: any op with regions; it is not rewritten itself.
        patterns: tried in order on each op.
        context: if given, ops with a folder are folded, and constants made by their dialect.
        limit: how many rewrites are allowed; by default 32 for each op and 1,000 more.

    Returns: how often each pattern fired (`fold` and `dead op` count too).
    Raises: PassError: the limit is reached: two patterns undo each other.
    """
    found = patterns if isinstance(patterns, PatternSet) else PatternSet(patterns)
    driver = _Driver(found, Folder(context) if context is not None else None)
    driver.run(root, limit)
    return driver.counts


_DEAD = _EraseDead()


class _Driver:
    """The state of one `rewrite`."""

    def __init__(self, patterns: PatternSet, folder: Folder | None):
        self.patterns = patterns
        self.fold = None if folder is None else _Fold(folder)
        self.counts: Counter[str] = Counter()
        self.worklist: Worklist[Operation] = Worklist()

    def run(self, root: Operation, limit: int | None) -> None:
        inside = [op for op in walk(root) if op is not root]
        if not inside:
            return
        limit = 1000 + REWRITES_PER_OP * len(inside) if limit is None else limit
        closed = root.parent is None or root.has_trait(IsolatedFromAbove)
        rw = self._rewriter(inside[0])
        for op in reversed(inside):
            self.worklist.push(op)
        while self.worklist:
            op = self.worklist.pop()
            if (closed or is_inside(op, root)) and (rule := self._visit(op, rw)) is not None:
                self._fired(rule, op, limit)

    def _rewriter(self, first: Operation) -> Rewriter:
        rw = Rewriter(first) if active() is None else _CountedRewriter(first)
        rw.operation_insertion_handler.append(self._inserted)
        rw.operation_removal_handler.append(self._removed)
        rw.operation_modification_handler.append(self.worklist.push)
        return rw

    def _visit(self, op: Operation, rw: Rewriter) -> str | None:
        """Rewrite `op` once; the name of the rule that did it."""
        rw.aim(op)
        if is_dead(op) and self._attempt(_DEAD, op, rw):
            return _DEAD.name
        fold = self.fold
        if fold is not None and _is_foldable(type(op)) and self._attempt(fold, op, rw):
            return fold.name
        log = listener()
        operands = tuple(op.operands)
        for pattern in self.patterns.of(type(op)):
            if log is not None:
                log.rule = pattern.name
            if self._attempt(pattern, op, rw):
                self._revisit_producers(operands)
                return pattern.name
        return None

    @staticmethod
    def _attempt(pattern: Pattern[Any], op: Operation, rw: Rewriter) -> bool:
        """Apply a rule; whether it changed anything."""
        try:
            if isinstance(rw, _CountedRewriter):
                rw.attempt(pattern, op)
            else:
                pattern.rewrite(op, rw)
        except NncError as error:
            error.where = error.where or describe(op)
            raise
        return rw.has_done_action

    def _revisit_producers(self, operands: Sequence[SSAValue]) -> None:
        """What `op` read before it was changed in place may be dead now."""
        for operand in operands:
            if isinstance(operand.owner, Operation) and operand.owner.parent is not None:
                self.worklist.push(operand.owner)

    def _fired(self, rule: str, op: Operation, limit: int) -> None:
        self.counts[rule] += 1
        count(rule)
        if self.counts.total() > limit:
            often = ", ".join(f"{name} ({n})" for name, n in self.counts.most_common(3))
            raise PassError(
                f"no fixpoint after {limit} rewrites; most often fired: {often}",
                where=describe(op),
                hint="two patterns undo each other, or one matches its own result",
            )

    def _inserted(self, op: Operation) -> None:
        for inner in reversed(list(walk(op))):
            self.worklist.push(inner)

    def _removed(self, op: Operation) -> None:
        """Revisit whoever may match now: producers, and the one other user of an operand."""
        for inner in walk(op):
            for operand in inner.operands:
                if isinstance(operand.owner, Operation):
                    self.worklist.push(operand.owner)
                users = [use.operation for use in islice(operand.uses, 3)]
                if len(users) <= 2:
                    for user in users:
                        self.worklist.push(user)
        for inner in walk(op):
            self.worklist.remove(inner)


@cache
def _is_foldable(op_class: type[Operation]) -> bool:
    traits = list(op_class.traits)
    return any(isinstance(trait, HasFolder) for trait in traits) and not any(
        isinstance(trait, ConstantLike) for trait in traits
    )
