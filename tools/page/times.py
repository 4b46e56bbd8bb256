"""How long each call takes, from a profile."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CallTime:
    """One call of a kernel, or one host step, on one thread.

    Attributes:
        share: of the time of all.
        limit: seconds that it takes at least on this machine; `None` where nothing is known.
        gflops, gigabytes: rates.
    """

    seconds: float
    share: float
    limit: float | None = None
    gflops: float | None = None
    gigabytes: float | None = None

    @property
    def percent(self) -> int | None:
        """How much of its limit it reaches."""
        if self.limit is None or not self.seconds:
            return None
        return round(100 * self.limit / self.seconds)

    @property
    def grade(self) -> str:
        """`good`, `fair` or `poor`; `unknown` without a limit."""
        percent = self.percent
        if percent is None:
            return "unknown"
        return "good" if percent >= 75 else "fair" if percent >= 45 else "poor"
