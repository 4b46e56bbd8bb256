"""sched: how to run a kernel.

A schedule is a small program over the loops of one kernel. Loops are found by name, such as
`compute.axis`; a split of `c.j` makes `c.j.o` and `c.j.i`, so that a schedule prints, parses and
replays. A consumed name is an error. Each primitive keeps the meaning or is refused with the
reason (schedules/).

    sched.schedule @dense {
      split y.j, 48
      split y.i, 8, shift
      reorder y.j.o, y.i.o, y.i.i, y.j.i
      compute_at c, y.i.o
      pack w, (d0, d1) -> (d1 floordiv 48, d0, d1 mod 48)
      parallel y.j.o
      unroll y.i.i
      vectorize y.j.i
    }

A primitive's text is its mnemonic and its properties in the order the class declares them; optional
ones at the end may be left out.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    IntegerAttr,
    StringAttr,
    SymbolRefAttr,
)
from xdsl.ir import Block, Dialect, Operation, Region
from xdsl.ir.affine import AffineMap
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    opt_prop_def,
    prop_def,
    region_def,
    traits_def,
)
from xdsl.traits import HasParent, NoTerminator
from xdsl.utils.exceptions import VerifyException

from ..core.irtypes import int_attr, ints, strings

TAILS = ("mask", "peel", "shift", "balanced")
"""What a split does with the points that do not fill a tile.

