"""What te.compute and loop.stmt share: the op and the neutral element of a named combiner."""

from __future__ import annotations

from typing import Any, cast

from xdsl.dialects.builtin import (
    AnyFloat,
    ArrayAttr,
    FloatAttr,
    IndexType,
    IntegerAttr,
    IntegerType,
    StringAttr,
    i1,
)
from xdsl.ir import Attribute, Operation


def neutral_elements(op: Operation, element_types: list[Attribute]) -> list[Attribute]:
    """What each accumulator of a compute or statement starts from: its `init`, or the combiner's.

    Combining a value with the neutral element gives the value: 0 for sum, 1 for prod, the smallest
    value (minus infinity) for max, the largest for min, all ones for and, 0 for or.
    """
    init = op.properties.get("init")
    if init is not None:
        return list(cast("ArrayAttr[Attribute]", init))
    names = cast("ArrayAttr[StringAttr]", op.properties["combiner"])
    return [neutral_element(n.data, t) for n, t in zip(names, element_types, strict=True)]


def neutral_element(combiner: str, element_type: Attribute) -> Attribute:
    """The neutral element of a named combiner, as a typed attribute."""
    if isinstance(element_type, IntegerType):
        integer = cast("IntegerType[int]", element_type)
        return IntegerAttr(_integer(combiner, integer.bitwidth), integer)
    assert isinstance(element_type, AnyFloat), f"no neutral element of {combiner} in {element_type}"
    values = {"sum": 0.0, "prod": 1.0, "max": float("-inf"), "min": float("inf")}
    return FloatAttr(values[combiner], cast("Any", element_type))


def _integer(combiner: str, width: int) -> int:
    if width == 1:
        return {"sum": 0, "prod": 1, "max": 0, "min": 1, "and": 1, "or": 0}[combiner]
    low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
    return {"sum": 0, "prod": 1, "max": low, "min": high, "and": -1, "or": 0}[combiner]


_FLOAT_COMBINE = {
    "sum": "arith.addf",
    "prod": "arith.mulf",
    "max": "arith.maximumf",
    "min": "arith.minimumf",
}
_INT_COMBINE = {
    "sum": "arith.addi",
    "prod": "arith.muli",
    "max": "arith.maxsi",
    "min": "arith.minsi",
    "and": "arith.andi",
    "or": "arith.ori",
}


def combine_op(combiner: str, element: Attribute) -> str:
    """The scalar op that a named combiner is."""
    is_int = isinstance(element, IndexType | IntegerType)
    if is_int and element == i1 and combiner in ("max", "min", "sum", "prod"):
        return "arith.ori" if combiner in ("max", "sum") else "arith.andi"
    return (_INT_COMBINE if is_int else _FLOAT_COMBINE)[combiner]
