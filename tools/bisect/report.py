"""What `nnc bisect` prints."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from .finding import Finding
from .values import Difference


def margins_table(margins: Mapping[str, Difference]) -> Table:
    """How far each output is off, and how much would be allowed."""
    table = Table("output", "max abs error", "relative", "allowed", "margin", "worst element")
    for column in table.columns[1:5]:
        column.justify = "right"
    for name, found in margins.items():
        margin = "exact" if not found.absolute else f"{found.margin:.3g}x"
        table.add_row(
            name,
            f"{found.absolute:.3g}",
            f"{found.relative:.3g}",
            f"{found.allowed:.3g}",
            found.reason or margin,
            str(list(found.index)),
        )
    return table


def print_right(console: Console, margins: Mapping[str, Difference]) -> None:
    """A model whose result is right."""
    console.print("the result is right")
    console.print(margins_table(margins))


def print_finding(console: Console, finding: Finding, margins: Mapping[str, Difference]) -> None:
    """A model whose result is wrong."""
    if margins:
        console.print(margins_table(margins))
    _print(console, f"wrong: output '{finding.output}': {finding.difference}")
    for flag, difference in finding.trail:
        word = "WRONG" if difference.is_wrong else "right"
        _print(console, f"  {word}  {difference.relative:8.2g}  {flag}")
    if not finding.stage:
        _print(console, f"not found: {finding.how}")
        return
    kind = "stage" if finding.step is None else "pass"
    number = "" if finding.step is None else f" (step {finding.step + 1} of the pipeline)"
    _print(console, f"first wrong after: {kind} '{finding.stage}'{number}")
    if finding.others:
        names = ", ".join(stage for stage, _ in finding.others)
        _print(console, f"  or: {names} (the kernel is too large to tell them apart)")
    if finding.failure:
        _print(console, f"  what comes after it fails: {finding.failure}")
    if finding.node:
        _print(console, f"at: {finding.node}")
    _print(console, f"what: {finding.how}")
    if finding.local.size or finding.local.reason:
        _print(console, f"  {finding.local}")


def _print(console: Console, text: str) -> None:
    console.print(text, soft_wrap=True, highlight=False)
