"""Locks that a forked child finds free: the thread that held one stayed with the parent."""

from __future__ import annotations

import os
from threading import RLock
from weakref import WeakSet


class ForkSafeLock:
    """A lock for `with lock.held:`, which one thread may take several times.

    Attributes:
        held: this process's lock; another one in a forked child.
    """

    def __init__(self) -> None:
        self.held = RLock()
        _LOCKS.add(self)


_LOCKS: WeakSet[ForkSafeLock] = WeakSet()


def _renew_locks() -> None:
    for lock in _LOCKS:
        lock.held = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
