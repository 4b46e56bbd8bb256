"""Running lit tests inside one Python process: about 10 ms a test instead of half a second.

A test is a file with `RUN:` lines. Pipes, redirections, `&&` and `not` are understood; commands
that the caller names run as Python functions, all others as programs.

    // RUN: nn-opt %s -p cse | filecheck %s
    // RUN: not nn-opt %s -p no-such-pass 2>&1 | filecheck %s --check-prefix=ERR
    // REQUIRES: mlir-opt

Substitutions: `%s` the file, `%S` its folder, `%t` a path of its own to write to, `%T` a folder of
its own, `%%` a percent sign, and what the caller adds. lit's own parser reads the lines, so that
the same files run under lit.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Command = Callable[[list[str]], int | None]
"""A program's `main`: takes its arguments, returns or raises (SystemExit) its exit status."""


@dataclass(frozen=True)
class Outcome:
    """What a command line did."""

    status: int
    out: bytes
    err: bytes


class LitFailure(AssertionError):
    """A RUN line that did not exit with 0."""


class LitSkipped(Exception):
    """A test that requires what is not there."""


@dataclass
class LitRunner:
    """Runs lit tests.

    Attributes:
        commands: programs that run as functions in this process, by name.
        features: what `REQUIRES:` may name.
        substitutions: further ones, longest first.
    """

    commands: Mapping[str, Command]
    features: frozenset[str] = frozenset()
    substitutions: Mapping[str, str] = field(default_factory=dict[str, str])

    def run(self, path: Path, scratch: Path) -> None:
        """Run every RUN line of a file.

        Args:
            path: the test.
            scratch: an empty folder of its own.
        Raises: LitFailure, LitSkipped.
        """
        text = path.read_text()
        missing = required(text) - self.features
        if missing:
            raise LitSkipped(f"requires {', '.join(sorted(missing))}")
        lines = run_lines(text)
        if not lines:
            raise LitFailure(f"{path}: no RUN line")
        for line in lines:
            self.run_line(self.substitute(line, path, scratch), scratch)

    def substitute(self, line: str, path: Path, scratch: Path) -> str:
        """A RUN line with its `%` names replaced."""
        table = {
            "%%": "%",
            "%s": str(path),
            "%S": str(path.parent),
            "%t": str(scratch / f"{path.name}.tmp"),
            "%T": str(scratch),
            **self.substitutions,
        }
        names = sorted(table, key=len, reverse=True)
        pattern = "|".join(re.escape(name) + r"(?!\w)" * name[-1].isalnum() for name in names)
        return re.sub(pattern, lambda match: table[match[0]], line)

    def run_line(self, line: str, scratch: Path) -> None:
        """Run one command line.

        Raises: LitFailure: it did not exit with 0.
        """
        outcome = self.shell(line, scratch)
        if outcome.status != 0:
            raise LitFailure(
                f"exit status {outcome.status}\n$ {line}\n"
                f"--- stdout ---\n{_tail(outcome.out)}\n--- stderr ---\n{_tail(outcome.err)}"
            )

    def shell(self, line: str, folder: Path, stdin: bytes = b"") -> Outcome:
        """Run a command line with pipes, redirections, `&&`, `||` and `;` in a folder."""
        from lit.ShUtil import ShParser  # pyright: ignore[reportMissingTypeStubs]

        tree: Any = ShParser(line, False, True).parse()
        return self._sequence(tree, folder, stdin)

    def _sequence(self, tree: Any, folder: Path, stdin: bytes) -> Outcome:
        if not hasattr(tree, "op"):
            return self._pipeline(tree, folder, stdin)
        first = self._sequence(tree.lhs, folder, stdin)
        stop = {"&&": first.status != 0, "||": first.status == 0, ";": False}[tree.op]
        if stop:
            return first
        second = self._sequence(tree.rhs, folder, b"")
        return Outcome(second.status, first.out + second.out, first.err + second.err)

    def _pipeline(self, tree: Any, folder: Path, stdin: bytes) -> Outcome:
        """Commands one after the other; as under lit, one that fails fails the pipe."""
        status, errors, data = 0, b"", stdin
        for command in tree.commands:
            outcome = self._redirected(list(command.args), list(command.redirects), folder, data)
            status = status or outcome.status
            errors += outcome.err
            data = outcome.out
        return Outcome(status ^ 1 if tree.negate else status, data, errors)

    def _redirected(
        self, args: list[str], redirects: list[Any], folder: Path, stdin: bytes
    ) -> Outcome:
        """Run a command with its redirections, which take effect from left to right."""
        sinks = {1: "out", 2: "err"}
        for operator, target in redirects:
            kind = operator[0]
            number = operator[1] if len(operator) > 1 else 1
            if kind == "<":
                stdin = (folder / target).read_bytes()
            elif kind == ">&":
                sinks[number] = sinks[int(target)]
            else:
                path = str(folder / target)
                if kind != ">>":
                    Path(path).write_bytes(b"")
                sinks[number] = path
                if kind == "&>":
                    sinks[2] = path
        done = self.command(args, folder, stdin, merged=sinks[1] == sinks[2])
        made = {"out": b"", "err": b""}
        for sink, data in ((sinks[1], done.out), (sinks[2], done.err)):
            if sink in made:
                made[sink] += data
            else:
                with open(sink, "ab") as file:
                    file.write(data)
        return Outcome(done.status, made["out"], made["err"])

    def command(self, args: list[str], folder: Path, stdin: bytes, *, merged: bool) -> Outcome:
        """Run one program; `not` may come first. Merged: stderr goes where stdout goes."""
        if args[0] == "not":
            outcome = self.command(args[1:], folder, stdin, merged=merged)
            return Outcome(int(outcome.status == 0), outcome.out, outcome.err)
        if args[0] in self.commands:
            return call(self.commands[args[0]], args[1:], stdin, merged=merged)
        errors = subprocess.STDOUT if merged else subprocess.PIPE
        done = subprocess.run(
            args, cwd=folder, input=stdin, stdout=subprocess.PIPE, stderr=errors, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stderr or b"")


