"""nn-opt's door to textir."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp


def parse_module(text: str, file: str, context: Context, syntax: Sequence[str]) -> ModuleOp:
    """The module of a text of ours, pretty or generic."""
    from .sources import parse_upstream

    return parse_upstream(text, file, context)


def print_module(
    module: ModuleOp, *, generic: bool = False, locations: bool = False, elide: int | None = None
) -> str:
    """The text of a module."""
    from io import StringIO

    from xdsl.printer import Printer

    out = StringIO()
    Printer(out, print_generic_format=generic, print_debuginfo=locations).print_op(module)
    return out.getvalue()
