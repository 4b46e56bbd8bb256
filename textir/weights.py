"""Weights beside a text: `FILE.weights.safetensors` holds the arrays that FILE names by digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ..core.dtypes import numpy_dtype
from ..core.errors import ModelError
from ..core.irtypes import tensor_element, tensor_shape
from ..core.locations import describe
from ..core.walk import walk
from ..dialects.graph.base import ConstantOp, Weight, WeightAttr

if TYPE_CHECKING:
    import numpy as np

    Arrays = Mapping[str, np.ndarray[Any, Any]]


def side_file(path: str | Path) -> Path:
    """Where the weights of a text lie: `net.nn` -> `net.nn.weights.safetensors`."""
    return Path(f"{path}.weights.safetensors")


def weights_of(module: ModuleOp) -> Iterator[tuple[Operation, Weight]]:
    """Every mention of a weight, with its op."""
    for op in walk(module):
        for attribute in (*op.properties.values(), *op.attributes.values()):
            if isinstance(attribute, WeightAttr):
                yield op, attribute.data


def collect(module: ModuleOp) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that are loaded, by digest, each once."""
    return {
        weight.digest: weight.array for _, weight in weights_of(module) if weight.array is not None
    }


def save(arrays: Arrays, path: str | Path) -> None:
    """Write the weights of the text at `path` beside it.

    Raises: ModelError: the file cannot be written.
    """
    import numpy as np
    from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

    contiguous = {digest: np.ascontiguousarray(array) for digest, array in arrays.items()}
    try:
        save_file(contiguous, side_file(path))
    except OSError as error:
        raise ModelError(f"cannot write {side_file(path)}: {error}") from None


def load(module: ModuleOp, path: str | Path) -> None:
    """Attach the arrays that lie beside the text at `path`; without such a file do nothing.

    Raises: ModelError: the file is broken, lacks a weight, or has one of another type.
    """
    file = side_file(path)
    wanted = [(op, weight) for op, weight in weights_of(module) if weight.array is None]
    if not wanted or not file.is_file():
        return
    from safetensors import SafetensorError, safe_open

    arrays: dict[str, np.ndarray[Any, Any]] = {}
    try:
        opened: Any = safe_open(file, "np")
        with opened as reader:
            present: set[str] = set(reader.keys())
            for op, weight in wanted:
                if weight.digest not in present:
                    message = f"{file.name} has no weight {weight.digest[:12]}"
                    raise ModelError(message, where=describe(op))
                if weight.digest not in arrays:
                    arrays[weight.digest] = reader.get_tensor(weight.digest)
                    arrays[weight.digest].flags.writeable = False
                weight.array = _checked(op, arrays[weight.digest], file)
    except SafetensorError as error:
        raise ModelError(f"cannot read the weights: {error}", where=str(file)) from None


def _checked(op: Operation, array: np.ndarray[Any, Any], file: Path) -> np.ndarray[Any, Any]:
    if isinstance(op, ConstantOp):
        shape, dtype = tensor_shape(op.res.type), numpy_dtype(tensor_element(op.res.type))
        if array.shape != shape or array.dtype != dtype:
            raise ModelError(
                f"{file.name} has a weight of type {array.dtype.name}{list(array.shape)}, "
                f"expected {dtype.name}{list(shape)}",
                where=describe(op),
            )
    return array
