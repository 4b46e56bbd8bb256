"""What is done around each pass: verify, print the IR, take the time, compare the meaning."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TextIO

from xdsl.dialects.builtin import ModuleOp

from ...core.diagnostics import Diagnostic
from .flags import Flags
from .pipeline import Step

Print = Callable[[ModuleOp], str]


class Instrument:
    """Something to do around each pass. Nothing by default."""

    def before(self, step: Step, module: ModuleOp) -> None:
        """Called before a pass."""

    def after(self, step: Step, module: ModuleOp) -> None:
        """Called after a pass that returned, once the module has been verified."""

    def failed(self, step: Step, module: ModuleOp) -> None:
        """Called after a pass that raised, or that left the module broken."""


class PrintIR(Instrument):
    """Prints the IR around passes, with MLIR's banner."""

    def __init__(self, flags: Flags, print_: Print, stream: TextIO):
        self.flags = flags
        self.print = print_
        self.stream = stream
        self.text_before = ""

    @property
    def wanted(self) -> bool:
        """Whether any flag asks for IR."""
        flags = self.flags
        return bool(
            flags.print_before
            or flags.print_after
            or flags.print_before_all
            or flags.print_after_all
            or flags.print_after_change
            or flags.print_after_failure
        )

    def before(self, step: Step, module: ModuleOp) -> None:
        if self.flags.print_after_change:
            self.text_before = self.print(module)
        if self.flags.print_before_all or step.flag in self.flags.print_before:
            self._dump("Before", step, module)

    def after(self, step: Step, module: ModuleOp) -> None:
        flags = self.flags
        named = bool(flags.print_after)
        if flags.print_after_all or step.flag in flags.print_after:
            if not flags.print_after_change or self.print(module) != self.text_before:
                self._dump("After", step, module)
        elif flags.print_after_change and not named and self.print(module) != self.text_before:
            self._dump("After", step, module)

    def failed(self, step: Step, module: ModuleOp) -> None:
        flags = self.flags
        if flags.print_after_failure or flags.print_after_all or step.flag in flags.print_after:
            self._dump("After", step, module, " Failed")

    def _dump(self, when: str, step: Step, module: ModuleOp, suffix: str = "") -> None:
        banner = f"// -----// IR Dump {when} {step.title}{suffix} ({step.flag}) //----- //"
        self.stream.write(f"{banner}\n{self.print(module)}\n\n")


class Timing(Instrument):
    """Wall time of each pass."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float]] = []
        self._start = 0.0

    def before(self, step: Step, module: ModuleOp) -> None:
        self._start = time.perf_counter()

    def stop(self, name: str) -> None:
        """Close the row that began at the last `before` or `start`."""
        self.rows.append((name, time.perf_counter() - self._start))

    def start(self) -> None:
        """Begin a row that is no pass."""
        self._start = time.perf_counter()

    def report(self) -> str:
        """A table in MLIR's manner."""
        rule = f"===-{'-' * 73}-==="
        total = sum(seconds for _, seconds in self.rows)
        lines = [rule, f"{'... Execution time report ...':^81}", rule]
        lines += [
            f"  Total Execution Time: {total:.4f} seconds",
            "",
            "  ----Wall Time----  ----Name----",
        ]
        for name, seconds in self.rows:
            share = 100 * seconds / total if total else 0.0
            lines.append(f"  {seconds:9.4f} ({share:5.1f}%)  {name}")
        lines.append(f"  {total:9.4f} (100.0%)  Total")
        return "\n".join(lines) + "\n"


def run_around(instruments: Sequence[Instrument], notify: Callable[[Instrument], None]) -> None:
    """Tell each instrument."""
    for instrument in instruments:
        notify(instrument)


class PassFailure(Exception):
    """A module that cannot go on: what to tell the user."""

    def __init__(self, diagnostics: Sequence[Diagnostic]):
        super().__init__()
        self.diagnostics = list(diagnostics)
