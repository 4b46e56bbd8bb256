"""Syntax that plug-ins add: a rule of the grammar, and functions to build and print.

    def build(builder, node, place):             # toy.scale %x by 3 : f32
        _, (position, name), (where, value), (_, factor), types = node
        ...
        builder.finish(op, place)

    def show(printer, op, indent):
        return f"toy.scale {printer.operands(op)} by {op.factor.value.data} : ..."

    register_syntax("toy.scale", 'VAL "by" INT TYPES', build, show)

`docs/text.md` lists the terminals. An op whose `show` returns None is written in the generic form,
which is understood for every op.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.errors import TextError

if TYPE_CHECKING:
    from .builder import Build
    from .printer import Form

_FRAGMENTS: dict[str, str] = {}


def fragments() -> tuple[str, ...]:
    """The rules that plug-ins registered."""
    return tuple(_FRAGMENTS.values())


def register_syntax(op_name: str, rule: str, build: Build, show: Form) -> None:
    """Give an op a form of its own.

    Args:
        op_name: `dialect.op`.
        rule: what follows the name, as a Lark expansion over the grammar's terminals and rules.
        build: (builder, node, place): makes the op and calls `builder.finish`. The node is a tuple:
            the rule's tag, the op's name, then each part that is no quoted word; a token is
            (offset, text).
        show: (printer, op, indent): the text from the op's name on, or None if it cannot say all.

    Raises: TextError: the op has a form already, or the rule does not fit the grammar.
    """
    from .builder import BUILDERS
    from .printer import FORMS
    from .tables import load

    if op_name in FORMS and op_name not in _FRAGMENTS:
        raise TextError(f"the op '{op_name}' has a syntax already")
    if op_name != op_name.lower() or op_name.count(".") != 1:
        raise TextError(f"expected a lower-case 'dialect.op', got '{op_name}'")
    terminal = op_name.upper().replace(".", "__")
    tag = f"x_{terminal.lower()}"
    outer = _FRAGMENTS.get(op_name)
    _FRAGMENTS[op_name] = (
        f"\n%declare {terminal}\n%extend statement: {tag}\n{tag}: {terminal} {rule}\n"
    )
    from lark.exceptions import LarkError

    try:
        load(fragments())
    except LarkError as error:
        del _FRAGMENTS[op_name]
        if outer is not None:
            _FRAGMENTS[op_name] = outer
        raise TextError(f"the syntax of '{op_name}' does not fit the grammar: {error}") from error
    BUILDERS[tag] = build
    FORMS[op_name] = show
