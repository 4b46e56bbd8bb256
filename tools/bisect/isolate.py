"""Machine code that may be wrong runs in a child process: it may write where it should not."""

from __future__ import annotations

import faulthandler
import os
import pickle
import warnings
from collections.abc import Callable
from typing import TypeVar

from ...core.errors import NncError

_T = TypeVar("_T")


class Crashed(NncError):
    """The child process died."""


def isolated(function: Callable[[], _T]) -> _T:
    """What a function gives in a child process; its result is copied back.

    Raises: Crashed: the process died. NncError: as the function did.
    """
    if not hasattr(os, "fork"):
        return function()
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside idle threads
        child = os.fork()
    if not child:
        _run_and_exit(function, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) or not data:
        signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        raise Crashed(f"the code crashed (signal {signal})")
    result, message = pickle.loads(data)  # our own child's
    if message is not None:
        raise NncError(message)
    return result


def _run_and_exit(function: Callable[[], object], writing: int) -> None:
    # What a crash prints is noise: the parent says that there was one.
    faulthandler.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    made: tuple[object, str | None]
    try:
        made = function(), None
    except Exception as error:
        made = None, str(error)
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(pickle.dumps(made))
    os._exit(0)  # nothing of the parent's is cleaned up here
