"""The thread pool, the barrier and entry functions, driven with hand-written kernels."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from nnc.compiler.link import pool_code
from nnc.lowering import llvm_to_object
from nnc.lowering.program import Launch, Place, barrier_text, emit_entry
from nnc.lowering.program.launch import must_wait
from nnc.runtime import threads
from nnc.runtime.arrays import aligned_bytes
from nnc.runtime.program import ARENA, BARRIER, FIRST_SLOT, SCRATCH
from nnc.targets import resolve

N = 1000
ARRAY = 8 * N
LOOP = """
define void @"{name}"(ptr %x, ptr %y, ptr %scratch, i64 %lo, i64 %hi) {{
  br label %loop
loop:
  %i = phi i64 [ %lo, %0 ], [ %next, %loop ]
  %from = {index}
  %x.at = getelementptr i64, ptr %x, i64 %from
  %v = load i64, ptr %x.at
  %w = add i64 %v, {addend}
  %y.at = getelementptr i64, ptr %y, i64 %i
  store i64 %w, ptr %y.at
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %hi
  br i1 %more, label %loop, label %end
end:
  ret void
}}
"""
INCREMENT = LOOP.format(name="increment", index="add i64 %i, 0", addend=1)
REVERSE = LOOP.format(name="reverse", index=f"sub i64 {N - 1}, %i", addend=0)


def arena(offset: int) -> Place:
    return Place(ARENA, offset, ARRAY)


def slot(number: int) -> Place:
    return Place(FIRST_SLOT + number, 0, ARRAY)


def load(launches: Sequence[Launch], scratch: int = 0) -> tuple[llvm_to_object.Library, int]:
    target = resolve("cpu")
    text = barrier_text(target.triple) + emit_entry("entry", launches, scratch)
    objects = [llvm_to_object.compile(t, target) for t in (INCREMENT + REVERSE, text)]
    library = llvm_to_object.link(objects, ["entry"])
    return library, library.address("entry")


def run_entry(entry: int, num_threads: int, *slots: np.ndarray) -> None:
    pool = threads.pool(pool_code)
    memory = aligned_bytes(4 * ARRAY)
    frame = np.zeros(FIRST_SLOT + len(slots), np.int64)
    frame[ARENA] = frame[SCRATCH] = memory.ctypes.data
    frame[BARRIER] = pool.barrier
    frame[FIRST_SLOT:] = [array.ctypes.data for array in slots]
    assert pool.try_acquire()
    try:
        pool.run(entry, int(frame.ctypes.data), num_threads)
    finally:
        pool.release()


def reversals(count: int) -> list[Launch]:
    """x + count, reversed count times; each launch reads what all threads wrote before."""
    steps = [Launch("increment", N, (slot(0),), (arena(0),))]
    for _ in range(count - 1):
        steps.append(Launch("reverse", N, (arena(0),), (arena(2 * ARRAY),)))
        steps.append(Launch("increment", N, (arena(2 * ARRAY),), (arena(0),)))
    steps.append(Launch("reverse", N, (arena(0),), (slot(1),)))
    return steps


@pytest.mark.parametrize("num_threads", [1, 2, 3, 5])
def test_every_number_of_threads_gives_the_same(num_threads: int):
    library, entry = load(reversals(7))
    x, y = np.arange(N), np.zeros(N, np.int64)
    for _ in range(3):
        y[:] = 0
        run_entry(entry, num_threads, x, y)
        np.testing.assert_array_equal(y, (x[::-1] if 7 % 2 else x) + 7)
    del library


def test_small_launches_run_on_one_thread_in_order():
    steps = [
        Launch("increment", N, (slot(0),), (arena(0),), alone=True),
        Launch("reverse", N, (arena(0),), (arena(2 * ARRAY),), alone=True),
        Launch("increment", N, (arena(2 * ARRAY),), (slot(1),)),
    ]
    library, entry = load(steps)
    x, y = np.arange(N), np.zeros(N, np.int64)
    run_entry(entry, 2, x, y)
    np.testing.assert_array_equal(y, x[::-1] + 2)
    text = emit_entry("entry", steps, 0)
    assert text.count("call void @nnc.barrier") == 1
    del library


def test_shares_of_any_extent_cover_it_once():
    steps = [Launch("increment", extent, (slot(0),), (slot(1),)) for extent in (1, 2, 3, N)]
    for step in steps:
        library, entry = load([step])
        for num_threads in (1, 2, 3, 4):
            x, y = np.arange(N), np.full(N, -1)
            run_entry(entry, num_threads, x, y)
            expected = np.full(N, -1)
            expected[: step.extent] = x[: step.extent] + 1
            np.testing.assert_array_equal(y, expected)
        del library


def test_launches_without_points_are_left_out():
    assert "@empty" not in emit_entry("entry", [Launch("empty", 0, (), (slot(0),))], 0)


@pytest.mark.parametrize(
    ("first", "second", "waits"),
    [
        ((slot(0), arena(0)), (slot(0), arena(ARRAY)), False),  # independent
        ((slot(0), arena(0)), (arena(0), arena(ARRAY)), True),  # reads what was written
        ((slot(0), arena(0)), (slot(1), arena(ARRAY - 8)), True),  # overwrites what was written
        ((arena(0), slot(0)), (slot(1), arena(64)), True),  # overwrites what is being read
    ],
)
def test_a_barrier_stands_where_memory_is_shared(
    first: tuple[Place, Place], second: tuple[Place, Place], waits: bool
):
    before = Launch("a", N, (first[0],), (first[1],))
    launch = Launch("b", N, (second[0],), (second[1],))
    assert must_wait(launch, [before]) is waits
    alone = [Launch(x.symbol, 1, x.reads, x.writes) for x in (before, launch)]
    assert not must_wait(alone[1], [alone[0]])


def in_new_process(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


SETUP = f"""
    import sys
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    import numpy as np
    import test_runtime_threads as t
    library, entry = t.load(t.reversals(3))
    def once(threads):
        x, y = np.arange(t.N), np.zeros(t.N, np.int64)
        t.run_entry(entry, threads, x, y)
        assert (y == x[::-1] + 3).all()
