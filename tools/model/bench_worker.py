"""One system under `nnc bench`, in a process of its own; told what to do on stdin, in JSON lines.

The first line says what to load and where the inputs are. Then each line asks for a number of runs,
and is answered with their times; between two lines the process is stopped, so that its threads
do not disturb the other system.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from ...core.errors import NncError
from .arrays import save_arrays

Outputs = dict[str, Any]
System = Callable[[dict[str, Any]], Outputs]
WARM_SECONDS = 0.3


def main() -> None:
    """Serve until stdin ends."""
    task = json.loads(sys.stdin.readline())
    with np.load(task["inputs"]) as found:
        inputs = dict(found)
    start = perf_counter()
    try:
        system = SYSTEMS[task["system"]](task)
        outputs = system(inputs)
    except (NncError, RuntimeError, ImportError) as error:
        _answer({"error": str(error)})
        return
    loaded = perf_counter() - start
    save_arrays(task["outputs"], outputs)
    runs = 0
    start = perf_counter()
    while perf_counter() - start < WARM_SECONDS or runs < 2:
        system(inputs)
        runs += 1
    _answer({"load": loaded, "seconds": (perf_counter() - start) / runs})
    for line in sys.stdin:
        system(inputs)  # wakes threads and fills caches after the pause
        _answer({"times": [_time(system, inputs) for _ in range(int(line))]})


def _time(system: System, inputs: dict[str, Any]) -> float:
    start = perf_counter()
    system(inputs)
    return perf_counter() - start


def _answer(content: dict[str, Any]) -> None:
    print(json.dumps(content), flush=True)


def _nnc(task: dict[str, Any]) -> System:
    from ...compiler.model import compile

    shapes = {name: tuple(extents) for name, extents in task["shapes"].items()}
    return compile(task["model"], task["target"], task["threads"], task["numerics"], shape=shapes)


def _onnxruntime(task: dict[str, Any]) -> System:
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


SYSTEMS: dict[str, Callable[[dict[str, Any]], System]] = {
    "nnc": _nnc,
    "onnxruntime": _onnxruntime,
}


if __name__ == "__main__":
    main()
