"""Where a graph runs."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.errors import InputError


@dataclass(frozen=True)
class Device:
    """A device by kind and number."""

    kind: str
    index: int = 0

    def __str__(self) -> str:
        return f"{self.kind}({self.index})"


def cpu(index: int = 0) -> Device:
    """This machine's processor, all of its cores.

    Raises: InputError: `index` is not 0.
    """
    if index != 0:
        raise InputError(f"there is one cpu, cpu(0); got cpu({index})")
    return Device("cpu", index)
