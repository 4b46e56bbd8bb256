"""Two kernels, written as te and sched text, against the FMA peak of one core.

    make bench-kernels

A matrix product with bias and relu (128x768 by 768x3072), and a 3x3 convolution, 64 channels of
56x56 to 64, with its tensors in blocked layout and the padding cut off by partition. Peak and
kernels are measured in turn in the same run; the medians and their ratios are printed, with the
time from text to callable.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, __file__.rpartition("/")[0])

from kernel_texts import convolution_text, matmul_text

from nnc.compiler.native import NativeKernel
from nnc.dialects.loop import KernelOp
from nnc.lowering.te_to_loop.convert_te_to_loop import ConvertTeToLoopPass
from nnc.passes.loop.form_tiles import form_tiles
from nnc.schedules.apply_schedules import ApplySchedulesPass
from nnc.targets import Target, resolve
from nnc.textir import default_context, parse
from nnc.tools.model.rates import FmaPeak

if TYPE_CHECKING:
    from collections.abc import Callable

Array = np.ndarray[Any, Any]


@dataclass
class Subject:
    """One kernel to measure.

    Attributes:
        flops: multiplications and additions that the answer needs; those by padding do not count.
        compile_seconds: from text to callable.
    """

    name: str
    flops: int
    compile_seconds: float
    run: Callable[[], None]
    error: float


def compiled(text: str, target: Target) -> tuple[NativeKernel, float]:
    """The kernel of a text with its schedule, and how long that took."""
    start = time.perf_counter()
    module = parse(text)
    for pass_ in (ConvertTeToLoopPass(), ApplySchedulesPass()):
        pass_.apply(default_context(), module)
    kernel = next(op for op in module.ops if isinstance(op, KernelOp))
    form_tiles(kernel)
    native = NativeKernel(kernel, target)
    return native, time.perf_counter() - start


def matmul(target: Target) -> Subject:
    """The product with bias and relu."""
    rng = np.random.default_rng(0)
    x, w, b = (
        rng.standard_normal(s).astype(np.float32) for s in ((128, 768), (768, 3072), (3072,))
    )
    native, seconds = compiled(matmul_text(target), target)
    expected = np.maximum(x.astype(np.float64) @ w + b, 0)
    error = float(np.abs(native(x, w, b)[0] - expected).max())
    run = native.bind([x, w, b])
    return Subject("matmul+bias+relu 128x768x3072", 2 * 128 * 768 * 3072, seconds, run, error)


def convolution(target: Target) -> Subject:
    """The 3x3 convolution."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 64, 56, 56)).astype(np.float32)
    w = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
    native, seconds = compiled(convolution_text(target), target)
    padded = np.pad(x[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    expected = np.einsum("ochw,cyxhw->oyx", w, windows)
    error = float(np.abs(native(x, w)[0][0] - expected).max())
    run = native.bind([x, w])
    taps = (3 * 56 - 2) ** 2
    return Subject("conv 3x3 56x56 64->64", 2 * 64 * 64 * taps, seconds, run, error)


def main() -> int:
    """Measure and print; the exit status is 1 if an answer is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--target", default="cpu", help="default: this machine")
    parser.add_argument("--rounds", type=int, default=25)
    args = parser.parse_args()
    target = resolve(args.target)
    subjects = [matmul(target), convolution(target)]
    peak = FmaPeak(target)
    peaks: list[float] = []
    rates: list[list[float]] = [[] for _ in subjects]
    for _ in range(args.rounds):
        peaks.append(peak())
        for subject, seen in zip(subjects, rates, strict=True):
            start = time.perf_counter()
            subject.run()
            seen.append(subject.flops / (time.perf_counter() - start) / 1e9)
    top = median(peaks)
    print(f"target {target.name} ({target.cpu}), one thread, medians of {args.rounds} rounds")
    print(f"{'FMA peak':32} {top:7.1f} GFLOP/s")
    for subject, seen in zip(subjects, rates, strict=True):
        ratio = median(r / p for r, p in zip(seen, peaks, strict=True))
        print(
            f"{subject.name:32} {median(seen):7.1f} GFLOP/s  {100 * ratio:5.1f} % of peak   "
            f"compiled in {subject.compile_seconds:.2f} s   max error {subject.error:.1e}"
        )
    return int(any(subject.error > 1e-3 for subject in subjects))


if __name__ == "__main__":
    sys.exit(main())
