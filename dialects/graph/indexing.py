"""Elements chosen by index: graph.gather, graph.scatter_nd, graph.top_k, graph.trilu, ...

%y = graph.gather(%table, %ids) {axis = 0} : tensor<[seq]x384xf32>
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from xdsl.dialects.builtin import IntegerAttr, StringAttr
from xdsl.ir import Attribute
from xdsl.irdl import irdl_op_definition, operand_def, opt_operand_def, opt_prop_def, result_def

from ...core.errors import ModelError
from ...core.irtypes import int_attr
from .base import GraphOp, Pattern
from .checks import ALL, I64, INDICES, NUMBERS, common_element, expect, expect_rank, normal_axis
from .movement import ElementOp
from .types import Dims, MaybeDim, info, merge_dim, show, tensor_type
from .values import extents

if TYPE_CHECKING:
    from .base import ShapeValue, ValueReader


@irdl_op_definition
class GatherOp(ElementOp):
    """Slices of the data along `axis`, at `indices` (negative ones count from the end)."""

    name = "graph.gather"
    ONNX_NAME: ClassVar = "Gather"

    data = operand_def()
    indices = operand_def()
    axis = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data, indices = expect("data", self.data), expect("indices", self.indices, INDICES)
        if data.dims is None:
            return [data.type]
        axis = normal_axis(self.axis.value.data, len(data.dims))
        if indices.dims is None:
            return [data.with_dims(None).type]
        return [data.with_dims((*data.dims[:axis], *indices.dims, *data.dims[axis + 1 :])).type]

    def infer_values(self, values: ValueReader) -> Sequence[ShapeValue | None]:
        import numpy as np

        value, indices = values(self.data), values(self.indices)
        if value is None or indices is None:
            return [None]
        flat = indices.reshape(-1).tolist()
        size = value.shape[self.axis.value.data] if value.ndim else 0
        if not all(isinstance(index, int) and -size <= index < size for index in flat):
            return [None]
        taken = np.take(value, indices.astype(np.int64), axis=self.axis.value.data)
        return [np.asarray(taken, dtype=object)]


@irdl_op_definition
class GatherElementsOp(ElementOp):
    """Elements of the data, of the shape of `indices`, which replace the position on `axis`."""

    name = "graph.gather_elements"
    ONNX_NAME: ClassVar = "GatherElements"

    data = operand_def()
    indices = operand_def()
    axis = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data, indices = expect("data", self.data), expect("indices", self.indices, INDICES)
        _check_axis(self.axis, data.dims, indices.dims)
        return [data.with_dims(indices.dims).type]


def _check_axis(axis: IntegerAttr, data: Dims | None, indices: Dims | None) -> None:
    if data is not None:
        normal_axis(axis.value.data, len(data))
        if indices is not None and len(indices) != len(data):
            raise ModelError(f"indices {show(indices)} differ in rank from data {show(data)}")


@irdl_op_definition
class GatherNDOp(ElementOp):
    """Slices of the data at the index tuples in the last dimension of `indices`.

    The first `batch_dims` dimensions are common to both.
    """

    name = "graph.gather_nd"
    ONNX_NAME: ClassVar = "GatherND"

    data = operand_def()
    indices = operand_def()
    batch_dims = opt_prop_def(IntegerAttr, int_attr(0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        data, indices = expect("data", self.data), expect("indices", self.indices, INDICES)
        batch = self.batch_dims.value.data
        if data.dims is None or indices.dims is None:
            return [data.with_dims(None).type]
        if batch < 0 or batch >= min(len(data.dims), len(indices.dims)):
            raise ModelError(f"batch_dims {batch} for ranks {len(data.dims)}, {len(indices.dims)}")
        count = indices.dims[-1]
        if not isinstance(count, int):
            return [data.with_dims(None).type]
        if not 1 <= count <= len(data.dims) - batch:
            raise ModelError(f"index tuples of {count} for data {show(data.dims)}")
        common = [merge_dim(data.dims[i], indices.dims[i]) for i in range(batch)]
        shape = (*common, *indices.dims[batch:-1], *data.dims[batch + count :])
        return [data.with_dims(shape).type]


REDUCTIONS = ("none", "add", "mul", "max", "min")


class ScatterOp(GraphOp):
    """`data` with `updates` written, or with a `reduction` combined, at `indices`."""

    data = operand_def()
    indices = operand_def()
    updates = operand_def()
    reduction = opt_prop_def(StringAttr, StringAttr("none"))
    res = result_def()

    def read(self) -> tuple[Dims | None, Dims | None, Dims | None]:
        """Shapes of the operands.

        Raises: ModelError: the reduction or a type does not fit.
        """
        if self.reduction.data not in REDUCTIONS:
            raise ModelError(f"reduction '{self.reduction.data}', expected {', '.join(REDUCTIONS)}")
        data, updates = expect("data", self.data), expect("updates", self.updates)
        common_element(data=data, updates=updates)
        return data.dims, expect("indices", self.indices, INDICES).dims, updates.dims

    def infer_operands(self) -> Sequence[Attribute | None]:
        return [self.res.type, None, tensor_type(None, info(self.res).element)]


@irdl_op_definition
class ScatterElementsOp(ScatterOp):
    """Updates of the shape of `indices`, which replace the position on `axis`."""

    name = "graph.scatter_elements"
    ONNX_NAME: ClassVar = "ScatterElements"

    axis = opt_prop_def(IntegerAttr, int_attr(0))

    def infer(self) -> Sequence[Attribute]:
        data, indices, updates = self.read()
        _check_axis(self.axis, data, indices)
        if indices is not None and updates is not None:
            if len(indices) != len(updates):
                raise ModelError(f"indices {show(indices)} differ from updates {show(updates)}")
            for left, right in zip(indices, updates, strict=True):
                merge_dim(left, right)
        return [info(self.data).type]


@irdl_op_definition
class ScatterNDOp(ScatterOp):
    """Update slices at the index tuples in the last dimension of `indices`."""

    name = "graph.scatter_nd"
    ONNX_NAME: ClassVar = "ScatterND"

    def infer(self) -> Sequence[Attribute]:
        data, indices, updates = self.read()
        count = indices[-1] if indices else None
        if data is not None and indices is not None and isinstance(count, int):
            if count > len(data):
                raise ModelError(f"index tuples of {count} for data {show(data)}")
            wanted = (*indices[:-1], *data[count:])
            if updates is not None and len(updates) != len(wanted):
                raise ModelError(f"updates {show(updates)}, expected {show(wanted)}")
        return [info(self.data).type]


@irdl_op_definition
class OneHotOp(GraphOp):
    """`values` = [off, on], on at `indices` along a new dimension `axis` of extent `depth`."""

    name = "graph.one_hot"
    ONNX_NAME: ClassVar = "OneHot"
    PATTERN: ClassVar = Pattern.INJECTIVE

    indices = operand_def()
    depth = operand_def()
    values = operand_def()
    axis = opt_prop_def(IntegerAttr, int_attr(-1))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        indices = expect("indices", self.indices, NUMBERS)
        expect("depth", self.depth, NUMBERS)
        values = expect("values", self.values, ALL)
        expect_rank("values", values, 1)
        if indices.dims is None:
            return [tensor_type(None, values.element)]
        axis = normal_axis(self.axis.value.data, len(indices.dims) + 1)
        found = extents(self.depth)
        depth = found[0] if found else None
        shape = (*indices.dims[:axis], depth, *indices.dims[axis:])
        return [tensor_type(shape, values.element)]


@irdl_op_definition
class TopKOp(GraphOp):
    """The `k` largest (or smallest) elements along `axis` and their positions.

    Equal elements: the lower position first.
    """

    name = "graph.top_k"
    ONNX_NAME: ClassVar = "TopK"

    x = operand_def()
    k = operand_def()
    axis = opt_prop_def(IntegerAttr, int_attr(-1))
    largest = opt_prop_def(IntegerAttr, int_attr(1))
    sorted = opt_prop_def(IntegerAttr, int_attr(1))
    res = result_def()
    indices = result_def()

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x, NUMBERS)
        expect("k", self.k, INDICES)
        if x.dims is None:
            return [x.type, tensor_type(None, I64)]
        axis = normal_axis(self.axis.value.data, len(x.dims))
        found = extents(self.k)
        k: MaybeDim = found[0] if found else None
        size = x.dims[axis]
        if isinstance(k, int) and (k < 0 or (isinstance(size, int) and k > size)):
            raise ModelError(f"k is {k}, the dimension has {size} elements")
        shape = (*x.dims[:axis], k, *x.dims[axis + 1 :])
        return [x.with_dims(shape).type, tensor_type(shape, I64)]


@irdl_op_definition
class NonZeroOp(GraphOp):
    """Positions of the elements that are not zero: [rank, how many], in row-major order."""

    name = "graph.non_zero"
    ONNX_NAME: ClassVar = "NonZero"

    x = operand_def()
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        return [tensor_type((expect("x", self.x).rank, None), I64)]


@irdl_op_definition
class TriluOp(ElementOp):
    """The upper (or lower) triangle of stacked matrices, 0 elsewhere; `k` shifts the diagonal."""

    name = "graph.trilu"
    ONNX_NAME: ClassVar = "Trilu"

    x = operand_def()
    k = opt_operand_def()
    upper = opt_prop_def(IntegerAttr, int_attr(1))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        x = expect("x", self.x)
        if x.dims is not None and len(x.dims) < 2:
            raise ModelError(f"'x' has shape {show(x.dims)}, expected rank 2 and more")
        if self.k is not None:
            expect_rank("k", expect("k", self.k, frozenset((I64,))), 0, 1)
        return [x.type]


OPS = [
    GatherElementsOp,
    GatherNDOp,
    GatherOp,
    NonZeroOp,
    OneHotOp,
    ScatterElementsOp,
    ScatterNDOp,
    TopKOp,
    TriluOp,
]
