"""What installed packages publish for nnc: their entry points, found without importing anything.

    [project.entry-points."nnc.plugins"]      # imported where a plug-in file would be
    soft-clip = "acme_soft_clip.plugin"
    [project.entry-points."nnc.frontends"]    # the key is a format and a file's extension
    layers = "acme_layers:read"
    [project.entry-points."xdsl.universe"]    # xDSL's: dialects, passes and targets for -t
    acme = "acme.universe:UNIVERSE"

Reading `importlib.metadata` takes 30 ms, so folders are looked through by hand first: most
installations hold no package that publishes anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from ..errors import NncError

GROUPS = ("nnc.plugins", "nnc.frontends", "xdsl.universe")
_OWN = ("nnc_compiler", "xdsl")
"""Packages whose entry points are not plug-ins."""


@dataclass(frozen=True)
class Point:
    """An entry point of somebody else's package.

    Attributes:
        name: the key.
        value: `package.module` or `package.module:object`.
        owner: for messages: the package with its version.
    """

    group: str
    name: str
    value: str
    owner: str

    @property
    def module(self) -> str:
        """The module that it names."""
        return self.value.partition(":")[0].strip()

    def load(self) -> Any:
        """The object that it names.

        Raises: NncError: it cannot be imported; with the line.
        """
        from importlib.metadata import EntryPoint

        from .load import broken

        try:
            return EntryPoint(self.name, self.value, self.group).load()
        except NncError:
            raise
        except Exception as error:
            raise broken(error, self.owner, self.module) from error


def points(group: str) -> Sequence[Point]:
    """The entry points of a group in other packages, by name."""
    return [point for point in _points(tuple(sys.path)) if point.group == group]


@cache
def _points(folders: tuple[str, ...]) -> Sequence[Point]:
    if not any(_publishes(path) for folder in folders for path in metadata_folders(folder)):
        return ()
    from importlib.metadata import distributions

    found: dict[tuple[str, str], Point] = {}
    for distribution in distributions(path=list(folders)):
        name = distribution.metadata["Name"]
        if name.replace("-", "_").lower() in _OWN:
            continue
        owner = f"package {name} {distribution.version}"
        for point in distribution.entry_points:
            if point.group in GROUPS:
                key = (point.group, f"{point.name} {name}")
                found.setdefault(key, Point(point.group, point.name, point.value, owner))
    return sorted(found.values(), key=lambda point: (point.name, point.owner))


def metadata_folders(folder: str) -> list[str]:
    """The folders in a folder of packages that say what a package is."""
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return []
    return [
        os.path.join(folder, name)
        for name in sorted(names)
        if name.endswith((".dist-info", ".egg-info"))
    ]


def _publishes(folder: str) -> bool:
    if os.path.basename(folder).partition("-")[0].lower().removesuffix(".egg") in _OWN:
        return False
    try:
        with open(os.path.join(folder, "entry_points.txt"), "rb") as file:
            text = file.read()
    except OSError:
        return False
    return any(f"[{group}]".encode() in text for group in GROUPS)
