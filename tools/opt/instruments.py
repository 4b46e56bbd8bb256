"""What is done around each pass: print the IR, take the time."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TextIO

from xdsl.dialects.builtin import ModuleOp

from ...core.diagnostics import Diagnostic
from ..terminal import write_ir
from .flags import Flags
from .pipeline import Step


class Instrument:
    """Something to do around each pass. Nothing by default."""

    def before(self, step: Step, module: ModuleOp) -> None:
        """Called before a pass."""

    def after(self, step: Step, module: ModuleOp) -> None:
        """Called after a pass that returned, once the module has been verified."""

    def failed(self, step: Step, module: ModuleOp) -> None:
        """Called after a pass that raised, or that left the module broken."""


class PassFailure(Exception):
    """A module that cannot go on: what to tell the user."""

    def __init__(self, diagnostics: Sequence[Diagnostic]):
        super().__init__()
        self.diagnostics = list(diagnostics)


class PrintIR(Instrument):
    """Prints the IR around passes, with MLIR's banner.

    `after-change` narrows down the passes that `after` or `after-all` name; alone it means all.
    """

    def __init__(self, flags: Flags, print_: Callable[[ModuleOp], str], stream: TextIO):
        self._flags = flags
        self._print = print_
        self._stream = stream
        self._text_before = ""
        self._after_all = flags.print_after_all or (
            flags.print_after_change and not flags.print_after
        )

    @property
    def is_wanted(self) -> bool:
        """Whether any flag asks for IR."""
        flags = self._flags
        named = flags.print_before or flags.print_after
        return bool(named or self._after_all or flags.print_before_all or flags.print_after_failure)

    def before(self, step: Step, module: ModuleOp) -> None:
        if self._flags.print_after_change:
            self._text_before = self._print(module)
        if self._flags.print_before_all or step.flag in self._flags.print_before:
            self._dump(f"Before {step.title}", step, self._print(module))

    def after(self, step: Step, module: ModuleOp) -> None:
        if not (self._after_all or step.flag in self._flags.print_after):
            return
        text = self._print(module)
        if not self._flags.print_after_change or text != self._text_before:
            self._dump(f"After {step.title}", step, text)

    def failed(self, step: Step, module: ModuleOp) -> None:
        flags = self._flags
        if flags.print_after_failure or self._after_all or step.flag in flags.print_after:
            self._dump(f"After {step.title} Failed", step, self._print(module))

    def _dump(self, what: str, step: Step, text: str) -> None:
        banner = f"// -----// IR Dump {what} ({step.flag}) //----- //"
        write_ir(f"{banner}\n{text}\n\n", self._flags.color, self._stream)


class Timing:
    """Wall time of each stage of a run."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time what the block does, even where it fails."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self._rows.append((name, time.perf_counter() - start))

    def report(self) -> str:
        """A table in MLIR's manner."""
        rule = f"===-{'-' * 73}-==="
        total = sum(seconds for _, seconds in self._rows)
        lines = [
            rule,
            f"{'... Execution time report ...':^81}".rstrip(),
            rule,
            f"  Total Execution Time: {total:.4f} seconds",
            "",
            "  ----Wall Time----  ----Name----",
        ]
        for name, seconds in [*self._rows, ("Total", total)]:
            share = 100 * seconds / total if total else 0.0
            lines.append(f"  {seconds:9.4f} ({share:5.1f}%)  {name}")
        return "\n".join(lines) + "\n"
