"""What a bisection found."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.ir import Operation

from .locate import Culprit
from .values import Difference

IMPORT, CODE, PLAN, THREADS = "import", "code generation", "memory plan", "threads"
CONSTANTS, ENTRY = "packing of constants", "entry function"
"""Stages that are no passes."""


@dataclass
class Finding:
    """The stage after which the result is wrong, and what is to blame.

    Attributes:
        stage: a pass's flag, or one of the names above.
        step: its number in the pipeline; `None` for a stage that is no pass.
        node: the nodes of the model, or the lines of the text.
        op: the op to blame, where it is known.
        how: what became of it.
        output: the output in which it shows.
        difference: of that output.
        local: of the op's own result.
        others: other stages, with the numbers of those that are steps, that may be to blame.
        around: other ops that it takes to see it: who made a value, who wrote over it, what is used
            instead of it.
        part: whether `how` names a part of a kernel.
        failure: what a pass after it, or code generation, then fails with.
        trail: how far the outputs are off after each pass that was tried.
    """

    stage: str
    step: int | None
    node: str
    how: str
    op: Operation | None = None
    output: str = ""
    difference: Difference = field(default_factory=Difference)
    local: Difference = field(default_factory=Difference)
    around: list[Operation] = field(default_factory=list[Operation])
    part: bool = False
    failure: str = ""
    others: list[tuple[str, int | None]] = field(default_factory=list[tuple[str, int | None]])
    trail: list[tuple[str, Difference]] = field(default_factory=list[tuple[str, Difference]])

    def blame(self, culprit: Culprit, kernel: str) -> None:
        """A part of a kernel is to blame."""
        self.node, self.how = culprit.node, f"{culprit.how} in kernel @{kernel}"
        self.part = True
