"""Index spaces: the named axes that te computes and loop statements run over, and combiners.

A space lists its parallel axes first, then the axes that a combiner runs over. The ops of both
dialects that speak of a point of it stand here, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    DenseIntOrFPElementsAttr,
    IndexType,
    IntegerAttr,
    StringAttr,
)
from xdsl.ir import Attribute, Operation, ParametrizedAttribute, Region
from xdsl.ir.affine import AffineMap
from xdsl.irdl import (
    IRDLOperation,
    irdl_attr_definition,
    param_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from ..core.affine import Range
from ..core.irtypes import int_attr
from ..core.walk import ancestors

PARALLEL = "parallel"
REDUCE = "reduce"
COMBINERS = ("sum", "prod", "max", "min", "and", "or")
"""Named combiners. For min and max of floats NaN propagates; of integers they are signed
(`umax`, `umin` are written with a custom combiner)."""


@irdl_attr_definition
class AxisAttr(ParametrizedAttribute):
    """One named axis of an index space: `#te.axis<"i", "parallel", 128 : i64>`.

    Pretty: `i: 128` in the list that says its kind.
    """

    name = "te.axis"
    axis_name: StringAttr = param_def()
    kind: StringAttr = param_def()
    extent: IntegerAttr = param_def()

    @staticmethod
    def get(name: str, kind: str, extent: int) -> AxisAttr:
        """An axis of `extent` points (>= 0)."""
        return AxisAttr(StringAttr(name), StringAttr(kind), int_attr(extent))

    @property
    def label(self) -> str:
        """The axis's name."""
        return self.axis_name.data

    @property
    def size(self) -> int:
        """How many points."""
        return self.extent.value.data

    @property
    def is_reduce(self) -> bool:
        """Whether the combiner runs over this axis."""
        return self.kind.data == REDUCE

    def verify(self) -> None:
        if self.kind.data not in (PARALLEL, REDUCE):
            raise VerifyException(f"axis kind is 'parallel' or 'reduce', got '{self.kind.data}'")
        if self.size < 0:
            raise VerifyException(f"axis '{self.label}' has a negative extent {self.size}")


def axis_ranges(axes: Sequence[AxisAttr]) -> tuple[Range, ...]:
    """The half-open range of each axis."""
    return tuple((0, axis.size) for axis in axes)


def verify_index_space(op: Operation) -> None:
    """Axis names are unique, parallel axes come first, the body has no block arguments."""
    axes = index_space(op)
    names = [axis.label for axis in axes]
    if len(set(names)) != len(names):
        raise VerifyException(f"axis names are not unique: {', '.join(names)}")
    kinds = [axis.is_reduce for axis in axes]
    if kinds != sorted(kinds):
        raise VerifyException("parallel axes come before reduce axes")
    if op.regions[0].block.args:
        raise VerifyException("the body takes no block arguments")


def index_space(op: Operation) -> tuple[AxisAttr, ...]:
    """The axes of a compute or of a loop statement; empty for any other op."""
    axes = op.properties.get("axes")
    return cast("ArrayAttr[AxisAttr]", axes).data if isinstance(axes, ArrayAttr) else ()


def verify_combiner(op: Operation, element_types: Sequence[Attribute]) -> None:
    """Reduce axes and a combiner come together; a custom one has init values and types that fit."""
    combiner = cast("ArrayAttr[StringAttr] | None", op.properties.get("combiner"))
    region = op.regions[1] if len(op.regions) > 1 else None
    if combiner is not None and region is not None:
        raise VerifyException("expected a named combiner or a combine region, got both")
    if any(axis.is_reduce for axis in index_space(op)) != (
        combiner is not None or region is not None
    ):
        raise VerifyException("reduce axes and a combiner come together")
    if combiner is not None and len(combiner) != len(element_types):
        raise VerifyException("expected one combiner for each result")
    for name in combiner or ():
        if name.data not in COMBINERS:
            raise VerifyException(
                f"unknown combiner '{name.data}', expected one of {', '.join(COMBINERS)}"
            )
    if region is not None:
        _verify_combine_region(op, region, element_types)


def _verify_combine_region(
    op: Operation, region: Region, element_types: Sequence[Attribute]
) -> None:
    init = op.properties.get("init")
    if init is None or len(cast("ArrayAttr[Attribute]", init)) != len(element_types):
        raise VerifyException("a combine region needs one init value for each result")
    types = [getattr(value, "type", None) for value in cast("ArrayAttr[Attribute]", init)]
    if types != list(element_types):
        listed = ", ".join(str(type_) for type_ in element_types)
        raise VerifyException(f"the init values have the results' element types: {listed}")
    if list(region.block.arg_types) != [*element_types, *element_types]:
        raise VerifyException("the combine region takes the accumulators, then the values")
    last = region.block.last_op
    ends = last is not None and last.name in ("te.yield", "loop.yield")
    if last is None or not ends or list(last.operand_types) != list(element_types):
        raise VerifyException("the combine region yields one new accumulator for each result")


def enclosing_axes(op: Operation) -> tuple[AxisAttr, ...]:
    """The axes of the nearest op around `op` that has an index space.

    Raises: VerifyException: there is none.
    """
    for around in ancestors(op):
        if "axes" in around.properties:
            return index_space(around)
    raise VerifyException(f"{op.name} stands outside any index space")


class AnyIndexOp(IRDLOperation):
    """The position along one axis of the enclosing index space, as an `index`. Pretty: the name."""

    axis = prop_def(StringAttr)
    res = result_def(IndexType)
    traits = traits_def(Pure())

    def __init__(self, axis: str):
        super().__init__(properties={"axis": StringAttr(axis)}, result_types=[IndexType()])

    def verify_(self) -> None:
        names = [axis.label for axis in enclosing_axes(self)]
        if self.axis.data not in names:
            raise VerifyException(f"no axis '{self.axis.data}', expected one of {', '.join(names)}")


class AnyCoeffOp(IRDLOperation):
    """An entry of a small literal matrix, whose zeros are structural.

        #coeff<[[1.0, 0.0], [0.5, -0.5]] : 2x2xf32>[i, k]

    A zero means that the term is absent (0 * inf cannot appear), which holds when the value is a
    factor of a summed product; lowering requires that the indices become constants (unrolled).
    """

    values = prop_def(DenseIntOrFPElementsAttr)
    map = prop_def(AffineMapAttr)
    res = result_def()
    traits = traits_def(Pure())

    def __init__(self, values: DenseIntOrFPElementsAttr, map_: AffineMap):
        element: Attribute = values.get_element_type()
        super().__init__(
            properties={"values": values, "map": AffineMapAttr(map_)}, result_types=[element]
        )

    def verify_(self) -> None:
        if self.map.data.num_dims != len(enclosing_axes(self)):
            raise VerifyException("the map's dimensions differ from the index space")
        if len(self.map.data.results) != len(self.values.get_shape()):
            raise VerifyException("the map's results differ from the matrix's rank")
        if self.res.type != self.values.get_element_type():
            raise VerifyException(f"reads {self.values.get_element_type()}, is {self.res.type}")
