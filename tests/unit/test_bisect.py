"""`nnc bisect` on small models and texts: references, levels, stages that are no passes, errors."""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from nnc.compiler import kernels
from nnc.compiler.isolate import Crashed, isolated
from nnc.compiler.options import Options
from nnc.compiler.program import Compiled, compile_kernels
from nnc.compiler.timing import Timings
from nnc.core.testing import Outcome, call
from nnc.lowering.loop_to_llvm import EmittedKernel, emit_kernel
from nnc.runtime.arrays import Array
from nnc.runtime.executable import Executable
from nnc.runtime.threads import default_threads
from nnc.tools import nn_opt, nnc
from nnc.tools.bisect import search
from nnc.tools.bisect.search import first_wrong
from nnc.tools.bisect.values import Tolerance, Wanted, compare

PLUGIN = Path(__file__).parents[1] / "lit" / "tools" / "Inputs" / "wrong_rewrites.py"
W = np.random.default_rng(1).standard_normal((4, 40), np.float32)
TE = """
te.kernel @dense(%x: tensor<5x7xf32>, %w: tensor<7x6xf32> const) -> tensor<5x6xf32> {
  %c = te.compute @c [i: 5, j: 6] sum [k: 7] { %x[i, k] * %w[k, j] } : tensor<5x6xf32>
  %y = te.compute @y [i: 5, j: 6] { %c[i, j] + 1.0 } : tensor<5x6xf32>
  te.return %y
}
"""


@pytest.fixture(autouse=True)
def scratch(relu_model: str) -> None:
    """An ONNX model and a text, in the present directory."""
    assert relu_model == "m.onnx"
    Path("dense.nn").write_text(TE)


def bisect(*args: str) -> Outcome:
    return call(nnc.main, ["bisect", *args])


@pytest.mark.parametrize("numerics", ["fast", "strict"])
def test_a_right_text_of_te_is_right(numerics: str) -> None:
    outcome = bisect("dense.nn", "--numerics", numerics)
    assert outcome.status == 0, outcome.err.decode()
    assert "the result is right" in outcome.out.decode()


def test_a_loop_kernel_may_be_given() -> None:
    assert call(nn_opt.main, ["dense.nn", "-p", "convert-te-to-loop", "-o", "loop.nn"]).status == 0
    outcome = bisect("loop.nn", "-p", "schedule-kernels,form-tiles")
    assert outcome.status == 0, outcome.err.decode()


def test_a_wrong_pass_of_te_names_the_compute() -> None:
    passes = "wrong-combiner,convert-te-to-loop,form-tiles"
    outcome = bisect("dense.nn", "-p", passes, "--load-plugin", str(PLUGIN))
    text = outcome.out.decode()
    assert outcome.status == 1
    assert "first wrong after: pass 'wrong-combiner' (step 1 of the pipeline)" in text
    assert "at: dense.nn:3:" in text
    assert "compute @c gives another result" in text
    assert "reproducer" in text
    written = Path("dense.bisect.nn").read_text()
    assert written.startswith("// nn-opt --run-reproducer --load-plugin=")
    assert 'pipeline: "builtin.module(wrong-combiner)"' in written


def test_schedules_of_a_file_are_used() -> None:
    Path("s.nn").write_text("sched.schedule @dense { split c.j, 4\n vectorize c.j.i }\n")
    outcome = bisect("dense.nn", "--schedules", "s.nn")
    assert outcome.status == 0, outcome.err.decode()
    Path("wrong.nn").write_text("sched.schedule @dense { vectorize no.such }\n")
    outcome = bisect("dense.nn", "--schedules", "wrong.nn")
    assert outcome.status == 1
    assert "apply-schedules" in outcome.err.decode()


def test_recorded_outputs_may_be_the_reference() -> None:
    x = np.arange(8, dtype=np.float32).reshape(2, 4) - 4
    np.save("x.npy", x)
    np.savez("right.npz", y=np.maximum(x @ W, 0))
    assert bisect("m.onnx", "--input", "x.npy", "--against", "right.npz").status == 0
    np.savez("wrong.npz", y=np.maximum(x @ W, 0.5))
    outcome = bisect("m.onnx", "--input", "x.npy", "--against", "wrong.npz")
    assert outcome.status == 1
    assert "first wrong after: stage 'import'" in outcome.out.decode()


