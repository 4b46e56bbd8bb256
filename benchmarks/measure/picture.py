"""A picture of the results: each system's latency over the machine's limit, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log2

from .results import OWN, Result, Run
from .table import systems_of

COLORS = ("#c2410c", "#1d4ed8", "#0f766e", "#7c3aed", "#525252")
ROW, LEFT, WIDTH, TOP, GAP = 22, 170, 420, 76, 56
FONT = 'font-family="sans-serif"'


def picture(run: Run) -> str:
    """A dot for each system and network, one panel for each number of threads.

    The scale is logarithmic; the line at 1 is the limit of direct algorithms.
    """
    shown = [result for result in run.results if result.limit and _ratios(result)]
    systems = systems_of(shown)
    panels = [
        [result for result in shown if result.threads == threads]
        for threads in dict.fromkeys(result.threads for result in shown)
    ]
    low, high = _range(shown)
    height = TOP + sum(len(panel) * ROW + GAP for panel in panels)
    parts = [_legend(systems)]
    top = TOP
    for panel in panels:
        parts += _panel(panel, systems, top, low, high)
        top += len(panel) * ROW + GAP
    size = f'width="{LEFT + WIDTH + 40}" height="{height}"'
    view = f'viewBox="0 0 {LEFT + WIDTH + 40} {height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view}>'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *parts, "</svg>\n"])


def _ratios(result: Result) -> dict[str, float]:
    assert result.limit is not None
    return {n: o.median / result.limit for n, o in result.outcomes.items() if o.ran}


def _range(results: Sequence[Result]) -> tuple[int, int]:
    """Powers of two that enclose all dots and the line at 1."""
    values = [1.0, *(value for result in results for value in _ratios(result).values())]
    return floor(log2(min(values))), max(1, ceil(log2(max(values))))


def _legend(systems: Sequence[str]) -> str:
    parts = [f'<text x="12" y="24" {FONT} font-size="15">Latency over the machine\'s limit</text>']
    for number, name in enumerate(systems):
        x = 20 + 130 * number
        parts.append(_dot(x, 46, systems, name))
        parts.append(_text(x + 10, 50, name))
    return "\n".join(parts)


def _panel(
    results: Sequence[Result], systems: Sequence[str], top: int, low: int, high: int
) -> list[str]:
    bottom = top + len(results) * ROW

    def x_of(value: float) -> float:
        return LEFT + WIDTH * (log2(value) - low) / (high - low)

    threads = results[0].threads
    parts = [_text(12, top - 4, "1 thread" if threads == 1 else f"{threads} threads", "bold")]
    for power in range(low, high + 1):
        x = x_of(2.0**power)
        stroke = 'stroke="black" stroke-width="1.5"' if power == 0 else 'stroke="#d4d4d4"'
        parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" y2="{bottom}" {stroke}/>')
        parts.append(_text(x - 6, bottom + 16, f"{2.0**power:g}"))
    for number, result in enumerate(results):
        y = top + number * ROW + ROW // 2
        parts.append(_text(12, y + 4, result.name))
        ratios = _ratios(result)
        ends = [x_of(value) for value in (min(ratios.values()), max(ratios.values()))]
        parts.append(
            f'<line x1="{ends[0]:.1f}" y1="{y}" x2="{ends[1]:.1f}" y2="{y}" stroke="#a3a3a3"/>'
        )
        # Ours is drawn last: it lies over the others.
        for name in sorted(ratios, key=lambda name: name == OWN):
            parts.append(_dot(x_of(ratios[name]), y, systems, name))
    return parts


def _dot(x: float, y: float, systems: Sequence[str], name: str) -> str:
    color = COLORS[systems.index(name) % len(COLORS)]
    return f'<circle cx="{x:.1f}" cy="{y}" r="{6 if name == OWN else 4}" fill="{color}"/>'


def _text(x: float, y: float, text: str, weight: str = "normal") -> str:
    style = f'{FONT} font-size="12" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y}" {style}>{escape(text)}</text>'
