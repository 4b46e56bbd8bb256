"""What a caller gives to a model: checked against the model's inputs, with messages that help."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

import numpy as np

from ..core.errors import InputError
from .arrays import Array, ready
from .program import TensorSpec

PLAIN: tuple[type, ...] = (bool, int, float, list, tuple)
"""What has no dtype of its own."""


def joined(inputs: Mapping[str, object] | None, named: dict[str, object]) -> Mapping[str, object]:
    """The inputs of a call that gives some in a mapping and some as keywords.

    Raises: InputError: something else than a mapping is given, or an input twice.
    """
    if inputs is None:
        return named
    if not isinstance(inputs, dict):
        check_mapping("inputs", inputs)
    if not named:
        return inputs
    if twice := [name for name in named if name in inputs]:
        message = f"{_listed(twice)} given in the mapping and as a keyword"
        raise InputError(message, where="inputs")
    return {**inputs, **named}


def check_mapping(
    what: str, given: object, content: str = "arrays", example: str = '{"x": array}'
) -> None:
    """Refuse what is given without names.

    Raises: InputError: it is no mapping.
    """
    if not isinstance(given, Mapping):
        message = f"expected {content} by name, got {type(given).__name__}"
        raise InputError(message, where=what, hint=f"give a dict, as {example}")


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


def _nearest(kind: str, unknown: Sequence[object], names: Sequence[str]) -> str:
    texts = [name for name in unknown if isinstance(name, str)]
    near = [match for name in texts for match in get_close_matches(name, names, 1)]
    if near:
        return f"did you mean {_listed(near)}?"
    return f"the {kind} are {_listed(names)}" if names else f"there are no {kind}"


def _listed(names: Sequence[object]) -> str:
    return ", ".join(f"'{name}'" if isinstance(name, str) else repr(name) for name in names)


def as_array(name: str, value: object, dtype: np.dtype[np.generic]) -> Array:
    """`value` as an array; numbers and lists take the expected dtype, arrays keep theirs.

    Raises: InputError: it is nothing that NumPy takes, of another dtype than expected, or has
        elements that the dtype cannot hold or that are masked.
    """
    if type(value) is not np.ndarray and np.ma.is_masked(value):
        raise InputError(
            "some of its elements are masked: they have no value",
            where=f"input '{name}'",
            hint="give them one, as .filled(0)",
        )
    try:
        array = np.asarray(value) if not isinstance(value, PLAIN) else _of_numbers(value, dtype)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError(
            f"not an array of {dtype.name}: {error}", where=f"input '{name}'"
        ) from None
    if array.dtype.newbyteorder("=") != dtype:
        raise _wrong_dtype(name, value, array, dtype)
    return array


def _of_numbers(value: object, dtype: np.dtype[np.generic]) -> Array:
    """Numbers without a dtype as an array of one.

    Raises: ValueError, TypeError, OverflowError: no numbers, or not numbers of this dtype.
    """
    found = np.asarray(value)
    is_numeric = found.dtype.kind in "biuf" or all(isinstance(each, int) for each in found.flat)
    if not is_numeric and found.dtype.kind in "OSU":
        raise TypeError("expected numbers")
    array = np.asarray(value, dtype)
    if dtype.kind in "biu" and not np.array_equal(array, found):
        raise ValueError("it cannot hold all of these numbers")
    return array


def _wrong_dtype(name: str, value: object, array: Array, dtype: np.dtype[np.generic]) -> InputError:
    given = type(value).__name__
    is_array = array.dtype.kind in "biufc" or isinstance(value, np.ndarray)
    kind = array.dtype.name if is_array else given
    hint = f"convert it with .astype('{dtype.name}')" if is_array else None
    expected = "dtype" if is_array else "an array of"
    return InputError(
        f"expected {expected} {dtype.name}, got {kind}", where=f"input '{name}'", hint=hint
    )


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
