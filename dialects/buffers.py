"""How a tensor of the graph lies in memory: its buffer type."""

from __future__ import annotations

from typing import Any, cast

from xdsl.dialects.builtin import AffineMapAttr, TensorType
from xdsl.ir import Attribute

from ..core.irtypes import tensor_element, tensor_shape
from .graph.types import EncodingAttr
from .loop import BufferType


def buffer_of(type_: Attribute) -> BufferType:
    """The buffer type of a tensor; a layout in its encoding becomes the buffer's."""
    encoding = cast("TensorType[Any]", type_).encoding
    layout = encoding.layout if isinstance(encoding, EncodingAttr) else None
    map_ = layout.data if isinstance(layout, AffineMapAttr) else None
    return BufferType.get(tensor_shape(type_), tensor_element(type_), "global", map_)
