"""ONNX models to the `graph` dialect: `import_model(path, bytes or ModelProto) -> ModuleOp`.

The way of a model: `load` reads bytes, `check` refuses what is broken or unsupported, `functions`
inlines function bodies, `adapters` rewrites old operator forms to the newest ones, `build` makes
graph ops of them.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx
    from xdsl.dialects.builtin import ModuleOp


def import_model(model: str | PathLike[str] | bytes | onnx.ModelProto) -> ModuleOp:
    """A module of the graph dialect with one function `@main`, every op with its node's name.

    Types are inferred as far as they follow from the graph's inputs; extents that stay unknown are
    dynamic, named after the model's `dim_param`s.

    Raises:
        ModelError: not an ONNX model, or a broken one.
        UnsupportedError: it holds operators, types or attributes that are not supported.
    """
    from .importer import import_model as run  # onnx takes 0.6 s to import

    return run(model)


__all__ = ["import_model"]
