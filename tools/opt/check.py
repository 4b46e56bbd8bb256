"""`--check-semantics`: the IR before and after a pass, executed on the same inputs."""

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
