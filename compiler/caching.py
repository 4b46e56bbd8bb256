"""The disk cache: from a model's bytes to what was compiled of them, without reading the model.

A model's key is a digest of its bytes, of the options, and of all that may change what is made of
them: the compiler's own sources, those of plug-ins, and the packages that it calls. Under it lies
the model's signature, with the digests of the other files that it was read from; under that key and
the shapes of the inputs lies a program. Nothing here imports xDSL, Lark or ONNX.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import file_digest, sha256
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core import extensions
from ..core.errors import ModelError
from ..runtime import artifact
from ..runtime.codec import decode, encode
from ..runtime.signature import Signature
from ..runtime.store import Store
from .options import Options, checked_path

if TYPE_CHECKING:
    from ..runtime.arrays import Array
    from .source import ModelSource

    Cache = Store | str | os.PathLike[str] | bool | None

Shapes = tuple[tuple[int, ...], ...]
VARIABLE = "NNC_CACHE"
"""Environment: the cache's folder, or "off"."""
PACKAGES = ("lark", "llvmlite", "ml_dtypes", "numpy", "onnx", "xdsl")
"""Whose versions may change what is compiled."""
ABSENT = ""
"""Stands for the digest of a file that does not exist."""


def open_store(cache: Cache = None) -> Store | None:
    """The store that a user names: a folder, a store, `False` for none, else the default one.

    The default is the user's cache folder, or what NNC_CACHE says.
    """
    if isinstance(cache, Store):
        return cache
    if cache is not None and not isinstance(cache, bool):
        return _store(checked_path("cache", cache))
    named = os.environ.get(VARIABLE, "")
    if cache is False or (cache is None and named == "off"):
        return None
    if named not in ("", "off"):
        return _store(named)
    from platformdirs import user_cache_dir

    return _store(user_cache_dir("nnc", appauthor=False))


@cache
def _store(folder: str) -> Store:
    """One object for a folder, so that what it has mapped is mapped once."""
    return Store(folder)


@dataclass(frozen=True)
class Head:
    """What is known of a model before its shapes are.

    Attributes:
        files: other files that it was read from, relative to its folder, and their digests.
    """

    files: tuple[tuple[str, str], ...]
    inputs: tuple[Signature, ...]
    outputs: tuple[Signature, ...]


