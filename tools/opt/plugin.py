"""Plug-ins: one Python file that adds dialects, passes, targets and syntax to nn-opt.

The file is imported and asked for module-level lists, each optional:

    DIALECTS = [Toy]            # xdsl.ir.Dialect objects
    PASSES = [FoldToyPass]      # xdsl.passes.ModulePass classes
    TARGETS = [ToyTarget]       # xdsl.utils.target.Target classes
    SYNTAX = [("toy.scale", 'VAL "by" INT TYPES', build, show)]   # textir/syntax.py
"""

from __future__ import annotations

import sys
import traceback
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

from xdsl.ir import Dialect
from xdsl.passes import ModulePass
from xdsl.utils.target import Target

from ...core.catalog import Catalog, constant
from ...core.errors import NncError
from ...textir import register_syntax

_T = TypeVar("_T")
_LISTS = ("DIALECTS", "PASSES", "TARGETS", "SYNTAX")


@dataclass(frozen=True)
class Plugin:
    """What one file adds."""

    name: str
    dialects: Catalog
    passes: Catalog
    targets: Catalog


def load_plugin(path: str) -> Plugin:
    """Import a plug-in file.

    Raises: NncError: it cannot be read or imported, or holds nothing that we know.
    """
    module = _import_file(Path(path))
    if not any(hasattr(module, name) for name in _LISTS):
        raise NncError(
            f"plug-in {path} defines none of {', '.join(_LISTS)}",
            hint="docs/tutorial.md shows a plug-in",
        )
    for entry in _list(module, path, "SYNTAX"):
        register_syntax(*entry)
    return Plugin(
        f"plug-in {path}",
        {one.name: constant(one) for one in _members(module, path, "DIALECTS", Dialect)},
        {one.name: constant(one) for one in _classes(module, path, "PASSES", ModulePass)},
        {one.name: constant(one) for one in _classes(module, path, "TARGETS", Target)},
    )


def _list(module: ModuleType, path: str, name: str) -> list[Any]:
    value = getattr(module, name, [])
    if not isinstance(value, list | tuple):
        raise NncError(f"{name} of plug-in {path} is not a list")
    return list(cast("list[Any]", value))


def _members(module: ModuleType, path: str, name: str, kind: type[_T]) -> list[_T]:
    values = _list(module, path, name)
    for value in values:
        if not isinstance(value, kind):
            raise NncError(f"{name} of plug-in {path} holds {value!r}, which is no {kind.__name__}")
    return values


def _classes(module: ModuleType, path: str, name: str, base: type[_T]) -> list[type[_T]]:
    values = _list(module, path, name)
    for value in values:
        if not (isinstance(value, type) and issubclass(value, base)):
            raise NncError(
                f"{name} of plug-in {path} holds {value!r}, which is no subclass of {base.__name__}"
            )
    return values


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise NncError(f"cannot load plug-in {path}: no such file")
    # Two plug-ins may have the same file name: the module's name follows from the whole path.
    key = f"nnc_plugin_{path.stem}_{sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = spec_from_file_location(key, path)
    if spec is None or spec.loader is None:
        raise NncError(
            f"cannot load plug-in {path}: not a Python file", hint="the name ends in .py"
        )
    module = module_from_spec(spec)
    sys.modules[key] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except NncError:
        raise
    except Exception as error:
        raise NncError(
            f"plug-in cannot be imported: {type(error).__name__}: {error}",
            where=_place(error, path),
            hint="nn-opt --debug shows the traceback",
        ) from error
    return module


def _place(error: Exception, path: Path) -> str:
    """The innermost line of the plug-in itself that was being run."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{path}:{error.lineno}:{error.offset or 1}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename == str(path):
            return f"{path}:{frame.lineno}"
    return str(path)
