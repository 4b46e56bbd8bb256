"""Verification of a whole module: all that is wrong, each error with its op, without recursion.

xDSL's `Operation.verify` stops at the first error, prints the module into it, and recurses; here
each op is checked alone, innermost first. An op around a broken one is not checked: its own
verifier may rely on what is inside.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import Block, ErasedSSAValue, Operation
from xdsl.traits import IsTerminator, NoTerminator
from xdsl.utils.exceptions import VerifyException

from .diagnostics import Diagnostic, Severity, at
from .walk import children, walk


@dataclass(frozen=True)
class Problem:
    """An op that does not verify, and why."""

    op: Operation
    message: str

    def diagnostic(self) -> Diagnostic:
        """For the user."""
        return at(Severity.ERROR, f"'{self.op.name}': {self.message}", self.op.location, op=self.op)


def problems(root: Operation) -> list[Problem]:
    """Every op inside `root` (itself included) that does not verify, in program order."""
    found: list[Problem] = []
    broken: set[Operation] = set()
    for op in reversed(list(walk(root))):
        if op.regions and any(inner in broken for inner in children(op)):
            broken.add(op)
            continue
        try:
            verify_alone(op)
        except (VerifyException, ValueError) as error:
            broken.add(op)
            found.append(Problem(op, str(error)))
    return found[::-1]


def verify_alone(op: Operation) -> None:
    """Check one op and its place in its block, not the ops inside it.

    Raises: VerifyException.
    """
    if any(isinstance(operand, ErasedSSAValue) for operand in op.operands):
        raise VerifyException("uses a value that has been erased")
    _verify_successors(op)
    if op.parent is not None and op.parent.last_op is op:
        _verify_end_of_block(op, op.parent)
    for region in op.regions:
        if len(region.blocks) == 1 and region.block.is_empty and not op.has_trait(NoTerminator):
            raise VerifyException("contains an empty block that needs a terminator")
    op.verify_()


def _verify_successors(op: Operation) -> None:
    if not op.successors:
        return
    if op.parent is None or op.parent.last_op is not op:
        raise VerifyException("an op with successors must end its block")
    if any(successor.parent is not op.parent.parent for successor in op.successors):
        raise VerifyException("branches to a block of another region")


def _verify_end_of_block(op: Operation, block: Block) -> None:
    region = block.parent
    if region is None or op.has_trait(IsTerminator):
        return
    around = region.parent
    if len(region.blocks) > 1:
        raise VerifyException("ends a block of several but is not a terminator")
    if around is not None and not around.has_trait(NoTerminator):
        raise VerifyException("ends its block but is not a terminator")
