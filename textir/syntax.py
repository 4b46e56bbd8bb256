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

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast

from ..core import extensions
from ..core.errors import NncError, TextError

if TYPE_CHECKING:
    from .builder import Build
    from .printer import Form

KIND = "syntax"


@dataclass(frozen=True, eq=False)
class Syntax:
    """The form of one op: its rule in the grammar, and who builds and prints it."""

    tag: str
    fragment: str
    build: Build
    show: Form


def _users() -> Mapping[str, Syntax]:
    return _known(extensions.version())


@lru_cache(maxsize=4)
def _known(version: int) -> Mapping[str, Syntax]:
    """What was registered, and what stands in the lists SYNTAX of plug-ins."""
    del version
    entries = extensions.table(KIND)
    found = {name: entry.value for name, entry in entries.items()}
    owners = {name: entry.owner for name, entry in entries.items()}
    for plugin in extensions.plugins():
        for listed in plugin.listed("SYNTAX"):
            place = plugin.place("SYNTAX")
            name, rule, build, show = _entry(listed, plugin.owner, place)
            if name in found or name in _own_forms():
                raise NncError(
                    f"syntax '{name}' is defined by both {owners.get(name, 'nnc')} and "
                    f"{plugin.owner}",
                    where=place,
                )
            before = [syntax.fragment for syntax in found.values()]
            found[name] = _make(
                name, rule, build, show, before=before, owner=plugin.owner, place=place
            )
            owners[name] = plugin.owner
    return found


def _entry(listed: object, owner: str, place: str) -> tuple[str, str, Build, Form]:
    """An entry of a list SYNTAX.

    Raises: TextError: it is none.
    """
    is_entry = isinstance(listed, tuple | list)
    entry = cast("Sequence[object]", listed) if is_entry else ()
    kinds = [isinstance(each, str) or 2 * callable(each) for each in entry]
    if kinds != [1, 1, 2, 2]:
        text = f"SYNTAX of {owner} holds {listed!r}"
        raise TextError(f"{text}, expected ('dialect.op', rule, build, show)", where=place)
    return cast("tuple[str, str, Build, Form]", tuple(entry))


def _own_forms() -> Mapping[str, Form]:
    from .forms import print_core, print_loop, print_sched, print_te
    from .printer import FORMS

    del print_core, print_loop, print_sched, print_te  # they fill FORMS
    return FORMS


def fragments() -> tuple[str, ...]:
    """The rules that plug-ins registered."""
    return tuple(syntax.fragment for syntax in _users().values())


def builders() -> Mapping[str, Build]:
    """The builder of each kind of node, those of plug-ins included."""
    from .builder import BUILDERS

    users = {syntax.tag: syntax.build for syntax in _users().values()}
    return {**BUILDERS, **users} if users else BUILDERS


def forms() -> Mapping[str, Form]:
    """What prints each op that has a form, those of plug-ins included."""
    from .printer import FORMS

    users = {name: syntax.show for name, syntax in _users().items()}
    return {**FORMS, **users} if users else FORMS


def register_syntax(op_name: str, rule: str, build: Build, show: Form) -> None:
    """Give an op a form of its own.

    Args:
        op_name: `dialect.op`.
        rule: what follows the name, as a Lark expansion over the grammar's terminals and rules.
        build: (builder, node, place): makes the op and calls `builder.finish`. The node is a tuple:
            the rule's tag, the op's name, then each part that is no quoted word; a token is
            (offset, text).
        show: (printer, op, indent): the text from the op's name on, or None if it cannot say all.

    Raises: NncError: the op has a form already, or the rule does not fit the grammar.
    """
    owner, place = extensions.asking()
    others = extensions.known(KIND)
    before = [entry.value.fragment for name, entry in others.items() if name != op_name]
    if op_name in _own_forms():
        raise TextError(f"the op '{op_name}' has a syntax already: nnc's", where=place)
    made = _make(op_name, rule, build, show, before=before, owner=owner, place=place)
    extensions.register(KIND, op_name, made)


def _make(
    op_name: str,
    rule: str,
    build: Build,
    show: Form,
    *,
    before: Sequence[str],
    owner: str,
    place: str,
) -> Syntax:
    """Check a form: its name, and that its rule fits the grammar with those before it."""
    if op_name != op_name.lower() or op_name.count(".") != 1:
        raise TextError(f"expected a lower-case 'dialect.op', got '{op_name}'", where=place)
    terminal = op_name.upper().replace(".", "__")
    tag = f"x_{terminal.lower()}"
    fragment = f"\n%declare {terminal}\n%extend statement: {tag}\n{tag}: {terminal} {rule}\n"
    from lark.exceptions import LarkError

    from .tables import load

    try:
        load((*before, fragment))
    except LarkError as error:
        text = f"the syntax of '{op_name}' in {owner} does not fit the grammar: {error}"
        raise TextError(text, where=place) from error
    return Syntax(tag, fragment, build, show)
