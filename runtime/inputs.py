"""What a caller gives to a model: checked against the model's inputs, with messages that help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import numpy as np

from ..core.errors import InputError
from .arrays import Array, ready
from .program import TensorSpec


def joined(inputs: Mapping[str, object] | None, named: dict[str, object]) -> Mapping[str, object]:
    """The inputs of a call that gives some in a mapping and some as keywords.

    Raises: InputError: something else than a mapping is given.
    """
    if inputs is None:
        return named
    if not isinstance(inputs, dict):
        check_mapping("inputs", inputs)
    return {**inputs, **named} if named else inputs


def check_mapping(what: str, given: object) -> None:
    """Refuse arrays that are given without their names.

    Raises: InputError: it is no mapping.
    """
    if not isinstance(given, Mapping):
        message = f"expected arrays by name, got {type(given).__name__}"
        raise InputError(message, where=what, hint='give a dict, as {"x": array}')


def check_names(given: Mapping[str, object], names: Sequence[str]) -> None:
    """Refuse inputs that are missing or that the model has not.

    Raises: InputError: with the names that are wrong, and the nearest right one.
    """
    missing = [name for name in names if name not in given]
    unknown = [name for name in given if name not in names]
    if not missing and not unknown:
        return
    parts: list[str] = []
    if missing:
        parts.append(f"missing {_listed(missing)}")
    if unknown:
        parts.append(f"no input is called {_listed(unknown)}")
    raise InputError("; ".join(parts), where="inputs", hint=_nearest("inputs", unknown, names))


def check_known(kind: str, given: Iterable[str], names: Sequence[str]) -> None:
    """Refuse names that are not among `names`.

    Raises: InputError: with the nearest right one.
    """
    if unknown := [name for name in given if name not in names]:
        message = f"no {kind} is called {_listed(unknown)}"
        raise InputError(message, where=f"{kind}s", hint=_nearest(f"{kind}s", unknown, names))


def _nearest(kind: str, unknown: Sequence[str], names: Sequence[str]) -> str:
    near = [match for name in unknown for match in get_close_matches(name, names, 1)]
    return f"did you mean {_listed(near)}?" if near else f"the {kind} are {_listed(names)}"


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "none"


def as_array(name: str, value: object, dtype: np.dtype[np.generic]) -> Array:
    """`value` as an array; numbers and lists take the expected dtype, arrays keep theirs.

    Raises: InputError: it is nothing that NumPy takes, or of another dtype than expected.
    """
    try:
        plain = isinstance(value, bool | int | float | list | tuple)
        array = np.asarray(value, dtype) if plain else np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"not an array of {dtype.name}: {error}", where=f"input '{name}'"
        ) from None
    if array.dtype.newbyteorder("=") != dtype:
        raise InputError(
            f"expected dtype {dtype.name}, got {array.dtype.name}",
            where=f"input '{name}'",
            hint=f"convert it with .astype('{dtype.name}')",
        )
    return array


def check_shape(where: str, shape: Sequence[int], expected: Sequence[int | str]) -> None:
    """Compare rank and extents of the array at `where`; a string stands for any extent.

    Raises: InputError: with both shapes, and the dimensions that differ.
    """
    shown = "[" + ", ".join(str(extent) for extent in expected) + "]"
    if len(shape) != len(expected):
        raise InputError(
            f"expected rank {len(expected)}, got rank {len(shape)}",
            where=where,
            hint=f"its shape is {shown}, the array's {list(shape)}",
        )
    wrong = [
        i
        for i, (got, want) in enumerate(zip(shape, expected, strict=True))
        if isinstance(want, int) and got != want
    ]
    if wrong:
        axes = ", ".join(f"{i} (expected {expected[i]}, got {shape[i]})" for i in wrong)
        raise InputError(
            f"expected shape {shown}, got {list(shape)}",
            where=where,
            hint=f"differs in dimension {axes}",
        )


def accept(spec: TensorSpec, value: object) -> Array:
    """The array that compiled code takes for an input: the caller's own where that is possible.

    Raises: InputError: wrong dtype, rank or extents.
    """
    array = as_array(spec.name, value, spec.dtype)
    if array.shape != spec.shape:
        check_shape(f"input '{spec.name}'", array.shape, spec.shape)
    return ready(array)
