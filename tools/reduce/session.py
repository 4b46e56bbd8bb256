"""The loop of a reduction: moves are tried on copies, what still fails is kept.

    reduced = Session(module, fails, limit=2000).run()

Delta debugging over each kind of change: first all sites at once, then halves, quarters ... single
ones. Everything is in a fixed order, so the same module and test give the same result.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import DiagnosticException

from ...core.dominance import undominated
from ...core.errors import NncError
from ...core.verifier import problems
from ...core.walk import walk
from ...textir import print_module
from .moves import MOVES, Move, Refused

Predicate = Callable[[ModuleOp], bool]
"""Whether a module fails as the first one did; it may change what it is given."""
BROKEN = (Refused, NncError, DiagnosticException, ValueError, IndexError, KeyError, AssertionError)
"""What a change that makes no sense may raise, here or in shape inference."""


@dataclass
class Progress:
    """What is told after every trial.

    Attributes:
        trials, limit: how many so far, and at most.
        operations: of the smallest module so far.
        move: the kind of change at work.
    """

    trials: int = 0
    limit: int = 0
    operations: int = 0
    move: str = ""


class OutOfTrials(Exception):
    """The limit of trials or of time is reached."""


@dataclass
class Session:
    """One reduction.

    Attributes:
        best: the smallest module that fails; at every moment, so that it can be kept on Ctrl-C.
        fails: called with copies.
        limit: trials at most.
        seconds: time at most.
        tell: called after every trial.
        moves: what to try, in order.
    """

    best: ModuleOp
    fails: Predicate
    limit: int = 2000
    seconds: float = float("inf")
    tell: Callable[[Progress], None] = lambda progress: None
    moves: Sequence[Move] = MOVES
    progress: Progress = field(default_factory=Progress)
    _end: float = 0.0
    _seen: set[str] = field(default_factory=set[str])
    """Every module that was the smallest one for a while."""

    def run(self) -> ModuleOp:
        """Reduce until no change is left that keeps the failure, or the limit is reached."""
        self.progress.limit = self.limit
        self.progress.operations = num_operations(self.best)
        self._seen = {print_module(self.best)}
        self._end = time.monotonic() + self.seconds
        try:
            while self._round():
                pass
        except OutOfTrials:
            pass
        return self.best

    def _round(self) -> bool:
        """Every move once; whether any change was kept."""
        changed = False
        for move in self.moves:
            changed |= self._reduce(move)
        return changed

    def _reduce(self, move: Move) -> bool:
        """Sites of a move, in chunks that become smaller; whether any change was kept."""
        self.progress.move = move.name
        base = self.best
        left = list(move.sites(base))
        taken: list[Hashable] = []
        size = len(left)
        while size:
            at = 0
            while at < len(left):
                chunk = left[at : at + size]
                if self._try(base, move, [*taken, *chunk]):
                    taken += chunk
                    del left[at : at + size]
                else:
                    at += size
            size = min(size // 2, len(left))
        return bool(taken)

    def _try(self, base: ModuleOp, move: Move, sites: Sequence[Hashable]) -> bool:
        """Make changes on a copy; keep it if it is valid and fails."""
        candidate = base.clone()
        try:
            move.apply(candidate, sites)
            if not is_valid(candidate):
                return False
        except BROKEN:
            return False
        text = print_module(candidate)
        if text in self._seen:  # no way leads back, or two moves may undo each other for ever
            return False
        if self.progress.trials >= self.limit or time.monotonic() > self._end:
            raise OutOfTrials
        self.progress.trials += 1
        failed = self.fails(candidate.clone())
        if failed:
            self.best = candidate
            self._seen.add(text)
            self.progress.operations = num_operations(candidate)
        self.tell(self.progress)
        return failed


def is_valid(module: ModuleOp) -> bool:
    """Whether the verifier has nothing to say."""
    return not problems(module) and not any(True for _ in undominated(module))


_SHELLS = ("builtin.module", "func.func", "graph.kernel", "te.kernel", "loop.kernel", "te.call")
_ENDS = ("func.return", "graph.yield", "te.return", "te.yield", "loop.yield")


def num_operations(module: ModuleOp) -> int:
    """Operations, without what only holds or ends them: functions, kernels, returns, yields."""
    return sum(op.name not in (*_SHELLS, *_ENDS) for op in walk(module))