def _tail(data: bytes, limit: int = 6000) -> str:
    text = data.decode("utf-8", "replace")
    return text if len(text) <= limit else f"...\n{text[-limit:]}"


def call(
    main: Command, args: Sequence[str], stdin: bytes = b"", *, merged: bool = False
) -> Outcome:
    """Run a program's `main` in this process with streams of its own.

    An exception that escapes is a crash: status 134, as of an abort, and the traceback on stderr.
    """
    with _streams(stdin, merged) as (out, err):
        try:
            status = main(list(args))
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except Exception:
            traceback.print_exc()
            status = 134
        sys.stdout.flush()
        sys.stderr.flush()
        return Outcome(status or 0, out.getvalue(), b"" if merged else err.getvalue())


@contextmanager
def _streams(stdin: bytes, merged: bool) -> Generator[tuple[io.BytesIO, io.BytesIO]]:
    saved = sys.stdin, sys.stdout, sys.stderr
    out = io.BytesIO()
    err = out if merged else io.BytesIO()
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")
    sys.stdout = io.TextIOWrapper(out, encoding="utf-8", write_through=True)
    sys.stderr = io.TextIOWrapper(err, encoding="utf-8", write_through=True)
    try:
        yield out, err
    finally:
        # Detached, or closing the wrapper would close the buffer that holds the output.
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            stream.detach()
        sys.stdin, sys.stdout, sys.stderr = saved


_RUN = re.compile(r"\bRUN:(.*)")
_REQUIRES = re.compile(r"\bREQUIRES:(.*)")


def run_lines(text: str) -> list[str]:
    """The RUN lines of a test, those that end in a backslash joined with the next."""
    lines: list[str] = []
    joining = False
    for match in _RUN.finditer(text):
        line = match[1].strip()
        if joining:
            lines[-1] += f" {line}"
        else:
            lines.append(line)
        joining = line.endswith("\\")
        if joining:
            lines[-1] = lines[-1].rstrip("\\").rstrip()
    return lines


def required(text: str) -> frozenset[str]:
    """The features that a test's REQUIRES lines name."""
    names = (name.strip() for match in _REQUIRES.finditer(text) for name in match[1].split(","))
    return frozenset(name for name in names if name)


def filecheck(args: list[str]) -> int:
    """FileCheck in this process."""
    from filecheck.main import main

    main(["filecheck", *args])
    return 0


def lit_files(folder: Path) -> list[Path]:
    """Every test in a folder, sorted: its `.nn` and `.mlir` files, but for inputs and outputs."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".nn", ".mlir") and path.is_file()
        if not {"Inputs", "Output"} & set(path.parts)
    ]


def mlir_opt() -> str | None:
    """Upstream's tool, where it is installed."""
    from shutil import which

    return which("mlir-opt-22") or which("mlir-opt")


def available_features() -> frozenset[str]:
    """What this machine has that a test may require."""
    features = {"mlir-opt"} if mlir_opt() else set[str]()
    with open("/proc/cpuinfo") if os.path.exists("/proc/cpuinfo") else io.StringIO() as file:
        flags = file.read()
    features |= {name for name in ("avx512f", "avx2") if name in flags}
    return frozenset(features)
