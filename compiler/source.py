"""What a user may give as a model, as a module of the graph dialect (or of one further down)."""

from __future__ import annotations

from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import ModuleOp

from ..core.errors import InputError
from ..frontends import checked, for_suffix

if TYPE_CHECKING:
    import onnx

    ModelSource = str | PathLike[str] | bytes | onnx.ModelProto | ModuleOp

TEXT_SUFFIXES = (".nn", ".mlir")
"""Files that hold our text form; anything else without a front end of its own is ONNX."""


def load(model: ModelSource) -> ModuleOp:
    """The module of a path, of a file's bytes, of an `onnx.ModelProto`, or a copy of a module.

    Raises: ModelError, UnsupportedError: not a model, or not one that is supported.
    """
    if isinstance(model, ModuleOp):
        return model.clone()
    if isinstance(model, str | PathLike) and Path(model).suffix in TEXT_SUFFIXES:
        return _parse_file(fspath(model))
    if isinstance(model, str | PathLike) and (read := for_suffix(Path(model).suffix)) is not None:
        return checked(read(model), fspath(model))
    if not isinstance(model, str | PathLike | bytes) and type(model).__name__ != "ModelProto":
        raise InputError(
            f"a model is a path, bytes, an onnx.ModelProto or a module, got {type(model).__name__}"
        )
    from ..frontends.onnx import import_model

    return import_model(model)


def _parse_file(path: str) -> ModuleOp:
    from ..textir import parse_file
    from ..textir.weights import load as load_weights

    module = parse_file(path)
    load_weights(module, path)
    return module
