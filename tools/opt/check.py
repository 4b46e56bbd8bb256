"""`--check-semantics`: the IR before and after a pass, executed on the same inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from xdsl.dialects.builtin import ModuleOp

from ...core.diagnostics import Diagnostic, Severity
from .instruments import Instrument, PassFailure
from .pipeline import Step

if TYPE_CHECKING:
    from ...reference.semantics import Outcome, Report


class Check(Instrument):
    """Compares the meaning of the module before and after each pass.

    One line for each function and kernel says what was checked; a difference is an error that
    names the pass.
    """

    def __init__(self, stream: TextIO):
        self.stream = stream
        self._before: ModuleOp | None = None

    def before(self, step: Step, module: ModuleOp) -> None:
        self._before = module.clone()

    def after(self, step: Step, module: ModuleOp) -> None:
        from ...reference.semantics import check

        assert self._before is not None, "before() was called"
        report = check(self._before, module)
        self._before = None
        for outcome in report.outcomes:
            print(f"check-semantics: {step.flag}: {outcome}", file=self.stream)
        if report.mismatches:
            raise PassFailure(
                [
                    Diagnostic(
                        Severity.ERROR,
                        f"pass '{step.flag}' changed the meaning of @{outcome.name}: "
                        f"{outcome.detail}",
                    )
                    for outcome in report.mismatches
                ]
            )


class NativeCheck(Instrument):
    """Compares machine code with the reference, after the last pass.

    Every kernel by itself, then main as a program with its memory plan, on this machine.
    """

    def __init__(self, stream: TextIO, last: Step | None):
        self.stream, self.last = stream, last

    def after(self, step: Step, module: ModuleOp) -> None:
        if step is self.last:
            self.check(module)

    def check(self, module: ModuleOp) -> None:
        """Say what was compared.

        Raises: PassFailure: something differs.
        """
        report = native_report(module)
        for outcome in report.outcomes:
            print(f"check-native: {outcome}", file=self.stream)
        if report.mismatches:
            raise PassFailure(
                [
                    Diagnostic(
                        Severity.ERROR,
                        f"the machine code of @{outcome.name} is wrong: {outcome.detail}",
                    )
                    for outcome in report.mismatches
                ]
            )


def native_report(module: ModuleOp) -> Report:
    """What machine code makes of every kernel, and of main as a program."""
    from ...compiler.checking import check_native

    return check_native(module)


def native_mismatches(module: ModuleOp) -> list[Outcome]:
    """Kernels and programs whose machine code is wrong."""
    return native_report(module).mismatches
