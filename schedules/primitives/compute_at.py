"""compute_at: compute of a producer what one iteration of a consumer's loop reads, there.

    for c.i in 128                     for y.i.o in 16
      for c.j in 64                      alloc c[8, 64]
        c[i, j] = ...                    for c.i in 8
    for y.i.o in 16           ->           for c.j in 64
      for y.i.i in 8                         c[i = 8 * %io + %ci, j = %cj] = ...
        for y.j in 64                    for y.i.i in 8
          y[i, j] = f(c[i, j])             for y.j in 64
                                             y[i, j] = f(c[i - 8 * %io, j])

The region is the rectangular hull of the reads, clipped to the producer's domain; its buffer
shrinks to that and becomes a thread's own. Where a read is guarded and the hull may leave the
domain, a nest `c.fill` first puts the guard's value everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from xdsl.dialects import arith
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineDimExpr, AffineMap

from ...core.affine import bounds, dim
from ...core.errors import ScheduleError
from ...dialects.loop import ForOp, KernelOp, ReadOp, StmtOp, YieldOp, buffer_type
from ...dialects.loop.build import loop_nest, make_stmt, plain_axes
from .hull import Fixed, Interval, join
from .localize import Place, places_of, shrink
from .lookup import (
    buffer_name,
    find_alloc,
    find_loop,
    find_stmt,
    fresh_symbol,
    listing,
    nest_root,
    require_sole_writer,
    stmts_in,
)
from .rewrite import kernel_of, normalize, position_in, set_bounds, substitute_variable
from .space import loop_of, loops_around, reads_in


def compute_at(kernel: KernelOp, compute: str, loop: str) -> None:
    """Move the nest of `compute` into `loop`, as far as one iteration needs it.

    Its loops keep their names; those over parallel axes shrink.

    Raises: ScheduleError: a reader lies outside `loop`, the result is an output of the kernel, the
        parallel loops of `compute` have been transformed, or something that it reads is written in
        between.
    Source: Halide, TVM `compute_at`.
    """
    stmt = find_stmt(kernel, compute, "compute_at")
    target = find_loop(kernel, loop)
    producer = _Producer(kernel, stmt, "compute_at")
    readers = producer.readers()
    _require_inside(kernel, compute, target, producer, readers)
    require_unwritten(kernel, producer.root, target, "compute_at")
    fixed = Fixed(target)
    box = producer.hull(fixed, readers)
    fills = producer.needed_fill(box, fixed, readers)
    producer.move(target, readers)
    producer.restrict(box, fixed)
    for buffer, places in zip(list(stmt.outs), producer.places, strict=True):
        parts = [box[place.axis] for place in places]
        local = shrink(buffer, parts, target)
        if fills is not None:
            _insert_fill(stmt, producer.root, local, fills)
    normalize(target)


Readers = list[tuple[StmtOp, ReadOp, int]]
"""The statement, the read, and which result of the producer it reads."""


@dataclass
class _Producer:
    """A compute that is to move: its nest, and the whole loop of each parallel axis."""

    kernel: KernelOp
    stmt: StmtOp
    primitive: str

    def __post_init__(self) -> None:
        symbol = self.stmt.sym_name.data
        for out in self.stmt.outs:
            find_alloc(out, symbol, self.primitive)
        require_sole_writer(self.stmt, self.primitive)
        self.root = nest_root(self.kernel, self.stmt)
        self.places = [self._places(position) for position in range(len(self.stmt.outs))]
        self.loops = whole_loops(self.kernel, self.stmt, self.primitive)

    def _places(self, position: int) -> list[Place]:
        places = places_of(self.stmt, position)
        parallel = sum(not axis.is_reduce for axis in self.stmt.axes)
        if places is None or len(places) != parallel:
            raise ScheduleError(
                f"{self.primitive}: '{self.stmt.sym_name.data}' does not write each of its axes "
                "to a dimension of its own"
            )
        return places

    def readers(self) -> Readers:
        """All reads of the producer's results."""
        found: Readers = []
        for number, out in enumerate(self.stmt.outs):
            for use in out.uses:
                if isinstance(use.operation, ReadOp):
                    reader = use.operation.parent_op()
                    assert isinstance(reader, StmtOp)
                    found.append((reader, use.operation, number))
        return found

    def hull(self, fixed: Fixed, readers: Readers) -> dict[int, Interval]:
        """The interval of each parallel axis, by the axis's position."""
        box: dict[int, Interval] = {}
        for position, axis in enumerate(self.stmt.axes):
            if axis.is_reduce:
                continue
            touched: list[Interval | None] = []
            for reader, read, number in readers:
                places = self.places[number]
                at = next(i for i, place in enumerate(places) if place.axis == position)
                touched.append(fixed.of_read(reader, read, at))
            box[position] = join(touched, axis.size, fixed.ranges)
        return box

    def needed_fill(
        self, box: dict[int, Interval], fixed: Fixed, readers: Readers
    ) -> Attribute | None:
        """The guard's value, where a guarded read may see a place that nothing computes."""
        guarded = [read.fill for _, read, _ in readers if read.fill is not None]
        if not guarded or all(
            _inside(box[position], axis.size, fixed)
            for position, axis in enumerate(self.stmt.axes)
            if not axis.is_reduce
        ):
            return None
        if len(set(guarded)) > 1:
            raise ScheduleError(
                f"{self.primitive}: '{self.stmt.sym_name.data}' is read with different fill values "
                "outside its domain"
            )
        return guarded[0]

    def move(self, target: ForOp, readers: Readers) -> None:
        """Put the nest before the first op of the target's body that reads it."""
        block = target.body.block
        heads = {position_in(block, read) for _, read, _ in readers}
        first = next(op for op in block.ops if op in heads)
        self.root.detach()
        block.insert_op_before(self.root, first)

    def restrict(self, box: dict[int, Interval], fixed: Fixed) -> None:
        """Make each parallel loop run over its interval only."""
        for position, interval in box.items():
            loop = self.loops[position]
            restrict_loop(loop, interval, fixed)


