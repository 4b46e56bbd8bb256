"""`--verify-diagnostics`: errors that a text expects, in MLIR's notation.

    // expected-error@+1 {{extents differ}}
    // expected-warning@above {{...}}     expected-note@below, expected-remark@-2, expected-error
    // expected-error-re {{got {{[0-9]+}} axes}}      regular expressions inside the inner braces
    // expected-error@unknown {{...}}     for a diagnostic without a place

Text matches as a part of the message. Every expectation must be met, each once, and every
diagnostic expected, unless only what is expected is compared. MLIR takes a comment that is none of
these for prose; here one that means to be an expectation is an error: a misspelt one never fails.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...core.diagnostics import Diagnostic, Place, Severity

_EXPECTED = re.compile(
    r"expected-(?P<severity>error|note|remark|warning)(?P<regex>-re)? *"
    r"(?:@(?P<offset>[+-]\d+|above|below|unknown))? *\{\{(?P<text>.*)\}\}\s*$"
)
_MEANT = re.compile(r"//.*\bexpected-(?:error|note|remark|warning)\b.*\{\{")


@dataclass(frozen=True)
class Expectation:
    """One comment of the text."""

    severity: Severity
    pattern: re.Pattern[str]
    text: str
    line: int | None
    """The line of the diagnostic, `None` where it has no place."""
    written_at: int

    def accepts(self, diagnostic: Diagnostic) -> bool:
        """Whether this diagnostic is the expected one."""
        line = diagnostic.place.line if diagnostic.place else None
        return (
            diagnostic.severity is self.severity
            and line == self.line
            and self.pattern.search(diagnostic.message) is not None
        )


def expectations(text: str, first_line: int = 1) -> list[Expectation]:
    """The expectations of a text whose first line has this number."""
    lines = text.split("\n")
    found: list[Expectation] = []
    for number, line in enumerate(lines, first_line):
        if (match := _EXPECTED.search(line)) is not None:
            at = _line(match["offset"], number, lines, first_line)
            pattern = _pattern(match["text"], match["regex"] is not None)
            severity = Severity(match["severity"])
            found.append(Expectation(severity, pattern, match["text"], at, number))
    return found


def _line(offset: str | None, number: int, lines: Sequence[str], first: int) -> int | None:
    """The line that an offset means; `above` and `below` go past other expectations."""
    if offset is None:
        return number
    if offset == "unknown":
        return None
    if offset not in ("above", "below"):
        return number + int(offset)
    step = -1 if offset == "above" else 1
    number += step
    while 0 <= number - first < len(lines) and _EXPECTED.search(lines[number - first]):
        number += step
    return number


def _pattern(text: str, is_regex: bool) -> re.Pattern[str]:
    if not is_regex:
        return re.compile(re.escape(text))
    parts = re.split(r"\{\{(.*?)\}\}", text)
    return re.compile(
        "".join(part if odd % 2 else re.escape(part) for odd, part in enumerate(parts))
    )


def malformed(text: str, file: str, first_line: int = 1) -> list[Diagnostic]:
    """Comments that look like expectations and are none."""
    hint = "as in expected-error@+1 {{text}}; @-1, @above, @below, @unknown, -re"
    return [
        Diagnostic(Severity.ERROR, "malformed expectation", Place(file, number), help=hint)
        for number, line in enumerate(text.split("\n"), first_line)
        if _MEANT.search(line) and not _EXPECTED.search(line)
    ]


def compare(
    expected: Iterable[Expectation],
    diagnostics: Iterable[Diagnostic],
    file: str,
    *,
    only_expected: bool = False,
) -> list[Diagnostic]:
    """What differs: expectations that were not met, diagnostics that nobody expected.

    Args: only_expected: the latter do not count.
    """
    open_ = list(expected)
    wrong: list[Diagnostic] = []
    for diagnostic in diagnostics:
        match = next((one for one in open_ if one.accepts(diagnostic)), None)
        if match is not None:
            open_.remove(match)
        if match is not None or only_expected:
            continue
        message = f"unexpected {diagnostic.severity}: {diagnostic.message}"
        wrong.append(Diagnostic(Severity.ERROR, message, diagnostic.place, diagnostic.name))
    for one in open_:
        message = f'expected {one.severity} "{one.text}" was not produced'
        wrong.append(Diagnostic(Severity.ERROR, message, Place(file, one.written_at)))
    return wrong
