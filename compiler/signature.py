"""Inputs and outputs of a network as a caller sees them: names, extents, dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import ReturnOp
from xdsl.ir import SSAValue

from ..core.dtypes import numpy_dtype
from ..core.errors import ModelError
from ..dialects.graph.types import info
from ..passes.graph.bind_inputs import input_names, main_function
from ..runtime.program import TensorSpec
from ..runtime.signature import Signature

OUTPUT_NAMES = "nnc.output_names"


def input_signatures(module: ModuleOp) -> list[Signature]:
    """Main's inputs, in order."""
    main = main_function(module)
    return [
        _signature(name, argument)
        for name, argument in zip(input_names(main), main.body.block.args, strict=True)
    ]


def output_signatures(module: ModuleOp) -> list[Signature]:
    """Main's outputs, in order."""
    main = main_function(module)
    last = main.body.block.last_op
    if not isinstance(last, ReturnOp):
        raise ModelError("the main function does not end with func.return")
    names = main.attributes.get(OUTPUT_NAMES)
    if isinstance(names, ArrayAttr):
        texts: Sequence[str] = [name.data for name in cast("ArrayAttr[StringAttr]", names)]
    else:
        texts = _default_names(last.arguments)
    return [_signature(name, value) for name, value in zip(texts, last.arguments, strict=True)]


def _default_names(values: Sequence[SSAValue]) -> list[str]:
    """Names from the text where they are unique, else numbers."""
    hints = [value.name_hint or f"out{i}" for i, value in enumerate(values)]
    return hints if len(set(hints)) == len(hints) else [f"out{i}" for i in range(len(values))]


def _signature(name: str, value: SSAValue) -> Signature:
    known = info(value)
    shape = None
    if known.dims is not None:
        shape = tuple(dim if isinstance(dim, int) else str(dim or "?") for dim in known.dims)
    dtype = numpy_dtype(known.element) if known.element is not None else None
    return Signature(name, shape, dtype)


def input_specs(module: ModuleOp) -> list[TensorSpec]:
    """Main's inputs, all of whose extents are known.

    Raises: ModelError: one's are not.
    """
    return [signature.spec() for signature in input_signatures(module)]


def output_specs(module: ModuleOp) -> list[TensorSpec]:
    """Main's outputs; an extent that depends on data is -1, as every one of an unknown rank.

    Raises: ModelError: an output's dtype is not known.
    """
    return [_open_spec(signature) for signature in output_signatures(module)]


def _open_spec(signature: Signature) -> TensorSpec:
    if signature.dtype is None:
        raise ModelError("its dtype is not known", where=f"output '{signature.name}'")
    shape = signature.shape if signature.shape is not None else ("?",)
    extents = tuple(extent if isinstance(extent, int) else -1 for extent in shape)
    return TensorSpec(signature.name, extents, signature.dtype)
