"""Tensors from shapes and numbers: graph.shape, graph.constant_of_shape, graph.range, ...

%s = graph.shape(%x) {start = 1} : tensor<2xi64>
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from xdsl.dialects.builtin import DenseIntOrFPElementsAttr, IntegerAttr, f32
from xdsl.ir import Attribute, TypeAttribute
from xdsl.irdl import (
    AttrSizedOperandSegments,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    opt_result_def,
    result_def,
)

from ...core.errors import ModelError
from ...core.irtypes import int_attr
from ...core.symbolic import Dim, Expr, ceildiv, maximum
from .base import ConstantOp, GraphOp, Pattern, constant_value
from .checks import (
    ALL,
    BOOL,
    BOOLS,
    FLOATS,
    I64,
    INDICES,
    INTS,
    NUMBERS,
    common_element,
    expect,
    expect_rank,
)
from .movement import known_product
from .types import MaybeDim, info, tensor_type
from .values import MAX_ELEMENTS, as_value, extents, length

if TYPE_CHECKING:
    from .base import ShapeValue, ValueReader


@irdl_op_definition
class ShapeOp(GraphOp):
    """The extents of the data, from dimension `start` up to `end`, as i64."""

    name = "graph.shape"
    ONNX_NAME: ClassVar = "Shape"
    PATTERN: ClassVar = Pattern.INJECTIVE

    data = operand_def()
    start = opt_prop_def(IntegerAttr, int_attr(0))
    end = opt_prop_def(IntegerAttr)
    res = result_def()

    def part(self) -> slice:
        """Which dimensions, as a Python slice: it clamps as ONNX does."""
        return slice(self.start.value.data, None if self.end is None else self.end.value.data)

    def infer(self) -> Sequence[Attribute]:
        dims = expect("data", self.data).dims
        return [tensor_type((None if dims is None else len(dims[self.part()]),), I64)]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        dims = info(self.data).dims
        return [None if dims is None else as_value(list(dims[self.part()]))]


@irdl_op_definition
class SizeOp(GraphOp):
    """The number of elements of the data, as an i64 scalar."""

    name = "graph.size"
    ONNX_NAME: ClassVar = "Size"
    PATTERN: ClassVar = Pattern.INJECTIVE

    data = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        expect("data", self.data)
        return [tensor_type((), I64)]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        dims = info(self.data).dims
        return [None if dims is None else as_value(known_product(dims))]


@irdl_op_definition
class ConstantOfShapeOp(GraphOp):
    """A tensor of the extents in `shape`, filled with the element of `value`, or 0.0."""

    name = "graph.constant_of_shape"
    ONNX_NAME: ClassVar = "ConstantOfShape"
    PATTERN: ClassVar = Pattern.INJECTIVE

    shape = operand_def()
    value = opt_prop_def(DenseIntOrFPElementsAttr)
    res = result_def()

    @property
    def element(self) -> Attribute:
        """The element type: that of `value`."""
        return f32 if self.value is None else self.value.get_element_type()

    def infer(self) -> Sequence[Attribute]:
        expect_rank("shape", expect("shape", self.shape, INDICES), 1)
        if self.value is not None and len(self.value) != 1:
            raise ModelError(f"value has {len(self.value)} elements, expected 1")
        wanted, rank = extents(self.shape), length(self.shape)
        if wanted is None and rank is not None:
            wanted = (None,) * rank
        if any(isinstance(extent, int) and extent < 0 for extent in wanted or ()):
            raise ModelError("the shape has a negative extent")
        return [tensor_type(wanted, self.element)]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        import numpy as np

        wanted = extents(self.shape, values)
        count = None if wanted is None else known_product(wanted)
        if self.value is None or not isinstance(count, int) or count > MAX_ELEMENTS:
            return [None]
        if self.element not in INTS | BOOLS or wanted is None:
            return [None]
        fill = ConstantOp(self.value, self.value.type).array.astype(object).reshape(-1)[0]
        known = [extent for extent in wanted if isinstance(extent, int)]
        return [np.full(known, fill, dtype=object)]


@irdl_op_definition
class RangeOp(GraphOp):
    """`start`, `start + delta`, ... before `limit`: scalar operands."""

    name = "graph.range"
    ONNX_NAME: ClassVar = "Range"
    PATTERN: ClassVar = Pattern.INJECTIVE

    start = operand_def()
    limit = operand_def()
    delta = operand_def()
    stash_type = opt_prop_def(IntegerAttr, int_attr(1))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        operands = {"start": self.start, "limit": self.limit, "delta": self.delta}
        found = {name: expect(name, operand, NUMBERS) for name, operand in operands.items()}
        for name, operand in found.items():
            expect_rank(name, operand, 0, 1)
        return [tensor_type((self._count(),), common_element(**found))]

    def _count(self) -> MaybeDim:
        """max(0, ceil((limit - start) / delta)), of constants in their own type."""
        given = [constant_value(operand) for operand in self.operands]
        known = [array.reshape(-1)[0] for array in given if array is not None]
        if len(known) == 3:
            start, limit, delta = known
            if delta == 0:
                raise ModelError("delta is 0")
            if info(self.start).element in INTS:
                return max(0, -((int(start) - int(limit)) // int(delta)))
            return max(0, math.ceil((float(limit) - float(start)) / float(delta)))
        sizes = [(extents(operand) or (None,))[0] for operand in self.operands]
        if any(size is None for size in sizes):
            return None
        start, limit, delta = sizes
        return _symbolic_count(start or 0, limit or 0, delta or 0)

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        numbers = [extents(operand, values) for operand in self.operands]
        known = [item[0] for item in numbers if item and isinstance(item[0], int)]
        if len(known) != 3 or known[2] == 0:
            return [None]
        items = range(*known)
        return [as_value(list(items)) if len(items) <= MAX_ELEMENTS else None]


def _symbolic_count(start: Dim, limit: Dim, delta: Dim) -> MaybeDim:
    if isinstance(delta, Expr) or delta == 0:
        return None
    span = limit - start if delta > 0 else start - limit
    return maximum(0, ceildiv(span, abs(delta)))


@irdl_op_definition
class EyeLikeOp(GraphOp):
    """A matrix of the operand's shape with ones on diagonal `k`, of element type `dtype` or its."""

    name = "graph.eye_like"
    ONNX_NAME: ClassVar = "EyeLike"
    PATTERN: ClassVar = Pattern.INJECTIVE
    DTYPE_PROPERTIES: ClassVar[tuple[str, ...]] = ("dtype",)

    x = operand_def()
    dtype = opt_prop_def(TypeAttribute)
    k = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, ALL)
        expect_rank("x", x, 2)
        return [tensor_type(x.dims, x.element if self.dtype is None else self.dtype)]


