"""Compute at compile time what does not depend on the inputs (NNVM's PrecomputePrune).

An operator with only constant operands is evaluated by the reference and becomes a constant, if
that is not much larger than the operands: an expanded scalar costs memory and saves nothing. An
integer result whose elements follow from types and constants, as shapes do, becomes a constant
too, though its operands are none.

    %s = graph.shape(%x) : tensor<2xi64>                     %x: tensor<2x6xf32>
    %0 = graph.gather(%s, %zero) : tensor<i64>       ->      %0 = graph.constant dense<2>
    %w1 = graph.transpose(%w) : tensor<3x2xf32>      ->      %w1 = graph.constant dense<...>

One function may stand for the module. A kernel may not: a constant can say more of its type than
what it replaces, and the types of a kernel's results belong to what is around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerType, ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue

from ...core.counters import may
from ...core.dtypes import numpy_dtype
from ...core.errors import NncError
from ...core.explain import why_not
from ...core.passes import OpPass, Statistic
from ...core.walk import erase, walk
from ...dialects.graph.base import ConstantOp, GraphOp, constant_value
from ...dialects.graph.types import dims, element
from ...dialects.graph.values import shape_value
from .infer_shapes import infer_shapes

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

FOLDED = Statistic("folded op", "operators replaced by constants")

MAX_GROWTH = 1 << 16
"""A folded constant has at most this many elements, or as many as the operands together."""


def fold_constants(root: ModuleOp | FuncOp, max_growth: int = MAX_GROWTH) -> int:
    """Fold all operators inside a module or a function that can be; how many.

    Args:
        root: changed in place.
        max_growth: how many elements a result may have where the operands have fewer.
    """
    number = 0
    is_refined = False
    for op in [op for op in walk(root) if isinstance(op, GraphOp) and not op.regions]:
        arrays = _shapes(op) or _evaluated(op, max_growth)
        if arrays is not None and may(FOLDED.name, op):
            is_refined |= _replace(op, arrays)
            number += 1
    if is_refined:
        infer_shapes(root)
    return number


def _shapes(op: GraphOp) -> list[Array] | None:
    """The results, if they are integers that follow from shapes and constants."""
    arrays = [_shape_content(result) for result in op.results]
    found = [array for array in arrays if array is not None]
    return found if found and len(found) == len(arrays) else None


def _shape_content(result: SSAValue) -> Array | None:
    type_ = element(result.type)
    if type_ is None or not _is_integer(type_) or _is_long(result):
        return None
    content = shape_value(result)
    if content is None or not all(isinstance(item, int) for item in content.reshape(-1).tolist()):
        return None
    return content.astype(numpy_dtype(type_))


def _is_integer(type_: Attribute) -> bool:
    return isinstance(type_, IntegerType)


def _is_long(result: SSAValue) -> bool:
    """Whether it is cheap to see that this is no shape."""
    shape = dims(result.type)
    return shape is not None and len(shape) > 2


def _evaluated(op: GraphOp, max_growth: int) -> list[Array] | None:
    """The results, computed by the reference, if all operands are constant."""
    from ...reference.graph import evaluate

    operands = [constant_value(operand) for operand in op.operands]
    found = [array for array in operands if array is not None]
    if len(found) < len(operands) or not found:
        if operands and all(isinstance(operand.owner, ConstantOp) for operand in op.operands):
            why_not(op, "the weights that it reads are not there")
        return None
    limit = max(max_growth, sum(array.size for array in found))
    if any(not _fits(result, limit) for result in op.results):
        why_not(op, f"the constant would have more than {limit} elements")
        return None
    try:
        arrays = evaluate(op, found)
    except NncError as error:
        why_not(op, error.message)
        return None
    return arrays if all(array.size <= limit for array in arrays) else None


def _fits(result: SSAValue, limit: int) -> bool:
    """Whether the result may have at most `limit` elements, as far as its type says."""
    size = 1
    for extent in dims(result.type) or ():
        size *= extent if isinstance(extent, int) else 1
    return size <= limit


def _replace(op: Operation, arrays: list[Array]) -> bool:
    """Put constants in the place of `op`; whether their types say more than its types did."""
    block = op.parent
    assert block is not None
    is_refined = False
    for result, array in zip(list(op.results), arrays, strict=True):
        constant = ConstantOp.of(array)
        constant.location = op.location
        constant.res.name_hint = result.name_hint
        block.insert_op_before(constant, op)
        is_refined |= constant.res.type != result.type
        result.replace_all_uses_with(constant.res)
    erase(op)
    return is_refined


@dataclass(frozen=True)
class FoldConstantsPass(OpPass[ModuleOp | FuncOp]):
    """Evaluate operators whose operands are constant, and shapes that are known."""

    name = "fold-constants"
    statistics = (FOLDED,)

    max_growth: int = MAX_GROWTH
    """How many elements a constant may have where its operands have fewer."""

    def run(self, ctx: Context, op: ModuleOp | FuncOp) -> None:
        FOLDED.add(fold_constants(op, self.max_growth))
