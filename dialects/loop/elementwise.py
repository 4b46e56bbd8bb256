"""Elementwise tile ops: one for each scalar op of arith and math that a body may use."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import IntegerAttr
from xdsl.ir import SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    opt_prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from .types import TileType


class ElementwiseOp(IRDLOperation):
    """An op on tiles, element by element; an operand's missing axis broadcasts.

    The names after `loop.` and the meanings are those of xDSL's arith and math; comparisons and
    casts too (`predicate` as in arith.cmpf and arith.cmpi).
    """

    args = var_operand_def(TileType)
    predicate = opt_prop_def(IntegerAttr)
    res = result_def(TileType)
    traits = traits_def(Pure())
    SOURCE_NAME: ClassVar[str] = ""
    NUM_ARGS: ClassVar[int] = 0

    def __init__(
        self, args: Sequence[SSAValue], type_: TileType, predicate: IntegerAttr | None = None
    ):
        super().__init__(
            operands=[list(args)], properties={"predicate": predicate}, result_types=[type_]
        )

    def verify_(self) -> None:
        if len(self.args) != self.NUM_ARGS:
            raise VerifyException(f"expected {self.NUM_ARGS} operands, got {len(self.args)}")
        assert isinstance(self.res.type, TileType)
        axes = {axis.label: axis for axis in self.res.type.axes}
        for operand in self.args:
            assert isinstance(operand.type, TileType)
            for axis in operand.type.axes:
                if axes.get(axis.label) != axis:
                    raise VerifyException(f"operand axis '{axis.label}' is not one of the result's")


_ELEMENTWISE: dict[str, tuple[int, str]] = {
    **dict.fromkeys(
        ("addf", "subf", "mulf", "divf", "maximumf", "minimumf", "maxnumf", "minnumf"),
        (2, "arith"),
    ),
    **dict.fromkeys(("addi", "subi", "muli", "divsi", "divui", "remsi", "remui"), (2, "arith")),
    **dict.fromkeys(
        ("floordivsi", "ceildivsi", "ceildivui", "maxsi", "minsi", "maxui", "minui"), (2, "arith")
    ),
    **dict.fromkeys(("andi", "ori", "xori", "shli", "shrsi", "shrui"), (2, "arith")),
    **dict.fromkeys(("cmpf", "cmpi"), (2, "arith")),
    "select": (3, "arith"),
    **dict.fromkeys(
        ("negf", "extf", "truncf", "sitofp", "uitofp", "fptosi", "fptoui"), (1, "arith")
    ),
    **dict.fromkeys(("extsi", "extui", "trunci", "bitcast", "index_cast"), (1, "arith")),
    **dict.fromkeys(("absf", "absi", "ceil", "floor", "round", "roundeven", "trunc"), (1, "math")),
    **dict.fromkeys(("exp", "exp2", "expm1", "log", "log10", "log1p", "log2"), (1, "math")),
    **dict.fromkeys(("sqrt", "rsqrt", "cbrt", "erf", "sin", "cos", "tan"), (1, "math")),
    **dict.fromkeys(("sinh", "cosh", "tanh", "asin", "acos", "atan"), (1, "math")),
    **dict.fromkeys(("asinh", "acosh", "atanh", "isnan", "isinf", "isfinite"), (1, "math")),
    **dict.fromkeys(("powf", "atan2", "copysign"), (2, "math")),
    "fma": (3, "math"),
}


def _define_elementwise(mnemonic: str, num_args: int, origin: str) -> type[ElementwiseOp]:
    members = {
        "__doc__": f"`{origin}.{mnemonic}`, element by element on tiles.",
        "__module__": __name__,
        "name": f"loop.{mnemonic}",
    }
    name = "".join(part.capitalize() for part in mnemonic.split("_")) + "Op"
    op = irdl_op_definition(type(name, (ElementwiseOp,), members))
    op.SOURCE_NAME = f"{origin}.{mnemonic}"
    op.NUM_ARGS = num_args
    return op


ELEMENTWISE: dict[str, type[ElementwiseOp]] = {
    f"{origin}.{mnemonic}": _define_elementwise(mnemonic, num_args, origin)
    for mnemonic, (num_args, origin) in _ELEMENTWISE.items()
}
"""The tile op of each scalar op, by the scalar op's name."""
