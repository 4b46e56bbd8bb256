"""A digest of all the code that a plug-in may run: its files, and what they import.

What lies in a folder of installed packages is known by the packages' versions and the time they
were installed; anything else by content. Modules are found without being imported.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from .installed import metadata_folders

_IMPORT = re.compile(rb"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([^\n#;]+))", re.M)
"""An import statement at any depth; in a docstring it does no harm."""
_FILES = re.compile(rb"^FILES\b[^=\n]*=\s*[\[(]([^\])]*)[\])]", re.M)
_QUOTED = re.compile(rb"""["']([^"']+)["']""")
_OURS = Path(__file__).parents[2]


def digest(roots: Sequence[str], lines: Iterable[str] = ()) -> str:
    """A digest of the sources that these files and modules come to, and of what is installed.

    Args:
        roots: absolute paths of files, or names of modules.
        lines: anything else that counts.
    """
    state = sha256("\n".join([*lines, *_installed()]).encode())
    for path in sorted(_closure(roots)):
        state.update(f"\n{path} ".encode())
        state.update(_content(path))
    return state.hexdigest()


def _closure(roots: Sequence[str]) -> set[Path]:
    """All files: those of the roots wherever they are, of what they import where it is local."""
    found: set[Path] = set()
    waiting = [place for root in roots for place in _places(root)]
    names: set[str] = set()
    while waiting:
        for path in _files(waiting.pop()):
            if path in found:
                continue
            found.add(path)
            wanted = _imports(path) - names if path.suffix == ".py" else set[str]()
            names |= wanted
            waiting += [place for name in wanted for place in _places(name) if _is_local(place)]
            waiting += _named_files(path)
    return found


def _places(root: str) -> Iterator[Path]:
    """The file or folder of a file's path, or of the package that a module is in."""
    if os.path.isabs(root):
        yield Path(root)
        return
    try:
        spec = find_spec(root.partition(".")[0])
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    if spec.submodule_search_locations is not None:
        yield from map(Path, spec.submodule_search_locations)
    elif spec.origin is not None and os.path.isfile(spec.origin):
        yield Path(spec.origin)


def _files(place: Path) -> Iterator[Path]:
    if not place.is_dir():
        yield place
        return
    for folder, folders, names in os.walk(place):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(folder, name) for name in names)


def _imports(path: Path) -> set[str]:
    """Top-level names of the modules that a file imports, relative imports left out."""
    found: set[str] = set()
    for source, listed in _IMPORT.findall(_read(path)):
        for part in listed.split(b",") if listed else [source]:
            words = part.split()
            if words and not words[0].startswith(b"."):
                found.add(words[0].decode(errors="replace").partition(".")[0])
    return found - sys.stdlib_module_names - {"nnc", "xdsl", "numpy", ""}


def _named_files(path: Path) -> Iterator[Path]:
    """What a module-level `FILES = ["table.json"]` names, beside the file."""
    for listed in _FILES.findall(_read(path)) if path.suffix == ".py" else ():
        for name in _QUOTED.findall(listed):
            yield path.parent / name.decode(errors="replace")


def _is_local(place: Path) -> bool:
    """Whether no version stands for it: neither Python's own, nor installed, nor ours."""
    if place.is_relative_to(_OURS):
        return False
    packages = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    inside = {"site-packages", "dist-packages"} & set(place.parts)
    return not inside and not any(place.is_relative_to(folder) for folder in packages)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _content(path: Path) -> bytes:
    """The content of a source; size and time of anything else, which may be large."""
    if path.suffix == ".py":
        return sha256(_read(path)).digest()
    try:
        status = path.stat()
    except OSError:
        return b"absent"
    return f"{status.st_size} {status.st_mtime_ns}".encode()


def _installed() -> Iterator[str]:
    """Names and versions of all packages, and when each was installed."""
    for folder in sys.path:
        for path in metadata_folders(folder):
            record = os.path.join(path, "RECORD")
            time = os.stat(record).st_mtime_ns if os.path.exists(record) else 0
            yield f"{os.path.basename(path)} {time}"
