"""Random schedules on small kernels of every kind keep the meaning.

Each kernel is run as te by the reference, then as nests after a random schedule by a direct
interpreter (tests/support/nests.py), by the reference of the loop level, as tiles, and as machine
code. A refused primitive leaves the kernel as it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from nests import Nests
from random_steps import MARKS, MOVES, random_step
from te_kernels import (
    argmax,
    build,
    chain,
    convolution,
    dot,
    gather,
    matmul_add_relu,
    max_pool,
    random_inputs,
    recurrence,
    reshape,
    skewed_gather,
    softmax,
    tensor,
)
from xdsl.dialects.builtin import ModuleOp

from nnc.compiler.native import NativeKernel
from nnc.core.dominance import undominated
from nnc.core.errors import PassError, ScheduleError
from nnc.dialects import loop, te
from nnc.dialects.te_build import KernelBuilder, Tensor
from nnc.lowering.te_to_loop.kernel import KernelConverter
from nnc.passes.loop.form_tiles import form_tiles
from nnc.reference.body import difference
from nnc.reference.loop import run_loop_kernel
from nnc.reference.te import run_kernel_with_errors
from nnc.schedules.replay import Schedule

Array = np.ndarray[Any, Any]


EXTENTS = st.sampled_from([0, 1, 2, 3, 5, 6, 7])
SOME = st.integers(1, 6)
KERNELS: dict[str, st.SearchStrategy[te.KernelOp]] = {
    "matmul": st.builds(matmul_add_relu, EXTENTS, EXTENTS, EXTENTS),
    "convolution": st.builds(
        convolution, st.sampled_from([1, 4, 7]), st.integers(1, 2), st.integers(1, 3), SOME
    ),
    "pool": st.builds(max_pool, st.integers(1, 9), st.just(3)),
    "chain": st.builds(chain, SOME, SOME),
    "softmax": st.builds(softmax, EXTENTS, SOME),
    "argmax": st.builds(argmax, SOME, EXTENTS),
    "reshape": st.builds(reshape, SOME, SOME),
    "gather": st.builds(gather, SOME, SOME, EXTENTS),
    "skewed gather": st.builds(skewed_gather, SOME, SOME, SOME),
    "dot": st.builds(dot, SOME, EXTENTS, st.sampled_from([2, 4, 5]), st.sampled_from([2, 4])),
    "recurrence": st.builds(recurrence, st.integers(0, 4), st.integers(1, 4), st.booleans()),
}


def check(
    made: te.KernelOp, schedule: Callable[[Schedule], None], *, tiles: bool = True
) -> Schedule:
    """Run a kernel before and after a schedule and compare; also as tiles and machine code."""
    made.verify()
    inputs = random_inputs(made)
    expected, errors = run_kernel_with_errors(made, inputs)
    kernel = KernelConverter(made).convert()
    ModuleOp([kernel]).verify()
    s = Schedule(kernel)
    schedule(s)
    _compare(Nests(kernel).run(inputs), expected, errors, s)
    _compare(run_loop_kernel(kernel, inputs), expected, errors, s)
    if tiles and _is_complete(s):
        _check_tiles(kernel, inputs, expected, errors, s)
    return s


def _is_complete(s: Schedule) -> bool:
    """Whether this may be the end of a schedule: a thread's own buffers are used by one phase."""
    try:
        s.check()
    except ScheduleError:
        return False
    return True


def _check_tiles(
    kernel: loop.KernelOp,
    inputs: list[Array],
    expected: list[Array],
    errors: list[Array],
    s: Schedule,
) -> None:
    """The same kernel as tiles, and as machine code."""
    tiles = kernel.clone()
    module = ModuleOp([tiles])
    try:
        form_tiles(tiles)
    except PassError as error:
        # a register buffer has constant indices; a buffer of one iteration cannot be widened
        if not re.search("register buffer|not an axis of what is written", error.message):
            raise
        return
    module.verify()
    assert not list(undominated(module)), "a value is used before it is there"
    # exp and tanh are polynomials of our own, an ulp or two off NumPy's
    slack = [4 * np.spacing(np.abs(want).max(initial=1)) for want in expected]
    near = [error + gap for error, gap in zip(errors, slack, strict=True)]
    _compare(run_loop_kernel(tiles, inputs), expected, near, s)
    _compare(NativeKernel(tiles)(*inputs), expected, near, s)


def _compare(
    got: Sequence[Array], expected: Sequence[Array], errors: Sequence[Array], s: Schedule
) -> None:
    for have, want, error in zip(got, expected, errors, strict=True):
        gap = difference(have, want)
        assert (gap <= error).all(), f"off by {gap.max()}:\n{s.to_ir()}\n{s.kernel}"


@pytest.mark.parametrize("kind", KERNELS)
@seed(20260801)
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_random_schedules_keep_the_meaning(kind: str, data: st.DataObject) -> None:
    def schedule(s: Schedule) -> None:
        moves, marks = data.draw(st.integers(0, 7)), data.draw(st.integers(0, 3))
        for step in range(moves + marks):
            before = str(s.kernel)
            try:
                random_step(data, s, MOVES if step < moves else MARKS)
            except ScheduleError:
                assert str(s.kernel) == before, "a refused primitive has edited the kernel"
            parent = s.kernel.parent_op()
            assert parent is not None
            parent.verify()
            assert not list(undominated(parent)), "a value is used before it is there"

    check(data.draw(KERNELS[kind]), schedule)


