"""Ways into the graph and te dialects: ONNX files, the symbol API, te expressions in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core import extensions
from ..core.catalog import Catalog, constant, lazy, merge
from ..core.errors import InputError

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp

KIND = "format"
TEXT = ("nn", "mlir")
"""Formats of text, which are no front end's."""

FRONTENDS = lazy(
    __name__,
    {
        # what `nn-opt -f NAME` reads besides text: a function from a path or bytes to a module
        "onnx": "onnx:import_model",
    },
)


def formats() -> Catalog:
    """Front ends by format: ours, those of installed packages, and those that users registered.

    Raises: NncError: two owners of one format.
    """
    from ..core.extensions.installed import points

    users = extensions.table(KIND)
    return merge(
        KIND,
        [
            ("nnc", {**dict.fromkeys(TEXT, constant(None)), **FRONTENDS}),
            *((point.owner, {point.name: point.load}) for point in points("nnc.frontends")),
            *((entry.owner, {name: constant(entry.value)}) for name, entry in users.items()),
        ],
    )


def checked(made: object, source: object) -> ModuleOp:
    """What a front end made of a model, which may be a user's.

    Raises: InputError: it is no module.
    """
    from xdsl.dialects.builtin import ModuleOp

    if not isinstance(made, ModuleOp):
        kind = type(made).__name__
        where = "<bytes>" if isinstance(source, bytes) else str(source)
        raise InputError(f"its front end made no module but {kind}", where=where)
    return made


def for_suffix(suffix: str) -> Callable[[Any], Any] | None:
    """The front end for files of this extension (`.layers`), if it is not ONNX's."""
    name = suffix.removeprefix(".")
    if name in (*FRONTENDS, *TEXT):
        return None
    known = formats()
    return known[name]() if name in known else None
