"""Where in the user's program something was written."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from types import FrameType

from xdsl.dialects.builtin import UNKNOWN_LOC, FileLineColLoc, IntAttr, LocationAttr, StringAttr

from ...core.errors import NncError
from ...core.locations import describe_location

PACKAGE = __name__.partition(".")[0]


@dataclass
class Written:
    """A place in a program: what the ops of a compute take as their location."""

    location: LocationAttr


def here() -> LocationAttr:
    """The line of the innermost caller outside of this package."""
    frame = inspect.currentframe()
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module != PACKAGE and not module.startswith(f"{PACKAGE}."):
            return _location(frame)
        frame = frame.f_back
    return UNKNOWN_LOC


def _location(frame: FrameType) -> LocationAttr:
    position = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
    column = (position[2] or 0) + 1
    return FileLineColLoc(
        StringAttr(frame.f_code.co_filename), IntAttr(frame.f_lineno), IntAttr(column)
    )


@contextmanager
def located(location: LocationAttr) -> Generator[None]:
    """Errors of the block that name no place name this one."""
    try:
        yield
    except NncError as error:
        error.where = error.where or describe_location(location)
        raise
