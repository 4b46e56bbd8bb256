"""The arena plan on random lifetimes: nothing that lives at one step overlaps."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from nnc.lowering.program import ArenaPlan, Lifetime, plan_arena
from nnc.lowering.program.memory import LARGE, LINE


@st.composite
def lifetimes(draw: st.DrawFn) -> list[Lifetime]:
    sizes = st.one_of(st.integers(0, 300), st.sampled_from([LARGE, 3 * LARGE + 4, 1 << 20]))
    buffers: list[Lifetime] = []
    for _ in range(draw(st.integers(0, 24))):
        first = draw(st.integers(0, 12))
        buffers.append(Lifetime(draw(sizes), first, first + draw(st.integers(0, 6))))
    return buffers


@given(lifetimes())
def test_no_two_live_buffers_overlap(buffers: list[Lifetime]):
    plan = plan_arena(buffers)
    places = list(zip(buffers, plan.offsets, strict=True))
    for buffer, offset in places:
        assert offset % LINE == 0
        assert 0 <= offset <= offset + buffer.size <= plan.size or buffer.size == 0
    for (a, at), (b, bt) in combinations(places, 2):
        together = a.first <= b.last and b.first <= a.last
        assert not together or at + a.size <= bt or bt + b.size <= at or 0 in (a.size, b.size)


@given(lifetimes())
def test_the_arena_is_no_larger_than_without_reuse(buffers: list[Lifetime]):
    worst = sum(buffer.size + LINE + 4096 for buffer in buffers)
    assert plan_arena(buffers).size <= worst


def test_memory_is_reused_after_death():
    chain = [Lifetime(1000, step, step + 1) for step in range(100)]
    assert plan_arena(chain).size == 2 * 1024


def test_large_buffers_begin_at_different_places_of_a_page():
    together = [Lifetime(LARGE, 0, 0) for _ in range(8)]
    assert len({offset % 4096 for offset in plan_arena(together).offsets}) == 8


def test_nothing_to_place():
    assert plan_arena([]) == ArenaPlan((), 0)
