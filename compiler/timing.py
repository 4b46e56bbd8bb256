"""Where the time of a compilation goes."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import perf_counter

_LISTENER: ContextVar[Callable[[str], None] | None] = ContextVar("nnc_stages", default=None)


@contextmanager
def listening(hear: Callable[[str], None]) -> Generator[None]:
    """While the block runs, tell `hear` of every stage that begins on this thread."""
    token = _LISTENER.set(hear)
    try:
        yield
    finally:
        _LISTENER.reset(token)


@dataclass
class Timings:
    """Seconds by stage, in the order in which stages first ran.

    Attributes:
        seconds: of stages, which follow each other.
        beside: of work on another thread at the same time.
    """

    seconds: dict[str, float] = field(default_factory=dict[str, float])
    beside: dict[str, float] = field(default_factory=dict[str, float])

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Add the time of the block to a stage."""
        if (hear := _LISTENER.get()) is not None:
            hear(name)
        with _timed(self.seconds, name):
            yield

    @contextmanager
    def meanwhile(self, name: str) -> Generator[None]:
        """As `stage`, for a block that another thread runs: it is no part of the total."""
        with _timed(self.beside, name):
            yield

    @property
    def total(self) -> float:
        """Of all stages."""
        return sum(self.seconds.values())


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Generator[None]:
    start = perf_counter()
    try:
        yield
    finally:
        seconds[name] = seconds.get(name, 0.0) + perf_counter() - start


@contextmanager
def without_collector() -> Generator[None]:
    """Run the block with the cyclic garbage collector off: it costs a third of a compilation."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
