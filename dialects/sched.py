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

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from xdsl.dialects.builtin import (
    AffineMapAttr,
    ArrayAttr,
    DictionaryAttr,
    IntegerAttr,
    StringAttr,
    SymbolRefAttr,
)
from xdsl.ir import Attribute, Block, Dialect, Operation, Region
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

from ..core.errors import ScheduleError
from ..core.irtypes import int_attr, ints, strings

TAILS = ("mask", "peel", "shift", "pad", "balanced")
"""What a split does with the points that do not fill a tile.

mask: the statement's own domain cuts them (masked lanes, dropped rows). peel: a second nest holds
them. shift: the last tile is moved back and overlaps (only where recomputing is harmless).
pad: as mask, and the buffer that is written has room for whole tiles, so that stores need no mask.
balanced: tiles of two sizes that differ by one.
"""


Number = int | str
"""A number, or `$name` for the answer to a `choose`."""


@irdl_op_definition
class ScheduleOp(IRDLOperation):
    """The schedule of the kernel of the same name, primitives in order.

    `answers` says which candidate each `choose` takes; one without an answer takes its default.
    """

    name = "sched.schedule"
    kernel = prop_def(SymbolRefAttr)
    answers = opt_prop_def(DictionaryAttr)
    body = region_def("single_block")
    traits = traits_def(NoTerminator())

    def __init__(
        self,
        kernel: str,
        primitives: Sequence[Operation] = (),
        answers: Mapping[str, Attribute] | None = None,
    ):
        super().__init__(
            properties={
                "kernel": SymbolRefAttr(kernel),
                "answers": DictionaryAttr(dict(answers)) if answers else None,
            },
            regions=[Region(Block(primitives))],
        )

    def verify_(self) -> None:
        chosen: set[str] = set()
        for op in self.body.ops:
            if not isinstance(op, PrimitiveOp):
                raise VerifyException(f"a schedule holds primitives only, got {op.name}")
            for name in holes(op):
                if name not in chosen:
                    raise VerifyException(f"'${name}' is used before a choose of that name")
            if isinstance(op, ChooseOp):
                if op.label.data in chosen:
                    raise VerifyException(f"'{op.label.data}' is chosen twice")
                chosen.add(op.label.data)


class PrimitiveOp(IRDLOperation):
    """A step of a schedule: all of its arguments are properties, names of loops among them.

    A property may be `$name`, the answer to the `choose` of that name.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = ()
    """Properties that are numbers once choices have been filled in."""
    traits = traits_def(HasParent(ScheduleOp))


def is_hole(attribute: Attribute) -> bool:
    """Whether a property stands for the answer to a `choose`."""
    return isinstance(attribute, StringAttr) and attribute.data.startswith("$")


def holes(op: Operation) -> list[str]:
    """The choices that a primitive's properties name."""
    found: list[str] = []
    for value in op.properties.values():
        items = cast("ArrayAttr[Attribute]", value) if isinstance(value, ArrayAttr) else [value]
        found += [item.data[1:] for item in items if isinstance(item, StringAttr) and is_hole(item)]
    return found


