"""What users add: plug-ins, what they register, who owns it, and a digest of where it came from.

    register("operator", "graph.soft_clip", value, builtin)     # from a plug-in, or from a script
    table("operator")["graph.soft_clip"].owner                  # 'plug-in soft_clip.py'

A plug-in is a Python file or module: named by `--load-plugin`, by the environment variable
NNC_PLUGINS, or by the entry points `nnc.plugins` of an installed package. It is imported when
something is looked up that it could have added, not before. This module knows no kinds: each layer
keeps the tables of its own (operators, schedules, targets ...).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from ..errors import NncError
from ..locks import ForkSafeLock
from .owner import Plugin, Registration, caller, frames

VARIABLE = "NNC_PLUGINS"
"""Environment: files or modules, separated as in PATH."""


@dataclass
class _State:
    """What is known at one time; a tool's run has one of its own."""

    requested: list[str] = field(default_factory=list[str])
    plugins: list[Plugin] = field(default_factory=list[Plugin])
    tables: dict[str, dict[str, Registration]] = field(
        default_factory=dict[str, dict[str, Registration]]
    )
    is_loaded: bool = False
    is_busy: bool = False
    loading: Plugin | None = None
    failure: NncError | None = None
    version: int = 0

    def copy(self) -> _State:
        """The same, to be added to; the environment is looked at again."""
        tables = {kind: dict(entries) for kind, entries in self.tables.items()}
        return _State(list(self.requested), list(self.plugins), tables, version=self.version)


_state = _State()
_versions = count(1)
_lock = ForkSafeLock()


def register(kind: str, name: str, value: Any, taken: Collection[str] = ()) -> Registration:
    """Add what a plug-in or a script calls by a name.

    Args:
        kind: for messages and as the table's name: "operator", "schedule" ...
        name: unique in its kind.
        value: whatever the layer that keeps the kind wants.
        taken: our own names.

    Raises: NncError: it is no name, or a taken one; both owners are named, and the line that asked.
    """
    if not isinstance(name, str) or not name.strip():  # pyright: ignore[reportUnnecessaryIsInstance]
        raise NncError(f"expected the name of a {kind}, got {name!r}", where=asking()[1])
    with _lock.held:
        owner, place, file = caller(_state.loading)
        made = Registration(kind, name, value, owner, place, file, _state.loading is None)
        if name in taken:
            raise _clash(kind, name, "nnc", made)
        _add(made)
        if _state.loading is not None:
            _state.loading.registrations.append(made)
        return made


def _add(made: Registration) -> None:
    entries = _state.tables.setdefault(made.kind, {})
    known = entries.get(made.name)
    if known is not None and known.value is not made.value:
        raise _clash(made.kind, made.name, known.owner, made)
    entries[made.name] = made
    _state.version = next(_versions)


def _clash(kind: str, name: str, known: str, made: Registration) -> NncError:
    if known == made.owner:
        text = f"{kind} '{name}' is defined twice by {known}"
    else:
        text = f"{kind} '{name}' is defined by both {known} and {made.owner}"
    hint = "rename one of the two"
    return NncError(text, where=made.place, hint=hint)


def asking() -> tuple[str, str]:
    """The owner and the place of the statement that is registering something."""
    owner, place, _ = caller(_state.loading)
    return owner, place


def table(kind: str) -> Mapping[str, Registration]:
    """What users registered of a kind, by name; plug-ins are loaded first.

    Raises: NncError: a plug-in cannot be loaded.
    """
    ensure()
    return _state.tables.get(kind, {})


def known(kind: str) -> Mapping[str, Registration]:
    """As `table`, without loading anything: for what is asked while somebody registers."""
    return _state.tables.get(kind, {})


def version() -> int:
    """A number that stands for the content of all tables; plug-ins are loaded first."""
    ensure()
    return _state.version


def plugins() -> Sequence[Plugin]:
    """All plug-ins, loaded."""
    ensure()
    return _state.plugins


def request(names: Sequence[str]) -> None:
    """Ask for plug-ins by file or module; they are loaded with the others.

    Raises: NncError: there is no such file.
    """
    from .load import check_exists

    for name in names:
        check_exists(name)
        if name not in _state.requested:
            _state.requested.append(name)
            _state.is_loaded, _state.failure = False, None


