"""The pool of worker threads: one for the process, started at first need, ended at exit.

A worker is a Python thread that stays in compiled code, without the interpreter's lock, for as long
as the pool lives. What it runs is given to it in shared memory (lowering/program/threads.py says
how); from here only the caller's side is called.
"""

from __future__ import annotations

import atexit
import ctypes
import math
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ..core.locks import ForkSafeLock
from .arrays import aligned_bytes

_RUN = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
_WORKER = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
MAX_THREADS = 256


@dataclass(frozen=True)
class PoolCode:
    """The pool's compiled functions and the layout of its memory.

    Attributes:
        run: address of `run(pool, function, frame, threads)`.
        worker: address of `worker(pool, tid)`.
        header_bytes, worker_bytes: size of the pool and of each worker's part.
        barrier_offset: where in the pool the barrier stands that its jobs use.
        keep: what keeps the code in memory.
    """

    run: int
    worker: int
    header_bytes: int
    worker_bytes: int
    barrier_offset: int
    keep: object


class Pool:
    """Worker threads 1, 2, ...; thread 0 is the caller.

    One job runs at a time: `try_acquire` before `run`, `release` after it.
    """

    def __init__(self, code: PoolCode):
        self._code = code
        self._memory = aligned_bytes(code.header_bytes + MAX_THREADS * code.worker_bytes)
        self._memory[:] = 0
        self._address = int(self._memory.ctypes.data)
        self.barrier = self._address + code.barrier_offset
        self._run = _RUN(code.run)
        self._worker = _WORKER(code.worker)
        self._threads: list[threading.Thread] = []
        self._busy = threading.Lock()
        self.try_acquire: Callable[[], bool] = partial(self._busy.acquire, False)
        self.release: Callable[[], None] = self._busy.release

    def run(self, function: int, frame: int, threads: int) -> None:
        """Run `function(frame, tid, threads)` on each of `threads` threads; wait for all."""
        while len(self._threads) < threads - 1:
            self._start_worker(len(self._threads) + 1)
        self._run(self._address, function, frame, threads)

    def _start_worker(self, tid: int) -> None:
        thread = threading.Thread(
            target=self._worker, args=(self._address, tid), name=f"nnc-{tid}", daemon=True
        )
        thread.start()
        self._threads.append(thread)

    def stop(self) -> None:
        """End the workers and wait for them.

        The pool stays in use: whoever calls later, as another exit handler may, runs alone.
        """
        self._busy.acquire()
        if self._threads:
            self._run(self._address, None, None, len(self._threads) + 1)
        for thread in self._threads:
            thread.join()


class _Process:
    """The pool of this process; a forked child starts without one, for its threads are gone."""

    pool: Pool | None = None
    lock = ForkSafeLock()


def pool(code: Callable[[], PoolCode]) -> Pool:
    """The process's pool, made at the first call."""
    found = _Process.pool
    if found is not None:
        return found
    with _Process.lock.held:
        if _Process.pool is None:
            _Process.pool = Pool(code())
        return _Process.pool


def _forget_pool() -> None:
    _Process.pool = None


def _stop_pool() -> None:
    if _Process.pool is not None:
        _Process.pool.stop()


os.register_at_fork(after_in_child=_forget_pool)
atexit.register(_stop_pool)


def default_threads() -> int:
    """How many processors this process may use: its affinity mask and its cgroup's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = cgroup_quota(Path("/sys/fs/cgroup"))
    count = min(count or 1, math.ceil(quota)) if quota is not None else count or 1
    return max(1, min(count, MAX_THREADS))


def cgroup_quota(root: Path) -> float | None:
    """Processors' worth of time that the cgroup may use, `None` without a limit."""
    try:
        version2 = root / "cpu.max"
        if version2.exists():
            quota, period = version2.read_text().split()
            return None if quota == "max" else int(quota) / int(period)
        quota = (root / "cpu/cpu.cfs_quota_us").read_text()
        period = (root / "cpu/cpu.cfs_period_us").read_text()
        return int(quota) / int(period) if int(quota) > 0 else None
    except (OSError, ValueError):
        return None