class ModelCache:
    """The part of a store that belongs to one model under given options."""

    def __init__(self, store: Store, source: _Source, key: str):
        self.store = store
        self._source, self._key = source, key
        self._files: tuple[tuple[str, str], ...] = ()
        self._is_found = False

    @staticmethod
    def of(
        store: Store,
        model: ModelSource,
        options: Options,
        shape: Mapping[str, Sequence[int]],
        schedules: str | os.PathLike[str] | None = None,
    ) -> ModelCache | None:
        """The cache of a model; `None` for one that has no bytes to go by."""
        source = _Source.of(model)
        users = extensions.fingerprint()
        chosen = None if schedules is None else _digest(Path(schedules))
        if source is None or users is None or options.interpret or chosen == ABSENT:
            return None
        made_from = {
            "nnc": fingerprint(),
            "extensions": users,
            "source": [source.kind, source.digest],
            "options": asdict(options),
            "shape": {name: list(extents) for name, extents in shape.items()},
            "schedules": chosen,
        }
        text = json.dumps(made_from, sort_keys=True)
        return ModelCache(store, source, sha256(text.encode()).hexdigest())

    def head(self) -> Head | None:
        """The model's signature, if it is known and the files it was read from are the same."""
        content = self.store.read("model", self._key)
        if content is None:
            return None
        try:
            head: Head = decode(Head, json.loads(bytes(content)), {})
        except (TypeError, ValueError, LookupError):
            return None
        if not self._has_files(head.files):
            return None
        self._files, self._is_found = head.files, True
        return head

    def check_same(self) -> None:
        """Refuse a model that was found here, and whose files have changed before it was read.

        Raises: ModelError.
        """
        if self._is_found and not (self._source.is_same and self._has_files(self._files)):
            raise ModelError(
                "has changed since it was given to nnc.compile",
                where=str(self._source.path),
                hint="compile it again",
            )

    def _has_files(self, files: Sequence[tuple[str, str]]) -> bool:
        return all(self._source.digest_of(name) == digest for name, digest in files)

    def save_head(self, inputs: Sequence[Signature], outputs: Sequence[Signature]) -> None:
        """Keep the signature of the model that has just been read."""
        names = self._source.other_files()
        self._files = tuple((name, self._source.digest_of(name)) for name in names)
        head = Head(self._files, tuple(inputs), tuple(outputs))
        text = json.dumps(encode(head, {})).encode()
        if self._source.is_unchanged:
            self.store.write("model", self._key, [text], replace=True)

    def load(self, shapes: Shapes) -> artifact.Artifact | None:
        """The program for these shapes, if it is known."""
        return artifact.load(self.store, self._program_key(shapes), host_function_later)

    def save(self, shapes: Shapes, made: artifact.Artifact) -> None:
        """Keep the program for these shapes, if all of it can be written."""
        from .host import text_of

        if self._source.is_unchanged:
            artifact.save(made, self.store, self._program_key(shapes), text_of)

    def _program_key(self, shapes: Shapes) -> str:
        text = json.dumps([self._key, self._files, shapes])
        return sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class _Source:
    """A model by its bytes.

    Attributes:
        kind: how the bytes are read; with the path where messages name it.
        digest: of the bytes.
        path: of the file, if it is one.
        status: the file's size and time of change, when its digest was taken.
    """

    kind: str
    digest: str
    path: Path | None = None
    status: tuple[int, int] = (0, 0)

    @staticmethod
    def of(model: ModelSource) -> _Source | None:
        """A file, bytes or a ModelProto; `None` for anything else, and for what cannot be read."""
        if isinstance(model, bytes | bytearray | memoryview):
            return _Source("onnx", sha256(model).hexdigest())
        if isinstance(model, str | os.PathLike):
            path = Path(model)
            try:
                status = _status(path)
            except (OSError, ValueError):
                return None
            if _is_foreign(path.suffix):
                return None  # nobody knows which other files its front end reads
            kind = f"text {path}" if path.suffix in (".nn", ".mlir") else "onnx"
            digest = _digest(path)
            return _Source(kind, digest, path, status) if digest != ABSENT else None
        if type(model).__name__ != "ModelProto":
            return None
        proto: Any = model
        try:
            return _Source("onnx", sha256(proto.SerializeToString(deterministic=True)).hexdigest())
        except ValueError:  # protobuf writes no more than 2 GiB
            return None

    @property
    def is_unchanged(self) -> bool:
        """Whether the file is still the one whose digest was taken."""
        try:
            return self.path is None or _status(self.path) == self.status
        except OSError:
            return False

    @property
    def is_same(self) -> bool:
        """Whether its content is still what it was, whenever it was written."""
        if self.path is None or self.is_unchanged:
            return True
        return self.digest_of(self.path.name) == self.digest

    def other_files(self) -> list[str]:
        """Names of files beside this one that belong to the model."""
        if self.path is None:
            return []
        if self.kind != "onnx":
            from ..textir.weights import side_file

            return [side_file(self.path).name]
        if not _contains(self.path, b"location"):
            return []
        from ..frontends.onnx.external import external_files

        return external_files(self.path)

    def digest_of(self, name: str) -> str:
        """The digest of a file beside this one."""
        assert self.path is not None, "only a file has others beside it"
        return _digest(self.path.parent / name)


def _is_foreign(suffix: str) -> bool:
    if suffix in (".nn", ".mlir", ".onnx"):
        return False
    from ..frontends import for_suffix

    return for_suffix(suffix) is not None


def _status(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return ABSENT


def _contains(path: Path, text: bytes) -> bool:
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
        return content.find(text) >= 0


def host_function_later(text: str) -> artifact.HostRun:
    """The function of a host step, read from its text when it is first called."""
    found: list[artifact.HostRun] = []

    def run(*arrays: Array) -> Sequence[Array]:
        if not found:
            from .host import function_of

            found.append(function_of(text))
        return found[0](*arrays)

    return run


@cache
def fingerprint() -> str:
    """A digest of this compiler's sources (by time and size) and of the packages' versions."""
    root = Path(__file__).parents[1]
    lines = [
        f"{os.path.relpath(entry.path, root)} {status.st_size} {status.st_mtime_ns}"
        for entry in _sources(str(root))
        for status in [entry.stat()]
    ]
    return sha256("\n".join([sys.version, *_versions(), *lines]).encode()).hexdigest()


def _sources(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            if entry.is_dir():
                yield from _sources(entry.path)
            elif entry.name.endswith((".py", ".lark")):
                yield entry


def _versions() -> list[str]:
    """Names of the packages' metadata folders: importlib.metadata would take 20 ms."""
    found = [
        name
        for folder in sys.path
        if os.path.isdir(folder)
        for name in os.listdir(folder)
        if name.endswith(".dist-info") and name.partition("-")[0] in PACKAGES
    ]
    return sorted(found)
