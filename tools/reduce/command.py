"""The test of a reduction that is a command: does it still fail on this module?"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from xdsl.dialects.builtin import ModuleOp

from ...core.errors import InputError
from ...core.testing import Outcome, call
from ...textir import print_module
from ...textir.weights import collect, save

INPUT = "%s"
"""Stands for the module's file in a command; without it the file is the last argument."""


@dataclass
class Command:
    """Runs a command on a module's text.

    Attributes:
        words: the command; `%s` is the file.
        pattern: what its output must hold; without one, failing is an exit status other than 0.
        timeout: seconds; a command that takes longer did not fail in the same way.
        isolate: run nn-opt and nnc as programs of their own, too.
    """

    words: Sequence[str]
    pattern: re.Pattern[str] | None = None
    timeout: float = 60.0
    isolate: bool = False

    @staticmethod
    def of(text: str, pattern: str | None, timeout: float, isolate: bool) -> Command:
        """Check what a user gave.

        Raises: InputError: an empty command, or a pattern that is none.
        """
        try:
            words = shlex.split(text)
            compiled = re.compile(pattern, re.MULTILINE) if pattern is not None else None
        except (ValueError, re.error) as error:
            raise InputError(f"the test cannot be read: {error}") from None
        if not words:
            raise InputError("the test is empty", hint="--test 'nn-opt %s -p ...'")
        return Command(words, compiled, timeout, isolate)

    def fails(self, module: ModuleOp) -> bool:
        """Whether the command fails on this module."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "module.nn"
            write_module(module, str(path))
            return self.fails_on(str(path))

    def fails_on(self, path: str) -> bool:
        """Whether the command fails on this file."""
        outcome = self._run([word.replace(INPUT, path) for word in self._with_input()])
        if outcome is None:
            return False
        if self.pattern is None:
            return outcome.status != 0
        text = (outcome.out + outcome.err).decode("utf-8", "replace")
        return self.pattern.search(text) is not None

    def _with_input(self) -> list[str]:
        words = list(self.words)
        return words if any(INPUT in word for word in words) else [*words, INPUT]

    def _run(self, words: list[str]) -> Outcome | None:
        if not self.isolate and words[0] in ("nn-opt", "nnc"):
            return self._run_here(words)
        pipe = subprocess.PIPE
        try:
            # A session of its own: what the command has started ends with it.
            process = subprocess.Popen(words, stdout=pipe, stderr=pipe, start_new_session=True)
        except OSError as error:
            raise InputError(f"the test cannot be run: {error.strerror}", where=words[0]) from None
        with process:
            try:
                out, err = process.communicate(timeout=self.timeout)
            except subprocess.TimeoutExpired:
                return None
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
        return Outcome(process.wait(), out, err)

    def _run_here(self, words: list[str]) -> Outcome:
        """Our own tools run in this process: a hundred times as many trials in a second."""
        if words[0] == "nnc":
            from ..nnc import main
        else:
            from ..nn_opt import main
        return call(main, words[1:])


def write_module(module: ModuleOp, path: str, header: str = "", *, locations: bool = False) -> None:
    """Write a module's text, and its weights beside it.

    Raises: InputError: the file cannot be written.
    """
    try:
        text = print_module(module).rstrip()
        Path(path).write_text(f"{header}{text}\n")
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", where=path) from None
    if arrays := collect(module):
        save(arrays, path)
