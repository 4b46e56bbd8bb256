"""What a user can ask of a compilation."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import index
from typing import SupportsIndex, cast

from ..core.errors import InputError, UnsupportedError
from ..runtime.inputs import check_mapping
from ..runtime.threads import default_threads
from ..targets import Target, resolve

NUMERICS = ("fast", "strict")
MAX_EXTENT = 2**63 - 1


@dataclass(frozen=True)
class Options:
    """Target, threads and numerics of one compilation, checked.

    All fields are part of the disk cache's key: plain values, and no paths, whose content changes.

    Attributes:
        target: the machine that code is made for.
        threads: how many may work on one inference; never more than there are processors.
        numerics: "fast" may reorder sums, "strict" keeps the order; NaN and infinities count
            in both.
        interpret: whether every operator is run by the reference, without compiling.
    """

    target: Target
    threads: int
    numerics: str
    interpret: bool = False

    @staticmethod
    def of(target: str = "cpu", threads: int | None = None, numerics: str = "fast") -> Options:
        """Check what a user gave.

        Raises: UnsupportedError: unknown target. InputError: wrong threads or numerics.
        """
        if numerics not in NUMERICS:
            raise InputError(f"numerics is {' or '.join(NUMERICS)}, got {numerics!r}")
        available = default_threads()
        wanted = available if threads is None else _integer("threads", threads)
        if wanted < 1:
            raise InputError(f"threads must be at least 1, got {wanted}")
        return Options(resolve(target), min(wanted, available), numerics)

    def check_runs_here(self) -> None:
        """Refuse a target whose code this machine cannot run.

        Raises: UnsupportedError: another architecture, or vector extensions that are missing.
        """
        machine = self.target.triple.partition("-")[0]
        if machine not in (platform.machine(), {"arm64": "aarch64"}.get(platform.machine())):
            raise UnsupportedError(
                f"this machine ({platform.machine()}) cannot run code for {self.target.name}",
                hint="`nnc compile --emit obj` writes the code without running it",
            )
        wanted, host = _enabled(self.target.features), _enabled(resolve("cpu").features)
        if missing := sorted(wanted - host):
            raise UnsupportedError(
                f"this machine lacks {', '.join(missing)}, which {self.target.name} uses",
                hint="use the target 'cpu'",
            )


def checked_path(option: str, given: object) -> str:
    """A path that an option gives.

    Raises: InputError: it is none.
    """
    is_path = isinstance(given, str | os.PathLike)
    path: object = os.fspath(cast("str | os.PathLike[str]", given)) if is_path else None
    if not isinstance(path, str) or not path or "\0" in path:
        raise InputError(f"expected a path, got {given!r}", where=option)
    return path


def checked_shapes(given: Mapping[str, Sequence[int]] | None) -> dict[str, tuple[int, ...]]:
    """Extents by input name as `shape=` gives them, in Python's own integers.

    Raises: InputError: no mapping of names, or an extent that is no size.
    """
    if given is None:
        return {}
    check_mapping("shape", given, "shapes", '{"x": (1, 3)}')
    return {_name(name): _extents(name, extents) for name, extents in given.items()}


def _name(given: object) -> str:
    if not isinstance(given, str):
        raise InputError(f"expected names of inputs, got {given!r}", where="shape")
    return given


def _extents(name: str, given: Sequence[int]) -> tuple[int, ...]:
    where = f"shape of input '{name}'"
    if isinstance(given, str | bytes) or not hasattr(given, "__iter__"):
        hint = "a vector has one extent: (8,)"
        raise InputError(f"expected a tuple of extents, got {given!r}", where=where, hint=hint)
    extents = tuple(_integer(where, extent) for extent in given)
    if any(not 0 <= extent <= MAX_EXTENT for extent in extents):
        raise InputError(f"expected extents from 0 to 2**63 - 1, got {extents}", where=where)
    return extents


def _integer(where: str, given: object) -> int:
    try:
        if not isinstance(given, bool):
            return index(cast("SupportsIndex", given))
    except TypeError:
        pass
    raise InputError(f"expected an integer, got {given!r}", where=where)


def _enabled(features: str) -> set[str]:
    return {feature[1:] for feature in features.split(",") if feature.startswith("+")}
