"""Who adds something: a plug-in or a script, and at which line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, NoReturn, TypeVar, cast

from ..errors import NncError

T = TypeVar("T")
LISTS = ("DIALECTS", "PASSES", "TARGETS", "SYNTAX")
"""What a plug-in may hold without a call: `nn-opt` and the text form know these by name."""
_OURS = f"{Path(__file__).parents[2]}{os.sep}"
"""The folder of `nnc`: frames in it only pass on what somebody else asked for."""


@dataclass(frozen=True, eq=False)
class Registration:
    """One thing that was added.

    Attributes:
        kind, name: `operator`, `graph.soft_clip`.
        value: what the layer of its kind keeps.
        owner: for messages: `plug-in soft_clip.py`.
        place: `file:line` of the statement.
        file: of the code that added it; need not exist (a prompt, a notebook).
        is_direct: whether no plug-in was being loaded.
    """

    kind: str
    name: str
    value: Any
    owner: str
    place: str
    file: str
    is_direct: bool


@dataclass(eq=False)
class Plugin:
    """A Python file or module that adds something when it is imported, or in lists.

    Attributes:
        owner: for messages.
        key: the same for one that is asked for twice.
        load: imports it.
        registrations: what it has registered.
    """

    owner: str
    key: str
    load: Callable[[], ModuleType]
    module: ModuleType = field(default_factory=lambda: ModuleType("unloaded"))
    registrations: list[Registration] = field(default_factory=list[Registration])

    def run(self) -> None:
        """Import it.

        Raises: NncError: it cannot be; with the line.
        """
        try:
            self.module = self.load()
        except NncError:
            self.registrations.clear()
            raise

    def check(self) -> None:
        """Raises: NncError: a list is none, or it adds nothing: a name is wrong, or the file is."""
        for name in LISTS:
            self.listed(name)
        if not self.registrations and not any(hasattr(self.module, name) for name in LISTS):
            raise NncError(
                f"{self.owner} adds nothing",
                where=self.path,
                hint="docs/extending.md shows what a plug-in holds",
            )

    @property
    def path(self) -> str:
        """Its file."""
        return self.module.__file__ or self.key

    @property
    def files(self) -> set[str]:
        """Its file, and those of its package that have been imported."""
        package = self.module.__name__.partition(".")[0]
        loaded = [m for n, m in list(sys.modules.items()) if n.partition(".")[0] == package]
        files = {getattr(module, "__file__", None) for module in loaded}
        return {self.path, *(file for file in files if file is not None)}

    def listed(self, name: str) -> list[Any]:
        """A list of the module, empty if it has none.

        Raises: NncError: it is no list.
        """
        value = getattr(self.module, name, [])
        if not isinstance(value, list | tuple):
            raise NncError(f"{name} of {self.owner} is not a list", where=self.place(name))
        return list(cast("list[Any]", value))

    def members(self, name: str, kind: type[T]) -> list[T]:
        """A list of instances.

        Raises: NncError: it holds something else.
        """
        values = self.listed(name)
        for value in values:
            if not isinstance(value, kind):
                text = f"{name} of {self.owner} holds {value!r}, which is no {kind.__name__}"
                raise NncError(text, where=self.place(name))
        return values

    def classes(self, name: str, base: type[T]) -> list[type[T]]:
        """A list of classes.

        Raises: NncError: it holds something else.
        """
        values = self.listed(name)
        for value in values:
            if not (isinstance(value, type) and issubclass(value, base)):
                raise NncError(
                    f"{name} of {self.owner} holds {value!r}, which is no subclass of "
                    f"{base.__name__}",
                    where=self.place(name),
                )
        return values

    def refuse(self, cls: type, reason: str) -> NoReturn:
        """Raises: NncError: a class of the plug-in is none that can be used; with its line."""
        raise NncError(f"{cls.__name__} of {self.owner}: {reason}", where=line_of(cls, self.path))

    def place(self, name: str) -> str:
        """Where a module-level name is first given a value."""
        import ast

        try:
            tree = ast.parse(Path(self.path).read_text("utf-8"))
        except (OSError, ValueError, SyntaxError):
            return self.path
        for statement in tree.body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            targets = [statement.target] if isinstance(statement, ast.AnnAssign) else targets
            if any(isinstance(target, ast.Name) and target.id == name for target in targets):
                return f"{self.path}:{statement.lineno}"
        return self.path


def line_of(cls: type, file: str) -> str:
    """`file:line` of a class, or the file where its text is not to be had."""
    from inspect import getsourcefile, getsourcelines

    try:
        return f"{getsourcefile(cls) or file}:{getsourcelines(cls)[1]}"
    except (OSError, TypeError):
        return file


def caller(loading: Plugin | None) -> tuple[str, str, str]:
    """Owner, place and file of the code that called us, outside of `nnc`.

    While a plug-in is being loaded it is the owner, whoever helps it.
    """
    frame: FrameType | None = sys._getframe(1)  # pyright: ignore[reportPrivateUsage]
    while frame is not None and _is_ours(frame.f_code.co_filename):
        frame = frame.f_back
    file, line = (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("?", 0)
    return (loading.owner if loading is not None else file), f"{file}:{line}", file


def _is_ours(file: str) -> bool:
    return file.startswith((_OURS, "<frozen importlib"))


def frames(error: BaseException) -> Iterator[tuple[str, int]]:
    """File and line of the frames an exception came through, innermost first."""
    trace, found = error.__traceback__, list[tuple[str, int]]()
    while trace is not None:
        found.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        trace = trace.tb_next
    return reversed(found)
