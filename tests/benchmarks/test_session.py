"""Processes that are timed: what runs when, and what happens when one fails."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from measure.session import Subject, compete, difference
from onnx import TensorProto, helper, numpy_helper

from nnc.core.errors import NncError
from nnc.tools.model.arrays import save_arrays
from nnc.tools.model.processes import Worker

SYSTEMS = """
import os, subprocess, sys, time
import numpy as np
from nnc.tools.model.bench_worker import serve

def doubling(task, seconds=0.001, factor=2.0):
    def run(inputs):
        time.sleep(seconds)
        return {"y": inputs["x"] * np.float32(factor)}
    return run

def refusing(task):
    raise ValueError("no such operator")

def dying(task):
    start = time.perf_counter()
    run = doubling(task)
    def fragile(inputs):
        if time.perf_counter() - start > 1.0:
            print("out of memory", file=sys.stderr, flush=True)
            os._exit(3)
        return run(inputs)
    return fragile

def hanging(task):
    time.sleep(60)

def talking(task):
    print("hello from a library")
    os.system("echo hello from a child")
    return doubling(task)

def with_child(task):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    with open(task["outputs"] + ".pid", "w") as file:
        file.write(str(child.pid))
    return doubling(task)

serve({
    "own": lambda task: doubling(task, 0.001),
    "slow": lambda task: doubling(task, 0.004),
    "wrong": lambda task: doubling(task, 0.001, 2.5),
    "refusing": refusing, "dying": dying, "hanging": hanging, "talking": talking,
    "with_child": with_child,
})
"""
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4)


@pytest.fixture
def command(tmp_path: Path) -> Sequence[str]:
    path = tmp_path / "fake_worker.py"
    path.write_text(SYSTEMS)
    return (sys.executable, str(path))


def task_of(system: str, folder: Path) -> dict[str, object]:
    save_arrays(folder / "inputs.npz", {"x": X})
    return {
        "system": system,
        "inputs": str(folder / "inputs.npz"),
        "outputs": str(folder / f"{system}.npz"),
    }


def state(pid: int) -> str:
    """R, S, T (stopped), Z, or empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def soon(pid: int, states: str) -> bool:
    """Whether the process is in one of the states within a second."""
    end = time.monotonic() + 1
    while state(pid) not in states and time.monotonic() < end:
        time.sleep(0.01)
    return state(pid) in states


@linux
def test_a_system_and_its_children_are_stopped_but_when_timed(
    command: Sequence[str], tmp_path: Path
):
    worker = Worker(task_of("with_child", tmp_path), command)
    try:
        child = int((tmp_path / "with_child.npz.pid").read_text())
        for pid in (worker.pid, child):
            assert soon(pid, "T")
        worker.round()
        assert len(worker.rounds) == 1
        assert all(seconds >= 0.001 for seconds in worker.rounds[0])
        for pid in (worker.pid, child):
            assert soon(pid, "T")
    finally:
        worker.close()
    assert soon(child, "Z") or not state(child)
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)


def test_what_a_library_prints_does_not_disturb(command: Sequence[str], tmp_path: Path):
    worker = Worker(task_of("talking", tmp_path), command)
    worker.round()
    worker.close()
    assert worker.times


def test_a_system_that_hangs_is_given_up(command: Sequence[str], tmp_path: Path):
    with pytest.raises(NncError, match="hanging gave no answer in 2 s"):
        Worker(task_of("hanging", tmp_path), command, timeout=2)


def test_failures_are_reported_and_the_rest_goes_on(command: Sequence[str]):
    systems = ("own", "slow", "refusing", "dying", "wrong")
    subject = Subject("double", "model.onnx", {"x": X}, reference="own")
    probe_calls: list[int] = []

    def probe() -> float:
        probe_calls.append(len(probe_calls))
        time.sleep(0.2)  # so that "dying" dies
        return 1.0

    contest = compete(subject, systems, 1, 6, {"probe": probe}, command)
    outcomes = contest.outcomes
    for name in ("own", "slow", "wrong"):
        assert outcomes[name].error is None
        assert len(outcomes[name].latencies) == 6
    assert outcomes["own"].median < outcomes["slow"].median
    assert "ValueError: no such operator" in (outcomes["refusing"].error or "")
    assert "ended" in (outcomes["dying"].error or "")
    assert "out of memory" in (outcomes["dying"].error or "")
    assert not outcomes["dying"].ran
    assert outcomes["slow"].difference == 0.0
    assert outcomes["wrong"].difference == pytest.approx(0.25, rel=1e-5)
    assert contest.probes == {"probe": [1.0] * 6}


def test_no_environment_variable_slows_a_system_down(
    command: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    (tmp_path / "fake_worker.py").write_text(
        "import os\nfrom nnc.tools.model.bench_worker import serve\n"
        "def failing(task):\n    raise ValueError(' '.join(sorted(os.environ)))\n"
        "serve({'own': failing})\n"
    )
    subject = Subject("environment", "", {"x": X}, reference="own")
    error = compete(subject, ("own",), 3, 1, None, command).outcomes["own"].error or ""
    assert "OPENBLAS_NUM_THREADS" in error
    assert "OPENBLAS_CORETYPE" not in error


def test_difference_is_relative_to_the_largest_element():
    wanted = {"a": np.array([1.0, -4.0]), "b": np.zeros((0, 3))}
    found = {"x": np.array([1.002, -4.0]), "y": np.zeros((0, 3))}
    assert difference(found, wanted) == pytest.approx(0.0005)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "0 outputs, expected 1"),
        ({"a": np.zeros(3)}, r"shape \(3,\), expected \(2,\)"),
        ({"a": np.array([np.nan, 0.0])}, "not finite"),
        ({"a": np.array([np.inf, 0.0])}, "not finite"),
    ],
)
def test_outputs_that_cannot_be_compared_are_wrong(found: dict[str, np.ndarray], message: str):
    with pytest.raises(ValueError, match=message):
        difference(found, {"a": np.array([1.0, 2.0])})


def test_nnc_takes_the_tasks_of_the_benchmarks(tmp_path: Path):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, [2, 4]) for n in ("x", "y"))
    w = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph([node], "g", [x], [y], [w])
    model = tmp_path / "model.onnx"
    model.write_bytes(helper.make_model(graph, ir_version=9).SerializeToString())
    subject = Subject("model", str(model), {"x": np.ones((2, 4), np.float32)})
    outcome = compete(subject, ["nnc"], threads=1, rounds=2).outcomes["nnc"]
    assert outcome.error is None
    assert len(outcome.latencies) == 2
