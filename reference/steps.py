"""The budget of a check: what would run too long is reported, not run."""

from __future__ import annotations

from ..core.errors import ModelError, NncError

MAX_STEPS = 1_000_000_000
"""About two seconds: a step is one element of one NumPy operation."""
OPERATION_STEPS = 3_000
"""What one NumPy call costs, however small its arrays."""


class NotChecked(NncError):
    """Something that the reference does not run, because it would take too long.

    Args:
        message: what, and why.
        steps: the estimated number of steps (elements of NumPy operations).
    """

    def __init__(self, message: str, *, steps: int = 0, where: str | None = None):
        super().__init__(message, where=where)
        self.steps = steps


class WrongMeaning(ModelError):
    """The meaning of a user's operator gives something else than the types of its results say."""


class OutsideDomain(NncError):
    """A read or write outside of a tensor or buffer: the IR is wrong, or an index input is."""


def check_budget(steps: int, limit: int, what: str) -> None:
    """Raises: NotChecked: `steps` is more than `limit`."""
    if steps > limit:
        raise NotChecked(f"{what} needs {steps:.2g} steps, the limit is {limit:.2g}", steps=steps)
