"""apply-pdl: rewrite by patterns that are IR themselves, in upstream's pdl dialect.

The patterns are those of the module, which go with it, or of a file (`file=patterns.mlir`, upstream
syntax; `.nn` is ours). Each is a rule of our driver: it is named in statistics by its symbol, tried
in order of benefit, what it makes has the locations of what was matched, and `--explain` says where
it fits but for one thing. Types of new results may be left out: they are those of what is replaced,
or inferred. docs/write-rule.md shows one.

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
from xdsl.passes import ModulePass

from ...core.errors import PassError
from ...core.rewriting import rewrite
from ...core.walk import erase, walk
from .pdl import PdlRule


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
    except OSError as error:
        raise PassError(f"cannot read the patterns in {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise PassError(f"cannot read the patterns in {path}: {error}") from None
    return parse(text, path, ctx) if path.endswith(".nn") else parse_upstream(text, path, ctx)
