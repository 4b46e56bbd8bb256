"""Where an op came from: a line of a text, a node of a model, or several of these."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import PurePath
from typing import cast

from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    ArrayAttr,
    CallSiteLoc,
    FileLineColLoc,
    FusedLoc,
    LocationAttr,
    NameLoc,
    NoneAttr,
    UnknownLoc,
)
from xdsl.ir import Attribute, Operation

from .walk import ancestors, walk

MAX_FUSED = 8
"""A fused location holds at most this many: one op can stand for hundreds after folding."""


def describe(op: Operation) -> str:
    """The location of an op as a user reads it; of the nearest op around it that has one.

    `net.nn:12:5` for a text, `node 'Conv_4'` for a model, the op's name where nothing is known.
    """
    texts = (describe_location(current.location) for current in chain([op], ancestors(op)))
    return next((text for text in texts if text is not None), op.name)


def describe_location(location: Attribute) -> str | None:
    """A location in a message's words: `net.nn:12:5`, `node 'Conv_4', node 'Relu_5'`.

    `None` if it is unknown.
    """
    words = dict.fromkeys(_describe_part(part) for part in parts(location))
    return ", ".join(words) or None


def _describe_part(location: LocationAttr) -> str:
    match location:
        case FileLineColLoc():
            return f"{location.filename.data}:{location.line.data}:{location.column.data}"
        case NameLoc():
            return f"node '{location.desc.data}'"
        case _:
            return str(location)


def parts(location: Attribute) -> tuple[LocationAttr, ...]:
    """The single locations that `location` consists of, in order, unknown ones left out."""
    if isinstance(location, FusedLoc):
        members = cast("ArrayAttr[Attribute]", location.locations)
        return tuple(part for member in members for part in parts(member))
    if isinstance(location, CallSiteLoc):
        return parts(location.callee) or parts(location.caller)
    return (location,) if isinstance(location, FileLineColLoc | NameLoc) else ()


def source_name(part: LocationAttr) -> str | None:
    """What a single location is called: a model's node, or the line of a text (`net.nn:3`)."""
    if isinstance(part, NameLoc):
        return part.desc.data
    if isinstance(part, FileLineColLoc):
        return f"{PurePath(part.filename.data).name}:{part.line.data}"
    return None


def model_names(locations: Iterable[Attribute]) -> list[str]:
    """The nodes of a model that locations name, each once, in order."""
    single = (part for location in locations for part in parts(location))
    return list(dict.fromkeys(part.desc.data for part in single if isinstance(part, NameLoc)))


def source_names(locations: Iterable[Attribute]) -> list[str]:
    """The same; of what names no node, the lines of its text."""
    found = list(locations)
    names = (source_name(part) for location in found for part in parts(location))
    return model_names(found) or list(dict.fromkeys(filter(None, names)))


def fuse(locations: Iterable[LocationAttr]) -> LocationAttr:
    """One location for an op that stands for several.

    Each is kept once, in order; a single one stays what it is.
    """
    single = tuple(dict.fromkeys(part for location in locations for part in parts(location)))
    if not single:
        return UNKNOWN_LOC
    return single[0] if len(single) == 1 else FusedLoc(ArrayAttr(single[:MAX_FUSED]), NoneAttr())


def set_location(op: Operation, location: LocationAttr) -> None:
    """Give `op`, and the ops inside it, this location where they have none."""
    for current in walk(op):
        if isinstance(current.location, UnknownLoc):
            current.location = location
