"""Colours for our text form in the documentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Text


class NnLexer(RegexLexer):
    """The text form of modules, kernels and schedules."""

    name = "nn"
    aliases: ClassVar[Sequence[str]] = ["nn", "mlir"]
    tokens: ClassVar[dict[str, list[tuple[str, object]]]] = {
        "root": [
            (r"//.*$", Comment.Single),
            (r'"(?:[^"\\\n]|\\.)*"', String),
            (r"%[\w$.-]+(?:#\d+)?", Name.Variable),
            (r"@[\w$.-]+", Name.Function),
            (r"[!#^][\w$.-]+", Name.Decorator),
            (r"\b(?:tensor|buffer|tile|memref|vector|index|[fiu]+\d+|bf16)\b", Keyword.Type),
            (r"\b(?:for|to|carry|sum|max|min|prod|parallel|vectorize|unroll|const|out)\b", Keyword),
            (r"\b[a-z_]\w*\.[\w.]+", Name.Builtin),
            (r"-?\b\d+(?:\.\d+)?(?:e[-+]?\d+)?\b", Number),
            (r"->|[-+*/=<>]", Operator),
            (r"\s+", Text.Whitespace),
            (r".", Text),
        ]
    }
