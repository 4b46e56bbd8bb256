"""The page of `nnc inspect --html`: one file, which asks the network for nothing.

Texts that are only read when asked for, those of kernels and passes, are compressed.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from difflib import unified_diff
from html import escape
from typing import Any

from ...compiler.levels import NODES, KernelLevels, Place
from ...compiler.trace import PassStep
from ..model.summary import Grid
from ..tokens import TOKENS
from .network import INPUT, KINDS, OUTPUT, Node
from .resources import resource
from .svg import style
from .times import CallTime
from .view import View

LINE_KEY = 1_000_000
"""A place is level * LINE_KEY + line, as levels.js has it."""
CONTEXT = 2
"""Unchanged lines around a difference."""
SCRIPTS = ("page.js", "picture.js", "levels.js", "search.js")


def page(seen: View) -> str:
    """The HTML of a view."""
    blobs = _Blobs()
    drawn = seen.picture(alone=False)
    nodes = [
        {
            "title": node.title,
            "kind": node.kind,
            "shape": node.shape,
            "rows": node.rows,
            "kernels": node.kernels,
            "facts": _facts(node, seen, seen.times.get(number)),
            **dict(zip("xywh", (round(n, 1) for n in box), strict=True)),
        }
        for number, (node, box) in enumerate(zip(seen.network.nodes, drawn.boxes, strict=True))
    ]
    traced = {
        name: blobs.add(_levels(levels, seen.network.order)) for name, levels in seen.levels.items()
    }
    kernels = {name: {"blob": traced[same], "name": same} for name, same in seen.same.items()}
    data = {
        "nodes": nodes,
        "folded": seen.network.folded,
        "kernels": kernels,
        "passes": [_pass(step, blobs) for step in seen.passes],
        "tokens": TOKENS,
    }
    parts = {
        "title": escape(seen.title),
        "about": escape(seen.about),
        "style": style() + resource("page.css"),
        "graph": drawn.text,
        "legend": _legend(seen.network.nodes),
        "summary": _summary(seen),
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
        "blobs": "\n".join(blobs.elements),
        "script": "".join(map(resource, SCRIPTS)),
    }
    return _filled(resource("page.html"), parts)


def _filled(template: str, parts: dict[str, str]) -> str:
    """The template with its marks replaced, in one go: parts may contain what looks like marks."""
    pieces = template.split("{{")
    text = pieces[0]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        text += parts[name] + rest
    return text


class _Blobs:
    """Compressed JSON in elements that the browser does not look at."""

    def __init__(self) -> None:
        self.elements: list[str] = []

    def add(self, content: object) -> str:
        """The element's id."""
        name = f"blob-{len(self.elements)}"
        packed = zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)
        text = b64encode(packed).decode()
        self.elements.append(f'<script type="text/plain" id="{name}">{text}</script>')
        return name


def _levels(kernel: KernelLevels, order: Mapping[str, int]) -> list[dict[str, Any]]:
    """The levels, the model's nodes in the model's order."""
    nodes = kernel.levels[NODES]
    by_order = sorted(range(len(nodes.lines)), key=lambda n: order.get(nodes.lines[n], 0))
    moved = {NODES * LINE_KEY + old + 1: new + 1 for new, old in enumerate(by_order)}

    def key(place: Place) -> int:
        at = place[0] * LINE_KEY + place[1]
        return moved.get(at, at)

    return [
        {
            "level": number,
            "lines": [nodes.lines[n] for n in by_order] if number == NODES else level.lines,
            "from": [[key(place) for place in places] for places in level.origins],
        }
        for number, level in sorted(kernel.levels.items())
    ]


def _pass(step: PassStep, blobs: _Blobs) -> dict[str, Any]:
    before, after = step.before.split("\n"), step.after.split("\n")
    lines = list(unified_diff(before, after, n=CONTEXT, lineterm=""))[2:]
    found: dict[str, Any] = {"name": step.name, "ms": step.seconds * 1e3, "blob": None}
    if lines:
        found["added"] = sum(line.startswith("+") for line in lines)
        found["removed"] = sum(line.startswith("-") for line in lines)
        found["blob"] = blobs.add(lines)
    return found


def _facts(node: Node, seen: View, time: CallTime | None) -> list[tuple[str, str]]:
    facts = [("output" if node.kind != OUTPUT else "shape", node.shape)]
    if node.kind in KINDS:
        facts.insert(0, ("kind", KINDS[node.kind]))
    parallel = [seen.parallel[name] for name in node.kernels if name in seen.parallel]
    if parallel:
        facts.append(("parallel", ", ".join(parallel)))
    if time is not None:
        facts.append(("time", f"{time.seconds * 1e3:.3f} ms ({100 * time.share:.1f} %)"))
        if time.percent is not None:
            facts.append(("of its limit", f"{time.percent} %"))
            facts.append(("rates", f"{time.gflops:.1f} GFLOP/s, {time.gigabytes:.1f} GB/s"))
    return facts


def _legend(nodes: Iterable[Node]) -> str:
    present = {node.kind for node in nodes}
    items = [
        f'<li><i style="background:var(--{kind})"></i>{escape(words)}</li>'
        for kind, words in KINDS.items()
        if kind in present
    ]
    return "".join(items)


def _summary(seen: View) -> str:
    parts = [_calls(seen)]
    parts += [f"<p>{escape(remark)}</p>" for remark in seen.remarks]
    parts += [_table(grid) for grid in seen.grids]
    return "\n".join(parts)


def _calls(seen: View) -> str:
    """Every call, the slowest first if times are known; a click opens it."""
    nodes = seen.network.nodes
    numbers = [n for n, node in enumerate(nodes) if node.kind not in (INPUT, OUTPUT)]
    timed = bool(seen.times)
    if timed:
        numbers.sort(key=lambda n: -seen.times[n].seconds if n in seen.times else 0.0)
    head = ("ms", "%", "% of limit") if timed else ()
    rows: list[str] = []
    for number in numbers:
        node = nodes[number]
        names = ", ".join(name for _, name in node.rows)
        cells = f'<td>{escape(node.title)}</td><td class="whole">{escape(node.shape)}</td>'
        cells += f"<td>{escape(names)}</td>"
        rows.append(f'<tr data-node="{number}">{_time_cells(seen, number, timed)}{cells}</tr>')
    titles = "".join(f'<th class="right">{name}</th>' for name in head)
    titles += "".join(f"<th>{name}</th>" for name in ("kernel", "output", "nodes"))
    count = len(seen.same)
    title = f"{len(numbers)} steps, {count} kernels, {len(seen.levels)} of them distinct"
    return f"<h2>{title}</h2><table><tr>{titles}</tr>{''.join(rows)}</table>"


def _time_cells(seen: View, number: int, timed: bool) -> str:
    if not timed:
        return ""
    time = seen.times.get(number)
    texts = ["", "", ""]
    if time is not None:
        percent = "" if time.percent is None else str(time.percent)
        texts = [f"{time.seconds * 1e3:.3f}", f"{100 * time.share:.1f}", percent]
    return "".join(f'<td class="right">{text}</td>' for text in texts)


def _table(grid: Grid) -> str:
    def cells(row: Iterable[str], tag: str) -> str:
        marks = (' class="right"' if at in grid.right else "" for at in range(len(grid.columns)))
        return "".join(
            f"<{tag}{mark}>{escape(text)}</{tag}>" for mark, text in zip(marks, row, strict=True)
        )

    rows = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in grid.rows)
    return f"<h2>{escape(grid.title)}</h2><table><tr>{cells(grid.columns, 'th')}</tr>{rows}</table>"
