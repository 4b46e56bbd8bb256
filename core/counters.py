"""Debug counters: leave out single changes of passes, to find the one that is wrong.

A pass asks `may("merged op", op)` before each change that it could as well leave out; the rewrite
driver asks before each rewrite. Nobody counts unless a caller does:

    with counting({"change": Span(skip=0, count=17)}) as counters:
        CsePass().apply(ctx, module)      # the first 17 changes are made, no others
    counters.seen["change"]               # how many there could have been
    counters.last                         # the last one that was made

Each question is counted under several names (`nn-opt --debug-counter=NAME=SKIP:COUNT`):

    change                  all changes of all passes
    cse                     those of one pass
    ReluOfRelu, merged-op   those of one rule, in any pass
    cse:merged-op           those of one rule of one pass
    pass, pass:cse          runs of passes on ops, asked by the pass manager
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import NncError

if TYPE_CHECKING:
    from xdsl.ir import Operation

CHANGE, PASS = "change", "pass"


@dataclass(frozen=True)
class Span:
    """What a counter lets through: nothing of the first `skip`, then `count` (`None`: all)."""

    skip: int = 0
    count: int | None = None

    def holds(self, number: int) -> bool:
        """Whether the thing of this number, from 0, is done."""
        return number >= self.skip and (self.count is None or number < self.skip + self.count)

    def after(self, number: int) -> Span:
        """What is left of it when `number` things have been counted."""
        if self.count is None:
            return Span(max(0, self.skip - number))
        end = max(0, self.skip + self.count - number)
        skip = max(0, self.skip - number)
        return Span(skip, end - skip)

    def __str__(self) -> str:
        return f"{self.skip}:{'' if self.count is None else self.count}"


@dataclass(frozen=True)
class Change:
    """A change that was made: by which pass and rule, at which op, as it was before."""

    pass_name: str
    rule: str
    op_name: str
    where: str

    def __str__(self) -> str:
        return f"{self.pass_name}: {self.rule} at {self.op_name}, {self.where}"


@dataclass
class Counters:
    """The state of all counters.

    Attributes:
        spans: what the counters allow, by name; the others allow everything.
        seen: how often each counter was asked.
        last: the last change that was made.
        pass_name: the pass at work, set by whoever runs passes.
    """

    spans: Mapping[str, Span] = field(default_factory=dict[str, Span])
    seen: Counter[str] = field(default_factory=Counter[str])
    last: Change | None = None
    pass_name: str = ""

    def ask(self, *names: str) -> bool:
        """Count under all of these names; whether each of them allows it."""
        allowed = True
        for name in dict.fromkeys(names):
            span = self.spans.get(name)
            allowed &= span is None or span.holds(self.seen[name])
            self.seen[name] += 1
        return allowed

    def may_change(self, what: str, op: Operation) -> bool:
        """Whether the pass at work may make this change."""
        from .locations import describe

        rule = slug(what)
        if not self.ask(CHANGE, self.pass_name, rule, f"{self.pass_name}:{rule}"):
            return False
        self.last = Change(self.pass_name, rule, op.name, describe(op))
        return True

    def may_run(self, pass_name: str) -> bool:
        """Whether the pass may run on the op at hand; what it asks then counts as its own."""
        self.pass_name = pass_name
        return self.ask(PASS, f"{PASS}:{pass_name}")

    @property
    def unasked(self) -> list[str]:
        """Counters with a span that nobody ever asked."""
        return [name for name in self.spans if not self.seen[name]]

    def rest(self) -> dict[str, Span]:
        """The spans that do from here on what these would."""
        return {name: span.after(self.seen[name]) for name, span in self.spans.items()}

    def report(self) -> str:
        """A table in MLIR's manner: `name : {asked,skip,count}`, count -1 where there is no end."""
        rows = ["DebugCounter counters:\n"]
        for name in sorted(self.seen.keys() | self.spans.keys()):
            span = self.spans.get(name, Span())
            limit = -1 if span.count is None else span.count
            rows.append(f"{name:<32}: {{{self.seen[name]},{span.skip},{limit}}}\n")
        return "".join(rows)


def slug(what: str) -> str:
    """What is counted, as a word on a command line: `merged op` -> `merged-op`."""
    return what.replace(" ", "-")


_ACTIVE: ContextVar[Counters | None] = ContextVar("nnc_counters", default=None)


@contextmanager
def counting(spans: Mapping[str, Span]) -> Generator[Counters]:
    """Count the changes that passes make while the block runs, and make only those allowed."""
    counters = Counters(spans)
    token = _ACTIVE.set(counters)
    try:
        yield counters
    finally:
        _ACTIVE.reset(token)


def active() -> Counters | None:
    """The counters at work, if any."""
    return _ACTIVE.get()


def may(what: str, op: Operation) -> bool:
    """Whether a pass may change `op` by the rule `what`; it must then make the change."""
    counters = _ACTIVE.get()
    return counters is None or counters.may_change(what, op)


def parse_spans(text: str) -> dict[str, Span]:
    """Read counters in both spellings, separated by commas.

    >>> parse_spans("cse=3:1,dce=2")
    {'cse': Span(skip=3, count=1), 'dce': Span(skip=2, count=None)}
    >>> parse_spans("cse-skip=3,cse-count=1")
    {'cse': Span(skip=3, count=1)}

    Raises: NncError: it is malformed.
    """
    spans: dict[str, Span] = {}
    for entry in filter(None, text.split(",")):
        name, _, value = entry.partition("=")
        parts = value.split(":")
        if not name or not value or len(parts) > 2 or not all(_is_number(part) for part in parts):
            raise NncError(
                f"debug counter '{entry}': expected NAME=SKIP:COUNT",
                hint="as in cse=3:1, or MLIR's cse-skip=3,cse-count=1",
            )
        numbers = [int(part) if part else None for part in parts]
        skip, limit = numbers[0] or 0, numbers[1] if len(numbers) == 2 else None
        for suffix in ("-skip", "-count"):
            if name.endswith(suffix) and len(parts) == 1:
                name = name.removesuffix(suffix)
                old = spans.get(name, Span())
                skip, limit = (skip, old.count) if suffix == "-skip" else (old.skip, skip)
                break
        spans[name] = Span(skip, limit)
    return spans


def _is_number(text: str) -> bool:
    return not text or text.isdecimal()
