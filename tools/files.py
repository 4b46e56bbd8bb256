"""Files that a tool writes: refused before the work whose result they hold, and when it fails."""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager

from ..core.errors import InputError


def check_writable(path: str) -> None:
    """Refuse a file that cannot be written; nothing is made or changed.

    Raises: InputError: with the system's reason.
    """
    if not path:
        raise InputError("cannot write: expected the name of a file, got ''")
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        problem = errno.EISDIR
    elif not os.path.isdir(folder):
        problem = errno.ENOTDIR if os.path.exists(folder) else errno.ENOENT
    elif not os.access(path if os.path.exists(path) else folder, os.W_OK):
        problem = errno.EACCES
    else:
        return
    raise InputError(f"cannot write: {os.strerror(problem)}", where=path)


@contextmanager
def writing(path: str | os.PathLike[str]) -> Generator[None]:
    """What goes wrong inside is the fault of this file.

    Raises: InputError: with the system's reason.
    """
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror}", where=os.fspath(path)) from None
