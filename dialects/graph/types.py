"""Tensor types at graph level: named extents, and what is not known yet.

    tensor<?x3xf32, #graph.enc<dims = ["batch", 3]>>      named extents
    tensor<?x3xf32>                                       an extent of which nothing is known
    tensor<*xf32>, tensor<*x!graph.unknown>               unknown rank, unknown element type too

`TensorInfo` is the same as Python values; inference computes on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    AffineMapAttr,
    ArrayAttr,
    IntegerAttr,
    NoneAttr,
    StringAttr,
    TensorType,
    UnrankedTensorType,
)
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition, param_def
from xdsl.utils.exceptions import VerifyException

from ...core.errors import ModelError, NncError
from ...core.irtypes import int_attr, parse_parameters, tensor_element, tensor_shape
from ...core.symbolic import Dim, Expr, bounds, equal, is_clamp_of
from ...core.symbolic_text import parse_dim

if TYPE_CHECKING:
    from xdsl.parser import AttrParser

MaybeDim = Dim | None
"""An extent; `None` where nothing is known of it."""

Dims = tuple[MaybeDim, ...]

UNKNOWN_DIM = "?"
"""Stands in an encoding for an extent of which nothing is known."""


@irdl_attr_definition
class UnknownType(ParametrizedAttribute, TypeAttribute):
    """The element type of a tensor before `infer-shapes`: `tensor<*x!graph.unknown>`."""

    name = "graph.unknown"


@irdl_attr_definition
class EncodingAttr(ParametrizedAttribute):
    """What a tensor type cannot say by itself: names of its dims, and its layout.

    `dims` has one entry for each dimension, an integer or a string with an expression of named
    dims ("batch", "2 * seq + 1"; core/symbolic.py) or "?"; `layout` maps logical to physical
    indices.
    """

    name = "graph.enc"
    dims: ArrayAttr[StringAttr | IntegerAttr] = param_def()
    layout: AffineMapAttr | NoneAttr = param_def()

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        return parse_parameters(parser)

    def verify(self) -> None:
        for entry in self.dims:
            if isinstance(entry, StringAttr) and entry.data != UNKNOWN_DIM:
                try:
                    parse_dim(entry.data)
                except NncError as error:
                    raise VerifyException(error.message) from None


@dataclass(frozen=True)
class TensorInfo:
    """What is known of a tensor: `dims` is None for unknown rank, `element` for unknown type."""

    dims: Dims | None
    element: Attribute | None

    @property
    def rank(self) -> int | None:
        """The rank, if known."""
        return None if self.dims is None else len(self.dims)

    @property
    def type(self) -> Attribute:
        """The tensor type that says this."""
        return tensor_type(self.dims, self.element)

    def with_dims(self, dims: Sequence[MaybeDim] | None) -> TensorInfo:
        """The same element type with other extents."""
        return TensorInfo(None if dims is None else tuple(dims), self.element)


UNKNOWN = TensorInfo(None, None)


def tensor_type(
    dims: Sequence[MaybeDim] | None,
    element: Attribute | None = None,
    layout: Attribute | None = None,
) -> Attribute:
    """The tensor type with these extents; `None` stands for what is not known."""
    element_type = UnknownType() if element is None else element
    if dims is None:
        return UnrankedTensorType(element_type)
    shape = [dim if isinstance(dim, int) else DYNAMIC_INDEX for dim in dims]
    named = any(isinstance(dim, Expr) for dim in dims)
    if not named and layout is None:
        return TensorType(element_type, shape)
    entries = ArrayAttr([_entry(dim) for dim in dims])
    encoding = EncodingAttr(entries, cast("AffineMapAttr | NoneAttr", layout or NoneAttr()))
    return TensorType(element_type, shape, encoding)


def _entry(dim: MaybeDim) -> StringAttr | IntegerAttr[Any]:
    if dim is None:
        return StringAttr(UNKNOWN_DIM)
    return int_attr(dim) if isinstance(dim, int) else StringAttr(str(dim))


def dims(type_: Attribute) -> Dims | None:
    """The extents of a tensor type, `None` if it is unranked."""
    if isinstance(type_, UnrankedTensorType):
        return None
    shape = tensor_shape(type_)
    encoding = cast("TensorType[Any]", type_).encoding
    if not isinstance(encoding, EncodingAttr) or len(encoding.dims) != len(shape):
        return tuple(None if extent < 0 else extent for extent in shape)
    return tuple(
        extent if extent >= 0 else _dim(entry)
        for extent, entry in zip(shape, encoding.dims, strict=True)
    )


def _dim(entry: StringAttr | IntegerAttr[Any]) -> MaybeDim:
    if isinstance(entry, IntegerAttr):
        return entry.value.data
    return None if entry.data == UNKNOWN_DIM else parse_dim(entry.data)


def element(type_: Attribute) -> Attribute | None:
    """The element type of a tensor type, `None` if it is unknown."""
    if isinstance(type_, UnrankedTensorType):
        found = cast("Attribute", cast("UnrankedTensorType[Any]", type_).element_type)
    else:
        found = tensor_element(type_)
    return None if isinstance(found, UnknownType) else found


def layout(type_: Attribute) -> AffineMapAttr | None:
    """The layout that the encoding of a tensor type names, if any."""
    encoding = cast("TensorType[Any]", type_).encoding if isinstance(type_, TensorType) else None
    named = isinstance(encoding, EncodingAttr) and isinstance(encoding.layout, AffineMapAttr)
    return cast("AffineMapAttr", cast("EncodingAttr", encoding).layout) if named else None


def info(value: SSAValue | Attribute) -> TensorInfo:
    """What the type of a value (or a type) says."""
    type_: Attribute = value.type if isinstance(value, SSAValue) else value
    if not _is_tensor(type_):
        raise ModelError(f"expected a tensor, got {type_}")
    return TensorInfo(dims(type_), element(type_))


def _is_tensor(type_: Attribute) -> bool:
    return isinstance(type_, TensorType | UnrankedTensorType)


def is_ranked(type_: Attribute) -> bool:
    """Whether the rank of a tensor type is known."""
    return not isinstance(type_, UnrankedTensorType)


def is_known(type_: Attribute) -> bool:
    """Whether rank, element type and every extent (as a number or by name) are known."""
    known = dims(type_)
    return known is not None and None not in known and element(type_) is not None


def describe(found: TensorInfo) -> str:
    """For messages: `[batch, 3, ?] f32`."""
    extents = "[*]" if found.dims is None else show(found.dims)
    return f"{extents} {'?' if found.element is None else found.element}"


def show(extents: Sequence[MaybeDim]) -> str:
    """For messages: `[batch, 3, ?]`."""
    return f"[{', '.join('?' if dim is None else str(dim) for dim in extents)}]"


def merge_dim(lhs: MaybeDim, rhs: MaybeDim) -> MaybeDim:
    """The more definite of two descriptions of one extent: a number, then a name.

    Raises: ModelError: they are provably different.
    """
    if lhs is None or rhs is None:
        return rhs if lhs is None else lhs
    if equal(lhs, rhs) is False:
        raise ModelError(f"extent {lhs} differs from {rhs}")
    return rhs if isinstance(rhs, int) else lhs


def merge_info(lhs: TensorInfo, rhs: TensorInfo) -> TensorInfo:
    """What two descriptions of one tensor say together.

    Raises: ModelError: they contradict each other.
    """
    if lhs.element is not None and rhs.element is not None and lhs.element != rhs.element:
        raise ModelError(f"element type {lhs.element} differs from {rhs.element}")
    merged = TensorInfo(lhs.dims if lhs.dims is not None else rhs.dims, lhs.element or rhs.element)
    if lhs.dims is None or rhs.dims is None:
        return merged
    if len(lhs.dims) != len(rhs.dims):
        raise ModelError(f"shape {show(lhs.dims)} differs from {show(rhs.dims)}")
    pairs = zip(lhs.dims, rhs.dims, strict=True)
    return merged.with_dims([merge_dim(left, right) for left, right in pairs])


def merge(lhs: Attribute, rhs: Attribute) -> Attribute:
    """`merge_info` of tensor types; the layout of `lhs` stays.

    Raises: ModelError: they contradict each other.
    """
    merged = merge_info(info(lhs), info(rhs))
    return tensor_type(merged.dims, merged.element, layout(lhs) if is_ranked(lhs) else None)


def broadcast_dim(lhs: MaybeDim, rhs: MaybeDim) -> MaybeDim:
    """NumPy's rule for one extent; `None` where the answer depends on what is not known.

    Raises: ModelError: both are known, different and neither is 1.
    """
    if lhs == 1:
        return rhs
    if rhs == 1 or (lhs is not None and lhs == rhs):
        return lhs
    if isinstance(lhs, int) and isinstance(rhs, int):
        raise ModelError(f"extents {lhs} and {rhs} do not broadcast")
    for known, other in ((lhs, rhs), (rhs, lhs)):
        if known is not None and other is not None and is_clamp_of(other, known):
            return known  # a table of fixed length cut to the other's length
    for known in (lhs, rhs):  # the other is this or 1
        if known is not None and (known == 0 or (bounds(known)[0] or 0) > 1):
            return known
    return None


def broadcast(*shapes: Dims | None) -> Dims | None:
    """NumPy's broadcast of shapes; `None` if any rank is unknown.

    Raises: ModelError: they do not broadcast.
    """
    known = [shape for shape in shapes if shape is not None]
    if len(known) != len(shapes):
        return None
    rank = max(map(len, known), default=0)
    result: Dims = (1,) * rank
    for shape in known:
        padded = (1,) * (rank - len(shape)) + shape
        try:
            result = tuple(map(broadcast_dim, result, padded))
        except ModelError as error:
            shapes_text = " and ".join(map(show, known))
            raise ModelError(f"shapes {shapes_text} do not broadcast: {error.message}") from None
    return result
