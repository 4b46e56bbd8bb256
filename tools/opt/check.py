"""`--check-semantics` and `--check-native`: the IR, and its machine code, executed and compared."""

from __future__ import annotations

from typing import TextIO

from xdsl.dialects.builtin import ModuleOp

from ...core.diagnostics import Diagnostic, Severity
from .instruments import Instrument, PassFailure
from .pipeline import Step


class Check(Instrument):
    """Compares the meaning of the module before and after each pass.

    One line for each function and kernel says what was checked; a difference is an error that
    names the pass.
    """

    def __init__(self, stream: TextIO):
        self.stream = stream
        self._before: ModuleOp | None = None

    def begin(self, step: Step, module: ModuleOp) -> None:
        self._before = module.clone()

    def end(self, step: Step, module: ModuleOp) -> None:
        from ...reference.semantics import check

        assert self._before is not None, "begin() was called"
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


def check_native(module: ModuleOp, stream: TextIO) -> None:
    """Compare machine code with the reference: every kernel by itself, then main as a program.

    Raises: PassFailure: something differs. NncError: it cannot be compiled.
    """
    from ...compiler.checking import check_native as check

    report = check(module)
    for outcome in report.outcomes:
        print(f"check-native: {outcome}", file=stream)
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
