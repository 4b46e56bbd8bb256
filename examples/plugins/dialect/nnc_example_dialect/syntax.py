"""The form of poly.eval: a rule over the terminals of nnc's grammar, who builds, who prints.

%y = poly.eval %x at [1.0 : f32, 0.5 : f32] : tensor<4xf32>
"""

from typing import cast

from xdsl.ir import Operation

from nnc.textir.builder import Builder, Place
from nnc.textir.printer import TextPrinter
from nnc.textir.tables import Node

from .poly import EvalOp


def build(builder: Builder, node: Node, place: Place) -> None:
    """From the parts of the rule: a token is (offset, text), a quoted word leaves none."""
    _, (offset, name), (where, x), (at, coefficients), types = node
    op = builder.op_class(name, offset).create(
        operands=[builder.scopes.value(x, where)],
        result_types=builder.reader.types(types[1], types[0]),
        properties={"coefficients": builder.reader.attribute(coefficients, at)},
    )
    builder.finish(op, place)


def show(printer: TextPrinter, op: Operation, indent: str) -> str:
    """The same text again."""
    del indent
    poly = cast("EvalOp", op)
    coefficients = printer.attributes.of(poly.coefficients)
    types = printer.attributes.many(op.result_types)
    return f"poly.eval {printer.operands(op)} at {coefficients} : {types}"


SYNTAX = [("poly.eval", 'VAL "at" VALUE TYPES', build, show)]