ONE_OF_EACH: dict[str, te.KernelOp] = {
    "matmul": matmul_add_relu(5, 4, 3),
    "convolution": convolution(7, 2, 3, 2),
    "pool": max_pool(6, 3),
    "chain": chain(4, 3),
    "softmax": softmax(3, 5),
    "argmax": argmax(3, 4),
    "reshape": reshape(3, 4),
    "gather": gather(4, 3, 5),
    "skewed gather": skewed_gather(4, 3, 5),
    "recurrence": recurrence(3, 4, False),
}


@pytest.mark.parametrize("around", ["as it is", "split", "split, and back"])
@pytest.mark.parametrize("move", ["compute_at", "reverse_compute_at"])
@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_every_attachment_keeps_the_meaning_or_is_refused(
    kind: str, move: str, around: str
) -> None:
    """Each compute to each loop, its own ones and those before its producers included."""
    made = ONE_OF_EACH[kind]
    start = Schedule(KernelConverter(made).convert())
    for compute in start.computes():
        for loop_name in start.loops():

            def schedule(s: Schedule, compute: str = compute, loop_name: str = loop_name) -> None:
                target = loop_name if around == "as it is" else s.split(loop_name, 2)[0]
                before = str(s.kernel)
                try:
                    getattr(s, move)(compute, target)
                    before = str(s.kernel)
                    if around == "split, and back":
                        s.compute_root(compute)
                except ScheduleError:
                    assert str(s.kernel) == before, "a refused primitive has edited the kernel"

            check(made, schedule, tiles=False)


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_every_inlining_keeps_the_meaning_or_is_refused(kind: str) -> None:
    made = ONE_OF_EACH[kind]
    for compute in Schedule(KernelConverter(made).convert()).computes():

        def schedule(s: Schedule, compute: str = compute) -> None:
            before = str(s.kernel)
            try:
                s.compute_inline(compute)
            except ScheduleError:
                assert str(s.kernel) == before, "a refused primitive has edited the kernel"

        check(made, schedule)


@pytest.mark.parametrize("move", ["compute_at", "reverse_compute_at"])
def test_a_compute_does_not_move_into_its_own_nest(move: str) -> None:
    s = Schedule(KernelConverter(matmul_add_relu(5, 4, 3)).convert())
    for compute in ("c", "y"):
        for loop_name in s.loops(compute):
            with pytest.raises(ScheduleError):
                getattr(s, move)(compute, loop_name)


def test_a_consumer_waits_for_all_of_its_producers() -> None:
    """y reads s too, which is computed after the nest that y would follow."""

    def body(b: KernelBuilder, x: Tensor) -> list[Tensor]:
        c = b.compute("c", {"i": 8}, lambda i: x[i] * 2.0)
        s = b.compute("s", {"i": 8}, lambda i: x[i] + 1.0)
        return [b.compute("y", {"i": 8}, lambda i: c[i] * s[i])]

    made = build("two", {"x": tensor(8)}, body)
    s = Schedule(KernelConverter(made).convert())
    with pytest.raises(ScheduleError, match="@y reads @s too, which is not ready"):
        s.reverse_compute_at("y", "c.i")

    def in_order(s: Schedule) -> None:
        s.split("s.i", 3)
        s.reverse_compute_at("y", "s.i.o")

    check(made, in_order)


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_placing_and_compute_root_gives_the_first_nests_again(kind: str) -> None:
    """Where compute_at is allowed, compute_root undoes it, to the letter but for reads' guards."""
    made = ONE_OF_EACH[kind]
    first = Schedule(KernelConverter(made).convert())
    for compute in first.computes():
        for loop_name in first.loops():
            kernel = KernelConverter(made).convert()
            ModuleOp([kernel])
            s = Schedule(kernel)
            before = sorted(str(kernel).splitlines())
            try:
                s.compute_at(compute, loop_name)
            except ScheduleError:
                continue
            assert sorted(str(kernel).splitlines()) != before
            if kind == "recurrence":  # inside a scan it reads what the step before has written
                with pytest.raises(ScheduleError, match=r"depends on|too"):
                    s.compute_root(compute)
                continue
            s.compute_root(compute)
            lines = sorted(re.sub(r"%\w+", "%", line) for line in str(kernel).splitlines())
            assert lines == sorted(re.sub(r"%\w+", "%", line) for line in before)


@pytest.mark.parametrize("space", ["scratch", "register"])
def test_places_outside_a_domain_keep_the_value_of_the_guard(space: str) -> None:
    """The nest of the guard's value stands first; the producer's tile leaves its places alone."""

    def schedule(s: Schedule) -> None:
        s.split("y.w", 2)
        s.compute_at("s", "y.w.o")
        s.set_scope("s", space)
        for loop_name in ("s.fill.d0", "s.w", "y.w.i"):
            s.vectorize(loop_name)
        s.unroll("y.k")

    check(max_pool(5, 3), schedule)