mask: the statement's own domain cuts them (masked lanes, dropped rows). peel: a second nest holds
them. shift: the last tile is moved back and overlaps (only where recomputing is harmless).
balanced: tiles of two sizes that differ by one.
"""


@irdl_op_definition
class ScheduleOp(IRDLOperation):
    """The schedule of the kernel of the same name, primitives in order."""

    name = "sched.schedule"
    kernel = prop_def(SymbolRefAttr)
    body = region_def("single_block")
    traits = traits_def(NoTerminator())

    def __init__(self, kernel: str, primitives: Sequence[Operation] = ()):
        super().__init__(
            properties={"kernel": SymbolRefAttr(kernel)}, regions=[Region(Block(primitives))]
        )

    def verify_(self) -> None:
        for op in self.body.ops:
            if not isinstance(op, PrimitiveOp):
                raise VerifyException(f"a schedule holds primitives only, got {op.name}")


class PrimitiveOp(IRDLOperation):
    """A step of a schedule: all of its arguments are properties, names of loops among them."""

    traits = traits_def(HasParent(ScheduleOp))


@irdl_op_definition
class SplitOp(PrimitiveOp):
    """`split c.j, 48, mask`: for j in n -> for j.o in ceil(n/48): for j.i in 48."""

    name = "sched.split"
    loop = prop_def(StringAttr)
    factor = prop_def(IntegerAttr)
    tail = opt_prop_def(StringAttr)

    def __init__(self, loop: str, factor: int, tail: str | None = None):
        super().__init__(
            properties={
                "loop": StringAttr(loop),
                "factor": int_attr(factor),
                "tail": StringAttr(tail) if tail else None,
            }
        )

    def verify_(self) -> None:
        if self.factor.value.data <= 0:
            raise VerifyException(f"a split factor is positive, got {self.factor.value.data}")
        if self.tail is not None and self.tail.data not in TAILS:
            raise VerifyException(f"unknown tail '{self.tail.data}', expected one of {TAILS}")


@irdl_op_definition
class FuseOp(PrimitiveOp):
    """`fuse y.i, y.j`: two loops, one directly inside the other, become `y.i_j`."""

    name = "sched.fuse"
    outer = prop_def(StringAttr)
    inner = prop_def(StringAttr)

    def __init__(self, outer: str, inner: str):
        super().__init__(properties={"outer": StringAttr(outer), "inner": StringAttr(inner)})


@irdl_op_definition
class ReorderOp(PrimitiveOp):
    """`reorder c.k, c.i, c.j`: loops of one perfect nest stand in this order, outermost first."""

    name = "sched.reorder"
    loops = prop_def(ArrayAttr[StringAttr])

    def __init__(self, loops: Sequence[str]):
        super().__init__(properties={"loops": strings(loops)})


@irdl_op_definition
class TileOp(PrimitiveOp):
    """`tile y.i, y.j, 8, 48`: split both and reorder to i.o, j.o, i.i, j.i."""

    name = "sched.tile"
    first = prop_def(StringAttr)
    second = prop_def(StringAttr)
    first_factor = prop_def(IntegerAttr)
    second_factor = prop_def(IntegerAttr)

    def __init__(self, first: str, second: str, first_factor: int, second_factor: int):
        super().__init__(
            properties={
                "first": StringAttr(first),
                "second": StringAttr(second),
                "first_factor": int_attr(first_factor),
                "second_factor": int_attr(second_factor),
            }
        )


@irdl_op_definition
class PartitionOp(PrimitiveOp):
    """`partition y.w, [1, 55]`: cut a loop at these points into loops y.w.0, y.w.1, y.w.2.

    Loops inside part p get the suffix `.p` too. Where a guard's truth changes, cut: then no part
    but the borders pays for it.
    """

    name = "sched.partition"
    loop = prop_def(StringAttr)
    cuts = prop_def(ArrayAttr[IntegerAttr])

    def __init__(self, loop: str, cuts: Sequence[int]):
        super().__init__(properties={"loop": StringAttr(loop), "cuts": ints(cuts)})


class _MarkOp(PrimitiveOp):
    """Sets the kind of one loop."""

    loop = prop_def(StringAttr)

    def __init__(self, loop: str):
        super().__init__(properties={"loop": StringAttr(loop)})


@irdl_op_definition
class ParallelOp(_MarkOp):
    """`parallel y.i.o`: threads share the iterations of this outermost loop."""

    name = "sched.parallel"


@irdl_op_definition
class VectorizeOp(_MarkOp):
    """`vectorize y.j.i`: this loop becomes the lanes of tiles."""

    name = "sched.vectorize"


@irdl_op_definition
class UnrollOp(_MarkOp):
    """`unroll y.i.i`: this loop becomes a register axis of tiles."""

    name = "sched.unroll"


@irdl_op_definition
class ComputeAtOp(PrimitiveOp):
    """`compute_at c, y.i.o`: compute of c what one iteration of that loop reads, there.

    The region is the rectangular hull of the reads, clipped to c's domain; the buffer shrinks.
    """

    name = "sched.compute_at"
    compute = prop_def(StringAttr)
    loop = prop_def(StringAttr)

    def __init__(self, compute: str, loop: str):
        super().__init__(properties={"compute": StringAttr(compute), "loop": StringAttr(loop)})


@irdl_op_definition
class ReverseComputeAtOp(PrimitiveOp):
    """`reverse_compute_at y, c.i.o`: compute y there, as far as one iteration makes it ready."""

    name = "sched.reverse_compute_at"
    compute = prop_def(StringAttr)
    loop = prop_def(StringAttr)

    def __init__(self, compute: str, loop: str):
        super().__init__(properties={"compute": StringAttr(compute), "loop": StringAttr(loop)})


@irdl_op_definition
class ComputeInlineOp(PrimitiveOp):
    """`compute_inline s`: put the body of s in the place of every read of it; s must not reduce."""

    name = "sched.compute_inline"
    compute = prop_def(StringAttr)

    def __init__(self, compute: str):
        super().__init__(properties={"compute": StringAttr(compute)})


@irdl_op_definition
class CacheReadOp(PrimitiveOp):
    """`cache_read x, c, scratch`: c reads x through a new compute `x.cache` in that space."""

    name = "sched.cache_read"
    buffer = prop_def(StringAttr)
    reader = prop_def(StringAttr)
    space = prop_def(StringAttr)

    def __init__(self, buffer: str, reader: str, space: str):
        super().__init__(
            properties={
                "buffer": StringAttr(buffer),
                "reader": StringAttr(reader),
                "space": StringAttr(space),
            }
        )


@irdl_op_definition
class CacheWriteOp(PrimitiveOp):
    """`cache_write c, register`: c is computed in a buffer `c.cache` of that space, then copied."""

    name = "sched.cache_write"
    compute = prop_def(StringAttr)
    space = prop_def(StringAttr)

    def __init__(self, compute: str, space: str):
        super().__init__(properties={"compute": StringAttr(compute), "space": StringAttr(space)})


@irdl_op_definition
class SetScopeOp(PrimitiveOp):
    """`set_scope c, register`: where the buffer of an intermediate compute lives."""

    name = "sched.set_scope"
    compute = prop_def(StringAttr)
    space = prop_def(StringAttr)

    def __init__(self, compute: str, space: str):
        super().__init__(properties={"compute": StringAttr(compute), "space": StringAttr(space)})


@irdl_op_definition
class PackOp(PrimitiveOp):
    """`pack w, (d0, d1) -> (d1 floordiv 48, d0, d1 mod 48)`: a constant is packed at compile time.

    The map takes the operand's logical indices to physical ones; w is a const argument.
    """

    name = "sched.pack"
    operand = prop_def(StringAttr)
    layout = prop_def(AffineMapAttr)

    def __init__(self, operand: str, layout: AffineMap):
        super().__init__(
            properties={"operand": StringAttr(operand), "layout": AffineMapAttr(layout)}
        )


Sched = Dialect(
    "sched",
    [
        ScheduleOp,
        SplitOp,
        FuseOp,
        ReorderOp,
        TileOp,
        PartitionOp,
        ParallelOp,
        VectorizeOp,
        UnrollOp,
        ComputeAtOp,
        ReverseComputeAtOp,
        ComputeInlineOp,
        CacheReadOp,
        CacheWriteOp,
        SetScopeOp,
        PackOp,
    ],
    [],
)
