"""The one tree of exceptions that are meant for a user.

Every refusal says what, where, why, and what would help. A bug in the compiler itself is an
`assert`, never one of these.
"""

from __future__ import annotations

from collections.abc import Iterable


class NncError(Exception):
    """Root of all errors that a user can cause and mend.

    Args:
        message: what went wrong and why, one sentence.
        where: `file:line:col`, an ONNX node's name, or another place a user can find.
        hint: what would help.
    """

    def __init__(self, message: str, *, where: str | None = None, hint: str | None = None):
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n  help: {self.hint}" if self.hint else head


class TextError(NncError):
    """A text of ours that cannot be read: the message carries file:line:col and a caret."""


class ModelError(NncError):
    """A model file that is broken, or not a model."""


class UnsupportedError(NncError):
    """A model, operator or attribute that is understood but not supported."""


class InputError(NncError):
    """Arrays, names or shapes given to a model that do not fit its inputs."""


class ExpressionError(NncError):
    """A tensor expression that means nothing: ranks, element types, axes or names do not fit."""


class PassError(NncError):
    """A pass or lowering that cannot go on with the IR it was given."""


class ScheduleError(NncError):
    """A schedule primitive that would change the meaning, with the dependence that forbids it."""


def did_you_mean(name: str, known: Iterable[str], prefix: str = "", *, most: int = 1) -> str | None:
    """A hint for a misspelt name: at most so many that are near, `prefix` before each."""
    from difflib import get_close_matches

    near = get_close_matches(name, list(known), most)
    return f"did you mean {' or '.join(repr(prefix + each) for each in near)}?" if near else None
