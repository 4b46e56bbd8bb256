"""Going on after an error: what was found so far, and where the next op begins.

A text is read on at the next line that looks like an op, at the level of the one that failed. What
the failed op opened is skipped: `{` at the end of a line opens, `}` at the start of one closes, as
in every text that is laid out in lines. Each character is looked at once.

    %0 = arith.negf(%a : f32         error; read on below
    %1 = math.exp(%a) : f32
    func.func @g(%x: tensr<4xf32) {  error; its body is skipped
      ...
    }
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from xdsl.irdl import IRDLOperation, irdl_op_definition

from . import scan
from .errors import Malformed
from .tables import Node, Tables

FAILED = "failed"
"""The tag of the node that stands for an op that could not be read:
(tag, results, offset, parts, error).

`results` is the token with the names of its results, or None; `parts` are nodes of what it holds;
`error` says why, if it is kept: where the op is none that is known, that is said instead.
"""


_ENDS_WITH_BODY = frozenset({"func.func", "te.kernel", "loop.kernel", "loop.for", "builtin.module"})
"""Ops whose text ends with their region."""


@irdl_op_definition
class FailedOp(IRDLOperation):
    """Stands where an op was that could not be read; never verified, printed or run."""

    name = "textir.failed"


class Problems:
    """The errors of one text. Beyond the limit they are counted and not kept.

    Attributes:
        limit: how many to keep; None for all.
    """

    def __init__(self, limit: int | None = None):
        self.limit = limit
        self.found: list[Malformed] = []
        self.num_left_out = 0
        self._seen: set[tuple[int, str]] = set()

    def add(self, error: Malformed) -> bool:
        """Keep an error, and those that it brings with it; whether it is kept itself."""
        is_kept = False
        for one in (error, *error.more):
            key = (one.position, one.message)
            if one.is_silent or key in self._seen:
                continue
            if self.is_full:
                self.num_left_out += 1
            else:
                self._seen.add(key)
                self.found.append(one)
                is_kept |= one is error
        return is_kept

    def withdraw(self, error: Malformed) -> bool:
        """Forget an error, for a better one in its place; whether it was kept."""
        rest = [kept for kept in self.found if kept is not error]
        was_kept = len(rest) < len(self.found)
        self.found = rest
        return was_kept

    @property
    def is_full(self) -> bool:
        """Whether no more are kept: hints are not worth their time then."""
        return self.limit is not None and len(self.found) >= self.limit


# --- where to go on

_OPENS = re.compile(r"\{[ \t]*(?://[^\n]*)?\r?(?:\n|\Z)")
_BRACE = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|[{}]')
_BLANK = re.compile(r"[ \t\r]*")
_OP = re.compile(
    rf"(?:{scan.RESULTS.pattern})"
    rf"|(?:=|{scan.VALUE_NAME})[ \t]+[A-Za-z_]\w*\.[A-Za-z_]\w*[ \t]*[(@]"  # half a result
    r'|"[\w$.]+"[ \t]*\('
    r"|[A-Za-z_]\w*\.[A-Za-z_][\w$.]*(?=[ \t\r\n(@\[{:]|\Z)"
    r"|\^[\w$.-]+[ \t]*[:(]"
)
_PRIMITIVE = re.compile(r"[a-z_]+[ \t]+[\w\[(\"]")


def is_last_on_line(text: str, brace: int) -> bool:
    """Whether nothing but a comment stands behind a `{`, or it should have stood there."""
    return brace < 0 or _OPENS.match(text, brace) is not None


def next_op(text: str, position: int, depth: int, is_schedule: bool) -> tuple[int, bool]:
    """Where to read on, at an op or the `}` of the region around; whether lines were skipped.

    Args:
        text: the whole text.
        position: where the token stands that did not fit; the rest of its line is skipped.
        depth: how many regions the failed op has opened.
        is_schedule: whether a bare word begins something.
    """
    end = _end_of_line(text, position)
    depth += _opens(text, position, end)
    has_skipped = False
    while end < len(text):
        blank = _BLANK.match(text, end + 1)
        assert blank is not None
        start = blank.end()
        end = _end_of_line(text, start)
        if start == end or text.startswith("//", start):
            continue
        if text[start] == "}":
            if depth == 0:
                return start, has_skipped
            depth -= 1
        elif depth == 0 and begins_op(text, start, is_schedule):
            return start, has_skipped
        depth += _opens(text, start, end)
        has_skipped = True
    return len(text), has_skipped


def begins_op(text: str, position: int, is_schedule: bool = False) -> bool:
    """Whether a line that starts here looks like an op, a block or, in a schedule, a primitive."""
    if _OP.match(text, position) is not None:
        return True
    return is_schedule and _PRIMITIVE.match(text, position) is not None


def is_first_on_line(text: str, position: int) -> bool:
    """Whether only blanks stand before an offset on its line."""
    start = text.rfind("\n", 0, position) + 1
    return not text[start:position].strip()


def _column(text: str, position: int) -> int:
    return position - text.rfind("\n", 0, position) - 1


def _end_of_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) if end < 0 else end


def _opens(text: str, start: int, end: int) -> int:
    brace = text.rfind("{", start, end)
    return int(brace >= 0 and is_last_on_line(text, brace))


def brace_balance(text: str, start: int, end: int) -> int:
    """How many more braces open than close in a stretch, strings and comments left out."""
    marks = [found.group() for found in _BRACE.finditer(text, start, end)]
    return marks.count("{") - marks.count("}")


# --- the parser's stack


@lru_cache(maxsize=4)
def list_states(tables: Tables) -> dict[int, str]:
    """The states in which an op may follow another, each with its nonterminal."""
    return {
        row[origin]: origin
        for row in tables.rows
        for origin in ("ops", "primitives")
        if origin in row
    }


class Stack:
    """States and values of the automaton, and where it is in the text."""

    def __init__(self, text: str, tables: Tables):
        self.text = text
        self.tables = tables
        self.states = [tables.start]
        self.values: list[Any] = []
        self.position = 0
        self.last_end = 0
        """Where the token before `position` ends."""
        self.depth = 0
        """How many regions are open."""
        self.is_unsure = False
        """Braces of what was skipped did not match: those that follow may not either."""

    def recover(self, error: Malformed | None) -> None:
        """Drop the op that failed at `position`, and go to the next one.

        Args: error: why it failed, if that is kept.
        """
        if self._insert_brace():
            return
        self._open_list()
        level = self._level()
        failed = self.values[level:]
        del self.values[level:], self.states[level + 1 :]
        failed = self._cut_short(failed)
        start, results = self._start(failed)
        braces = [value[0] for value in failed if is_brace(value)]
        if not braces and self._enter_body(failed, results):
            return
        self.values[-1].append((FAILED, results, start, failed, error))
        begin = self.position
        if not (failed and not braces and self.is_at_next_op()):
            depth = sum(is_last_on_line(self.text, brace) for brace in braces)
            found = next_op(self.text, begin, depth, self._is_schedule)
            self.position, has_skipped = found
            if has_skipped:
                left_open = len(braces) + brace_balance(self.text, begin, self.position)
                self.is_unsure |= left_open != 0
        self.depth = sum(map(is_brace, self.values))
        if self.depth == 0 and self.text.startswith("}", self.position):
            self.position += 1  # nothing is open here
            self.is_unsure = True

    def _cut_short(self, failed: list[Any]) -> list[Any]:
        """What failed; of an op that was taken for complete and was not, the head.

        Something that is none of it stands behind it on its line: `my.op %x at 1`.
        """
        ops: list[Any] = failed if len(failed) == 1 else []
        position = self.position
        first = next(filter(is_token, failed), None)
        if first is not None and not is_first_on_line(self.text, first[0]):
            ops, position = self.values[-1], first[0]
        if not ops or ops[-1][0] != "op":
            return failed
        _, results, statement, _ = ops[-1]
        head = statement[1]
        if not is_token(head) or self.text.find("\n", head[0], position) >= 0:
            return failed
        ops.pop()
        return [head] if results is None else [results, head]

    @property
    def _is_schedule(self) -> bool:
        return list_states(self.tables).get(self.states[-1]) == "primitives"

    def is_at_next_op(self) -> bool:
        """Whether the token at `position` begins an op, or ends a region, on a line of its own."""
        at = self.position
        if not is_first_on_line(self.text, at):
            return False
        return self.text.startswith("}", at) or begins_op(self.text, at, self._is_schedule)

    def is_cut_off(self) -> bool:
        """Whether the op before a next one is not complete: what is missing, is missing there."""
        return self.states[-1] not in list_states(self.tables) and self.is_at_next_op()

    def loose_label(self) -> int | None:
        """Where a label stands behind an op: upstream's syntax has successors so."""
        top: Any = self.values[-1] if self.values else None
        if not is_token(top) or top[1][:1] != "^" or is_first_on_line(self.text, top[0]):
            return None
        before = self.text[self.text.rfind("\n", 0, top[0]) + 1 : top[0]].rstrip()
        return None if before.endswith(("[", ",")) else top[0]

    def _insert_brace(self) -> bool:
        """Where a `{` is missing at the end of a line, and deeper lines follow, go on behind it."""
        if "LBRACE" not in self.tables.rows[self.states[-1]] or not self.is_at_next_op():
            return False
        level = self._level()
        start, _ = self._start(self.values[level:])
        if _column(self.text, self.position) <= _column(self.text, start):
            return False
        self._shift("LBRACE", (-1 - self.last_end, "{"))
        self.depth = sum(map(is_brace, self.values))
        return True

    def _enter_body(self, failed: Sequence[Any], results: Node | None) -> bool:
        """Where the head of an op failed and its region begins on the same line, read that.

        It is parsed as the region of a module whose name is `failed`.
        """
        end = _end_of_line(self.text, self.position)
        brace = self.text.rfind("{", self.position, end)
        names: set[Any] = {value[1] for value in failed[:2] if is_token(value)}
        if brace < 0 or not is_last_on_line(self.text, brace) or not names & _ENDS_WITH_BODY:
            return False
        if results is not None:
            self._shift("RESULTS", results)
        self._shift("BUILTIN__MODULE", (self._start(failed)[0], FAILED))
        self._shift("LBRACE", (brace, "{"))
        self.position = brace + 1
        self.depth = sum(map(is_brace, self.values))
        return True

    def _shift(self, kind: str, value: Node) -> None:
        rules = self.tables.rules
        while (target := self.tables.rows[self.states[-1]][kind]) < 0:
            rule = rules[-1 - target]
            at = len(self.values) - rule.size
            children = self.values[at:]
            del self.values[at:], self.states[at + 1 :]
            self.values.append(rule.action(children))
            self.states.append(self.tables.rows[self.states[-1]][rule.origin])
        self.states.append(target)
        self.values.append(value)

    def unclosed(self) -> str | None:
        """A hint that names the innermost `{` that is open."""
        brace = next((value[0] for value in reversed(self.values) if is_brace(value)), None)
        if brace is None:
            return None
        brace = -1 - brace if brace < 0 else brace
        return f"the '{{' of line {self.text.count(chr(10), 0, brace) + 1} is not closed"

    def close(self) -> list[Any]:
        """At the end of the text: the top-level ops, what is open among them as a failed one."""
        self._open_list()
        failed = self.values[1:]
        if failed:
            start, results = self._start(failed)
            self.values[0].append((FAILED, results, start, failed, None))
        return self.values[0]

    def _open_list(self) -> None:
        """Where a list of ops may begin, begin it."""
        top: Any = self.values[-1] if self.values else None
        if is_brace(top) and not is_last_on_line(self.text, top[0]):
            return
        row = self.tables.rows[self.states[-1]]
        for target in row.values():
            if target < 0:
                rule = self.tables.rules[-1 - target]
                if rule.size == 0 and rule.origin in ("ops", "primitives"):
                    self.values.append([])
                    self.states.append(row[rule.origin])
                    return

    def _level(self) -> int:
        """The state of the innermost list of ops whose region is laid out in lines."""
        lists = list_states(self.tables)
        level: int | None = None
        for at in range(len(self.states) - 1, 0, -1):
            if self.states[at] in lists:
                level = at if level is None else level
            elif level is not None and is_brace(self.values[at - 1]):
                if is_last_on_line(self.text, self.values[at - 1][0]):
                    return level
                level = None  # a region on one line fails with the op around it
                self.is_unsure = True
        return 1 if level is None else level

    def _start(self, failed: Sequence[Any]) -> tuple[int, Node | None]:
        """Where the failed op begins, and the token with the names of its results."""
        position = self.position
        first: Any = failed[0] if failed else None
        if is_token(first):
            return first[0], first if first[1].endswith("=") else None
        if first is None and (found := scan.VALUES.match(self.text, position)):
            return position, (position, f"{found.group()} =")
        return position, None


def is_token(value: Any) -> bool:
    """Whether a value on the stack is a token: (offset, text)."""
    return isinstance(value, tuple) and isinstance(cast("Node", value)[0], int)


def is_brace(value: Any) -> bool:
    """Whether a value on the stack is the token `{`."""
    return is_token(value) and value[1] == "{"
