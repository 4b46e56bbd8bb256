"""Tensors of an ONNX file as NumPy arrays; external data is memory mapped, never copied."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...core.dtypes import element_type
from ...core.errors import ModelError, NncError, UnsupportedError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Storage:
    """Where a model's tensors lie: the folder of its file, `None` for a model from memory."""

    folder: Path | None

    def array(self, tensor: TensorProto, where: str) -> Array:
        """The content of a tensor, read-only.

        Raises:
            ModelError: its data is missing, too short, or its shape is impossible.
            UnsupportedError: strings, complex numbers, 4-bit and 8-bit floats.
        """
        dtype = tensor_dtype(tensor.data_type, where)
        if any(extent < 0 for extent in tensor.dims):
            raise ModelError(f"a tensor has the negative shape {list(tensor.dims)}", where=where)
        try:
            if tensor.data_location == TensorProto.EXTERNAL:
                array = self._external(tensor, dtype)
            elif tensor.HasField("raw_data"):
                array = _from_raw(tensor, dtype)
            else:
                array = numpy_helper.to_array(tensor)
        except NncError as error:
            error.where = error.where or where
            raise
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise ModelError(f"a tensor cannot be read: {error}", where=where) from None
        array.flags.writeable = False
        return array

    def dense(self, sparse: onnx.SparseTensorProto, where: str) -> Array:
        """A sparse tensor with its zeros.

        Raises: ModelError: indices outside the shape, or not in one of ONNX's two forms.
        """
        values = self.array(sparse.values, where)
        indices = self.array(sparse.indices, where)
        dims = tuple(sparse.dims)
        if any(extent < 0 for extent in dims):
            raise ModelError(f"a sparse tensor has the shape {list(dims)}", where=where)
        try:
            result = np.zeros(dims, values.dtype)
            if indices.ndim == 2:
                result[tuple(indices.T)] = values
            else:
                result.reshape(-1)[indices] = values
        except (IndexError, ValueError, MemoryError) as error:
            raise ModelError(f"a sparse tensor cannot be read: {error}", where=where) from None
        return result

    def _external(self, tensor: TensorProto, dtype: np.dtype[Any]) -> Array:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        path = self._external_path(entries.get("location", ""))
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
        except ValueError:
            raise ModelError("external data: offset or length is not a number") from None
        shape = tuple(tensor.dims)
        needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
        size = path.stat().st_size
        if offset < 0 or offset + needed > size or length not in (-1, needed):
            raise ModelError(
                f"external data: {needed} bytes at offset {offset} expected, but the entry has "
                f"length {length} and '{path.name}' has {size} bytes"
            )
        if needed == 0:
            return np.zeros(shape, dtype)
        raw = np.memmap(path, np.uint8, "r", offset, (needed,))
        return np.asarray(raw).view(dtype).reshape(shape)

    def _external_path(self, location: str) -> Path:
        if self.folder is None:
            raise ModelError(
                "the model keeps weights in another file, but it was not read from a file",
                hint="pass the path of the model instead of its bytes",
            )
        folder = self.folder.resolve()
        path = (folder / location).resolve()
        if not location or not path.is_relative_to(folder):
            raise ModelError(f"external data: '{location}' lies outside the model's folder")
        if not path.is_file():
            raise ModelError(f"external data: '{location}' does not exist beside the model")
        return path


def _from_raw(tensor: TensorProto, dtype: np.dtype[Any]) -> Array:
    shape = tuple(tensor.dims)
    raw = tensor.raw_data
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(raw) != needed:
        raise ModelError(
            f"tensor '{tensor.name}' of shape {list(shape)} and type {dtype.name} needs {needed} "
            f"bytes, got {len(raw)}"
        )
    little = dtype.newbyteorder("<") if dtype.kind in "iuf" else dtype
    return np.frombuffer(raw, little).reshape(shape).astype(dtype, copy=False)


def tensor_dtype(data_type: int, where: str) -> np.dtype[Any]:
    """The NumPy dtype of an ONNX element type.

    Raises: ModelError: there is no such type. UnsupportedError: a type that nnc does not have.
    """
    if data_type not in TensorProto.DataType.values() or data_type == TensorProto.UNDEFINED:
        raise ModelError(f"element type {data_type} does not exist", where=where)
    if data_type == TensorProto.STRING:
        raise UnsupportedError("strings are not supported", where=where)
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(data_type))
    try:
        element_type(dtype)
    except UnsupportedError as error:
        raise UnsupportedError(error.message, where=where, hint=error.hint) from None
    return dtype


class Weights:
    """The initializers of a graph, dense and sparse; read when asked for."""

    def __init__(self, graph: onnx.GraphProto, storage: Storage):
        self._graph = graph
        self._storage = storage
        self._dense = {tensor.name: tensor for tensor in graph.initializer}
        self._sparse = {tensor.values.name: tensor for tensor in graph.sparse_initializer}

    @property
    def names(self) -> frozenset[str]:
        """Names of all of them; some may also be listed as graph inputs."""
        return frozenset((*self._dense, *self._sparse))

    def used(self) -> list[str]:
        """Names of those that a node reads or that are graph outputs, in file order."""
        read = {name for node in self._graph.node for name in node.input}
        read |= {value.name for value in self._graph.output}
        return [name for name in (*self._dense, *self._sparse) if name in read]

    def content(self, name: str) -> Array:
        """One of them.

        Raises: ModelError, UnsupportedError: it cannot be read.
        """
        where = f"initializer '{name}'"
        if name in self._dense:
            return self._storage.array(self._dense[name], where)
        return self._storage.dense(self._sparse[name], where)
