"""Places of boxes: nothing overlaps, edges go down, chains are straight, few edges cross."""

from __future__ import annotations

from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from nnc.tools.page.layered import Layout, arrange, isotonic

graphs = st.integers(1, 24).flatmap(
    lambda count: st.tuples(
        st.lists(
            st.tuples(st.integers(20, 300), st.integers(10, 90)), min_size=count, max_size=count
        ),
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=40),
    )
)


def crossings(layout: Layout) -> int:
    """Pairs of edges between the same two layers whose ends are in opposite orders."""
    ends = [(route[0], route[-1]) for route in layout.routes]
    return sum(
        (a[0][0] - b[0][0]) * (a[1][0] - b[1][0]) < 0
        for a, b in combinations(ends, 2)
        if a[0][1] == b[0][1] and a[1][1] == b[1][1]
    )


@settings(max_examples=60, deadline=None)
@given(graphs)
def test_boxes_do_not_overlap_and_edges_go_down(
    graph: tuple[list[tuple[int, int]], list[tuple[int, int]]],
):
    sizes, pairs = graph
    edges = sorted({(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]})
    layout = arrange(sizes, edges)
    boxes = [(x, y, x + w, y + h) for (x, y), (w, h) in zip(layout.places, sizes, strict=True)]
    for a, b in combinations(boxes, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    for left, top, right, bottom in boxes:
        assert left >= -1e-6
        assert top >= 0
        assert right <= layout.width + 1e-6
        assert bottom <= layout.height + 1e-6
    for (source, target), route in zip(edges, layout.routes, strict=True):
        assert route[0][1] == boxes[source][3]
        assert route[-1][1] == boxes[target][1]
        assert boxes[target][0] <= route[-1][0] <= boxes[target][2]
        assert all(above[1] <= below[1] for above, below in pairwise(route))


def test_a_chain_is_a_straight_line():
    sizes = [(40.0 + 30 * (i % 3), 20.0) for i in range(12)]
    layout = arrange(sizes, list(pairwise(range(12))))
    centres = [x + w / 2 for (x, _), (w, _) in zip(layout.places, sizes, strict=True)]
    assert max(centres) - min(centres) < 0.5


def test_a_long_edge_passes_beside_the_boxes():
    edges = [(0, 1), (1, 2), (2, 3), (0, 3)]
    layout = arrange([(100.0, 30.0)] * 4, edges)
    route = layout.routes[edges.index((0, 3))]
    for node in (1, 2):
        left, top = layout.places[node]
        beside = [x for x, y in route if top <= y <= top + 30]
        assert beside
        assert all(x <= left or x >= left + 100 for x in beside)


def test_crossings_that_need_not_be_are_not():
    # two chains whose nodes come in alternating orders, from one source to one sink
    edges = [(0, 1), (0, 2), (1, 4), (2, 3), (3, 6), (4, 5), (5, 7), (6, 7)]
    assert crossings(arrange([(60.0, 20.0)] * 8, edges)) == 0


def test_many_nodes_take_little_time():
    count = 1500
    edges = [(i, i + 1) for i in range(count - 1)] + [(i, i + 7) for i in range(0, count - 7, 5)]
    layout = arrange([(120.0, 40.0)] * count, edges)
    assert len(layout.routes) == len(edges)


@given(st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 5)), min_size=1, max_size=12))
def test_isotonic_is_the_nearest_rising_sequence(wants: list[tuple[int, int]]):
    """Against the formula: the largest of the smallest weighted means of runs around a place."""

    def mean(low: int, high: int) -> float:
        part = wants[low : high + 1]
        return sum(v * w for v, w in part) / sum(w for _, w in part)

    last = len(wants)
    expected = [
        max(min(mean(low, high) for high in range(i, last)) for low in range(i + 1))
        for i in range(last)
    ]
    found = isotonic(wants)
    assert all(abs(a - b) < 1e-9 for a, b in zip(found, expected, strict=True))
