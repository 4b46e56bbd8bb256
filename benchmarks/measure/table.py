"""Results as a table for the terminal, and as Markdown for a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.table import Table

from nnc.core.errors import InputError

from .ratios import Ratio, mean_ratio
from .results import OWN, Outcome, Result, Run

BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"


def systems_of(results: Iterable[Result]) -> list[str]:
    """All systems, in the order in which they first come."""
    return list(dict.fromkeys(name for result in results for name in result.outcomes))


def header(systems: Sequence[str]) -> list[str]:
    """Titles of the columns."""
    return ["network", "threads", *(f"{name} ms" for name in systems), "limit ms", "ratio (95 %)"]


def cells(result: Result, systems: Sequence[str]) -> list[str]:
    """One row."""
    outcomes = [result.outcomes.get(name) for name in systems]
    limit = "" if result.limit is None else milliseconds(result.limit)
    found = [_latency(outcome) for outcome in outcomes]
    return [result.name, str(result.threads), *found, limit, ratio_text(result.ratio)]


def milliseconds(seconds: float) -> str:
    """With three digits."""
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def _latency(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    return milliseconds(outcome.median) if outcome.ran else "failed"


def ratio_text(ratio: Ratio | None) -> str:
    """`1.71 (1.69-1.73)`."""
    if ratio is None:
        return ""
    return f"{ratio.median:.2f} ({ratio.low:.2f}-{ratio.high:.2f})"


def group_means(results: Sequence[Result]) -> list[str]:
    """For each group and number of threads, the geometric mean of the ratios."""
    lines: list[str] = []
    for group, threads in dict.fromkeys((r.group, r.threads) for r in results):
        members = [r for r in results if (r.group, r.threads) == (group, threads)]
        ratios = [r.ratio for r in members if r.ratio is not None]
        if len(ratios) > 1:
            mean, lowest = mean_ratio(ratios), min(one.median for one in ratios)
            lines.append(
                f"{group}, {_threads(threads)}: geometric mean {mean:.2f}, lowest {lowest:.2f}"
                f" ({len(ratios)} of {len(members)})"
            )
    return lines


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def failures(results: Sequence[Result]) -> list[str]:
    """One line for each system that failed on a network."""
    return [
        f"{result.name}, {_threads(result.threads)}: {name}: {outcome.error}"
        for result in results
        for name, outcome in result.outcomes.items()
        if outcome.error is not None
    ]


def terminal_table(run: Run) -> Table:
    """For a console."""
    systems = systems_of(run.results)
    table = Table(
        *header(systems), "of best times", title=f"{run.machine['cpu']}, {run.rounds} rounds"
    )
    for column in table.columns[1:]:
        column.justify = "right"
    for result in run.results:
        best = result.ratio_of_best
        table.add_row(*cells(result, systems), "" if best is None else f"{best:.2f}")
    return table


def markdown(run: Run, picture: str | None) -> str:
    """The table with what it takes to read and to repeat it."""
    systems = systems_of(run.results)
    titles = header(systems)
    rows = [titles, ["---", *["--:"] * (len(titles) - 1)]]
    rows += [cells(result, systems) for result in run.results]
    versions = ", ".join(
        f"{name} {run.machine[name]}"
        for name in ("onnxruntime", "openvino", "torch")
        if name in run.machine
    )
    parts = [
        f"{run.day}, {run.machine['cpu']}, {run.machine['processors']} processors; {versions}. "
        f"Medians of {run.rounds} interleaved rounds, fp32. Ratio: the time of the fastest other "
        f"system over that of {OWN}. Limit: the operations of direct algorithms at the FMA rate "
        "measured in the same run, or the weights at the memory's rate. Made by",
        f"```text\n{run.command}\n```",
        "\n".join(f"| {' | '.join(row)} |" for row in rows),
        *(["\n".join(f"* {line}" for line in group_means(run.results))]),
        *([f"![Latencies over the machine's limit]({picture})"] if picture else []),
    ]
    return "\n\n".join(part for part in parts if part)


def around_markers(path: Path) -> tuple[str, str]:
    """What stands before and after the part of a page that is ours.

    Raises: InputError: the page cannot be read, or has no markers.
    """
    try:
        before, begin, rest = path.read_text().partition(BEGIN)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from None
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise InputError(f"there is no '{BEGIN}' with its '{END}'", where=str(path))
    return before, after


def put_into_page(path: Path, text: str) -> None:
    """Replace what stands between the two markers of a page.

    Raises: InputError: the page has no such markers.
    """
    before, after = around_markers(path)
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
