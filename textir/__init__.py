"""The text form: `parse` and `print_module`. docs/text.md shows the syntax."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.ir import Operation

    from .builder import Build
    from .looks import Look
    from .parser import Reading
    from .printer import Form


def default_context() -> Context:
    """A context with xDSL's dialects and ours; each is imported when its first op is met."""
    from ..dialects import context

    return context()


def parse(text: str, filename: str = "<text>", ctx: Context | None = None) -> ModuleOp:
    """The module of a text, pretty, generic or mixed.

    A single top-level `builtin.module` is that module; otherwise the ops stand in one.
    Raises: TextError: with `file:line:col`, the line, and what was expected.
    """
    from .parser import parse as parse_text

    return parse_text(text, filename, ctx)


def read(
    text: str,
    filename: str = "<text>",
    ctx: Context | None = None,
    *,
    max_errors: int | None = None,
) -> Reading:
    """As `parse`, but on past errors: the module so far, and all errors, up to a number."""
    from .parser import read as read_text

    return read_text(text, filename, ctx, max_errors=max_errors)


def parse_bytes(data: bytes, filename: str = "<text>", ctx: Context | None = None) -> ModuleOp:
    """As `parse`; bytes that are not UTF-8 are an error with their place."""
    from .parser import parse_bytes as parse_text_bytes

    return parse_text_bytes(data, filename, ctx)


def parse_file(path: str | Path, ctx: Context | None = None) -> ModuleOp:
    """As `parse`, of a file."""
    from .parser import parse_file as parse_text_file

    return parse_text_file(path, ctx)


def print_module(
    op: Operation,
    *,
    generic: bool = False,
    locations: bool = False,
    elide: int | None = None,
    look: Look | None = None,
) -> str:
    """The text of a module or of any op; `parse` makes the same again.

    Args:
        op: a module, or any op.
        generic: MLIR's generic form, which `mlir-opt` reads.
        locations: a `loc(...)` behind every op and argument.
        elide: dense literals of more elements are left out; the text no longer parses.
        look: everything that can be asked for; instead of the others.
    """
    from .forms import print_core, print_loop, print_sched, print_te
    from .looks import Look
    from .printer import TextPrinter
    from .users import Users

    del print_core, print_loop, print_sched, print_te
    look = look or Look(generic=generic, locations=locations, elide=elide)
    printer = TextPrinter(look)
    text = printer.module(op)
    if look.users:
        # The users of a value come after it: their names are known when all has been written once.
        text = TextPrinter(look, Users(op, printer.names)).module(op)
    return text


def register_syntax(op_name: str, rule: str, build: Build, show: Form) -> None:
    """Give an op of a plug-in a form of its own; `textir/syntax.py` shows how."""
    from .syntax import register_syntax as register

    register(op_name, rule, build, show)
