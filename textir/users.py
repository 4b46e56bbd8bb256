"""Comments that say where values are used: `// users: %2, op0`, in MLIR's words."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.ir import Block, Operation, SSAValue

from ..core.walk import walk
from .names import Names


class Users:
    """The users of every value in `root`, by the names that a first printing gave.

    An op without results is `op<number>`, which the comment behind it says.
    """

    def __init__(self, root: Operation, names: Names):
        self._names = names
        ops = list(walk(root))
        self._order = {op: number for number, op in enumerate(ops)}
        silent = (op for op in ops if not op.results and op.operands)
        self._ids = {op: f"op{number}" for number, op in enumerate(silent)}

    def of_op(self, op: Operation) -> str:
        """The comment behind an op, nothing for one without operands and results."""
        if not op.results:
            return f"  // id: {self._ids[op]}" if op in self._ids else ""
        if len(op.results) == 1:
            return f"  // {self._of(op.results[0])}"
        return f"  // {'; '.join(f'{self._names.of(r)} {self._of(r)}' for r in op.results)}"

    def of_arguments(self, block: Block) -> Iterator[str]:
        """Comments at the head of a block."""
        for argument in block.args:
            yield f"// {self._names.of(argument)} {self._of(argument)}"

    def _of(self, value: SSAValue) -> str:
        found = {use.operation for use in value.uses if use.operation in self._order}
        if not found:
            return "unused"
        names = [
            self._ids.get(op) or ", ".join(self._names.of(result) for result in op.results)
            for op in sorted(found, key=self._order.__getitem__)
        ]
        return f"user{'s' if len(found) > 1 else ''}: {', '.join(names)}"
