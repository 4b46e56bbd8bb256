"""`--check-semantics`: the IR before and after a pass, executed on the same inputs."""

from __future__ import annotations

from typing import TextIO

from xdsl.dialects.builtin import ModuleOp

from .instruments import Instrument
from .pipeline import Step


class Check(Instrument):
    """Compares the meaning of the module before and after each pass."""

    def __init__(self, stream: TextIO):
        self.stream = stream

    def before(self, step: Step, module: ModuleOp) -> None: ...
    def after(self, step: Step, module: ModuleOp) -> None: ...
