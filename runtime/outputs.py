"""Arrays that a caller gives to be filled: checked, and written directly where that is safe."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any, cast

import numpy as np

from ..core.errors import InputError
from .arrays import Array, is_ready
from .inputs import check_known, check_mapping, check_shape
from .program import Output


def check_outputs(out: Mapping[str, Array], outputs: Sequence[Output]) -> dict[str, Array]:
    """The arrays to fill, by output name.

    Raises: InputError: no mapping; a name that no output has; no array, or one of another dtype or
        shape, or that cannot be written; two that share memory.
    """
    check_mapping("outputs", out)
    specs = {output.spec.name: output.spec for output in outputs}
    check_known("output", out, list(specs))
    for name, array in out.items():
        spec = specs[name]
        extents = tuple(extent if extent >= 0 else "?" for extent in spec.shape)
        check_filled(name, array, extents, spec.dtype)
    for (name, array), (other, second) in combinations(out.items(), 2):
        if np.may_share_memory(array, second) and np.shares_memory(array, second):
            raise InputError(
                "two arrays to fill share memory", where=f"outputs '{name}', '{other}'"
            )
    return dict(out)


def check_filled(
    name: str, array: object, shape: Sequence[int | str], dtype: np.dtype[Any]
) -> None:
    """Refuse what an output cannot be written into.

    Raises: InputError: no array, another dtype or shape, or read-only.
    """
    where = f"output '{name}'"
    if not isinstance(array, np.ndarray):
        raise InputError(f"expected an array to fill, got {type(array).__name__}", where=where)
    found = cast("Array", array)
    if found.dtype != dtype:
        order = "" if found.dtype.isnative else " in the other byte order"
        message = f"expected dtype {dtype.name}, got {found.dtype.name}{order}"
        raise InputError(message, where=where)
    check_shape(where, found.shape, shape)
    if not found.flags.writeable:
        raise InputError("the array to fill is read-only", where=where)


class OutputArrays:
    """How the given arrays get their content.

    Args:
        arrays: what `check_outputs` has let pass.
        read: the inputs that are read where the caller has them.
        outputs: of the program.
        staged: slots whose arrays belong to the workspace.

    Attributes:
        direct: arrays that compiled code writes into, by slot.
    """

    def __init__(
        self,
        arrays: dict[str, Array],
        read: Sequence[Array],
        outputs: Sequence[Output],
        staged: Collection[int],
    ):
        self._copied = dict(arrays)
        self.direct: dict[int, Array] = {}
        for output in outputs:
            array = arrays.get(output.spec.name)
            if array is None or output.copy or output.use.slot in staged or not is_ready(array):
                continue
            if not any(np.may_share_memory(array, other) for other in read):
                self.direct[output.use.slot] = array
                del self._copied[output.spec.name]
        self._arrays = arrays

    def fill(self, results: dict[str, Array]) -> dict[str, Array]:
        """`results` with the given arrays in the place of what they now hold.

        Raises: InputError: the extents of a result are not those of the array to fill.
        """
        for name, array in self._copied.items():
            check_shape(f"output '{name}'", array.shape, results[name].shape)
        for name, array in self._copied.items():
            array[...] = results[name]
        return {**results, **self._arrays}
