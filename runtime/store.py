"""A folder of files under digests, which several processes read and write: the disk cache.

A file appears whole or not at all (it is written elsewhere and renamed), carries a checksum, and is
memory mapped. What is broken is taken for absent and removed; whoever needed it makes it anew. When
the folder is larger than its limit, what was used longest ago goes. Files are never changed in
place, so what is mapped stays valid after another process has replaced or removed it.

    FOLDER/nnc-1/KIND/ab/abcdef...    64 bytes: "nncstore", length, sha256 of the payload; payload
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile
from weakref import WeakValueDictionary

from .arrays import Array

LAYOUT = "nnc-1"
MAGIC = b"nncstore"
HEADER = 64
"""Bytes before the payload: a cache line, so that mapped arrays are aligned."""
DEFAULT_LIMIT = 4 << 30
KEPT_SHARE = 0.75
"""How much of the limit stays after something had to go, so that not every write removes some."""
ABANDONED_SECONDS = 3600.0
"""A temporary file of this age belongs to a process that was killed."""
_TEMPORARY = ".tmp"
Bytes = bytes | memoryview


class Store:
    """The files of one folder, which is made at the first write.

    A store never fails: what cannot be read is absent, what cannot be written is not kept.

    Args:
        folder: of the cache; other files in it are left alone. Nobody else may write into it, for
            its code is run.
        limit: bytes that the files may take.
    """

    def __init__(self, folder: str | os.PathLike[str], limit: int = DEFAULT_LIMIT):
        self.folder = Path(folder) / LAYOUT
        self.limit = limit
        self.arrays: WeakValueDictionary[str, Array] = WeakValueDictionary()
        """Arrays in use by digest, so that executables of this process share them."""

    def read(self, kind: str, key: str) -> memoryview | None:
        """The payload, mapped and checked; `None` if there is none."""
        path = self._path(kind, key)
        try:
            content = _mapped(path)
        except (OSError, ValueError):
            return None
        if content is None:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # the least recently used go first
        return content

    @property
    def room(self) -> int:
        """Bytes that can be kept together: of more, the first would be gone before the last."""
        return int(self.limit * KEPT_SHARE)

    def write(
        self,
        kind: str,
        key: str,
        parts: Sequence[Bytes],
        *,
        digest: bytes | None = None,
        replace: bool = False,
    ) -> None:
        """Keep a payload.

        Args:
            kind: the folder in the folder.
            key: a digest in hexadecimal digits.
            parts: the payload, in parts.
            digest: its sha256, if it is known.
            replace: whether the key may stand for another payload than before; else one of this
                size that is there stays.
        """
        path = self._path(kind, key)
        length = sum(len(part) for part in parts)
        if length > self.room or (not replace and self._touch(path, length)):
            return
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_whole(path, length, parts, digest or _sha256(parts))

    def trim(self) -> None:
        """Remove what was used longest ago until the limit holds, and what killed writers left."""
        found = sorted(_files(self.folder), key=lambda file: file[1])
        total = sum(size for _, _, size in found)
        target = self.room if total > self.limit else total
        old = time.time() - ABANDONED_SECONDS
        for path, used, size in found:
            is_abandoned = path.endswith(_TEMPORARY) and used < old
            if is_abandoned or (total > target and not path.endswith(_TEMPORARY)):
                with suppress(OSError):
                    os.unlink(path)
                total -= size

    def _path(self, kind: str, key: str) -> Path:
        return self.folder / kind / key[:2] / key

    def _touch(self, path: Path, length: int) -> bool:
        """Whether a file of this size is there; it then counts as used now."""
        try:
            if path.stat().st_size != HEADER + length:
                return False
            os.utime(path)
        except OSError:
            return False
        return True


def _sha256(parts: Sequence[Bytes]) -> bytes:
    found = sha256()
    for part in parts:
        found.update(part)
    return found.digest()


def _write_whole(path: Path, length: int, parts: Sequence[Bytes], digest: bytes) -> None:
    # Not synchronised with the disk: after a power failure the checksum finds what is missing.
    with NamedTemporaryFile(dir=path.parent, suffix=_TEMPORARY, delete=False) as file:
        try:
            header = MAGIC + length.to_bytes(8, "little") + digest
            for part in (header.ljust(HEADER, b"\0"), *parts):
                file.write(part)
            file.close()
            os.replace(file.name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(file.name)
            raise


def _mapped(path: Path) -> memoryview | None:
    """The payload of a file; `None` if it is broken.

    Raises: OSError, ValueError: there is no such file, or it is empty.
    """
    from mmap import ACCESS_READ, mmap

    with path.open("rb") as file:
        content = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
    length = int.from_bytes(content[8:16], "little")
    if bytes(content[:8]) != MAGIC or len(content) != HEADER + length:
        return None
    payload = content[HEADER:]
    return payload if sha256(payload).digest() == bytes(content[16:48]) else None


def _files(folder: Path) -> Iterator[tuple[str, float, int]]:
    """(path, time of last use, size) of every file below a folder."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            with suppress(OSError):
                status = os.stat(path)
                yield path, status.st_mtime, status.st_size
