"""The in-process lit runner understands what lit's shell understands."""

import sys
from pathlib import Path

import pytest

from nnc.core.testing import LitFailure, LitRunner, LitSkipped, call, filecheck, run_lines


def echo(args: list[str]) -> int:
    """Prints its arguments, on stderr those after `--err`, and fails where one is `--fail`."""
    stream = sys.stdout
    for arg in args:
        if arg == "--err":
            stream = sys.stderr
        elif arg != "--fail":
            print(arg, file=stream)
    return int("--fail" in args)


def cat(args: list[str]) -> int:
    print(sys.stdin.read().upper(), end="")
    return 0


@pytest.fixture
def runner() -> LitRunner:
    commands = {"say": echo, "shout": cat, "filecheck": filecheck}
    return LitRunner(commands, frozenset({"feature"}), {"%name": "value"})


def shell(runner: LitRunner, line: str, folder: Path) -> tuple[int, str, str]:
    done = runner.shell(line, folder)
    return done.status, done.out.decode(), done.err.decode()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("say a b", (0, "a\nb\n", "")),
        ("say 'a b' | shout", (0, "A B\n", "")),
        ("say a --err b", (0, "a\n", "b\n")),
        ("say a --err b 2>&1 | shout", (0, "A\nB\n", "")),
        ("say a --fail", (1, "a\n", "")),
        ("say a --fail | shout", (1, "A\n", "")),
        ("not say a --fail", (0, "a\n", "")),
        ("not say a", (1, "a\n", "")),
        ("say a && say b", (0, "a\nb\n", "")),
        ("say a --fail && say b", (1, "a\n", "")),
        ("say a > f && shout < f", (0, "A\n", "")),
        ("say a > f && say b >> f && shout < f", (0, "A\nB\n", "")),
        ("say a --err b 2>&1 >f | shout", (0, "B\n", "")),
        ("say a --err b >f 2>&1 && shout < f", (0, "A\nB\n", "")),
        ("say a --err b 2>f && shout < f", (0, "a\nB\n", "")),
    ],
)
def test_shell(
    runner: LitRunner, tmp_path: Path, line: str, expected: tuple[int, str, str]
) -> None:
    assert shell(runner, line, tmp_path) == expected


def test_other_commands_are_programs(runner: LitRunner, tmp_path: Path) -> None:
    assert shell(runner, "printf x | shout", tmp_path) == (0, "X", "")


def test_substitutions(runner: LitRunner, tmp_path: Path) -> None:
    path = Path("/tests/one.nn")
    line = runner.substitute("%s %S %t %name %%s %second", path, tmp_path)
    assert line == f"{path} /tests {tmp_path}/one.nn.tmp value %s %second"


def test_run_lines_may_be_continued() -> None:
    text = "// RUN: a \\\n// RUN:   b\n// RUN: c\n"
    assert run_lines(text) == ["a b", "c"]


def write(folder: Path, text: str) -> Path:
    path = folder / "case.nn"
    path.write_text(text)
    return path


def test_a_mismatch_fails_and_shows_the_line(runner: LitRunner, tmp_path: Path) -> None:
    case = write(tmp_path, "// RUN: say yes | filecheck %s\n// CHECK: no\n")
    with pytest.raises(LitFailure, match="say yes"):
        runner.run(case, tmp_path)


def test_a_match_passes(runner: LitRunner, tmp_path: Path) -> None:
    runner.run(write(tmp_path, "// RUN: say yes | filecheck %s\n// CHECK: yes\n"), tmp_path)


def test_a_file_without_run_lines_fails(runner: LitRunner, tmp_path: Path) -> None:
    with pytest.raises(LitFailure, match="no RUN line"):
        runner.run(write(tmp_path, "// CHECK: yes\n"), tmp_path)


def test_requires(runner: LitRunner, tmp_path: Path) -> None:
    runner.run(write(tmp_path, "// REQUIRES: feature\n// RUN: say a\n"), tmp_path)
    with pytest.raises(LitSkipped, match="warp-drive"):
        runner.run(write(tmp_path, "// REQUIRES: warp-drive\n// RUN: say a\n"), tmp_path)


def test_a_crash_is_no_ordinary_failure() -> None:
    def crash(args: list[str]) -> int:
        raise KeyError("a bug")

    done = call(crash, [])
    assert done.status == 134
    assert b"KeyError" in done.err
