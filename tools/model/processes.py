"""Systems that are timed against each other: each in a process of its own, stopped but when asked.

The pools of several runtimes spin while they wait, so a system that is not being timed must not run
at all. Requests and answers are lines of JSON; what a library prints goes elsewhere.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from typing import Any, cast

from ...core.errors import NncError

ROUND_SECONDS = 0.1
MAX_RUNS = 1000
"""Runs of one round: as many as fit into ROUND_SECONDS, at least one."""
LOAD_TIMEOUT = 900.0
ROUND_TIMEOUT = 120.0


class Worker:
    """One system in its process; its group of processes is stopped but while it is asked.

    Attributes:
        rounds: the times of the runs, in seconds, by round.
        load_seconds: from the model to the first result.
    """

    def __init__(
        self,
        task: dict[str, Any],
        command: Sequence[str],
        *,
        environment: dict[str, str] | None = None,
        timeout: float = LOAD_TIMEOUT,
    ):
        """Start the process, let it load what the task says, and stop it.

        Raises: NncError: it cannot run the model, ends, or takes too long.
        """
        self.name = str(task["system"])
        self.rounds: list[list[float]] = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            bufsize=0,
            start_new_session=True,
        )
        try:
            ready = self.ask(task, timeout)
        except NncError:
            self.close()
            raise
        self.load_seconds = float(ready["load"])
        self._runs = max(1, min(MAX_RUNS, round(ROUND_SECONDS / ready["seconds"])))

    @property
    def pid(self) -> int:
        """Of the process, and of its group."""
        return self._process.pid

    @property
    def times(self) -> list[float]:
        """Of all runs."""
        return [seconds for times in self.rounds for seconds in times]

    def round(self, timeout: float = ROUND_TIMEOUT) -> None:
        """Time some runs.

        Raises: NncError: the process ended or takes too long.
        """
        self.rounds.append(self.ask({"runs": self._runs}, timeout)["times"])

    def ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        """One request and its answer; the process runs only meanwhile.

        Raises: NncError: the answer is an error, or there is none in time.
        """
        self._signal(signal.SIGCONT)
        answer = self._exchange(json.dumps(request).encode() + b"\n", timeout)
        self._signal(signal.SIGSTOP)
        if "error" in answer:
            raise NncError(f"{self.name} cannot run the model: {answer['error']}")
        return answer

    def _exchange(self, request: bytes, timeout: float) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with suppress(BrokenPipeError):  # an ended process shows when its answer is read
            stdin.write(request)
        answer = b""
        end = monotonic() + timeout
        while not answer.endswith(b"\n"):
            readable, _, _ = select.select([stdout], [], [], max(0.0, end - monotonic()))
            if not readable:
                raise NncError(f"{self.name} gave no answer in {timeout:.0f} s")
            part = os.read(stdout.fileno(), 1 << 16)
            if not part:
                raise NncError(f"the process of {self.name} ended", hint=self._last_words())
            answer += part
        return cast("dict[str, Any]", json.loads(answer))

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.wait()}"

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    def close(self) -> None:
        """End the process and what it started."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._errors):
            if pipe is not None:
                pipe.close()
