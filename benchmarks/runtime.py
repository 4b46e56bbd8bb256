"""What the runtime costs beside the kernels: a call, a barrier, a wake-up, a model from the cache.

    make bench-runtime

* A call: `model({"x": x})` against a loop in compiled code around the same entry function, for one
  element-wise kernel and for an MLP 784-512-512-10, on one thread.
* A barrier: all threads do nothing else, many times, without a pause.
* After idle: an empty job on all threads, after pauses in which the workers fell asleep.
* The cache: `nnc.compile(path)` in a fresh process, imports of nnc and NumPy included, for a model
  that was compiled before; `--model FILE` names another one than the MLP.

The lowest and the median time of interleaved rounds are printed.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

import nnc
from nnc.compiler.link import pool_code
from nnc.lowering.llvm_to_object import Library, link
from nnc.lowering.llvm_to_object import compile as to_object
from nnc.lowering.program import barrier_text
from nnc.runtime.executable import Workspace
from nnc.runtime.program import Segment
from nnc.runtime.threads import default_threads, pool
from nnc.targets import resolve

CALLS = 50
BARRIERS = 500
LOOPS = f"""
define void @repeat(ptr %function, ptr %frame, i64 %count) {{
  br label %loop
loop:
  %i = phi i64 [ 0, %0 ], [ %next, %loop ]
  call void %function(ptr %frame, i64 0, i64 1)
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %count
  br i1 %more, label %loop, label %end
end:
  ret void
}}
define void @barriers(ptr %barrier, i64 %tid, i64 %threads) {{
  br label %loop
loop:
  %i = phi i64 [ 0, %0 ], [ %next, %loop ]
  call void @nnc.barrier(ptr %barrier, i64 %threads)
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, {BARRIERS}
  br i1 %more, label %loop, label %end
end:
  ret void
}}
define void @nothing(ptr %frame, i64 %tid, i64 %threads) {{
  ret void
}}
"""


def mlp() -> ModelProto:
    """784-512-512-10, seeded weights, batch 1."""
    rng = np.random.default_rng(0)
    sizes = (784, 512, 512, 10)
    nodes, constants, last = list[NodeProto](), list[TensorProto](), "x"
    for i, (k, n) in enumerate(pairwise(sizes)):
        weights = (rng.standard_normal((k, n)) * (2 / k) ** 0.5).astype(np.float32)
        constants.append(numpy_helper.from_array(weights, f"w{i}"))
        constants.append(numpy_helper.from_array(rng.standard_normal(n, np.float32), f"b{i}"))
        nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"g{i}"], f"dense{i}"))
        last = f"g{i}"
        if n != sizes[-1]:
            nodes.append(helper.make_node("Relu", [last], [f"r{i}"], f"relu{i}"))
            last = f"r{i}"
    return _model(nodes, (1, 784), last, (1, 10), constants)


def elementwise() -> ModelProto:
    """A relu of 784 elements: hardly more than a call."""
    return _model([helper.make_node("Relu", ["x"], ["y"], "relu")], (1, 784), "y", (1, 784), [])


def _model(
    nodes: list[NodeProto],
    given: tuple[int, ...],
    output: str,
    made: tuple[int, ...],
    constants: list[TensorProto],
) -> ModelProto:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "benchmark",
        [value("x", TensorProto.FLOAT, given)],
        [value(output, TensorProto.FLOAT, made)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def timed(run: Callable[[], object], count: int = 1) -> float:
    """Microseconds of one of `count` runs that `run` makes."""
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) / count * 1e6


def show(name: str, times: list[float], unit: str = "us") -> None:
    """One line."""
    print(f"{name:44} lowest {min(times):9.3f}   median {median(times):9.3f} {unit}", flush=True)


def measure_calls(name: str, proto: ModelProto, library: Library, rounds: int) -> None:
    """A call from Python against the entry function."""
    model = nnc.compile(proto, threads=1, cache=False)
    assert model.compiled is not None
    executable = model.compiled.executable
    (step,) = (each for each in executable.program.steps if isinstance(each, Segment))
    workspace = Workspace(executable.program, 1)
    given = {"x": np.random.default_rng(1).standard_normal((1, 784), np.float32)}
    workspace.take_inputs(given)
    types = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)
    repeat = ctypes.CFUNCTYPE(None, *types)(library.address("repeat"))

    def calls() -> None:
        for _ in range(CALLS):
            model(given)

    alone, called = list[float](), list[float]()
    for _ in range(rounds):
        alone.append(timed(lambda: repeat(step.entry, workspace.address, CALLS), CALLS))
        called.append(timed(calls, CALLS))
    show(f"{name}: entry function", alone)
    show(f"{name}: call from Python", called)
    print(f"{name}: a call costs {min(called) - min(alone):.2f} us more")


def measure_threads(library: Library, rounds: int, threads: int) -> None:
    """Barriers and empty jobs on all threads."""
    workers = pool(pool_code)
    barrier, nothing = library.address("barriers"), library.address("nothing")
    assert workers.try_acquire()
    try:
        hot = list[float]()
        for _ in range(rounds):
            hot.append(timed(lambda: workers.run(barrier, workers.barrier, threads), BARRIERS))
        show(f"barrier of {threads} threads, hot", hot)
        for pause in (0.0, 0.001, 0.01, 0.1):
            times = list[float]()
            for _ in range(rounds if pause < 0.1 else 10):
                time.sleep(pause) if pause else workers.run(nothing, 0, threads)
                times.append(timed(lambda: workers.run(nothing, 0, threads)))
            show(f"empty job on {threads} threads after {pause * 1e3:g} ms", times)
    finally:
        workers.release()


FRESH = """
import time, sys
start = time.perf_counter()
import nnc
model = nnc.compile(sys.argv[1])
print(time.perf_counter() - start, int("emit" in model.timings.seconds))
"""


def measure_cache(path: str, folder: str, rounds: int) -> None:
    """A model that has been compiled, in processes that begin."""
    warm, cold = list[float](), 0.0
    for number in range(rounds + 1):
        done = subprocess.run(
            [sys.executable, "-c", FRESH, path],
            env={**os.environ, "NNC_CACHE": folder},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        seconds, compiled = done.stdout.split()
        assert int(compiled) == (number == 0), "compiled once, then found"
        if number == 0:
            cold = float(seconds)
        else:
            warm.append(float(seconds))
    name = os.path.basename(path)
    show(f"{name}: from the cache", warm, "s ")
    print(f"{name}: compiled in {cold:.3f} s")


def main() -> None:
    """Measure all, print lines."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--model", help="an ONNX file whose shapes are known, for the cache")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--threads", type=int, default=default_threads())
    flags = parser.parse_args()
    target = resolve("cpu")
    text = barrier_text(target.triple) + LOOPS
    library = link([to_object(text, target)], ["repeat", "barriers", "nothing"])
    for name, proto in (("relu", elementwise()), ("mlp", mlp())):
        measure_calls(name, proto, library, flags.rounds)
    if flags.threads > 1:
        measure_threads(library, flags.rounds, flags.threads)
    with TemporaryDirectory() as folder:
        path = flags.model
        if path is None:
            path = os.path.join(folder, "mlp.onnx")
            with open(path, "wb") as file:
                file.write(mlp().SerializeToString())
        measure_cache(path, os.path.join(folder, "cache"), 5)


if __name__ == "__main__":
    main()
