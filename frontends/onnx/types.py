"""Types of graph inputs: element types, extents, names of dynamic dims."""

from __future__ import annotations

import onnx
from xdsl.ir import Attribute

from ...core.dtypes import element_type
from ...core.errors import ModelError, UnsupportedError
from ...core.symbolic import Dim, symbol
from ...dialects.graph.types import tensor_type
from .tensors import tensor_dtype

_ANONYMOUS = {"", "?", "*", "-", "-1", "None", "none"}
"""Names that exporters write for "not known": each occurrence is a dim of its own."""


def input_type(value: onnx.ValueInfoProto) -> Attribute:
    """The tensor type of a graph input.

    Each distinct `dim_param` is one symbol, whatever it says ("batch", "unk__214", "2*n + 1"); a
    dim without a name is called after its input, "x.0".
    Raises: ModelError: it has no type or element type. UnsupportedError: it is no tensor.
    """
    where = f"graph input '{value.name}'"
    kind = value.type.WhichOneof("value")
    if kind is None:
        raise ModelError("it has no type", where=where)
    if kind != "tensor_type":
        raise UnsupportedError(f"{kind.removesuffix('_type')}s are not supported", where=where)
    tensor = value.type.tensor_type
    if not tensor.elem_type:
        raise ModelError("it has no element type", where=where)
    element = element_type(tensor_dtype(tensor.elem_type, where))
    if not tensor.HasField("shape"):
        return tensor_type(None, element)
    dims = [_dim(dim, f"{value.name}.{at}") for at, dim in enumerate(tensor.shape.dim)]
    return tensor_type(dims, element)


def _dim(dim: onnx.TensorShapeProto.Dimension, own_name: str) -> Dim:
    if dim.WhichOneof("value") == "dim_value" and dim.dim_value >= 0:
        return dim.dim_value
    return symbol(own_name if dim.dim_param.strip() in _ANONYMOUS else dim.dim_param)
