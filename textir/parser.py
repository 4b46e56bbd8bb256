"""Text to modules."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation, Region

from ..dialects import context as default_context
from . import driver
from .builder import Builder
from .errors import Malformed, ParseTextError, at
from .forms import build_any, build_core, build_loop, build_sched, build_te
from .recovery import Problems
from .syntax import fragments
from .tables import Node, load

_FORMS = (build_any, build_core, build_te, build_sched, build_loop)
"""Imported for what they add to `BUILDERS`."""


@contextmanager
def collector_off() -> Generator[None]:
    """No cyclic garbage collection while ops are made: it would cost a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def parse(text: str, filename: str = "<text>", ctx: Context | None = None) -> ModuleOp:
    """The module of a text, pretty, generic or mixed.

    A single top-level `builtin.module` is that module; otherwise the ops stand in one.
    Raises: TextError: with `file:line:col`, the line, and what was expected.
    """
    try:
        with collector_off():
            return _parse(text, filename, ctx or default_context())
    except Malformed as error:
        raise at(text, filename, error.position, error.message, error.hint) from None


def _parse(text: str, filename: str, context: Context) -> ModuleOp:
    nodes = driver.parse(text, load(fragments()))
    builder = Builder(text, filename, context)
    return _build(builder, nodes)[0]


def _build(builder: Builder, nodes: list[Node]) -> tuple[ModuleOp, bool]:
    """The module, and whether the text leaves it out."""
    block = Block()
    builder.run(builder.ops(nodes, block))
    first = block.first_op
    if isinstance(first, ModuleOp) and first.next_op is None:
        first.detach()
        return first, False
    module = ModuleOp(Region(block))
    module.location = builder.locations.at(0)
    return module, True


@dataclass(frozen=True)
class Reading:
    """What there is in a text, right or wrong.

    Attributes:
        module: what could be read; where something could not, a `textir.failed` stands in it.
        errors: in the order of the text.
        num_left_out: how many more there were.
        failed: the ops that stand for what could not be read.
        missing_symbols: symbols that those may define.
        is_implicit: the text has several ops at the top, or one that is no `builtin.module`.
    """

    module: ModuleOp
    errors: tuple[ParseTextError, ...]
    num_left_out: int
    failed: frozenset[Operation]
    missing_symbols: frozenset[str]
    is_implicit: bool


def read(
    text: str,
    filename: str = "<text>",
    ctx: Context | None = None,
    *,
    max_errors: int | None = None,
) -> Reading:
    """As `parse`, but on past errors: all of a text's, the most important first in each place.

    Args:
        text: all of it.
        filename: for locations.
        ctx: what there is to read.
        max_errors: how many errors are kept; the others are counted.
    """
    problems = Problems(max_errors)
    with collector_off():
        nodes = driver.parse(text, load(fragments()), problems)
        builder = Builder(text, filename, ctx or default_context(), problems)
        builder.scopes.has_hints = not problems.is_full
        module, is_implicit = _build(builder, nodes)
    found = sorted(problems.found, key=lambda error: error.position)
    return Reading(
        module,
        tuple(at(text, filename, one.position, one.message, one.hint) for one in found),
        problems.num_left_out,
        frozenset(builder.failures.ops),
        frozenset(builder.failures.symbols),
        is_implicit,
    )


def parse_bytes(data: bytes, filename: str = "<text>", ctx: Context | None = None) -> ModuleOp:
    """As `parse`; bytes that are not UTF-8 are an error with their place."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        message = f"invalid UTF-8: byte 0x{data[error.start]:02x}"
        raise at(before, filename, len(before), message) from None
    return parse(text, filename, ctx)


def parse_file(path: str | Path, ctx: Context | None = None) -> ModuleOp:
    """As `parse`, of a file.

    Raises: TextError: the file cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: no system has such a path
        reason = str(getattr(error, "strerror", None) or error)
        raise ParseTextError(reason, file=str(path), line=1, col=1) from None
    return parse_bytes(data, str(path), ctx)
