"""Machine instructions as te computes: what `tensorize` puts in the place of a nest.

    te.kernel @dot4_u8s8(%x: tensor<4xi8>, %w: tensor<16x4xi8>) -> tensor<16xi32> {
      %c = te.compute @c [j: 16] sum [k: 4] { extui(%x[k], i32) * extsi(%w[j, k], i32) }
    }

An intrinsic has one parallel axis, of any extent, which runs along lanes, and one reduce axis. Its
meaning is that of the compute; how it becomes LLVM IR is in lowering/loop_to_llvm/intrinsics.py,
by the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from xdsl.dialects.builtin import IntegerType, Signedness, TensorType, i8, i16, i32
from xdsl.ir import Attribute, Block, Operation, SSAValue

from .te import ComputeOp, KernelOp
from .te_build import KernelBuilder

ui8 = IntegerType(8, Signedness.UNSIGNED)
COMMUTATIVE = ("arith.addi", "arith.muli", "arith.addf", "arith.mulf")


@dataclass(frozen=True)
class Intrinsic:
    """A dot product of `terms` neighbours for each lane, added to 32 bits.

    Attributes:
        name: what schedules call it.
        terms: the extent of its reduce axis.
        x, w: element types of `x[k]` and `w[j, k]`.
    """

    name: str
    terms: int
    x: Attribute
    w: Attribute

    def kernel(self, lanes: int) -> KernelOp:
        """What it computes, for `lanes` lanes."""
        return _kernel(self, lanes)

    def compute(self, lanes: int) -> ComputeOp:
        """The one compute of `kernel`."""
        return next(op for op in self.kernel(lanes).body.block.ops if isinstance(op, ComputeOp))


@cache
def _kernel(intrinsic: Intrinsic, lanes: int) -> KernelOp:
    terms = intrinsic.terms
    types: dict[str, TensorType[Any]] = {
        "x": TensorType(intrinsic.x, [terms]),
        "w": TensorType(intrinsic.w, [lanes, terms]),
    }
    builder = KernelBuilder(intrinsic.name, types)
    x, w = builder.args
    c = builder.compute(
        "c",
        {"j": lanes},
        lambda j: builder.sum({"k": terms}, lambda k: x[k].cast(i32) * w[j, k].cast(i32)),
    )
    return builder.finish(c)


INTRINSICS: dict[str, Intrinsic] = {
    each.name: each
    for each in (Intrinsic("dot4_u8s8", 4, ui8, i8), Intrinsic("dot2_s16s16", 2, i16, i16))
}


def match_body(described: Block, body: Block) -> dict[SSAValue, Operation] | None:
    """The read of `body` for each tensor that `described` reads; `None` where the bodies differ.

    Both end with a yield. Operands of commutative ops may stand in either order.
    """
    wanted, given = described.last_op, body.last_op
    assert wanted is not None
    assert given is not None
    if len(wanted.operands) != len(given.operands):
        return None
    reads: dict[SSAValue, Operation] = {}
    for expected, value in zip(wanted.operands, given.operands, strict=True):
        found = _match(expected, value, reads)
        if found is None:
            return None
        reads = found
    return reads


Reads = dict[SSAValue, Operation]


def _match(expected: SSAValue, value: SSAValue, reads: Reads) -> Reads | None:
    wanted, given = expected.owner, value.owner
    if not isinstance(wanted, Operation) or not isinstance(given, Operation):
        return None
    if expected.type != value.type:
        return None
    if wanted.name == "te.read":
        if given.name != "loop.read" or reads.get(wanted.operands[0], given) is not given:
            return None
        return {**reads, wanted.operands[0]: given}
    if wanted.name != given.name or wanted.properties != given.properties:
        return None
    orders = [list(given.operands)]
    if wanted.name in COMMUTATIVE:
        orders.append(orders[0][::-1])
    for order in orders:
        found: Reads | None = reads
        for inner, operand in zip(wanted.operands, order, strict=True):
            found = None if found is None else _match(inner, operand, found)
        if found is not None:
            return found
    return None
