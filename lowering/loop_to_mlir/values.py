"""What stands for a kernel's values: index values, memrefs, and tiles as registers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import cast

from xdsl.dialects import memref, vector
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    MemRefType,
    StringAttr,
    UnitAttr,
    VectorType,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.ir.affine import AffineExpr

from ...core.affine import Range, Ranges, bounds
from ...dialects.loop import ForOp, TileAxisAttr, TileType
from ..upstream.emit import Emitter

Position = Mapping[str, int]
"""A position on each register axis, by the axis's name."""


def register_axes(type_: TileType) -> list[TileAxisAttr]:
    """The axes that do not run along lanes."""
    return [axis for axis in type_.axes if not axis.is_lanes]


def positions(type_: TileType) -> Iterator[Position]:
    """Positions on the register axes, row by row."""
    axes = register_axes(type_)
    for point in product(*(range(axis.extent) for axis in axes)):
        yield dict(zip((axis.label for axis in axes), point, strict=True))


def width_of(type_: TileType) -> int | None:
    """How many lanes a register has; `None` for scalars."""
    return None if type_.lanes is None else type_.lanes.extent


def register_type(element: Attribute, width: int | None) -> Attribute:
    """A scalar, or a vector of `width` of them."""
    return element if width is None else VectorType(element, [width])


@dataclass(frozen=True)
class Tile:
    """A tile: one register for each position on its register axes, row by row."""

    type: TileType
    registers: Sequence[SSAValue]

    def at(self, position: Position) -> SSAValue:
        """The register at a position that may name more axes than the tile has."""
        place = 0
        for axis in register_axes(self.type):
            place = place * axis.extent + position[axis.label]
        return self.registers[place]

    def wide(self, position: Position, width: int | None, emitter: Emitter) -> SSAValue:
        """The register, a scalar in every lane of `width` where the tile has none."""
        register = self.at(position)
        if width is None or self.type.lanes is not None:
            return register
        return splat(register, width, emitter)


def splat(value: SSAValue, width: int, emitter: Emitter) -> SSAValue:
    """A scalar in every lane."""
    return emitter.add(vector.BroadcastOp(value, VectorType(value.type, [width])))


def lane_of(value: SSAValue, lane: int, emitter: Emitter) -> SSAValue:
    """One lane of a vector; a scalar as it is."""
    type_: Attribute = value.type
    if not isinstance(type_, VectorType):
        return value
    element = cast("VectorType[Attribute]", type_).get_element_type()
    return emitter.add(vector.ExtractOp(value, [lane], element))


def num_registers(type_: TileType) -> int:
    """How many registers a tile is."""
    return prod(axis.extent for axis in register_axes(type_))


@dataclass
class Values:
    """What is known inside a kernel.

    Attributes:
        scalars: loop variables and buffers.
        tiles: by value.
        ranges: of loop variables.
        name: the kernel's.
        literals: matrices of literals, and the names of their globals.
    """

    scalars: dict[SSAValue, SSAValue] = field(default_factory=dict[SSAValue, SSAValue])
    tiles: dict[SSAValue, Tile] = field(default_factory=dict[SSAValue, Tile])
    ranges: dict[SSAValue, Range] = field(default_factory=dict[SSAValue, Range])
    name: str = ""
    literals: dict[DenseIntOrFPElementsAttr, str] = field(
        default_factory=dict[DenseIntOrFPElementsAttr, str]
    )

    def literal(self, values: DenseIntOrFPElementsAttr) -> tuple[str, MemRefType[Attribute]]:
        """The name and type of the global that holds a matrix."""
        name = self.literals.setdefault(values, f"{self.name}.literal{len(self.literals)}")
        return name, MemRefType(values.get_element_type(), values.get_shape())

    def globals(self) -> list[memref.GlobalOp]:
        """The definitions of the globals that were asked for."""
        return [
            memref.GlobalOp.get(
                StringAttr(name),
                self.literal(values)[1],
                values,
                constant=UnitAttr(),
                sym_visibility=StringAttr("private"),
            )
            for values, name in list(self.literals.items())
        ]

    def flat(self, values: Sequence[SSAValue]) -> list[SSAValue]:
        """The registers of tiles, one after the other."""
        return [register for value in values for register in self.tiles[value].registers]

    def define(self, values: Sequence[SSAValue], registers: Sequence[SSAValue]) -> None:
        """Let tiles be these registers, in order."""
        start = 0
        for value in values:
            assert isinstance(value.type, TileType)
            end = start + num_registers(value.type)
            self.tiles[value] = Tile(value.type, registers[start:end])
            start = end

    def add_loop(self, op: ForOp) -> None:
        """Note the range of a loop's variable."""
        starts = [bounds(e, self.known(op.lower_args)) for e in op.lower.data.results]
        ends = [bounds(e, self.known(op.upper_args)) for e in op.upper.data.results]
        low = max((start[0] for start in starts if start is not None), default=None)
        high = min((end[1] - 1 for end in ends if end is not None), default=None)
        if low is not None and high is not None:
            self.ranges[op.variable] = (low, max(high, low + 1))

    def known(self, variables: Sequence[SSAValue]) -> Ranges:
        """Ranges where dimension i is `variables[i]`."""
        return Ranges(tuple(self.ranges.get(value) for value in variables))

    def indices(self, values: Sequence[SSAValue]) -> list[SSAValue]:
        """What stands for loop variables."""
        return [self.scalars[value] for value in values]


def is_inside(expr: AffineExpr, size: int, ranges: Ranges) -> bool:
    """Whether an index is in [0, size) whatever the loops are at."""
    interval = bounds(expr, ranges)
    return interval is not None and interval[0] >= 0 and interval[1] <= size