def _number(value: Number) -> Attribute:
    if not isinstance(value, int | str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ScheduleError(f"expected a number or a choice, got {value!r}")
    return StringAttr(value) if isinstance(value, str) else int_attr(value)


def _require_positive(value: Attribute, what: str) -> None:
    if isinstance(value, IntegerAttr):
        number = cast("IntegerAttr[Any]", value).value.data
        if number <= 0:
            raise VerifyException(f"{what} is positive, got {number}")
    elif not is_hole(value):
        raise VerifyException(f"{what} is a number or a choice, got {value}")


@irdl_op_definition
class SplitOp(PrimitiveOp):
    """`split c.j, 48, mask`: for j in n -> for j.o in ceil(n/48): for j.i in 48."""

    name = "sched.split"
    NUMBERS: ClassVar = ("factor",)
    loop = prop_def(StringAttr)
    factor = prop_def(IntegerAttr | StringAttr)
    tail = opt_prop_def(StringAttr)

    def __init__(self, loop: str, factor: Number, tail: str | None = None):
        super().__init__(
            properties={
                "loop": StringAttr(loop),
                "factor": _number(factor),
                "tail": StringAttr(tail) if tail else None,
            }
        )

    def verify_(self) -> None:
        _require_positive(self.factor, "a split factor")
        if self.tail is not None and self.tail.data not in TAILS and not is_hole(self.tail):
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
    NUMBERS: ClassVar = ("first_factor", "second_factor")
    first = prop_def(StringAttr)
    second = prop_def(StringAttr)
    first_factor = prop_def(IntegerAttr | StringAttr)
    second_factor = prop_def(IntegerAttr | StringAttr)

    def __init__(self, first: str, second: str, first_factor: Number, second_factor: Number):
        super().__init__(
            properties={
                "first": StringAttr(first),
                "second": StringAttr(second),
                "first_factor": _number(first_factor),
                "second_factor": _number(second_factor),
            }
        )

    def verify_(self) -> None:
        for factor in (self.first_factor, self.second_factor):
            _require_positive(factor, "a tile factor")


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


class _ComputeOp(PrimitiveOp):
    """Concerns one compute."""

    compute = prop_def(StringAttr)

    def __init__(self, compute: str):
        super().__init__(properties={"compute": StringAttr(compute)})


class _AtOp(PrimitiveOp):
    """Concerns one compute and a loop."""

    compute = prop_def(StringAttr)
    loop = prop_def(StringAttr)

    def __init__(self, compute: str, loop: str):
        super().__init__(properties={"compute": StringAttr(compute), "loop": StringAttr(loop)})


class _SpaceOp(PrimitiveOp):
    """Concerns one compute and a memory space."""

    compute = prop_def(StringAttr)
    space = prop_def(StringAttr)

    def __init__(self, compute: str, space: str):
        super().__init__(properties={"compute": StringAttr(compute), "space": StringAttr(space)})


@irdl_op_definition
class ComputeAtOp(_AtOp):
    """`compute_at c, y.i.o`: compute of c what one iteration of that loop reads, there.

    The region is the rectangular hull of the reads, clipped to c's domain; the buffer shrinks.
    """

    name = "sched.compute_at"


@irdl_op_definition
class ReverseComputeAtOp(_AtOp):
    """`reverse_compute_at y, c.i.o`: compute y there, as far as one iteration makes it ready."""

    name = "sched.reverse_compute_at"


@irdl_op_definition
class ComputeRootOp(_ComputeOp):
    """`compute_root c`: c has its canonical nest at the top of the kernel again."""

    name = "sched.compute_root"


@irdl_op_definition
class ComputeInlineOp(_ComputeOp):
    """`compute_inline s`: put the body of s in the place of every read of it; s must not reduce."""

    name = "sched.compute_inline"


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
class CacheWriteOp(_SpaceOp):
    """`cache_write c, register`: c is computed in a buffer `c.cache` of that space, then copied."""

    name = "sched.cache_write"


@irdl_op_definition
class SetScopeOp(_SpaceOp):
    """`set_scope c, register`: where the buffer of an intermediate compute lives."""

    name = "sched.set_scope"


@irdl_op_definition
class PackOp(PrimitiveOp):
    """`pack w, (d0, d1) -> (d1 floordiv 48, d0, d1 mod 48)`: a constant is packed at compile time.

    The map takes the operand's logical indices to physical ones; w is a const argument.
    """

    name = "sched.pack"
    operand = prop_def(StringAttr)
    layout = prop_def(AffineMapAttr | StringAttr)

    def __init__(self, operand: str, layout: AffineMap | str):
        held = StringAttr(layout) if isinstance(layout, str) else AffineMapAttr(layout)
        super().__init__(properties={"operand": StringAttr(operand), "layout": held})

    def verify_(self) -> None:
        if isinstance(self.layout, StringAttr) and not is_hole(self.layout):
            raise VerifyException(f"a layout is a map or a choice, got '{self.layout.data}'")


@irdl_op_definition
class RfactorOp(_AtOp):
    """`rfactor c, c.k.o`: `c.rf` reduces for each iteration of that loop, c over the loop."""

    name = "sched.rfactor"


@irdl_op_definition
class DecomposeReductionOp(_AtOp):
    """`decompose_reduction c, c.k`: `c.init` writes the start values just before that loop."""

    name = "sched.decompose_reduction"


@irdl_op_definition
class TensorizeOp(PrimitiveOp):
    """`tensorize c.j.i, dot4_u8s8`: the nest from that loop on is one machine instruction.

    Intrinsics are listed in dialects/intrinsics.py, each as a te compute.
    """

    name = "sched.tensorize"
    loop = prop_def(StringAttr)
    intrinsic = prop_def(StringAttr)

    def __init__(self, loop: str, intrinsic: str):
        super().__init__(properties={"loop": StringAttr(loop), "intrinsic": StringAttr(intrinsic)})


@irdl_op_definition
class PrefetchOp(PrimitiveOp):
    """`prefetch w, c.k, 8`: each iteration of c.k asks for what the eighth after it reads of w."""

    name = "sched.prefetch"
    NUMBERS: ClassVar = ("distance",)
    buffer = prop_def(StringAttr)
    loop = prop_def(StringAttr)
    distance = prop_def(IntegerAttr | StringAttr)

    def __init__(self, buffer: str, loop: str, distance: Number):
        super().__init__(
            properties={
                "buffer": StringAttr(buffer),
                "loop": StringAttr(loop),
                "distance": _number(distance),
            }
        )

    def verify_(self) -> None:
        _require_positive(self.distance, "a prefetch distance")


@irdl_op_definition
class ChooseOp(PrimitiveOp):
    """`choose tile, [4, 8, 16], 8`: `$tile` in later primitives is one of these, at first 8.

    The only hole that a search may fill. Candidates are numbers, words or layouts.
    """

    name = "sched.choose"
    label = prop_def(StringAttr)
    candidates = prop_def(ArrayAttr[IntegerAttr | StringAttr | AffineMapAttr])
    default = prop_def(IntegerAttr | StringAttr | AffineMapAttr)

    def __init__(self, label: str, candidates: Sequence[Attribute], default: Attribute):
        super().__init__(
            properties={
                "label": StringAttr(label),
                "candidates": ArrayAttr(candidates),
                "default": default,
            }
        )

    def verify_(self) -> None:
        if self.default not in self.candidates.data:
            raise VerifyException(f"the default of '{self.label.data}' is not among its candidates")
        if len(set(self.candidates.data)) != len(self.candidates):
            raise VerifyException(f"the candidates of '{self.label.data}' are not distinct")


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
        ComputeRootOp,
        ComputeInlineOp,
        CacheReadOp,
        CacheWriteOp,
        SetScopeOp,
        PackOp,
        RfactorOp,
        DecomposeReductionOp,
        TensorizeOp,
        PrefetchOp,
        ChooseOp,
    ],
    [],
)