"""


def test_a_forked_child_starts_workers_of_its_own():
    out = in_new_process(
        SETUP
        + """
    import os
    once(2)
    child = os.fork()
    once(2)
    if child == 0:
        print("child", flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print("parent")
    """
    )
    assert out.split() == ["child", "parent"]


def test_a_child_that_is_forked_amid_calls_runs_models():
    """Other threads are in a call and in a compilation, and hold the pool and the model's lock."""
    out = in_new_process(
        """
    import os, threading, time, warnings
    warnings.simplefilter("ignore")
    import numpy as np
    import nnc
    rows = "tensor<?x300xf32>"
    model = nnc.compile(nnc.parse(
        f"func.func @main(%x: {rows}) -> {rows} {{ "
        f"%y = graph.softmax(%x) : {rows} func.return %y }}"
    ), threads=2)
    x = np.random.default_rng(0).standard_normal((400, 300), np.float32)
    (expected,) = model(x=x).values()
    inside, stop = threading.Event(), threading.Event()
    compile_ = model._compile
    def slowly(*given):
        inside.set()
        stop.wait()
        return compile_(*given)
    model._compile = slowly
    others = [threading.Thread(target=model, kwargs={"x": x[:7]})]
    others[0].start()
    inside.wait()
    known = model._variants[((400, 300),)].executable
    others += [threading.Thread(target=lambda: [known(x=x) for _ in range(2000)])]
    others[1].start()
    time.sleep(0.01)
    for _ in range(5):
        child = os.fork()
        if child == 0:
            for _ in range(3):
                (y,) = model(x=x).values()
                assert y.tobytes() == expected.tobytes()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    stop.set()
    for thread in others:
        thread.join()
    print("parent")
    """
    )
    assert out.split() == ["parent"]


def test_no_lock_outlives_its_thread_in_a_forked_child():
    """Another thread allocates memory, loads plug-ins and makes the pool when the child is made."""
    out = in_new_process(
        """
    import os, threading, warnings
    warnings.simplefilter("ignore")
    import numpy as np
    from nnc.core import extensions
    from nnc.runtime import arrays, threads
    inside, stop = threading.Event(), threading.Event()
    def hold():
        locks = arrays._FREE.lock, extensions._lock, threads_lock
        with locks[0].held, locks[1].held, locks[2].held:
            inside.set()
            stop.wait()
    threads_lock = threads._Process.lock
    other = threading.Thread(target=hold)
    other.start()
    inside.wait()
    child = os.fork()
    if child == 0:
        arrays.aligned_empty((arrays.RECYCLED_BYTES,), np.dtype("float32"))
        extensions.table("operator")
        with threads_lock.held:
            os._exit(7)
    for _ in range(500):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        stop.wait(0.02)
    else:
        os.kill(child, 9)
    stop.set()
    other.join()
    print(os.waitstatus_to_exitcode(status) if done else "the child waits")
    """
    )
    assert out.split() == ["7"]


def test_no_wake_up_is_lost():
    """Pauses around the time that threads spin before they sleep: a lost one would hang."""
    out = in_new_process(
        SETUP
        + """
    import random, time
    random.seed(1)
    for _ in range(400):
        once(random.choice((2, 3)))
        time.sleep(random.choice((0, 0, 1e-5, 1e-4, 2e-4, 5e-4)))
    print("done")
    """
    )
    assert out.split() == ["done"]


def test_an_exit_handler_may_run_models():
    """It runs after the workers have ended, for it was there before them."""
    out = in_new_process(
        """
    import atexit, time
    def last():
        start = threads.Pool._start_worker  # a worker that is started now looks for work at once
        threads.Pool._start_worker = lambda *given: (start(*given), time.sleep(0.05))
        (y,) = model(x=x).values()
        print(y.tobytes() == expected.tobytes())
    atexit.register(last)
    import numpy as np
    import nnc
    from nnc.runtime import threads
    rows = "tensor<400x300xf32>"
    model = nnc.compile(nnc.parse(
        f"func.func @main(%x: {rows}) -> {rows} {{ "
        f"%y = graph.softmax(%x) : {rows} func.return %y }}"
    ), threads=2)
    x = np.random.default_rng(0).standard_normal((400, 300), np.float32)
    (expected,) = model(x=x).values()
    """
    )
    assert out.split() == ["True"]


def test_workers_end_with_the_process():
    out = in_new_process(
        SETUP
        + """
    import threading, time
    once(3)
    time.sleep(0.05)  # long enough that the workers sleep
    once(3)
    print(sum(thread.name.startswith("nnc-") for thread in threading.enumerate()))
    """
    )
    assert out.split() == ["2"]


def test_workers_compute_with_the_callers_control_word():
    """Flush-to-zero in the caller holds on every thread, and its absence too."""
    out = in_new_process(
        """
    import ctypes
    import numpy as np
    from nnc.compiler.link import pool_code
    from nnc.lowering import llvm_to_object
    from nnc.runtime import threads
    from nnc.targets import resolve
    code = '''
    declare void @llvm.x86.sse.ldmxcsr(ptr)
    define void @set(i32 %word) {
      %p = alloca i32
      store i32 %word, ptr %p
      call void @llvm.x86.sse.ldmxcsr(ptr %p)
      ret void
    }
    define void @halve(ptr %frame, i64 %tid, i64 %threads) {
      %at = getelementptr float, ptr %frame, i64 %tid
      %x = load float, ptr %at
      %y = fmul float %x, 5.0e-01
      store float %y, ptr %at
      ret void
    }
    '''
    if not resolve("cpu").triple.startswith("x86_64"):
        print("same same")
        raise SystemExit
    library = llvm_to_object.link(
        [llvm_to_object.compile(code, resolve("cpu"))], ["set", "halve"])
    set_word = ctypes.CFUNCTYPE(None, ctypes.c_int32)(library.address("set"))
    pool = threads.pool(pool_code)
    smallest = np.full(2, 1.1754944e-38, np.float32).view(np.uint32)
    for word in (0x1F80, 0x9FC0, 0x1F80):
        values = smallest.copy()
        set_word(word)
        pool.run(library.address("halve"), values.ctypes.data, 2)
        set_word(0x1F80)
        flushed = values == 0
        assert flushed.all() == (word == 0x9FC0) and flushed[0] == flushed[1], values
        print("same", end=" ")
    """
    )
    assert set(out.split()) == {"same"}


def test_quota_of_the_cgroup(tmp_path: Path):
    quota = threads.cgroup_quota
    assert quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert quota(tmp_path) is None
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert quota(tmp_path) == 1.5
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1")
    assert quota(tmp_path) is None
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("300000")
    assert quota(tmp_path) == 3.0
    assert 1 <= threads.default_threads() <= threads.MAX_THREADS