def ensure() -> None:
    """Load all plug-ins that have not been loaded.

    Raises: NncError: one cannot be; asked again, it says so again.
    """
    if _state.is_loaded:
        return
    with _lock.held:
        if _state.is_loaded or _state.is_busy:
            return  # a plug-in that looks something up sees the plug-ins before it
        if _state.failure is not None:
            raise _state.failure
        _state.is_busy = True
        try:
            _load_all()
            _state.is_loaded = True
        except NncError as error:
            _state.failure = error
            raise
        finally:
            _state.is_busy = False


def _load_all() -> None:
    from .installed import points
    from .load import module_plugin, named_plugin

    wanted = [named_plugin(name) for name in [*_state.requested, *_environment()]]
    wanted += [module_plugin(point.module, point.owner) for point in points("nnc.plugins")]
    known = {plugin.key for plugin in _state.plugins}
    for plugin in wanted:
        if plugin.key not in known:
            known.add(plugin.key)
            _run(plugin)


def _run(plugin: Plugin) -> None:
    """Import a plug-in; what it registers meanwhile is its own."""
    from .load import made_by

    _state.loading = plugin
    try:
        earlier = list(plugin.registrations)
        plugin.run()
        _adopt(plugin)
        for made in earlier:  # a module is imported once, and may be asked for again
            _add(made)
        for made in made_by(plugin.path):  # another one has imported it
            if made not in plugin.registrations:
                _add(replace(made, owner=plugin.owner))
                plugin.registrations.append(made)
        plugin.check()
    finally:
        _state.loading = None
    _state.plugins.append(plugin)
    _state.version = next(_versions)


def _adopt(plugin: Plugin) -> None:
    """Give a plug-in what its modules registered when somebody else imported them."""
    files = plugin.files
    for entries in _state.tables.values():
        for name, made in entries.items():
            if made.is_direct and made.file in files:
                entries[name] = replace(made, owner=plugin.owner, is_direct=False)
                plugin.registrations.append(entries[name])


def _environment() -> list[str]:
    names = os.environ.get(VARIABLE, "")
    return [name for name in names.split(os.pathsep) if name]


@contextmanager
def scope(names: Sequence[str] = ()) -> Generator[None]:
    """A tool's run: these plug-ins, and what they add, are forgotten after it.

    Raises: NncError: there is no such file.
    """
    global _state
    outer = _state
    _state = outer.copy()
    try:
        request(names)
        yield
    finally:
        _state = outer


def environment() -> dict[str, str]:
    """This process's environment, for one that is to know the same plug-ins."""
    names = [os.path.abspath(n) if n.endswith(".py") else n for n in _state.requested]
    value = os.pathsep.join([*names, *_environment()])
    return {**os.environ, **({VARIABLE: value} if value else {})}


def fingerprint() -> str | None:
    """A digest of all that may come from users; "" without, `None` if some of it has no file.

    Nothing is imported for it: the disk cache asks before it knows whether anything is compiled.
    """
    from .installed import points

    made = [each for entries in _state.tables.values() for each in entries.values()]
    direct = {each.file for each in made if each.is_direct}
    if not all(map(os.path.isfile, direct)):
        return None
    named = [_root(name) for name in [*_state.requested, *_environment()]]
    installed = [*points("nnc.plugins"), *points("nnc.frontends")]
    lines = sorted({f"{point.name} {point.value} {point.owner}" for point in installed})
    roots = [*direct, *named, *(point.module for point in installed)]
    if not roots:
        return ""
    from .sources import digest

    return digest(roots, lines)


def _root(name: str) -> str:
    from .load import file_or_module

    return file_or_module(name)


def culprit(error: BaseException) -> tuple[str, str] | None:
    """The plug-in in whose code an exception came up, and the line; `None` if in none.

    That is the innermost frame that is of a plug-in, so also what it gave our functions.
    """
    owners = {file: plugin.owner for plugin in _state.plugins for file in plugin.files}
    for entries in _state.tables.values():
        owners |= {made.file: made.owner for made in entries.values()}
    for file, line in frames(error):
        if file in owners:
            return owners[file], f"{file}:{line}"
    return None


__all__ = [
    "VARIABLE",
    "Plugin",
    "Registration",
    "asking",
    "culprit",
    "ensure",
    "environment",
    "fingerprint",
    "known",
    "plugins",
    "register",
    "request",
    "scope",
    "table",
    "version",
]
