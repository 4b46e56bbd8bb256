"""Where in the user's program something was written."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from itertools import islice
from types import FrameType, TracebackType

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
        if _is_user(frame):
            return _location(frame, frame.f_lineno, frame.f_lasti)
        frame = frame.f_back
    return UNKNOWN_LOC


def _is_user(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module != PACKAGE and not module.startswith(f"{PACKAGE}.")


def _location(frame: FrameType, line: int, instruction: int) -> LocationAttr:
    position = next(islice(frame.f_code.co_positions(), instruction // 2, None))
    column = (position[2] or 0) + 1
    return FileLineColLoc(StringAttr(frame.f_code.co_filename), IntAttr(line), IntAttr(column))


class Located:
    """Errors of the block that name no place name the user's line.

    That is the innermost one of what the block has called (the line of a compute's function),
    else the one that has called the package.
    """

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(error, NncError) and error.where is None:
            found = here()
            while traceback is not None:
                if _is_user(traceback.tb_frame):
                    found = _location(traceback.tb_frame, traceback.tb_lineno, traceback.tb_lasti)
                traceback = traceback.tb_next
            error.where = describe_location(found)


located = Located()