def restrict_loop(loop: ForOp, interval: Interval, fixed: Fixed) -> None:
    """Make a loop run from 0 over the places of an interval; its old variable is their position."""
    size = AffineMap.constant_map(max(0, interval.extent))
    set_bounds(loop, (AffineMap.constant_map(0), []), (size, []))
    start = interval.start
    own = dim(len(fixed.variables))
    substitute_variable(loop.variable, start + own, [*fixed.variables, loop.variable], loop)


def whole_loops(kernel: KernelOp, stmt: StmtOp, primitive: str) -> dict[int, ForOp]:
    """The loop of each parallel axis of a statement, by the axis's position.

    Raises: ScheduleError: an axis is not driven by one loop over all of it.
    """
    loops: dict[int, ForOp] = {}
    root = nest_root(kernel, stmt)
    symbol = stmt.sym_name.data
    for position, axis in enumerate(stmt.axes):
        if axis.is_reduce:
            continue
        expr = stmt.bind.data.results[position]
        loop = loop_of(stmt.ivs[expr.position]) if isinstance(expr, AffineDimExpr) else None
        if (
            loop is None
            or not root.is_ancestor(loop)
            or loop.constant_range != (0, axis.size)
            or loop.kind.data != "serial"
        ):
            raise ScheduleError(
                f"{primitive}: the loop over axis '{axis.label}' of '{symbol}' has been split, "
                "fused, cut, marked or moved",
                hint=f"{primitive} first, then transform the loops of '{symbol}'",
            )
        loops[position] = loop
    return loops


def _inside(interval: Interval, size: int, fixed: Fixed) -> bool:
    low = bounds(interval.start, fixed.ranges)
    return low is not None and low[0] >= 0 and low[1] - 1 + interval.extent <= size


def _require_inside(
    kernel: KernelOp, compute: str, target: ForOp, producer: _Producer, readers: Readers
) -> None:
    """Raises: ScheduleError: a reader outside the target, none at all, or the target before it."""
    name = target.loop_name.data
    if not readers:
        raise ScheduleError(f"compute_at: nothing reads '{compute}'")
    outside = {r.sym_name.data for r, _, _ in readers if not target.is_ancestor(r)}
    if producer.root.is_ancestor(target):
        raise ScheduleError(f"compute_at: '{name}' is a loop of '{compute}' itself")
    if outside:
        raise ScheduleError(
            f"compute_at: '{compute}' is read outside '{name}' too, by "
            f"{listing([f'@{symbol}' for symbol in sorted(outside)])}",
            hint="compute_at a loop around all readers, or cache_read for one of them",
        )
    block = producer.root.parent
    assert block is not None
    if block is not kernel.body.block and not any(
        loop.body.block is block for loop in loops_around(target)
    ):
        raise ScheduleError(
            f"compute_at: '{compute}' is computed in a loop that '{name}' is not in"
        )


def require_unwritten(kernel: KernelOp, root: Operation, target: ForOp, primitive: str) -> None:
    """Raises: ScheduleError: what the nest reads is written between it and the target's nest."""
    sources = {read.source for stmt in stmts_in(root) for read in reads_in(stmt)}
    block = root.parent
    assert block is not None
    last = position_in(block, target)
    current = root.next_op
    while current is not None:
        for stmt in stmts_in(current):
            if written := [out for out in stmt.outs if out in sources]:
                raise ScheduleError(
                    f"{primitive}: '{buffer_name(kernel, written[0])}', which the nest reads, is "
                    f"written by @{stmt.sym_name.data} in between"
                )
        if current is last:
            break
        current = current.next_op


def _insert_fill(stmt: StmtOp, root: Operation, local: SSAValue, fill: Attribute) -> None:
    """A nest before `root` that puts the guard's value into every place of the local buffer."""
    symbol = fresh_symbol(kernel_of(root), f"{stmt.sym_name.data}.fill")
    axes = plain_axes(buffer_type(local).extents)
    rank = len(axes)

    def leaf(ivs: list[SSAValue]) -> Sequence[Operation]:
        constant = arith.ConstantOp(cast("Any", fill))
        body = Region(Block([constant, YieldOp(constant.result)]))
        bind = AffineMap.identity(rank)
        out = AffineMap(rank, rank, tuple(dim(i) for i in range(rank)))
        return [make_stmt(symbol, axes, bind, ivs, [(local, out)], body)]

    for op in loop_nest([(f"{symbol}.{axis.label}", axis.size) for axis in axes], leaf):
        for inner in op.walk():
            inner.location = stmt.location
        block = root.parent
        assert block is not None
        block.insert_op_before(op, root)
