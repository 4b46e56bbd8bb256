"""A layered layout of a directed graph without cycles, after Sugiyama.

Layers by longest path, long edges by way of points, few crossings by barycentres, and then places
in a layer: each as near to its neighbours' mean as order and distances allow. That is an isotonic
regression, solved exactly by pooling adjacent violators; a long edge so becomes a straight line.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass

GAP_X, GAP_Y, GAP_POINT = 28.0, 44.0, 14.0
ORDER_ROUNDS, PLACE_ROUNDS = 12, 10
STRAIGHT = 16.0
"""How much more than others an edge within a chain, or a long one, wants to be vertical."""
Point = tuple[float, float]


@dataclass
class Layout:
    """Places of nodes (left, top), and the points that each edge goes through, top to bottom."""

    places: list[Point]
    routes: list[list[Point]]
    width: float
    height: float


def arrange(sizes: Sequence[Point], edges: Sequence[tuple[int, int]]) -> Layout:
    """Lay out boxes of these widths and heights.

    Args: edges: each from a node to one with a higher number.
    """
    layers = _Layers(sizes, edges)
    layers.order()
    layers.place()
    return layers.layout(edges)


class _Layers:
    """Nodes and, after them, way points: a source has at most one in a layer."""

    def __init__(self, sizes: Sequence[Point], edges: Sequence[tuple[int, int]]):
        self.count = len(sizes)
        self.sizes = list(sizes)
        self.ranks = _ranks(len(sizes), edges)
        self.points: dict[tuple[int, int], int] = {}
        self.above: list[list[int]] = [[] for _ in sizes]
        self.below: list[list[int]] = [[] for _ in sizes]
        for source, target in edges:
            self._connect(source, target)
        self.rows: list[list[int]] = [[] for _ in range(max(self.ranks, default=-1) + 1)]
        for node in self._in_reading_order():
            self.rows[self.ranks[node]].append(node)
        self.x = [0.0] * len(self.sizes)

    def _connect(self, source: int, target: int) -> None:
        last = source
        for rank in range(self.ranks[source] + 1, self.ranks[target]):
            point = self.points.get((source, rank))
            if point is None:
                point = self.points[source, rank] = len(self.sizes)
                self.sizes.append((0.0, 0.0))
                self.ranks.append(rank)
                self.above.append([])
                self.below.append([])
                self._join(last, point)
            last = point
        self._join(last, target)

    def _join(self, upper: int, lower: int) -> None:
        self.below[upper].append(lower)
        self.above[lower].append(upper)

    def _in_reading_order(self) -> list[int]:
        """Depth first from the top: what belongs together starts together."""
        seen = [False] * len(self.sizes)
        found: list[int] = []
        stack = [node for node in reversed(range(self.count)) if not self.above[node]]
        while stack:
            node = stack.pop()
            if not seen[node]:
                seen[node] = True
                found.append(node)
                stack.extend(reversed(self.below[node]))
        return found

    # --- order

    def order(self) -> None:
        """Sweep down and up; keep the order with the fewest crossings."""
        best, fewest = [list(row) for row in self.rows], self._crossings()
        for sweep in range(ORDER_ROUNDS):
            if not fewest:
                break
            down = sweep % 2 == 0
            rows = range(1, len(self.rows)) if down else range(len(self.rows) - 2, -1, -1)
            for rank in rows:
                self._sort(rank, rank - 1 if down else rank + 1, self.above if down else self.below)
            crossings = self._crossings()
            if crossings < fewest:
                best, fewest = [list(row) for row in self.rows], crossings
        self.rows = best

    def _sort(self, rank: int, other: int, neighbours: list[list[int]]) -> None:
        at = {node: i for i, node in enumerate(self.rows[other])}
        row = self.rows[rank]
        keys: dict[int, float] = {}
        for i, node in enumerate(row):
            found = [at[near] for near in neighbours[node]]
            keys[node] = sum(found) / len(found) if found else float(i)
        row.sort(key=keys.__getitem__)

    def _crossings(self) -> int:
        total = 0
        for upper, lower in zip(self.rows, self.rows[1:], strict=False):
            at = {node: i for i, node in enumerate(lower)}
            seen: list[int] = []
            for node in upper:
                ends = sorted(at[target] for target in self.below[node])
                total += sum(len(seen) - bisect_right(seen, end) for end in ends)
                for end in ends:
                    insort(seen, end)
        return total

    # --- places

    def place(self) -> None:
        """Centres of all nodes and points."""
        for row in self.rows:
            left = 0.0
            for i, node in enumerate(row):
                left += self._distance(row[i - 1], node) if i else 0.0
                self.x[node] = left
        for sweep in range(PLACE_ROUNDS):
            rows = self.rows if sweep % 2 == 0 else self.rows[::-1]
            both = sweep >= PLACE_ROUNDS - 4
            for row in rows:
                self._settle(row, sweep % 2 == 0, both)

    def _distance(self, left: int, right: int) -> float:
        gap = GAP_X if max(left, right) < self.count else GAP_POINT
        return (self.sizes[left][0] + self.sizes[right][0]) / 2 + gap

    def _settle(self, row: list[int], down: bool, both: bool) -> None:
        wants: list[Point] = []
        offset = 0.0
        for i, node in enumerate(row):
            offset += self._distance(row[i - 1], node) if i else 0.0
            near = list(self.above[node]) if down or both else []
            near += self.below[node] if both or not down else []
            weights = [self._weight(node, each) for each in near]
            total = sum(weights)
            mean = sum(w * self.x[n] for w, n in zip(weights, near, strict=True))
            want = (mean / total, total) if total else (self.x[node], 0.01)
            wants.append((want[0] - offset, want[1]))
        offset = 0.0
        for i, (node, value) in enumerate(zip(row, isotonic(wants), strict=True)):
            offset += self._distance(row[i - 1], node) if i else 0.0
            self.x[node] = value + offset

    def _weight(self, node: int, other: int) -> float:
        upper, lower = (node, other) if self.ranks[node] < self.ranks[other] else (other, node)
        is_chain = len(self.below[upper]) == 1 and len(self.above[lower]) == 1
        return STRAIGHT if is_chain or min(node, other) >= self.count else 1.0

    # --- the result

    def layout(self, edges: Sequence[tuple[int, int]]) -> Layout:
        """Coordinates from the top left, which is (0, 0)."""
        tops, bottoms = self._bands()
        left = min((x - w / 2 for x, (w, _) in zip(self.x, self.sizes, strict=True)), default=0.0)
        places: list[Point] = []
        for node in range(self.count):
            width, height = self.sizes[node]
            rank = self.ranks[node]
            top = (tops[rank] + bottoms[rank] - height) / 2
            places.append((self.x[node] - width / 2 - left, top))
        entries = self._entries(edges)
        routes: list[list[Point]] = []
        for edge in edges:
            source, target = edge
            start = (self.x[source] - left, places[source][1] + self.sizes[source][1])
            route = [start]
            for rank in range(self.ranks[source] + 1, self.ranks[target]):
                x = self.x[self.points[source, rank]] - left
                route += [(x, tops[rank]), (x, bottoms[rank])]
            routes.append([*route, (entries[edge] - left, places[target][1])])
        right = max((x + self.sizes[n][0] / 2 for n, x in enumerate(self.x)), default=0.0)
        return Layout(places, routes, right - left, bottoms[-1] if bottoms else 0.0)

    def _bands(self) -> tuple[list[float], list[float]]:
        tops: list[float] = []
        bottoms: list[float] = []
        at = 0.0
        for row in self.rows:
            tops.append(at)
            at += max(self.sizes[node][1] for node in row)
            bottoms.append(at)
            at += GAP_Y
        return tops, bottoms

    def _entries(self, edges: Sequence[tuple[int, int]]) -> dict[tuple[int, int], float]:
        """Where each edge meets its target: side by side, in the order they come from."""
        by_target: dict[int, list[tuple[float, int]]] = {}
        for source, target in edges:
            last = self.points.get((source, self.ranks[target] - 1), source)
            by_target.setdefault(target, []).append((self.x[last], source))
        found: dict[tuple[int, int], float] = {}
        for target, sources in by_target.items():
            width = self.sizes[target][0] * 0.6
            for i, (_, source) in enumerate(sorted(sources)):
                share = (i + 1) / (len(sources) + 1) - 0.5
                found[source, target] = self.x[target] + share * width
        return found


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """Longest paths from the top; what has nothing above it stands just above its first reader."""
    ranks = [0] * count
    by_source: dict[int, list[int]] = {}
    has_above = [False] * count
    for source, target in edges:
        by_source.setdefault(source, []).append(target)
        has_above[target] = True
    for node in range(count):
        for target in by_source.get(node, ()):
            ranks[target] = max(ranks[target], ranks[node] + 1)
    for node in range(count):
        if not has_above[node] and (targets := by_source.get(node)):
            ranks[node] = min(ranks[target] for target in targets) - 1
    return ranks


def isotonic(wants: Sequence[tuple[float, float]]) -> list[float]:
    """The rising numbers nearest to these (value, weight), by weighted least squares.

    >>> isotonic([(1.0, 1.0), (4.0, 1.0), (2.0, 1.0)])
    [1.0, 3.0, 3.0]
    """
    pools: list[tuple[float, float, int]] = []
    for value, weight in wants:
        size = 1
        while pools and pools[-1][0] > value:
            held, held_weight, held_size = pools.pop()
            value = (value * weight + held * held_weight) / (weight + held_weight)
            weight += held_weight
            size += held_size
        pools.append((value, weight, size))
    return [value for value, _, size in pools for _ in range(size)]
