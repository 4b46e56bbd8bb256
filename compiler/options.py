"""What a user can ask of a compilation."""

from __future__ import annotations

import platform
from dataclasses import dataclass

from ..core.errors import InputError, UnsupportedError
from ..runtime.threads import default_threads
from ..targets import Target, resolve

NUMERICS = ("fast", "strict")


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
            raise InputError(f"numerics is {' or '.join(NUMERICS)}, got '{numerics}'")
        if threads is not None and threads < 1:
            raise InputError(f"threads must be at least 1, got {threads}")
        available = default_threads()
        return Options(resolve(target), min(threads or available, available), numerics)

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


def _enabled(features: str) -> set[str]:
    return {feature[1:] for feature in features.split(",") if feature.startswith("+")}
