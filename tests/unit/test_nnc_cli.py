"""The `nnc` command line: what it prints, writes and refuses."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import nnc
from nnc.dialects.sched import ScheduleOp
from nnc.textir import parse
from nnc.tools.nnc import main

W = np.random.default_rng(1).standard_normal((4, 40), np.float32)


@pytest.fixture
def model(relu_model: str) -> str:
    return relu_model


def write_input() -> np.ndarray:
    x = np.arange(8, dtype=np.float32).reshape(2, 4) - 4
    np.save("x.npy", x)
    np.savez("x.npz", x=x)
    return x


@pytest.mark.parametrize("given", ["x=x.npy", "x.npz", "x.npy", "x=x.npz"])
def test_run_reads_arrays_and_writes_outputs(model: str, given: str):
    x = write_input()
    assert main(["run", model, "--input", given, "-o", "out.npz", "--threads", "1"]) == 0
    with np.load("out.npz") as out:
        np.testing.assert_allclose(out["y"], np.maximum(x @ W, 0), rtol=1e-5, atol=1e-6)


def test_run_with_the_reference_gives_the_same(model: str):
    for name, extra in (("fast.npy", []), ("slow.npy", ["--interpret"])):
        assert main(["run", model, "--shape", "x=5x4", "--seed", "3", "-o", name, *extra]) == 0
    np.testing.assert_allclose(np.load("fast.npy"), np.load("slow.npy"), rtol=1e-5, atol=1e-6)


def test_run_prints_the_outputs_and_says_what_is_random(
    model: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["run", model, "--shape", "x=2x4", "--timing"]) == 0
    captured = capsys.readouterr()
    assert "2x40" in captured.out
    assert "float32" in captured.out
    assert "random content (seed 0) for x" in captured.err
    assert "wait for LLVM" in captured.err


def test_inspect_with_known_shapes(model: str, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", model, "--shape", "x=2x4", "--print-schedules"]) == 0
    out = capsys.readouterr().out
    for text in ("2 operators", "matmul, relu", "float32[2, 4]", "160 elements", "one arena"):
        assert text in out
    assert "nothing runs on the host" in out
    assert "sched.schedule @matmul_relu" in out


def test_inspect_says_how_much_memory_a_call_takes(model: str, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", model, "--shape", "x=2000x4", "--threads", "1"]) == 0
    lines = {
        line.split("│")[1].strip(): line
        for line in capsys.readouterr().out.split("\n")
        if "│" in line
    }
    assert "312.5 KiB" in lines["outputs"]
    assert "31.2 KiB" in lines["staged inputs and outputs"]
    assert "344." in lines["peak of one call"]


JOIN = """
func.func @main(%x: tensor<8x16xf32>, %w: tensor<16x16xf32>) -> tensor<16x16xf32> {
  %0 = graph.matmul(%x, %w) : tensor<8x16xf32>
  %1 = graph.matmul(%0, %w) : tensor<8x16xf32>
  %2 = graph.concat(%0, %1) {axis = 0} : tensor<16x16xf32>
  func.return %2
}
"""


def test_inspect_says_what_is_not_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "join.nn"
    path.write_text(JOIN)
    assert main(["inspect", str(path)]) == 0
    assert "in place: 2 pieces, 1.0 KiB not copied" in capsys.readouterr().out


def test_compile_says_where_the_time_goes(model: str, capsys: pytest.CaptureFixture[str]):
    assert main(["compile", model, "--shape", "x=2x4", "--timing", "-o", "m.o"]) == 0
    printed = capsys.readouterr().err
    for stage in ("load", "fuse", "schedule", "emit", "plan", "LLVM", "total"):
        assert f" {stage} " in printed
    assert main(["run", model, "--shape", "x=2x4", "--timing"]) == 0
    assert "LLVM, meanwhile on a thread of its own" in capsys.readouterr().err


def test_inspect_prints_the_schedule_of_a_kernel(model: str, capsys: pytest.CaptureFixture[str]):
    """What it prints is a text of ours that says what the kernel of the model uses."""
    assert main(["inspect", model, "--shape", "x=2x4", "--schedule", "matmul_relu"]) == 0
    module = parse(capsys.readouterr().out)
    module.verify()
    (schedule,) = module.ops
    assert isinstance(schedule, ScheduleOp)
    assert schedule.kernel.string_value() == "matmul_relu"
    compiled = nnc.compile(model, shape={"x": (2, 4)}).compiled
    assert compiled is not None
    (used,) = compiled.kernels.schedules.values()
    assert [str(op) for op in schedule.body.ops] == [str(op) for op in used.body.ops]


def test_compile_replaces_schedules(model: str, capsys: pytest.CaptureFixture[str]):
    """Another schedule, other loops, the same numbers."""
    x = write_input()
    text = """sched.schedule @matmul_relu attributes {answers = {rows = 1}} {
      choose rows, [1, 2], 2
      split relu.i, $rows
      compute_at matmul, relu.i.o
      vectorize relu.j
    }"""
    Path("own.nn").write_text(text)
    argv = ["compile", model, "--shape", "x=2x4", "--schedules", "own.nn", "--emit", "loop"]
    assert main(argv) == 0
    assert '{name = "relu.i.o"}' in capsys.readouterr().out
    assert main([*argv, "-o", "m.nn"]) == 0
    assert main(["run", "m.nn", "--input", "x=x.npy", "-o", "out.npz"]) == 0
    with np.load("out.npz") as out:
        np.testing.assert_allclose(out["y"], np.maximum(x @ W, 0), rtol=1e-5, atol=1e-6)
    Path("own.nn").write_text(text.replace("answers = {rows = 1}", "answers = {rows = 2}"))
    assert main([*argv, "-o", "other.nn"]) == 0
    assert Path("other.nn").read_text() != Path("m.nn").read_text()


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "--timing"],
        ["bench", "--profile", "--rounds", "1"],
        ["inspect", "--print-schedules"],
    ],
)
def test_every_command_takes_schedules(
    model: str, argv: list[str], capsys: pytest.CaptureFixture[str]
):
    Path("own.nn").write_text("sched.schedule @matmul_relu { vectorize relu.j }")
    argv = [*argv, model, "--shape", "x=2x4", "--schedules"]
    assert main([*argv, "own.nn"]) == 0
    captured = capsys.readouterr()
    if argv[0] != "run":
        assert "{\n  vectorize relu.j\n}" in captured.out
    Path("wrong.nn").write_text("sched.schedule @matmul_relu { vectorize relu.k }")
    assert main([*argv, "wrong.nn"]) == 1
    assert "wrong.nn:1:31: no loop 'relu.k'" in capsys.readouterr().err
    assert main([*argv, "absent.nn"]) == 1
    assert "absent.nn" in capsys.readouterr().err


def test_other_schedules_are_other_entries_of_the_cache(model: str, tmp_path: Path):
    """The same file with another content, too."""
    own = tmp_path / "own.nn"
    x = np.ones((2, 4), np.float32)
    kept: list[bool] = []
    for step in ("vectorize relu.j", "vectorize relu.j", "unroll relu.j"):
        own.write_text(f"sched.schedule @matmul_relu {{ {step} }}")
        made = nnc.compile(model, shape={"x": (2, 4)}, schedules=own, cache=tmp_path / "kept")
        kept.append("emit" not in made.timings.seconds)
        np.testing.assert_allclose(made(x=x)["y"], np.maximum(x @ W, 0), rtol=1e-5, atol=1e-6)
    assert kept == [False, True, False]


def test_what_inspect_prints_compiles_to_the_same(model: str, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", model, "--shape", "x=2x4", "--schedule", "matmul_relu"]) == 0
    Path("own.nn").write_text(capsys.readouterr().out)
    argv = ["compile", model, "--shape", "x=2x4", "--emit", "sched"]
    assert main(argv) == 0
    expected = sorted(capsys.readouterr().out.splitlines())
    assert main([*argv, "--schedules", "own.nn"]) == 0
    assert sorted(capsys.readouterr().out.splitlines()) == expected


SCHEDULE_FILES = {
    "no file": (None, "own.nn"),
    "no such kernel": (
        "sched.schedule @matmul_rel { }",
        "own.nn:1:1: a schedule for @matmul_rel, which is no kernel of the model",
    ),
    "two of one name": (
        "sched.schedule @k { }\nsched.schedule @k { }",
        "own.nn:2:1: a second schedule for @k",
    ),
    "not a schedule": ("func.func @main() { func.return }", "expected schedules only"),
    "refused": (
        "sched.schedule @matmul_relu {\n  parallel matmul.k\n}",
        "own.nn:2:3: parallel: 'matmul.k' is inside 'matmul.i'",
    ),
    "an answer that is no candidate": (
        "sched.schedule @matmul_relu attributes {answers = {t = 3}} {\n  choose t, [1, 2], 1\n}",
        "own.nn:2:3: choose: 't' is 3, expected one of 1, 2",
    ),
    "an answer to nothing": (
        "sched.schedule @matmul_relu attributes {answers = {t = 3}} { }",
        "own.nn:1:1: an answer to 't', which is no choice",
    ),
}


@pytest.mark.parametrize("name", SCHEDULE_FILES)
def test_schedules_that_do_not_fit_are_refused(
    model: str, name: str, capsys: pytest.CaptureFixture[str]
):
    text, message = SCHEDULE_FILES[name]
    if text is not None:
        Path("own.nn").write_text(text)
    argv = ["compile", model, "--shape", "x=2x4", "--schedules", "own.nn", "--emit", "loop"]
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "internal error" not in captured.err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--shape", "x=2x4", "--schedule", "matmul"], "did you mean 'matmul_relu'?"),
        (["--schedule", "matmul_relu"], "kernels depend on the shapes"),
    ],
)
def test_inspect_of_a_schedule_that_is_not_there(
    model: str, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["inspect", model, *argv]) == 1
    assert message in capsys.readouterr().err


def test_inspect_with_open_shapes(model: str, capsys: pytest.CaptureFixture[str]):
    assert main(["inspect", model]) == 0
    out = capsys.readouterr().out
    assert "float32[batch, 4]" in out
    assert "kernels depend on the shapes: --shape x=?x4" in out


LEVELS = {
    "graph": "graph.matmul",
    "te": "te.kernel @matmul_relu",
    "sched": "sched.schedule @matmul_relu",
    "loop": "loop.contract",
    "llvm": 'define void @"nnc.entry.0"',
    "asm": ".globl\tnnc.entry.0",
}


@pytest.mark.parametrize("level", LEVELS)
def test_compile_writes_every_level(model: str, level: str, capsys: pytest.CaptureFixture[str]):
    assert main(["compile", model, "--shape", "x=2x4", "--emit", level]) == 0
    printed = capsys.readouterr().out
    assert LEVELS[level] in printed
    assert main(["compile", model, "--shape", "x=2x4", "--emit", level, "-o", "file"]) == 0
    assert Path("file").read_text() == printed


@pytest.mark.parametrize(
    ("target", "machine"),
    [("x86-64-v3", b"\x3e\x00"), ("x86-64-v4", b"\x3e\x00"), ("aarch64-neon", b"\xb7\x00")],
)
def test_compile_writes_objects_for_other_machines(model: str, target: str, machine: bytes):
    argv = ["compile", model, "--shape", "x=2x4", "--target", target, "-o", "m.o"]
    assert main(argv) == 0
    data = Path("m.o").read_bytes()
    assert data[:4] == b"\x7fELF"
    assert data[18:20] == machine


def test_bench_times_interleaved_rounds(model: str, capsys: pytest.CaptureFixture[str]):
    argv = ["bench", model, "--shape", "x=2x4", "--rounds", "2", "--threads", "1"]
    assert main(argv) == 0
    assert "median ms" in capsys.readouterr().out


def test_bench_against_onnxruntime(model: str, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("onnxruntime")
    argv = ["bench", model, "--shape", "x=2x4", "--rounds", "2", "--threads", "1"]
    assert main([*argv, "--against", "onnxruntime"]) == 0
    out = capsys.readouterr().out
    assert "onnxruntime / nnc" in out
    assert "largest difference" in out


WRONG = {
    "no such file": (["run", "none.onnx"], "none.onnx"),
    "not a model": (["run", "x.npy"], "x.npy"),
    "unknown input": (["run", "m.onnx", "--input", "z=x.npy"], "no input is called 'z'"),
    "no array file": (["run", "m.onnx", "--input", "x=none.npy"], "none.npy"),
    "broken array file": (["run", "m.onnx", "--input", "x=m.onnx"], "cannot read arrays"),
    "open shape": (["run", "m.onnx"], "--shape x="),
    "open shape to compile": (["compile", "m.onnx", "-o", "m.o"], "is not known"),
    "wrong shape": (["run", "m.onnx", "--shape", "x=2x5"], "[2, 5]"),
    "shape of no input": (["inspect", "m.onnx", "--shape", "q=2x5"], "no input 'q'"),
    "unknown target": (["run", "m.onnx", "--target", "z80"], "unknown target 'z80'"),
    "no folder": (["compile", "m.onnx", "--emit", "graph", "-o", "no/m.nn"], "cannot write"),
    "no arrays": (["run", "m.onnx", "--input", "x=m.onnx"], "it is no .npy or .npz file"),
    "objects": (["run", "m.onnx", "--input", "x=objects.npy"], "it holds objects, not numbers"),
    "no file named": (["run", "m.onnx", "--input", "x="], "--input: expected NAME=FILE, got 'x='"),
    "an input twice": (
        ["run", "m.onnx", "--input", "x=x.npy", "--input", "x.npz"],
        "input 'x': its content is given twice",
    ),
    "too large": (["run", "m.onnx", "--shape", f"x={1 << 50}x4"], "not enough memory"),
}
UNWRITABLE = {
    "": "expected the name of a file, got ''",
    ".": ".: cannot write: Is a directory",
    "no/file": "no/file: cannot write: No such file or directory",
    "x.npy/file": "x.npy/file: cannot write: Not a directory",
}


@pytest.mark.parametrize("path", UNWRITABLE)
@pytest.mark.parametrize(
    "command",
    [
        ["run", "-o"],
        ["compile", "-o"],
        ["bench", "--profile", "-o"],
        ["bisect", "-o"],
        ["inspect", "--html"],
        ["inspect", "--svg"],
    ],
)
def test_files_are_found_unwritable_before_the_model_is_read(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: list[str],
    path: str,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    write_input()
    name, *flags = command
    assert main([name, "none.onnx", *flags, path]) == 1
    assert UNWRITABLE[path] in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--seed", "-1"], "argument --seed: expected a number of at least 0, got '-1'"),
        (["--tolerance", "nan"], "argument --tolerance: expected a part, as 1e-4, got 'nan'"),
        (["--tolerance", "-1"], "argument --tolerance: expected a part, as 1e-4, got '-1'"),
    ],
)
def test_numbers_that_mean_nothing(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as caught:
        main(["bisect", "m.onnx", *flags])
    assert caught.value.code == 1
    assert message in capsys.readouterr().err


def test_a_full_disk_is_no_bug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def write(flags: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("nnc.tools.model.run.run", write)
    assert main(["run", "m.onnx"]) == 1
    assert capsys.readouterr().err == "nnc: error: No space left on device\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_streams_may_be_closed(model: str, monkeypatch: pytest.MonkeyPatch, stream: str):
    monkeypatch.setattr(sys, stream, None)
    assert main(["run", model, "--shape", "x=2x4"]) == 0


def test_ctrl_c_is_told_in_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def interrupt(flags: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("nnc.tools.model.run.run", interrupt)
    assert main(["run", "m.onnx"]) == 130
    assert capsys.readouterr().err == "nnc: interrupted\n"


@pytest.mark.parametrize("name", WRONG)
def test_errors_are_one_message_without_a_traceback(
    model: str, name: str, capsys: pytest.CaptureFixture[str]
):
    del model
    write_input()
    np.save("objects.npy", np.array([{}]), allow_pickle=True)
    argv, message = WRONG[name]
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert "internal error" not in captured.err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "m", "--shape", "x"],
        ["run", "m", "--threads", "0"],
        ["compile", "m", "--emit", "x"],
    ],
)
def test_a_wrong_command_line_ends_with_status_1(
    argv: list[str], capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 1
    assert "usage: nnc" in capsys.readouterr().err


def test_debug_shows_the_traceback(model: str):
    with pytest.raises(Exception, match="is not known"):
        main(["compile", model, "--debug", "-o", "m.o"])


@pytest.mark.parametrize("level", ["graph", "te", "sched", "loop"])
def test_what_is_written_at_a_level_runs_from_there(model: str, level: str):
    """The text and the weights beside it are the whole model."""

    x = write_input()
    assert main(["compile", model, "--shape", "x=2x4", "--emit", level, "-o", "m.nn"]) == 0
    assert main(["run", "m.nn", "--input", "x=x.npy", "-o", "out.npz"]) == 0
    with np.load("out.npz") as out:
        np.testing.assert_allclose(out["y"], np.maximum(x @ W, 0), rtol=1e-5, atol=1e-6)


def test_a_profile_names_every_kernel(model: str, capsys: pytest.CaptureFixture[str]):
    argv = ["bench", model, "--shape", "x=2x4", "--rounds", "2", "--profile"]
    assert main(argv) == 0
    out = capsys.readouterr().out
    assert "1 steps, 1 launches" in out
    row = next(line for line in out.splitlines() if "product, activation" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    milliseconds, share, gflops, gigabytes, of_limit, kernel, *_ = cells
    assert (share, kernel) == ("100.0", "matmul_relu")
    for number in (milliseconds, gflops, gigabytes, of_limit):
        assert float(number) >= 0
    assert "the steps account for" in out
    assert "sched.schedule @matmul_relu" in out


def test_ops_lists_what_is_compiled_and_what_runs_on_the_host(
    capsys: pytest.CaptureFixture[str],
):
    assert main(["ops"]) == 0
    lines = {line.split()[1]: line for line in capsys.readouterr().out.split("\n") if "│" in line}
    assert "Conv" in lines["conv"]
    assert "compiled" in lines["conv"]
    assert "on the host" in lines["non_zero"]
