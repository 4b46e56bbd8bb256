"""A network as SVG: boxes of kernels with the model's nodes inside, coloured by what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from .layered import Layout, Point, arrange
from .network import INPUT, OUTPUT, Network, Node
from .resources import resource
from .times import CallTime

CHARACTER, SMALL = 7.25, 6.05
"""Widths of a character of the fonts that graph.css names."""
LINE, PADDING, MARGIN = 15.0, 10.0, 24.0
MAX_ROWS, MAX_NAME = 6, 40


@dataclass
class Picture:
    """SVG text of a network, and where its boxes are: (left, top, width, height)."""

    text: str
    boxes: list[tuple[float, float, float, float]]


def picture(network: Network, times: Mapping[int, CallTime], *, alone: bool) -> Picture:
    """Draw a network.

    Args:
        network: its nodes in program order.
        times: of calls, by node number.
        alone: with its own style sheet, as a file; not for a page that has it.
    """
    sizes = [_size(node) for node in network.nodes]
    layout = arrange(sizes, network.edges)
    width, height = layout.width + 2 * MARGIN, layout.height + 2 * MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" ' if alone else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="graph" {size}'
        f'viewBox="0 0 {width:.0f} {height:.0f}" data-width="{width:.0f}" '
        f'data-height="{height:.0f}" role="img" aria-label="the network">'
    ]
    if alone:
        parts.append(f"<style>{style()}</style>")
        parts.append('<rect class="ground" width="100%" height="100%"/>')
    parts.append(f'<g class="all"><g transform="translate({MARGIN} {MARGIN})">')
    parts += _edges(network, layout)
    slowest = max((time.seconds for time in times.values()), default=0.0)
    for number, (node, place) in enumerate(zip(network.nodes, layout.places, strict=True)):
        parts.append(_box(number, node, place, sizes[number], times.get(number), slowest))
    parts.append("</g></g></svg>\n")
    boxes = [
        (x + MARGIN, y + MARGIN, *size) for (x, y), size in zip(layout.places, sizes, strict=True)
    ]
    return Picture("\n".join(parts), boxes)


def style() -> str:
    """The style sheet of pictures, light and dark."""
    return resource("graph.css")


def _is_pill(node: Node) -> bool:
    return node.kind in (INPUT, OUTPUT)


def _rows(node: Node) -> list[tuple[str, str]]:
    """The rows that are shown, names cut short in the middle."""
    shown = [(op, _short(name)) for op, name in node.rows[:MAX_ROWS]]
    more = len(node.rows) - len(shown)
    return [*shown, ("", f"and {more} more")] if more else shown


def _short(name: str) -> str:
    if len(name) <= MAX_NAME:
        return name
    half = MAX_NAME // 2
    return f"{name[: half - 1]}…{name[-half:]}"


def _size(node: Node) -> Point:
    rows = _rows(node)
    widths = [len(_short(node.title)) * CHARACTER + (0 if _is_pill(node) else 64)]
    widths.append(len(node.shape) * SMALL)
    widths += [(len(op) + len(name) + 2) * SMALL for op, name in rows]
    lines = 2 + len(rows)
    return round(max(widths) + 2 * PADDING + 4), lines * LINE + PADDING + (
        0 if _is_pill(node) else 4
    )


def _edges(network: Network, layout: Layout) -> list[str]:
    lines: list[str] = []
    for (source, target), route in zip(network.edges, layout.routes, strict=True):
        lines.append(
            f'<path class="edge" data-from="{source}" data-to="{target}" d="{_curve(route)}"/>'
        )
        x, y = route[-1]
        lines.append(f'<path class="tip" d="M{x:.1f} {y:.1f}l-3.5-7h7z"/>')
    return lines


def _curve(route: Sequence[Point]) -> str:
    """Vertical at every point, so that neighbouring parts meet without a corner."""
    text = f"M{route[0][0]:.1f} {route[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(route):
        middle = (y + to_y) / 2
        if abs(x - to_x) < 0.5:
            text += f"L{to_x:.1f} {to_y:.1f}"
        else:
            text += f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"
    return text


def _box(
    number: int, node: Node, place: Point, size: Point, time: CallTime | None, slowest: float
) -> str:
    width, height = size
    radius = height / 2 if _is_pill(node) else 6
    parts = [
        f'<g class="node {node.kind}" data-node="{number}" '
        f'transform="translate({place[0]:.1f} {place[1]:.1f})">',
        f"<title>{escape(_tooltip(node))}</title>",
        f'<rect class="box" width="{width:.0f}" height="{height:.0f}" rx="{radius:.0f}"/>',
    ]
    if _is_pill(node):
        middle = width / 2
        parts.append(_text("name", middle, 17, _short(node.title)))
        parts.append(_text("shape", middle, 31, node.shape))
    else:
        parts.append(f'<path class="stripe" d="M0 6q0-6 6-6h-2v{height:.0f}h2q-6 0-6-6z"/>')
        parts += _content(node, width, height, time, slowest)
    parts.append("</g>")
    return "".join(parts)


def _content(
    node: Node, width: float, height: float, time: CallTime | None, slowest: float
) -> list[str]:
    left = PADDING + 4
    parts = [_text("name", left, 18, _short(node.title)), _text("shape", left, 32, node.shape)]
    for i, (op, name) in enumerate(_rows(node)):
        y = 32 + LINE * (i + 1)
        tail = f'<tspan class="node-name" dx="6">{escape(name)}</tspan>'
        parts.append(f'<text class="row" x="{left}" y="{y:.0f}">{escape(op)}{tail}</text>')
    if time is not None and slowest:
        parts.append(_text("time", width - PADDING, 18, f"{time.seconds * 1e3:.3f}"))
        length = max(1.0, (width - 8) * time.seconds / slowest)
        parts.append(
            f'<rect class="bar {time.grade}" x="4" y="{height - 4:.0f}" '
            f'width="{length:.1f}" height="3"/>'
        )
    return parts


def _text(role: str, x: float, y: float, text: str) -> str:
    return f'<text class="{role}" x="{x:.0f}" y="{y:.0f}">{escape(text)}</text>'


def _tooltip(node: Node) -> str:
    rows = [f"{op} {name}".strip() for op, name in node.rows]
    return "\n".join([f"{node.title}: {node.shape}", *rows])
