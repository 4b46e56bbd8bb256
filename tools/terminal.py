"""What a person at a terminal gets beyond plain text: coloured IR, and progress.

Piped output is plain. NO_COLOR and `--color` decide before what a stream is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

CHOICES = ("auto", "always", "never")
PATIENCE = 1.0
"""Seconds before progress is shown."""
STYLES = {
    "op": "magenta",
    "value": "blue",
    "symbol": "yellow",
    "attribute": "yellow",
    "number": "cyan",
    "string": "green",
    "comment": "bright_black",
    "type": "bright_cyan",
}
"""Colours of the kinds in `tokens.py`; others have none."""


def add_color_flag(add_argument: Callable[..., object]) -> None:
    """`--color`, for the `add_argument` of a parser or of a group."""
    add_argument(
        "--color",
        choices=CHOICES,
        default="auto",
        help="coloured output: auto (default) is for a terminal, unless NO_COLOR is set",
    )


def is_colored(choice: str, stream: TextIO) -> bool:
    """Whether what goes to a stream has colours."""
    if choice != "auto":
        return choice == "always"
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return stream.isatty() and not plain


def console(choice: str, stream: TextIO) -> Console:
    """Rich's console for a stream."""
    from rich.console import Console

    colored = is_colored(choice, stream)
    return Console(
        file=stream,
        markup=False,
        highlight=False,
        no_color=not colored,
        force_terminal=True if choice == "always" else None if colored else False,
        color_system="standard" if choice == "always" else "auto",
    )


def write_ir(text: str, choice: str, stream: TextIO) -> None:
    """Write IR, in colours where that is wanted."""
    stream.write(colored_ir(text) if is_colored(choice, stream) else text)


def colored_ir(text: str) -> str:
    """IR with the escape sequences of a terminal."""
    import re
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    from .tokens import TOKENS

    tokens = re.compile("|".join(f"(?P<{kind}>{expression})" for kind, expression in TOKENS))
    out = StringIO()
    to = Console(file=out, force_terminal=True, color_system="standard", no_color=False)
    for line in text.splitlines():
        shown = Text(line)
        for found in tokens.finditer(line):
            if found.lastgroup in STYLES:
                shown.stylize(STYLES[found.lastgroup], *found.span())
        to.print(shown, soft_wrap=True, highlight=False)
    return out.getvalue()


class Waiting:
    """A line on a terminal's stderr about what takes long; nothing where stderr is none."""

    def __init__(self, choice: str = "auto"):
        self._shown = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self._choice = choice
        self._start = perf_counter()
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def step(self, what: str, done: int | None = None, total: int | None = None) -> None:
        """Say what is being done, and how much of it, once somebody has waited for a while."""
        if not self._shown or perf_counter() - self._start < PATIENCE:
            return
        if self._progress is None:
            self._progress = self._begin()
        is_first = self._task is None
        if self._task is None:
            self._task = self._progress.add_task(what, total=None)
        self._progress.update(
            self._task, description=what, completed=done or 0, total=total, refresh=is_first
        )

    def _begin(self) -> Progress:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (BarColumn(24), TimeElapsedColumn(), TextColumn("{task.description}"))
        progress = Progress(*columns, console=console(self._choice, sys.stderr), transient=True)
        progress.start()
        return progress

    def close(self) -> None:
        """Take the line away."""
        if self._progress is not None:
            self._progress.stop()


@contextmanager
def waiting(choice: str = "auto") -> Generator[Waiting]:
    """Progress while the block runs; the stages of compilations show by themselves."""
    from ..compiler.timing import listening

    line = Waiting(choice)
    try:
        with listening(line.step):
            yield line
    finally:
        line.close()
