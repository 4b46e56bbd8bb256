"""What this machine can do at most: its fp32 FMA rate, and how fast it reads memory.

Measured, not looked up, and in the same run as what is compared with it: clocks change.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np

from ...lowering.llvm_to_object import compile as to_object
from ...lowering.llvm_to_object import link
from ...runtime.arrays import aligned_bytes
from ...targets import Target

CHAINS = 12
"""Enough to hide the latency of an FMA on every core we know."""
FMA_ROUNDS = 200_000
READ_BYTES = 16 << 20
"""What one measurement reads at least, in as many passes over its memory as that takes."""
READ_STREAMS = 8


class FmaPeak:
    """Call it for one measurement: GFLOP/s of all threads together."""

    def __init__(self, target: Target, threads: int = 1):
        self._flops = FMA_ROUNDS * CHAINS * target.lanes * 2
        self._buffers = [aligned_bytes(target.vector_bits // 8) for _ in range(threads)]
        for buffer in self._buffers:
            buffer.view(np.float32)[:] = 0.5
        self._run = _OnThreads("peak", _fma_text(target), target)

    def __call__(self) -> float:
        tasks = [(FMA_ROUNDS, int(buffer.ctypes.data)) for buffer in self._buffers]
        return sum(self._flops / seconds for seconds in self._run(tasks)) / 1e9


class ReadRate:
    """Call it for one measurement: GB/s of all threads together, each reading its part of `size`.

    `size` bytes that fit into a cache are in it: they are read again and again.
    """

    def __init__(self, target: Target, size: int, threads: int = 1):
        step = READ_STREAMS * target.vector_bits // 8
        self._steps = max(1, size // threads // step)
        self._bytes = self._steps * step
        self._passes = max(1, READ_BYTES // threads // self._bytes)
        self._buffers = [aligned_bytes(self._bytes) for _ in range(threads)]
        for buffer in self._buffers:
            buffer[:] = 0
        self._run = _OnThreads("read", _read_text(target), target)
        self()

    def __call__(self) -> float:
        tasks = [(self._steps, int(buffer.ctypes.data)) for buffer in self._buffers]
        passes = [self._run(tasks) for _ in range(self._passes)]
        return sum(self._bytes / min(times) for times in zip(*passes, strict=True)) / 1e9


class _OnThreads:
    """A compiled `void(i64, ptr)` on several threads at once; gives the seconds of each."""

    def __init__(self, symbol: str, text: str, target: Target):
        self._library = link([to_object(text, target)], [symbol])
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)
        self._function: Callable[[int, int], None] = prototype(self._library.address(symbol))
        self._pool: ThreadPoolExecutor | None = None

    def __call__(self, tasks: list[tuple[int, int]]) -> list[float]:
        if len(tasks) == 1:
            return [self._time(tasks[0])]
        self._pool = self._pool or ThreadPoolExecutor(len(tasks))
        return list(self._pool.map(self._time, tasks))

    def _time(self, task: tuple[int, int]) -> float:
        start = perf_counter()
        self._function(*task)
        return perf_counter() - start


def _loop(name: str, type_: str, streams: int, before: str, steps: str, combine: str) -> str:
    """A function that folds `streams` accumulators %a0... over %count iterations %i."""
    numbers = range(streams)
    phis = "\n".join(f"  %a{i} = phi {type_} [ %m, %entry ], [ %n{i}, %loop ]" for i in numbers)
    sums = "\n".join(f"  %s{i} = {combine} {type_} %s{i - 1}, %n{i}" for i in numbers if i)
    return f"""
define void @{name}(i64 %count, ptr %p) {{
entry:
  %m = load {type_}, ptr %p, align 64
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{phis}
{before}
{steps}
  %next = add i64 %i, 1
  %again = icmp ult i64 %next, %count
  br i1 %again, label %loop, label %done
done:
  %s0 = {combine} {type_} %n0, %n0
{sums}
  store {type_} %s{streams - 1}, ptr %p, align 64
  ret void
}}
"""


def _fma_text(target: Target) -> str:
    type_ = f"<{target.lanes} x float>"
    fma = f"call {type_} @llvm.fma.v{target.lanes}f32"
    steps = [f"  %n{i} = {fma}({type_} %a{i}, {type_} %m, {type_} %m)" for i in range(CHAINS)]
    declaration = f"declare {type_} @llvm.fma.v{target.lanes}f32({type_}, {type_}, {type_})"
    return declaration + _loop("peak", type_, CHAINS, "", "\n".join(steps), "fadd")


def _read_text(target: Target) -> str:
    type_ = f"<{target.lanes} x i32>"
    size = target.vector_bits // 8
    before = f"  %offset = mul i64 %i, {READ_STREAMS * size}\n"
    before += "  %row = getelementptr i8, ptr %p, i64 %offset"
    steps: list[str] = []
    for i in range(READ_STREAMS):
        steps.append(f"  %p{i} = getelementptr i8, ptr %row, i64 {i * size}")
        steps.append(f"  %v{i} = load {type_}, ptr %p{i}, align {size}")
        steps.append(f"  %n{i} = or {type_} %a{i}, %v{i}")
    return _loop("read", type_, READ_STREAMS, before, "\n".join(steps), "or")
