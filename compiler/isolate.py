"""Machine code that may be wrong runs in a child process: it may write where it should not."""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import warnings
from collections.abc import Callable
from typing import NoReturn, TypeVar, cast

from ..core.errors import NncError

_T = TypeVar("_T")
LIMIT = 120.0
"""Seconds: code that is wrong may also never end."""


class Crashed(NncError):
    """The child process died, or was ended because it took too long."""


class _Finished(Exception):
    """What a function gives early, where there is no process to end."""

    def __init__(self, result: object):
        self.result = result


def isolated(function: Callable[[], _T], limit: float = LIMIT) -> _T:
    """What a function gives in a child process; its result is copied back.

    Raises: Crashed: the process died, or took more than `limit` seconds. NncError: as the function
        did.
    """
    return isolated_until(lambda finish: function(), limit)


def isolated_until(function: Callable[[Callable[[_T], NoReturn]], _T], limit: float = LIMIT) -> _T:
    """The same; the function may also end the process with a result, whatever it has broken.

    Raises: Crashed, NncError: as `isolated`.
    """
    if not hasattr(os, "fork"):
        return _here(function)
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside idle threads
        child = os.fork()
    if not child:
        _run_and_exit(function, writing, limit)
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as pipe:
            data = pipe.read()
    except BaseException:  # whoever waits may be interrupted; nobody else ends the child
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        _, status = os.waitpid(child, 0)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGALRM:
        raise Crashed(f"the code did not end within {limit:g} s")
    if number or not data:
        raise Crashed(f"the code crashed (signal {number})")
    result, message = pickle.loads(data)  # our own child's
    if message is not None:
        raise NncError(message)
    return result


def _here(function: Callable[[Callable[[_T], NoReturn]], _T]) -> _T:
    def finish(result: _T) -> NoReturn:
        raise _Finished(result)

    try:
        return function(finish)
    except _Finished as finished:
        return cast("_T", finished.result)


def _run_and_exit(
    function: Callable[[Callable[[_T], NoReturn]], _T], writing: int, limit: float
) -> NoReturn:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, limit)
    # What a crash prints is noise: the parent says that there was one.
    faulthandler.disable()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)

    def give(result: _T | None, message: str | None = None) -> NoReturn:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps((result, message)))
        os._exit(0)  # nothing of the parent's is cleaned up here

    try:
        result = function(give)
    except Exception as error:
        give(None, str(error))
    give(result)
