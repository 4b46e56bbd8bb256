"""What a schedule wants to know of a kernel: its computes, their work, how they touch memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineExpr

from ...core.affine import Ranges, const, dim, linear_terms, simplify, substitute, used
from ...dialects.index_space import AxisAttr
from ...dialects.loop import AllocOp, BufferType, KernelOp, ReadOp, StmtOp, buffer_type
from ...targets import Target
from ..replay import Schedule

EXPENSIVE = (
    *("math.exp", "math.log", "math.tanh", "math.erf", "math.sin", "math.cos", "math.powf"),
    *("arith.divf", "math.sqrt", "math.rsqrt", "arith.divsi", "arith.remsi"),
)
"""Scalar ops that are not worth doing twice."""


@dataclass(frozen=True)
class Compute:
    """One compute of a kernel in canonical form."""

    stmt: StmtOp

    @property
    def symbol(self) -> str:
        """Its symbol."""
        return self.stmt.sym_name.data

    @property
    def axes(self) -> Sequence[AxisAttr]:
        """Its axes, parallel ones first."""
        return self.stmt.axes.data

    @property
    def parallel(self) -> list[AxisAttr]:
        """Axes of the result."""
        return [axis for axis in self.axes if not axis.is_reduce]

    @property
    def reduce(self) -> list[AxisAttr]:
        """Axes that are combined."""
        return [axis for axis in self.axes if axis.is_reduce]

    @property
    def points(self) -> int:
        """Size of the index space."""
        return prod(axis.size for axis in self.axes)

    @property
    def reads(self) -> list[ReadOp]:
        """Its reads."""
        return [op for op in self.stmt.body.block.ops if isinstance(op, ReadOp)]

    @property
    def last_long_axis(self) -> int | None:
        """The position of the innermost parallel axis with more than one point."""
        long = [p for p, axis in enumerate(self.parallel) if axis.size > 1]
        return long[-1] if long else None

    def loop(self, axis: AxisAttr) -> str:
        """The name of an axis's loop in the canonical nest."""
        return f"{self.symbol}.{axis.label}"

    @property
    def is_expensive(self) -> bool:
        """Whether the body has an op that is not worth doing twice."""
        return any(op.name in EXPENSIVE for op in self.stmt.body.block.ops)

    @property
    def writes_memory_once(self) -> bool:
        """Whether it has one result."""
        return len(self.stmt.outs) == 1

    def product(self) -> tuple[ReadOp, ReadOp] | None:
        """The two reads of a sum of products, if that is what the compute is."""
        combiner = self.stmt.combiner
        if combiner is None or [name.data for name in combiner] != ["sum"]:
            return None
        last = self.stmt.body.block.last_op
        assert last is not None
        root = last.operands[0].owner
        if not isinstance(root, Operation) or root.name != "arith.mulf":
            return None
        factors = [operand.owner for operand in root.operands]
        reads = [op for op in factors if isinstance(op, ReadOp) and not op.symbols]
        return (reads[0], reads[1]) if len(reads) == 2 else None


@dataclass(frozen=True)
class Kernel:
    """A kernel's computes in order, and who reads what."""

    op: KernelOp
    computes: list[Compute]

    @staticmethod
    def of(op: KernelOp) -> Kernel:
        """Look at a kernel in canonical form."""
        return Kernel(op, [Compute(s) for s in op.body.walk() if isinstance(s, StmtOp)])

    def readers(self, compute: Compute) -> list[Compute]:
        """Computes that read a result of `compute`, each once."""
        outs = list(compute.stmt.outs)
        return [
            other
            for other in self.computes
            if other.stmt is not compute.stmt
            and any(any(read.source is out for out in outs) for read in other.reads)
        ]

    def is_internal(self, compute: Compute) -> bool:
        """Whether no result of a compute is an output of the kernel."""
        return all(isinstance(out.owner, AllocOp) for out in compute.stmt.outs)

    def is_const(self, buffer: SSAValue) -> bool:
        """Whether a buffer is an argument that is known at compile time."""
        args = list(self.op.body.block.args)
        return any(args[i] is buffer for i in self.op.const_positions)

    def is_argument(self, buffer: SSAValue) -> bool:
        """Whether a buffer comes from outside."""
        return any(arg is buffer for arg in self.op.body.block.args)

    def name(self, buffer: SSAValue) -> str:
        """The name of an argument."""
        args = list(self.op.body.block.args)
        position = next(i for i, arg in enumerate(args) if arg is buffer)
        return self.op.arg_names.data[position].data