@irdl_op_definition
class DropoutOp(GraphOp):
    """The data; the optional `mask` (all true) says what was kept. Training is not supported."""

    name = "graph.dropout"
    ONNX_NAME: ClassVar = "Dropout"
    PATTERN: ClassVar = Pattern.ELEMWISE

    data = operand_def()
    ratio = opt_operand_def()
    training_mode = opt_operand_def()
    seed = opt_prop_def(IntegerAttr)
    res = result_def()
    mask = opt_result_def()
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def infer(self) -> Sequence[Attribute]:
        data = expect("data", self.data, FLOATS)
        if self.ratio is not None:
            expect("ratio", self.ratio, FLOATS)
        if self.training_mode is not None:
            expect("training_mode", self.training_mode, BOOLS)
        return [data.type, tensor_type(data.dims, BOOL)][: len(self.results)]

    def infer_operands(self) -> Sequence[Attribute | None]:
        return [self.res.type, *[None] * (len(self.operands) - 1)]

    @property
    def is_training(self) -> bool | None:
        """Whether elements are dropped at random; `None` if it is decided at run time."""
        if self.training_mode is None:
            return False
        mode = constant_value(self.training_mode)
        return None if mode is None else bool(mode.reshape(-1)[0])


OPS = [ConstantOfShapeOp, DropoutOp, EyeLikeOp, RangeOp, ShapeOp, SizeOp]
