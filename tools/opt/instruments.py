"""What may be done around each pass; `manager.py` calls it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...core.diagnostics import Diagnostic
from .pipeline import Step


class Instrument:
    """Something to do around each pass. Nothing by default.

    A step of a pipeline is one pass; it runs on one op or, inside an anchor, on several.
    """

    def begin(self, step: Step, module: ModuleOp) -> None:
        """Called before a step."""

    def running(self, step: Step) -> AbstractContextManager[object]:
        """Entered while the pass of a step runs, on all its ops."""
        return nullcontext()

    def before(self, step: Step, op: Operation) -> None:
        """Called before the pass runs on an op."""

    def after(self, step: Step, op: Operation) -> None:
        """Called after the pass has run on an op, the op being valid."""

    def failed(self, step: Step, op: Operation) -> None:
        """Called after a pass that raised, or that left the op broken."""

    def end(self, step: Step, module: ModuleOp) -> None:
        """Called after a step that succeeded."""


class PassFailure(Exception):
    """A module that cannot go on: what to tell the user."""

    def __init__(self, diagnostics: Sequence[Diagnostic]):
        super().__init__("; ".join(one.message for one in diagnostics))
        self.diagnostics = list(diagnostics)
