"""Bytes to a ModelProto, or one clear message."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from ...core.errors import ModelError
from .tensors import Storage


def load_model(
    model: str | PathLike[str] | bytes | onnx.ModelProto,
) -> tuple[onnx.ModelProto, Storage]:
    """The model and where its external tensors lie.

    Raises: ModelError: no such file, or it is not an ONNX model.
    """
    if isinstance(model, onnx.ModelProto):
        return model, Storage(None)
    if isinstance(model, bytes | bytearray | memoryview):
        return parse_model(bytes(model), "the given bytes"), Storage(None)
    path = Path(os.fspath(model))
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise ModelError(f"cannot be read: {reason}", where=str(path)) from None
    except ValueError:
        raise ModelError("is not a path", where=repr(model)) from None
    return parse_model(data, str(path)), Storage(path.parent)


def _hint(where: str) -> str:
    """What may be wrong with a file that is none of ONNX's."""
    if Path(where).suffix in ("", ".onnx"):
        return "check that the file was downloaded completely (git-lfs pointers are text files)"
    return "files of another format need its front end: --load-plugin, or a package that has it"


def parse_model(data: bytes, where: str) -> onnx.ModelProto:
    """The model in `data`.

    Raises: ModelError: it is not one.
    """
    if not data:
        raise ModelError("is empty", where=where)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        raise ModelError(
            "is not an ONNX model, or a truncated one: it cannot be decoded as a protobuf",
            where=where,
            hint=_hint(where),
        ) from None
    if not model.HasField("graph"):
        raise ModelError("is not an ONNX model: it holds no graph", where=where)
    return model