def test_onnxruntime_names_the_node_that_the_front_end_has_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("onnxruntime")
    assert bisect("m.onnx", "--shape", "x=2x4", "--against", "onnxruntime").status == 0
    from nnc.dialects.graph import registry

    operator = registry.operator("graph.relu")

    def absolute(op: Operation, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        del op
        return [np.abs(inputs[0])]

    monkeypatch.setattr(operator, "meaning", absolute)
    outcome = bisect("m.onnx", "--shape", "x=2x4", "--against", "onnxruntime")
    text = outcome.out.decode()
    assert "first wrong after: stage 'import'" in text
    assert "at: node 'activation'" in text


def wrong_code(*args: object, **named: object) -> EmittedKernel:
    """Additions of the code are subtractions."""
    emitted = emit_kernel(*args, **named)  # pyright: ignore[reportArgumentType]
    return replace(emitted, llvm_text=emitted.llvm_text.replace(" fadd ", " fsub "))


def test_wrong_code_is_told_from_wrong_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    from nnc.compiler import native

    for module in (kernels, native):
        monkeypatch.setattr(module, "emit_kernel", wrong_code)
    outcome = bisect("dense.nn")
    text = outcome.out.decode()
    assert "first wrong after: stage 'code generation'" in text
    assert "kernel @dense gives another result" in text
    assert "check_native: true" in Path("dense.bisect.nn").read_text()
    assert "the machine code of @dense is wrong" in text


class Racy(Executable):
    """Wrong on several threads."""

    def run(
        self, given: Mapping[str, object], out: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        shift = np.float32(self.threads > 1)
        return {name: array + shift for name, array in super().run(given, out).items()}


def compile_racy(module: ModuleOp, options: Options, timings: Timings) -> Compiled:
    made = compile_kernels(module, options, timings)
    run = made.executable
    return replace(made, executable=Racy(run.program, run.threads, run.pool_code))


@pytest.mark.skipif(default_threads() < 2, reason="needs two processors")
def test_what_only_threads_make_wrong_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "compile_kernels", compile_racy)
    text = bisect("dense.nn", "--threads", "2").out.decode()
    assert "first wrong after: stage 'threads'" in text
    assert "wrong on 2 threads, right on one" in text
    assert "no reproducer" in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["m.onnx"], "its shape float32[batch, 4] is open"),
        (["dense.nn", "-p", "no-such-pass"], "unknown pass 'no-such-pass'"),
        (["dense.nn", "--against", "none.npz"], "cannot read arrays"),
        (["dense.nn", "--against", "onnxruntime"], "reads ONNX files only"),
        (["none.onnx"], "none.onnx"),
        (["dense.nn", "--load-plugin", "none.py"], "no such file"),
    ],
)
def test_mistakes_are_one_message(args: list[str], message: str) -> None:
    outcome = bisect(*args)
    assert outcome.status == 1
    assert message in outcome.err.decode()
    assert "Traceback" not in outcome.err.decode()


@pytest.mark.parametrize("linear", [True, False])
@pytest.mark.parametrize("bad", range(1, 9))
def test_the_first_wrong_state_is_found(linear: bool, bad: int) -> None:
    assert first_wrong(lambda number: number >= bad, 8, linear=linear) == bad


def wanted(array: np.ndarray, shift: float = 0.0) -> Wanted:
    return Wanted(array, array.astype(np.float64) + shift)


def test_tolerances_follow_from_float64() -> None:
    right = np.linspace(1, 2, 100, dtype=np.float32)
    off = right + np.float32(1e-4)
    assert compare(wanted(right), off, Tolerance()).is_wrong
    assert not compare(wanted(right, 1e-5), off, Tolerance()).is_wrong
    assert not compare(wanted(right), off, Tolerance(relative=1e-3)).is_wrong


def test_elements_that_dwarf_the_others_are_no_scale() -> None:
    """A mask of attention: wrong scores beside it are found, and its own rounding is none."""
    scores = np.linspace(-4, 4, 12, dtype=np.float32)
    right = np.append(scores, np.array([-3e38, -1e9], np.float32))
    off = right.copy()
    off[3] += np.float32(1e-3)
    found = compare(wanted(right), off, Tolerance())
    assert (found.index, found.wrong) == ((3,), 1)
    off = right * (1 + np.float32(2**-22))
    assert not compare(wanted(right), off, Tolerance()).is_wrong
    off[-1] += 1e4
    assert compare(wanted(right), off, Tolerance()).index == (13,)


def test_nan_integers_and_shapes_are_told() -> None:
    right = np.ones(4, np.float32)
    broken = right.copy()
    broken[2] = np.nan
    found = compare(wanted(right), broken, Tolerance())
    assert found.index == (2,)
    assert "(NaN)" in str(found)
    assert not compare(wanted(broken), broken, Tolerance()).is_wrong
    numbers = np.arange(4)
    assert compare(Wanted(numbers, numbers), np.array([0, 1, 2, 4]), Tolerance()).is_wrong
    assert "has shape" in compare(wanted(right), right[:2], Tolerance()).reason
    assert "has type" in compare(wanted(right), right.astype(np.float64), Tolerance()).reason


def test_code_that_crashes_does_not_take_the_tool_with_it() -> None:
    assert isolated(lambda: [np.arange(3)])[0].tolist() == [0, 1, 2]
    with pytest.raises(Crashed, match="signal 11"):
        isolated(lambda: os.kill(os.getpid(), signal.SIGSEGV))


def test_code_that_never_ends_is_ended() -> None:
    with pytest.raises(Crashed, match=r"did not end within 0\.2 s"):
        isolated(lambda: [None for _ in itertools.count() if False], limit=0.2)


def test_the_table_shows_margins() -> None:
    outcome = bisect("m.onnx", "--shape", "x=2x4")
    assert re.search(r"y .* (exact|\d[\d.e+]*x)", outcome.out.decode())
