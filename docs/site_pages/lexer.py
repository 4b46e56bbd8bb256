"""Colours for our text form in the documentation: its words are those of `tools/tokens.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pygments.lexer import RegexLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String, Text

from nnc.tools.tokens import TOKENS

KINDS = {
    "comment": Comment.Single,
    "string": String,
    "value": Name.Variable,
    "symbol": Name.Function,
    "attribute": Name.Decorator,
    "type": Keyword.Type,
    "keyword": Keyword,
    "op": Name.Builtin,
    "number": Number,
    "word": Text,
}


class NnLexer(RegexLexer):
    """The text form of modules, kernels and schedules."""

    name = "nn"
    aliases: ClassVar[Sequence[str]] = ["nn", "mlir"]
    tokens: ClassVar[dict[str, list[tuple[str, object]]]] = {
        "root": [
            *((expression, KINDS[kind]) for kind, expression in TOKENS),
            (r"->|[-+*/=<>]", Operator),
            (r"\s+", Text.Whitespace),
            (r".", Text),
        ]
    }
