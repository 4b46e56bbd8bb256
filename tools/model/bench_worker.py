"""One system under `nnc bench`, in a process of its own; told what to do on stdin, in JSON lines.

The first line says what to load and where the inputs are. Then each line asks for a number of runs,
and is answered with their times; between two lines the process is stopped, so that its threads
do not disturb the other system.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from time import perf_counter
from typing import Any, TextIO

import numpy as np

from .arrays import save_arrays

Outputs = dict[str, Any]
System = Callable[[dict[str, Any]], Outputs]
Task = dict[str, Any]
WARM_SECONDS = 0.3
WAKE_SECONDS = 0.25
"""How long a system runs untimed after a pause: its threads wake, its data is in caches again."""
_PR_SET_PDEATHSIG = 1


def serve(systems: Mapping[str, Callable[[Task], System]]) -> None:
    """Answer requests until stdin ends."""
    channel = _take_stdout()
    _die_with_parent()
    task = json.loads(sys.stdin.readline())
    try:
        system, inputs, ready = _load(systems[task["system"]], task)
    except Exception as error:  # a foreign runtime raises what it likes; the rest must go on
        _answer(channel, {"error": f"{type(error).__name__}: {error}"})
        return
    _answer(channel, ready)
    for line in sys.stdin:
        _run_for(system, inputs, WAKE_SECONDS, at_least=1)
        runs = range(json.loads(line)["runs"])
        _answer(channel, {"times": [_time(system, inputs) for _ in runs]})


def _load(
    make: Callable[[Task], System], task: Task
) -> tuple[System, dict[str, Any], dict[str, float]]:
    with np.load(task["inputs"]) as found:
        inputs = dict(found)
    start = perf_counter()
    system = make(task)
    outputs = system(inputs)
    loaded = perf_counter() - start
    save_arrays(task["outputs"], outputs)
    seconds = _run_for(system, inputs, WARM_SECONDS, at_least=2)
    return system, inputs, {"load": loaded, "seconds": seconds}


def _run_for(system: System, inputs: dict[str, Any], seconds: float, at_least: int) -> float:
    """Run again and again; seconds of one run on the average."""
    runs = 0
    start = perf_counter()
    while (passed := perf_counter() - start) < seconds or runs < at_least:
        system(inputs)
        runs += 1
    return passed / runs


def _time(system: System, inputs: dict[str, Any]) -> float:
    start = perf_counter()
    system(inputs)
    return perf_counter() - start


def _take_stdout() -> TextIO:
    """Stdout for the answers alone: what libraries print to it goes to stderr."""
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return channel


def _die_with_parent() -> None:
    """A stopped process would outlive a parent that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _answer(channel: TextIO, content: dict[str, Any]) -> None:
    print(json.dumps(content), file=channel, flush=True)


def nnc(task: Task) -> System:
    """What this project makes of the model."""
    from ...compiler.model import compile

    shapes = {name: tuple(extents) for name, extents in task["shapes"].items()}
    return compile(
        task["model"],
        task["target"],
        task["threads"],
        task["numerics"],
        shape=shapes,
        schedules=task["schedules"],
    )


def onnxruntime(task: Task) -> System:
    """Onnxruntime at its best: all optimisations, as many threads as we take."""
    from importlib import import_module

    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = task["threads"]
    options.inter_op_num_threads = 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    session = runtime.InferenceSession(task["model"], options, providers=["CPUExecutionProvider"])
    names: list[str] = [output.name for output in session.get_outputs()]

    def run(inputs: dict[str, Any]) -> Outputs:
        return dict(zip(names, session.run(None, inputs), strict=True))

    return run


SYSTEMS: dict[str, Callable[[Task], System]] = {"nnc": nnc, "onnxruntime": onnxruntime}


if __name__ == "__main__":
    serve(SYSTEMS)
