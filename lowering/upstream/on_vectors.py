"""Upstream's scalar ops where their operands are vectors.

MLIR's arith and math take vectors in every elementwise op; xDSL's definitions refuse them in
comparisons, select and most casts. These are the same ops, by name and properties, without that
restriction. They are in no dialect: they are printed and never parsed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

from xdsl.dialects import arith, math
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    opt_prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import Pure

SCALAR: dict[str, type[Operation]] = {
    op.name: op for op in (*arith.Arith.operations, *math.Math.operations)
}
"""xDSL's own, by name."""


@cache
def defaults(op: type[Operation]) -> Mapping[str, Attribute]:
    """The properties of an op class that have a default value: no fast math, no overflow flags."""
    if not issubclass(op, IRDLOperation):
        return {}
    found = op.get_irdl_definition().properties
    return {name: p.default_value for name, p in found.items() if p.default_value is not None}


@cache
def _on_vectors(name: str) -> type[Operation]:
    members = {
        "__doc__": f"`{name}` on vectors.",
        "__module__": __name__,
        "name": name,
        "args": var_operand_def(),
        "predicate": opt_prop_def(Attribute),
        "fastmath": opt_prop_def(Attribute),
        "overflowFlags": opt_prop_def(Attribute),
        "roundingmode": opt_prop_def(Attribute),
        "res": result_def(),
        "traits": traits_def(Pure()),
    }
    return irdl_op_definition(type("OnVectors", (IRDLOperation,), members))


def elementwise(
    name: str, args: Sequence[SSAValue], result: Attribute, predicate: Attribute | None, wide: bool
) -> Operation:
    """A scalar op of arith or math, on scalars or on vectors."""
    op = SCALAR[name]
    properties = dict(defaults(op))
    if predicate is not None:
        properties["predicate"] = predicate
    made = _on_vectors(name) if wide else op
    return made.create(operands=args, result_types=[result], properties=properties)