def epilogue_of(facts: Kernel, compute: Compute) -> Compute | None:
    """The elementwise compute that alone reads a reduction, over the same points.

    Several of its axes may be one axis of the reduction: pixels in a row, read as an image.
    """
    readers = facts.readers(compute)
    if not facts.is_internal(compute) or len(readers) != 1 or not compute.writes_memory_once:
        return None
    reader = readers[0]
    if reader.reduce or not compute.parallel:
        return None
    if (runs := _runs(reader, compute)) is None:
        return None
    sizes = [axis.size for axis in reader.parallel]
    wanted = [
        sum((dim(i) * prod(sizes[i + 1 : run.stop]) for i in run), start=const(0)) for run in runs
    ]
    ranges = Ranges(tuple((0, size) for size in sizes))
    out = compute.stmt.outs[0]
    point_by_point = all(
        read.fill is None
        and not read.symbols
        and all(
            simplify(found + expr * -1, ranges) == const(0)
            for found, expr in zip(read.map.data.results, wanted, strict=True)
        )
        for read in reader.reads
        if read.source is out
    )
    return reader if point_by_point else None


def _runs(reader: Compute, compute: Compute) -> list[range] | None:
    """The axes of a reader, in runs of which each has as many points as an axis of a compute."""
    runs: list[range] = []
    sizes, start = [axis.size for axis in reader.parallel], 0
    for axis in compute.parallel:
        stop = start + 1
        while stop < len(sizes) and prod(sizes[start:stop]) < axis.size:
            stop += 1
        if prod(sizes[start:stop]) != axis.size:
            return None
        runs.append(range(start, stop))
        start = stop
    rest = range(start, len(sizes))
    if prod(sizes[start:]) != 1 or not runs:
        return None
    return [*runs[:-1], range(runs[-1].start, rest.stop)]


def loops_like(schedule: Schedule, outer: Compute, compute: Compute) -> list[str]:
    """The loops of an epilogue, one for each parallel axis of what it follows.

    Where those are pixels in a row, the loops over the image are fused.
    """
    names: list[str] = []
    runs = _runs(outer, compute)
    assert runs is not None, "an epilogue has the points of what it follows"
    for run in runs:
        name, *rest = [outer.loop(outer.parallel[i]) for i in run]
        for inner in rest:
            name = schedule.fuse(name, inner)
        names.append(name)
    return names


def element_offset(
    type_: BufferType, exprs: Sequence[AffineExpr], axes: Sequence[AxisAttr]
) -> AffineExpr:
    """Where an access goes in memory, in elements, over the axes of its compute."""
    shape = type_.physical_shape
    strides = [prod(shape[i + 1 :]) for i in range(len(shape))]
    physical = [substitute(expr, list(exprs)) for expr in type_.layout_map.results]
    total = sum((e * s for e, s in zip(physical, strides, strict=True)), start=dim(0) * 0)
    return simplify(total, Ranges(tuple((0, axis.size) for axis in axes)))


def stride(offset: AffineExpr, axis: int) -> int | None:
    """Elements between neighbours along an axis; `None` where that is not constant."""
    terms = linear_terms(offset)
    factor = terms.pop(dim(axis), 0)
    if any(term is not None and axis in used(term)[0] for term in terms):
        return None
    return factor


def read_stride(compute: Compute, read: ReadOp, axis: int) -> int | None:
    """Elements between the places that a read touches for neighbours along an axis."""
    if read.symbols and any(axis in used(e)[0] for e in read.map.data.results):
        return None
    offset = element_offset(buffer_type(read.source), read.map.data.results, compute.axes)
    return stride(offset, axis)


def is_plain(read: ReadOp) -> bool:
    """Whether a read's indices are axes themselves, as packing wants."""
    return (
        read.fill is None
        and not read.symbols
        and all(e in [dim(i) for i in range(read.map.data.num_dims)] for e in read.map.data.results)
    )


def out_stride(compute: Compute, axis: int) -> int | None:
    """Elements between the places that a compute writes for neighbours along an axis."""
    type_ = buffer_type(compute.stmt.outs[0])
    offset = element_offset(type_, compute.stmt.out_maps.data[0].data.results, compute.axes)
    return stride(offset, axis)


def vector_stride(
    type_: BufferType, exprs: Sequence[AffineExpr], compute: Compute, axis: int, width: int
) -> int | None:
    """Elements between neighbours along an axis inside aligned groups of `width` points.

    `None` where that is no constant: within a block of channels it is 1.
    """
    count = len(compute.axes)
    dims: list[AffineExpr] = [dim(i) for i in range(count)]
    dims[axis] = dim(axis) * width + dim(count)
    size = compute.axes[axis].size
    ranges = [(0, a.size) for a in compute.axes]
    ranges[axis] = (0, -(-size // width))
    offset = element_offset(type_, exprs, compute.axes)
    split = simplify(substitute(offset, dims), Ranges((*ranges, (0, width))))
    return stride(split, count)


def streamed(size: int, times: int, target: Target) -> float:
    """Cycles to read `size` bytes `times` times, after they have been used last long ago."""
    return size * times / target.bytes_per_cycle(size)
