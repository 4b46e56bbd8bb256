"""apply-pdl: rewrite by patterns that are IR themselves, in upstream's pdl dialect.

The patterns are those of the module, which go with it, or of a file (`file=patterns.mlir`, upstream
syntax; `.nn` is ours). Each is a rule of our driver: it is named in statistics by its symbol, tried
in order of benefit, and what it makes has the locations of what it replaces. docs/write-rule.md
shows one.

    pdl.pattern @relu_of_relu : benefit(1) {
      %t = type
      %x = operand
      %a = operation "graph.relu"(%x : !pdl.value) -> (%t : !pdl.type)
      %y = result 0 of %a
      %b = operation "graph.relu"(%y : !pdl.value) -> (%t : !pdl.type)
      rewrite %b { replace %b with %a }
    }

    %0 = graph.relu(%x)
    %1 = graph.relu(%0)    ->    %0 = graph.relu(%x)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects import pdl
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import InterpretationError

from ...core.errors import PassError
from ...core.locations import describe
from ...core.rewriting import Pattern, Rewriter, rewrite
from ...core.walk import erase, walk


class PdlRule(Pattern[Operation]):
    """One pdl.pattern, run by xDSL's interpreter of pdl.

    Raises: PassError: it has a form that the interpreter does not know.
    """

    def __init__(self, pattern: pdl.PatternOp, ctx: Context, number: int):
        from xdsl.interpreters.pdl import PDLRewritePattern

        self.pattern = pattern
        symbol = pattern.sym_name
        self.symbol = f"pattern {number}" if symbol is None else symbol.data
        last = pattern.body.block.last_op
        if not isinstance(last, pdl.RewriteOp) or last.root is None or not last.body.blocks:
            raise PassError(
                f"the pattern '{self.symbol}' has no pdl.rewrite with a root and a body",
                where=describe(pattern),
                hint="write `rewrite %root { ... }`",
            )
        for op in walk(pattern):
            if isinstance(op, pdl.ApplyNativeConstraintOp | pdl.ApplyNativeRewriteOp):
                raise PassError(
                    f"the pattern '{self.symbol}' calls the native function "
                    f"'{op.constraint_name.data}'",
                    where=describe(op),
                    hint="a rule of passes/graph/rules can call Python",
                )
        root = last.root.owner
        assert isinstance(root, pdl.OperationOp), "the root of a rewrite is an operation"
        op_class = None if root.opName is None else ctx.get_optional_op(root.opName.data)
        self.ops = (op_class or Operation,)
        self.benefit = pattern.benefit.value.data
        self.interpreted = PDLRewritePattern(last, ctx)

    @property
    def name(self) -> str:
        return self.symbol

    def rewrite(self, op: Operation, rw: Rewriter) -> None:
        if op.name.startswith("pdl."):
            return
        try:
            self.interpreted.match_and_rewrite(op, rw)
        except InterpretationError as error:
            raise PassError(f"the pattern '{self.symbol}': {error}", where=describe(op)) from None


def rules_of(module: ModuleOp, ctx: Context) -> list[PdlRule]:
    """The patterns of a module, those of greater benefit first.

    Raises: PassError: there is none.
    """
    patterns = [op for op in walk(module) if isinstance(op, pdl.PatternOp)]
    if not patterns:
        raise PassError(
            "there is no pdl.pattern to apply",
            hint="patterns stand in the module, or in a file: apply-pdl{file=patterns.mlir}",
        )
    found = [PdlRule(pattern, ctx, number) for number, pattern in enumerate(patterns)]
    return sorted(found, key=lambda each: -each.benefit)


@dataclass(frozen=True)
class ApplyPdlPass(ModulePass):
    """Rewrite by the pdl patterns of the module or of a file."""

    name = "apply-pdl"

    file: str | None = None
    """where the patterns are: upstream syntax, or ours in a file `.nn`"""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        source = op if self.file is None else read_patterns(self.file, ctx)
        rules = rules_of(source, ctx)
        rewrite(op, rules)
        if source is op:
            for rule in rules:
                erase(rule.pattern)


def read_patterns(path: str, ctx: Context) -> ModuleOp:
    """The module in a file.

    Raises: PassError: it cannot be read. TextError: it is malformed.
    """
    from ...textir import parse
    from ...textir.upstream import parse_upstream

    try:
        text = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise PassError(f"cannot read the patterns in {path}: {error}") from None
    return parse(text, path, ctx) if path.endswith(".nn") else parse_upstream(text, path, ctx)
