"""A plug-in with an op that has a form of its own."""

from typing import Any

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.ir import Dialect
from xdsl.irdl import IRDLOperation, irdl_op_definition, operand_def, prop_def, result_def


@irdl_op_definition
class ScaledOp(IRDLOperation):
    """`testing2.scaled %x by 3 : i32`."""

    name = "testing2.scaled"
    x = operand_def()
    factor = prop_def(IntegerAttr)
    res = result_def()


def build(builder: Any, node: Any, place: Any) -> None:
    _, _, (where, value), (_, factor), (at, types) = node
    op = ScaledOp.create(
        operands=[builder.scopes.value(value, where)],
        properties={"factor": IntegerAttr(int(factor), i64)},
        result_types=builder.reader.types(types, at),
    )
    builder.finish(op, place)


def show(printer: Any, op: Any, indent: str) -> str:
    return f"testing2.scaled {printer.names.of(op.x)} by {op.factor.value.data} : {op.res.type}"


DIALECTS = [Dialect("testing2", [ScaledOp], [])]
SYNTAX = [("testing2.scaled", 'VAL "by" INT TYPES', build, show)]
