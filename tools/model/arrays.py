"""Arrays from and to files, and random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from zipfile import BadZipFile, ZipFile

import numpy as np

from ...compiler.signature import Signature
from ...core.errors import InputError
from ...runtime.arrays import Array
from ...runtime.inputs import check_names
from ..files import writing


def read_inputs(files: Sequence[str], signatures: Sequence[Signature]) -> dict[str, Array]:
    """Arrays by input name from `name=file.npy`, `file.npz`, or `file.npy` for a single input.

    Raises: InputError: a file that cannot be read, or a name that no input has.
    """
    names = [signature.name for signature in signatures]
    arrays: dict[str, Array] = {}
    for text in files:
        found = _named(text, names)
        check_names({**dict.fromkeys(names), **found}, names)
        if twice := [name for name in found if name in arrays]:
            raise InputError("its content is given twice", where=f"input '{twice[0]}'")
        arrays.update(found)
    return arrays


def _named(text: str, names: Sequence[str]) -> dict[str, Array]:
    name, equals, path = text.rpartition("=")
    if not path:
        raise InputError(f"expected NAME=FILE, got '{text}'", where="--input")
    loaded = _load(path)
    if isinstance(loaded, dict):
        return {name: loaded[name]} if name in loaded else loaded
    if equals or len(names) == 1:
        return {name if equals else names[0]: loaded}
    raise InputError(f"which input is {path}?", hint=f"NAME={path}; inputs: {', '.join(names)}")


def _load(path: str) -> Array | dict[str, Array]:
    try:
        if not _is_arrays(path):
            hint = "numpy.save and numpy.savez write such files"
            raise InputError(
                "cannot read arrays: it is no .npy or .npz file", where=path, hint=hint
            )
        found = np.load(path, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return cast("Array", found)
        with found:
            return dict(found)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if "allow_pickle" in reason:
            reason = "it holds objects, not numbers"
        raise InputError(f"cannot read arrays: {reason}", where=path) from None


def _is_arrays(path: str) -> bool:
    """Whether a file begins as NumPy's do; it takes all others for pickles.

    Raises: OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return file.read(6).startswith((b"\x93NUMPY", b"PK"))


def read_arrays(path: str) -> dict[str, Array]:
    """The arrays of a .npz file by name; that of a .npy file by the file's name.

    Raises: InputError: it cannot be read.
    """
    loaded = _load(path)
    return loaded if isinstance(loaded, dict) else {Path(path).stem: loaded}


def write_outputs(path: str, arrays: Mapping[str, Array]) -> None:
    """Write arrays by name as .npz, or a single one as .npy.

    Raises: InputError: the file cannot be written, or .npy is asked for with several arrays.
    """
    with writing(path):
        if Path(path).suffix != ".npy":
            save_arrays(path, arrays)
        elif len(arrays) == 1:
            np.save(path, next(iter(arrays.values())))
        else:
            raise InputError(f"{len(arrays)} outputs do not fit a .npy file", hint="use .npz")


def save_arrays(path: str | Path, arrays: Mapping[str, Array]) -> None:
    """As `np.savez`, for any names (its own take `file` and `allow_pickle` for themselves)."""
    with ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)


def random_inputs(
    signatures: Sequence[Signature], seed: int, given: Mapping[str, Array] | None = None
) -> dict[str, Array]:
    """Reproducible arrays: normal floats, integers 0 and 1; those that are `given` stay.

    Raises: InputError: an input has open extents.
    """
    rng = np.random.default_rng(seed)
    arrays = dict(given or {})
    for signature in signatures:
        if signature.name in arrays:
            continue
        if not signature.is_static:
            raise InputError(
                f"its shape {signature} is open",
                where=f"input '{signature.name}'",
                hint=f"--shape {signature.name}=... or --input {signature.name}=FILE.npy",
            )
        spec = signature.spec()
        arrays[spec.name] = _random(rng, spec.shape, spec.dtype)
    return arrays


def _random(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    if dtype.kind in "biu":
        return rng.integers(0, 2, shape).astype(dtype)
    return rng.standard_normal(shape, np.float32).astype(dtype)
