"""The test of a reduction that is a command: does it still fail on this module?"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from xdsl.dialects.builtin import ModuleOp

from ...core.errors import InputError
from ...core.testing import Outcome, call
from ...textir import print_module
from ...textir.weights import collect, save
from ..files import writing
from .flags import Flags

INPUT = "%s"
"""Stands for the module's file in a command; without it the file is the last argument."""


@dataclass
class Command:
    """Runs a command on a module's text.

    Attributes:
        words: the command; `%s` is the file.
        pattern: what its output must hold; without one, failing is an exit status other than 0.
        timeout: seconds; a command that takes longer did not fail in the same way ...
        times_out: ... or that is how it fails, and nothing else.
        isolate: run nn-opt and nnc as programs of their own, too.
        repeat: a command that does not fail is run so often.
    """

    words: Sequence[str]
    pattern: re.Pattern[str] | None = None
    timeout: float = 60.0
    times_out: bool = False
    isolate: bool = False
    repeat: int = 1

    @staticmethod
    def of(flags: Flags) -> Command:
        """Check what a user gave.

        Raises: InputError: an empty command, or a pattern that is none.
        """
        try:
            words = shlex.split(flags.test)
            regex = flags.output_matches
            pattern = re.compile(regex, re.MULTILINE) if regex is not None else None
        except (ValueError, re.error) as error:
            raise InputError(f"the test cannot be read: {error}") from None
        if not words:
            raise InputError("the test is empty", hint="--test 'nn-opt %s -p ...'")
        return Command(words, pattern, flags.timeout, flags.times_out, flags.isolate, flags.repeat)

    def fails(self, module: ModuleOp) -> bool:
        """Whether the command fails on this module."""
        with TemporaryDirectory() as folder:
            path = Path(folder) / "module.nn"
            write_module(module, str(path))
            return any(self.fails_on(str(path)) for _ in range(self.repeat))

    def fails_on(self, path: str) -> bool:
        """Whether the command fails on this file."""
        outcome = self._run([word.replace(INPUT, path) for word in self._with_input()])
        if outcome is None or self.times_out:
            return outcome is None and self.times_out
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

    def _run_here(self, words: list[str]) -> Outcome | None:
        """Our own tools run in this process: a hundred times as many trials in a second."""
        if words[0] == "nnc":
            from ..nnc import main
        else:
            from ..nn_opt import main
        try:
            with _limited(self.timeout):
                return call(main, words[1:])
        except _TimeIsUp:
            return None


class _TimeIsUp(BaseException):
    """A tool in this process takes too long; nothing in it may take this for an error."""


@contextmanager
def _limited(seconds: float) -> Generator[None]:
    """Raises: _TimeIsUp: the block takes longer (noticed in the main thread, in Python code)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> NoReturn:
        raise _TimeIsUp

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def write_module(module: ModuleOp, path: str) -> None:
    """Write a module's text, and its weights beside it.

    Raises: InputError: the file cannot be written.
    """
    text = print_module(module).rstrip()
    with writing(path):
        Path(path).write_text(f"{text}\n")
    if arrays := collect(module):
        save(arrays, path)
