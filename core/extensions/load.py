"""Importing plug-ins: what goes wrong is one error, with the plug-in and the line."""

from __future__ import annotations

import os
import sys
from functools import partial
from hashlib import sha256
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from ..errors import NncError
from .owner import Plugin, Registration, frames

_MODULES: dict[str, Plugin] = {}
"""Plug-ins that are modules: Python imports each once."""


def file_or_module(name: str) -> str:
    """A file's absolute path, or the name of a module as it is."""
    is_file = name.endswith(".py") or os.sep in name
    return os.path.abspath(name) if is_file else name


def check_exists(name: str) -> None:
    """Raises: NncError: a file that is not there, or no Python."""
    if os.path.isabs(file_or_module(name)):
        path = Path(name)
        if not path.is_file():
            raise NncError(f"cannot load plug-in {name}: no such file")
        if path.suffix != ".py":
            hint = "the name ends in .py"
            raise NncError(f"cannot load plug-in {name}: not a Python file", hint=hint)


def named_plugin(name: str) -> Plugin:
    """The plug-in of a file or module that a user names.

    Raises: NncError: no such file.
    """
    if not os.path.isabs(file_or_module(name)):
        return module_plugin(name, f"plug-in {name}")
    check_exists(name)
    return Plugin(f"plug-in {name}", file_or_module(name), partial(_import_file, name))


def module_plugin(module: str, owner: str) -> Plugin:
    """The plug-in that is a module."""
    if module not in _MODULES:
        _MODULES[module] = Plugin(owner, module, partial(_import_module, module, owner))
    return _MODULES[module]


def made_by(file: str) -> list[Registration]:
    """What code of a file has registered while any plug-in was being loaded that is a module."""
    made = (each for plugin in list(_MODULES.values()) for each in plugin.registrations)
    return [each for each in made if each.file == file]


def _import_module(module: str, owner: str) -> ModuleType:
    try:
        return import_module(module)
    except NncError as error:
        error.where = error.where or _place(error, module)
        raise
    except Exception as error:
        raise broken(error, owner, module) from error


def _import_file(name: str) -> ModuleType:
    path = Path(name)
    # Two plug-ins may have the same file name: the module's name follows from the whole path.
    key = f"nnc_plugin_{path.stem}_{sha256(str(path.resolve()).encode()).hexdigest()[:8]}"
    spec = spec_from_file_location(key, path)
    assert spec is not None, "the name ends in .py"
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[key] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    except NncError as error:
        error.where = error.where or _place(error, module.__file__ or name)
        raise
    except Exception as error:
        raise broken(error, f"plug-in {name}", module.__file__ or name) from error
    return module


def broken(error: Exception, owner: str, origin: str) -> NncError:
    """What a user is told of a plug-in that fails while it is imported."""
    return NncError(
        f"{owner} cannot be imported: {type(error).__name__}: {error}",
        where=_place(error, origin),
        hint="--debug shows the traceback",
    )


def _place(error: Exception, origin: str) -> str:
    """The innermost line of the plug-in's file or package that was being run."""
    if isinstance(error, SyntaxError) and error.lineno is not None:
        return f"{error.filename or origin}:{error.lineno}:{error.offset or 1}"
    package = origin.partition(".")[0]
    for file, line in frames(error):
        if file == origin or package in Path(file).parts or Path(file).stem == package:
            return f"{file}:{line}"
    return origin
