"""What passes have to say about their work: why something did not fire, and how often what did.

A pass calls `why_not` and `count`; both do nothing unless somebody listens.

    with explaining() as log:
        FusePass().apply(ctx, module)
    for note in log.notes:
        print(note)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from xdsl.ir import Operation

from .locations import describe


@dataclass(frozen=True)
class Note:
    """Why a rule left an op alone."""

    op_name: str
    where: str | None
    rule: str | None
    reason: str

    def __str__(self) -> str:
        head = f"{self.where}: " if self.where else ""
        rule = f" [{self.rule}]" if self.rule else ""
        return f"{head}{self.op_name}: {self.reason}{rule}"


@dataclass
class Log:
    """Notes in the order they were made, each once; and how often each rule fired."""

    notes: list[Note] = field(default_factory=list[Note])
    counts: Counter[str] = field(default_factory=Counter[str])
    rule: str | None = None
    """The rule at work, set by the rewrite driver."""
    _seen: set[tuple[Operation, str]] = field(default_factory=set[tuple[Operation, str]])

    def add(self, op: Operation, reason: str) -> None:
        """Note once that `op` was left alone for this reason."""
        if (op, reason) not in self._seen:
            self._seen.add((op, reason))
            self.notes.append(Note(op.name, describe(op), self.rule, reason))


@dataclass
class NearMiss:
    """A match that goes on past differences for the sake of whoever listens.

    Attributes:
        differences: if given, what is not as the pattern says though all operators are, in words:
            the match then goes on to the end, and holds only if there are none.
    """

    differences: list[str] | None = None

    def differs(self, reason: str) -> bool:
        """Note a difference; whether the match goes on."""
        if self.differences is None:
            return False
        if reason not in self.differences:
            self.differences.append(reason)
        return True


_LISTENER: ContextVar[Log | None] = ContextVar("nnc_explain", default=None)


@contextmanager
def explaining() -> Generator[Log]:
    """Collect what passes report while the block runs."""
    log = Log()
    token = _LISTENER.set(log)
    try:
        yield log
    finally:
        _LISTENER.reset(token)


def listener() -> Log | None:
    """The log that is being kept, if any."""
    return _LISTENER.get()


def why_not(op: Operation, reason: str) -> None:
    """Say why a rule does not apply to `op`, where a user could expect that it does."""
    if (log := _LISTENER.get()) is not None:
        log.add(op, reason)


def count(what: str, number: int = 1) -> None:
    """Count something for the statistics: a rule that fired, a kernel that was made."""
    if (log := _LISTENER.get()) is not None and number:
        log.counts[what] += number
