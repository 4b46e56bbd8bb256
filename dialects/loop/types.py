"""Types of the loop level: buffers in memory, tiles in registers."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from xdsl.dialects.builtin import AffineMapAttr, ArrayAttr, IntegerAttr, NoneAttr, StringAttr
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.ir.affine import (
    AffineBinaryOpExpr,
    AffineBinaryOpKind,
    AffineConstantExpr,
    AffineExpr,
    AffineMap,
)
from xdsl.irdl import irdl_attr_definition, param_def
from xdsl.utils.exceptions import VerifyException

from ...core.affine import Ranges, bounds
from ...core.irtypes import int_attr, ints, parse_parameters

if TYPE_CHECKING:
    from xdsl.parser import AttrParser

SPACES = ("global", "constant", "scratch", "register", "shared")
"""Caller or arena; constants; one thread's scratch; registers; a GPU block's shared memory."""
KINDS = ("serial", "parallel", "vectorize", "unroll")
"""How a loop runs; the GPU's bindings (block.x, thread.x ...) join with the nvvm dialect."""
PLACES = ("reg", "lanes")
"""Where a tile axis lives: over registers (indexing is free), or along the lanes of one."""


@irdl_attr_definition
class BufferType(ParametrizedAttribute, TypeAttribute):
    """Memory with a logical shape: `!loop.buffer<[128, 768], f32, "global", none>`.

    Pretty: `buffer<128x768xf32>`, `buffer<8x48xf32, register>`,
    `buffer<768x3072xf32, (d0, d1) -> (d1 floordiv 48, d0, d1 mod 48)>`. Indices are logical;
    `layout` maps them to physical ones (row major over `physical_shape`). Buffers are aligned to
    64 bytes. An i1 element takes one byte, 0 or 1.
    """

    name = "loop.buffer"
    shape: ArrayAttr[IntegerAttr] = param_def()
    element_type: Attribute = param_def()
    space: StringAttr = param_def()
    layout: AffineMapAttr | NoneAttr = param_def()

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        return parse_parameters(parser)

    @staticmethod
    def get(
        shape: Sequence[int],
        element_type: Attribute,
        space: str = "global",
        layout: AffineMap | None = None,
    ) -> BufferType:
        """A buffer of logical `shape`."""
        layout_attr = AffineMapAttr(layout) if layout is not None else NoneAttr()
        return BufferType(ints(shape), element_type, StringAttr(space), layout_attr)

    @property
    def extents(self) -> tuple[int, ...]:
        """Logical extents."""
        return tuple(extent.value.data for extent in self.shape)

    @property
    def layout_map(self) -> AffineMap:
        """Logical to physical indices; the identity where no layout is given."""
        if isinstance(self.layout, AffineMapAttr):
            return self.layout.data
        return AffineMap.identity(len(self.shape))

    @property
    def physical_shape(self) -> tuple[int, ...]:
        """The smallest box that holds every physical index."""
        if isinstance(self.layout, NoneAttr):
            return self.extents
        if 0 in self.extents:
            return tuple(0 for _ in self.layout_map.results)
        ranges = Ranges(tuple((0, extent) for extent in self.extents))
        return tuple(_physical_extent(expr, ranges) for expr in self.layout_map.results)

    @property
    def num_elements(self) -> int:
        """Physical elements, padding included."""
        return prod(self.physical_shape)

    def verify(self) -> None:
        if self.space.data not in SPACES:
            raise VerifyException(f"unknown space '{self.space.data}', expected one of {SPACES}")
        if self.layout_map.num_dims != len(self.shape):
            raise VerifyException("the layout's dimensions differ from the buffer's rank")


def _physical_extent(expr: AffineExpr, ranges: Ranges) -> int:
    """Extent of one physical dimension; `x mod b` always spans b (the last block's padding)."""
    if (
        isinstance(expr, AffineBinaryOpExpr)
        and expr.kind is AffineBinaryOpKind.Mod
        and isinstance(expr.rhs, AffineConstantExpr)
    ):
        return expr.rhs.value
    interval = bounds(expr, ranges)
    assert interval is not None
    return interval[1]


@irdl_attr_definition
class TileAxisAttr(ParametrizedAttribute):
    """One named axis of a tile and where it lives: `#loop.tile_axis<"j", 48 : i64, "lanes">`."""

    name = "loop.tile_axis"
    axis_name: StringAttr = param_def()
    size: IntegerAttr = param_def()
    place: StringAttr = param_def()

    @staticmethod
    def get(name: str, size: int, place: str = "reg") -> TileAxisAttr:
        """An axis of `size` points (> 0)."""
        return TileAxisAttr(StringAttr(name), int_attr(size), StringAttr(place))

    @property
    def label(self) -> str:
        """The axis's name."""
        return self.axis_name.data

    @property
    def extent(self) -> int:
        """How many points."""
        return self.size.value.data

    @property
    def is_lanes(self) -> bool:
        """Whether the axis runs along the lanes of a register."""
        return self.place.data == "lanes"

    def verify(self) -> None:
        if self.place.data not in PLACES:
            raise VerifyException(f"unknown place '{self.place.data}', expected one of {PLACES}")
        if self.extent <= 0:
            raise VerifyException(f"tile axis '{self.label}' must have a positive size")


@irdl_attr_definition
class TileType(ParametrizedAttribute, TypeAttribute):
    """A value of named axes: `tile<i: 8, j: 48 lanes, f32>`; without axes it is a scalar.

    Operands of an elementwise op may lack axes of its result: a missing axis broadcasts. At most
    one axis lives on lanes, and it stands last.
    """

    name = "loop.tile"
    axes: ArrayAttr[TileAxisAttr] = param_def()
    element_type: Attribute = param_def()

    @staticmethod
    def get(axes: Sequence[TileAxisAttr], element_type: Attribute) -> TileType:
        """A tile over `axes`."""
        return TileType(ArrayAttr(axes), element_type)

    @property
    def labels(self) -> tuple[str, ...]:
        """Axis names in order."""
        return tuple(axis.label for axis in self.axes)

    @property
    def lanes(self) -> TileAxisAttr | None:
        """The axis that lives on lanes, if there is one."""
        last = self.axes.data[-1] if self.axes.data else None
        return last if last is not None and last.is_lanes else None

    def verify(self) -> None:
        if len(set(self.labels)) != len(self.labels):
            raise VerifyException(f"tile axes are not unique: {', '.join(self.labels)}")
        if any(axis.is_lanes for axis in self.axes.data[:-1]):
            raise VerifyException("the lanes axis stands last, and there is at most one")


def buffer_type(value: SSAValue) -> BufferType:
    """The type of a value that is a buffer."""
    assert isinstance(value.type, BufferType), f"expected a buffer, got {value.type}"
    return value.type


def tile_type(value: SSAValue) -> TileType:
    """The type of a value that is a tile."""
    assert isinstance(value.type, TileType), f"expected a tile, got {value.type}"
    return value.type
