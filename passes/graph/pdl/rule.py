"""One pdl.pattern as a rule of our driver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from xdsl.context import Context
from xdsl.dialects import pdl
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import DiagnosticException

from ....core.errors import PassError, did_you_mean
from ....core.explain import listener, why_not
from ....core.locations import describe
from ....core.rewriting import Pattern, Rewriter
from ....core.walk import walk
from .building import Builder
from .matching import Match, is_range


class PdlRule(Pattern[Operation]):
    """One pdl.pattern.

    Raises: PassError: it names an op that does not exist, calls native functions, or has a form
        that means nothing here.
    """

    def __init__(self, pattern: pdl.PatternOp, ctx: Context, number: int):
        self.pattern = pattern
        self.ctx = ctx
        symbol = pattern.sym_name
        self.symbol = f"pattern {number}" if symbol is None else symbol.data
        for op in walk(pattern):
            self._check(op)
        self.body, self.root = self._rewrite_part()
        self._check_reached()
        root = self.root.owner
        assert isinstance(root, pdl.OperationOp), "the root of a rewrite is an operation"
        op_class = None if root.opName is None else ctx.get_optional_op(root.opName.data)
        self.is_named = op_class is not None
        self.ops = (op_class or Operation,)
        self.benefit = pattern.benefit.value.data
        matched = pattern.body.block.ops
        self.num_operations = sum(isinstance(op, pdl.OperationOp) for op in matched)

    @property
    def name(self) -> str:
        return self.symbol

    def rewrite(self, op: Operation, rw: Rewriter) -> None:
        if op.name.startswith("pdl."):
            return
        match = Match(differences=[] if listener() is not None else None)
        if not match.operation(self.root, op):
            return
        if match.differences:
            if len(match.differences) == 1 and (self.num_operations > 1 or self.is_named):
                why_not(op, match.differences[0])
            return
        try:
            Builder(match, self.ctx, rw).run(self.body)
        except (PassError, DiagnosticException) as error:
            what = error.message if isinstance(error, PassError) else str(error)
            raise PassError(f"the pattern '{self.symbol}': {what}", where=describe(op)) from None

    def _rewrite_part(self) -> tuple[pdl.RewriteOp, SSAValue]:
        last = self.pattern.body.block.last_op
        if isinstance(last, pdl.RewriteOp) and last.name_ is not None:
            self._fail(last, f"calls the native function '{last.name_.data}'", _NATIVE)
        if not isinstance(last, pdl.RewriteOp) or last.root is None or not last.body.blocks:
            where = self.pattern if last is None else last
            self._fail(
                where, "has no pdl.rewrite with a root and a body", "pdl.rewrite %op { ... }"
            )
        return last, last.root

    def _check(self, op: Operation) -> None:
        """Refuse what could never match, or not be built."""
        match op:
            case pdl.ApplyNativeConstraintOp() | pdl.ApplyNativeRewriteOp():
                name = op.constraint_name.data
                self._fail(op, f"calls the native function '{name}'", _NATIVE)
            case pdl.OperationOp():
                self._check_operation(op)
            case pdl.ResultsOp() if op.index is not None:
                self._fail(op, "takes one group of results", "pdl.result, or all: pdl.results of")
            case _:
                pass

    def _check_operation(self, op: pdl.OperationOp) -> None:
        is_built = isinstance(op.parent_op(), pdl.RewriteOp)
        if op.opName is None:
            if is_built:
                self._fail(op, "makes an operation without a name")
        elif not self._is_known(op.opName.data, must_exist=is_built):
            name = op.opName.data
            hint = did_you_mean(name, _names(self.ctx, name))
            self._fail(op, f"names the operation '{name}', which does not exist", hint)
        for values in (op.operand_values, op.type_values):
            if not is_built and sum(map(is_range, values)) > 1:
                self._fail(op, "has two ranges beside each other: where one ends is not said")

    def _is_known(self, name: str, *, must_exist: bool) -> bool:
        """An op of a dialect that is not known may be there all the same, unregistered."""
        if self.ctx.get_optional_op(name) is not None:
            return True
        return not must_exist and not _names(self.ctx, name)

    def _check_reached(self) -> None:
        """Refuse operations to match that nothing leads to from the root."""
        todo, reached = [self.root], {self.root}
        while todo:
            op = todo.pop().owner
            assert isinstance(op, pdl.OperationOp), "the type of a handle"
            for value in op.operand_values:
                source = value.owner
                if isinstance(source, pdl.ResultOp | pdl.ResultsOp):
                    if source.parent_ not in reached:
                        todo.append(source.parent_)
                    reached.add(source.parent_)
        for op in self.pattern.body.block.ops:
            if isinstance(op, pdl.OperationOp) and op.op not in reached:
                self._fail(op, "matches an operation that its root does not depend on")

    def _fail(self, op: Operation, message: str, hint: str | None = None) -> NoReturn:
        raise PassError(f"the pattern '{self.symbol}' {message}", where=describe(op), hint=hint)


_NATIVE = "a rule of passes/graph/rules can call Python"


def _names(ctx: Context, name: str) -> Sequence[str]:
    """All ops of the dialect that an op's name begins with."""
    dialect = ctx.get_optional_dialect(name.partition(".")[0])
    return [] if dialect is None else [op.name for op in dialect.operations]
