"""reverse_compute_at: a consumer follows its producer, tile by tile.

    for c.i.o in 16                    for c.i.o in 16
      for c.i.i in 8                     alloc c[8]
        c[i] = ...             ->        for c.i.i in 8
    for y.i in 128                         c[i] = ...
      y[i] = f(c[i])                     for y.i in 8
                                           y[i = 8 * %io + %yi] = f(c[i - 8 * %io])

The consumer does not reduce, and reads each point of the producer at one place only.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineDimExpr, AffineExpr

from ...core.affine import Ranges, const, linear_terms, simplify, used
from ...core.errors import ScheduleError
from ...dialects.loop import AllocOp, ForOp, KernelOp, StmtOp, buffer_type
from .compute_at import restrict_loop, whole_loops
from .hull import Fixed, Interval
from .localize import shrink
from .lookup import (
    find_loop,
    find_stmt,
    nest_root,
    owner_of,
    require_alone,
    require_sole_writer,
    stmts_in,
)
from .rewrite import normalize, position_in
from .space import (
    REDUCE,
    iv_ranges,
    loop_of,
    loop_range,
    loops_around,
    reads_in,
    role,
    through_bind,
)


def reverse_compute_at(kernel: KernelOp, compute: str, loop: str) -> None:
    """Move the nest of `compute` to the end of its producer's `loop`, as far as one iteration goes.

    The buffer between the two shrinks where nothing else reads it.

    Raises: ScheduleError: `compute` reduces, its loops have been transformed, it does not read the
        producer at one place for each point, the producer is not complete after one iteration, or
        something else that it reads is not ready there.
    Source: TVM `reverse_compute_at`.
    """
    stmt = find_stmt(kernel, compute, "reverse_compute_at")
    target = find_loop(kernel, loop)
    if stmt.is_reduction:
        raise ScheduleError(
            f"reverse_compute_at: '{compute}' reduces, and one iteration of '{loop}' has not all "
            "of its terms",
            hint="compute_at the producer instead",
        )
    loops = whole_loops(kernel, stmt, "reverse_compute_at")
    root = nest_root(kernel, stmt)
    require_alone(root, stmt, "reverse_compute_at")
    producer = find_stmt(kernel, owner_of(kernel, target), "reverse_compute_at")
    require_sole_writer(producer, "reverse_compute_at")
    require_sole_writer(stmt, "reverse_compute_at")
    _require_complete(producer, target)
    _require_between(kernel, stmt, producer, target)
    link = _Link(stmt, producer)
    intervals = link.ready(Fixed(target))
    last = target.body.block.last_op
    assert last is not None
    _hoist_allocs(stmt, root, target)
    root.detach()
    target.body.block.insert_op_after(root, last)
    fixed = Fixed(target)
    for axis, interval in intervals.items():
        restrict_loop(loops[axis], interval, fixed)
    link.shrink(target, fixed)
    normalize(target)


def _hoist_allocs(stmt: StmtOp, root: Operation, target: ForOp) -> None:
    """Put the consumer's own buffers before the nest of the target, which writes them now."""
    block = root.parent
    assert block is not None
    head = position_in(block, target)
    for out in stmt.outs:
        alloc = out.owner
        if isinstance(alloc, AllocOp) and alloc.parent is block:
            alloc.detach()
            block.insert_op_before(alloc, head)


def _require_complete(producer: StmtOp, target: ForOp) -> None:
    """Raises: ScheduleError: a reduce loop of the producer stands around the target's body."""
    for loop in [*loops_around(target), target]:
        if role(producer, loop) == REDUCE:
            raise ScheduleError(
                f"reverse_compute_at: '{loop.loop_name.data}' reduces @{producer.sym_name.data}, "
                f"which is not complete after one iteration of '{target.loop_name.data}'",
                hint="reorder the reduce loops inside",
            )


def _require_between(kernel: KernelOp, stmt: StmtOp, producer: StmtOp, target: ForOp) -> None:
    """Raises: ScheduleError: what the consumer reads otherwise is written after the target."""
    root = nest_root(kernel, stmt)
    symbol = stmt.sym_name.data
    block = root.parent
    assert block is not None
    if not any(loop.body.block is block for loop in loops_around(target)) and (
        block is not kernel.body.block
    ):
        raise ScheduleError(
            f"reverse_compute_at: '{symbol}' is inside a loop that the target is not in"
        )
    head = position_in(block, target)
    sources = {read.source for read in reads_in(stmt)} - set(producer.outs)
    current = head
    while current is not None and current is not root:
        for other in stmts_in(current):
            if any(out in sources for out in other.outs):
                raise ScheduleError(
                    f"reverse_compute_at: @{symbol} reads @{other.sym_name.data} too, which is "
                    f"not ready inside '{target.loop_name.data}'",
                    hint=f"compute_at {other.sym_name.data} first",
                )
            reads = {read.source for read in reads_in(other)}
            if other is not producer and any(out in reads for out in stmt.outs):
                raise ScheduleError(
                    f"reverse_compute_at: @{other.sym_name.data} reads what @{symbol} overwrites"
                )
        current = current.next_op
    if current is None:
        raise ScheduleError(f"reverse_compute_at: '{symbol}' runs before '{target.loop_name.data}'")


@dataclass
class _Link:
    """How the points of a consumer follow from those of its producer."""

    stmt: StmtOp
    producer: StmtOp

    def __post_init__(self) -> None:
        symbol, source = self.stmt.sym_name.data, self.producer.sym_name.data
        reads = [r for r in reads_in(self.stmt) if r.source in set(self.producer.outs)]
        if not reads:
            raise ScheduleError(f"reverse_compute_at: @{symbol} does not read @{source}")
        if any(read.fill is not None for read in reads):
            raise ScheduleError(
                f"reverse_compute_at: @{symbol} reads outside the domain of @{source}, at places "
                "that no iteration makes ready"
            )
        maps = {tuple(read.map.data.results) for read in reads}
        if len(maps) > 1:
            raise ScheduleError(
                f"reverse_compute_at: @{symbol} reads @{source} at {len(maps)} places for one "
                "point, which different iterations make ready",
                hint="compute_at the producer instead",
            )
        self.read = reads[0]
        self.buffer: SSAValue = reads[0].source
        self.axes = [self._axis(expr) for expr in self.read.map.data.results]

    def _axis(self, expr: AffineExpr) -> tuple[int | None, int]:
        """(axis, offset) of one index of the read; no axis where it is a constant."""
        terms = linear_terms(expr)
        offset = terms.pop(None, 0)
        if not terms:
            return None, offset
        if len(terms) == 1:
            ((term, factor),) = terms.items()
            if isinstance(term, AffineDimExpr) and factor == 1:
                return term.position, offset
        raise ScheduleError(
            f"reverse_compute_at: @{self.stmt.sym_name.data} reads @{self.producer.sym_name.data} "
            "at an index that is not one of its axes",
            hint="compute_at the producer instead",
        )

    def ready(self, fixed: Fixed) -> dict[int, Interval]:
        """The interval of each of the consumer's axes that one iteration makes ready."""
        number = next(i for i, out in enumerate(self.producer.outs) if out is self.buffer)
        results = self.producer.out_maps.data[number].data.results
        intervals: dict[int, Interval] = {}
        extents = buffer_type(self.buffer).extents
        for (axis, offset), expr, extent in zip(self.axes, results, extents, strict=True):
            interval = fixed.of_stmt(self.producer, expr)
            if interval is None or not _is_dense(self.producer, expr, fixed):
                raise self._gaps()
            whole = not used(interval.base)[0] and interval.low <= 0 and interval.high >= extent
            if axis is None:
                if not whole:
                    raise self._gaps()
                continue
            if axis in intervals:
                raise self._gaps()
            shifted = Interval(interval.base, interval.low - offset, interval.high - offset)
            size = self.stmt.axes.data[axis].size
            intervals[axis] = Interval(const(0), 0, size) if whole else shifted
        return intervals

    def _gaps(self) -> ScheduleError:
        return ScheduleError(
            f"reverse_compute_at: one iteration does not make a box of "
            f"@{self.producer.sym_name.data} ready",
            hint="split the producer's loops into contiguous tiles",
        )

    def shrink(self, target: ForOp, fixed: Fixed) -> None:
        """Give the target a buffer of its own, where nobody outside uses it."""
        for use in self.buffer.uses:
            if not target.is_ancestor(use.operation):
                return
        if not isinstance(self.buffer.owner, AllocOp) or target.is_ancestor(self.buffer.owner):
            return
        if len(self.producer.outs) != 1:
            return
        box = [
            fixed.of_stmt(self.producer, expr)
            for expr in self.producer.out_maps.data[0].data.results
        ]
        if all(interval is not None for interval in box):
            shrink(self.buffer, [interval for interval in box if interval is not None], target)


def _is_dense(stmt: StmtOp, expr: AffineExpr, fixed: Fixed) -> bool:
    """Whether the moving loops of an index visit every place of its hull, and no part of it twice.

    They do when their terms are of mixed radix with factor 1 first: 8 * a + b with b in [0, 8).
    """
    over = simplify(through_bind(stmt, expr), Ranges(iv_ranges(stmt)))
    terms: list[tuple[int, int]] = []
    for term, factor in linear_terms(over).items():
        if term is None:
            continue
        loops = [loop_of(stmt.ivs[position]) for position in used(term)[0]]
        if all(any(loop is each for each in fixed.loops) for loop in loops):
            continue
        if not isinstance(term, AffineDimExpr) or loops[0].constant_range is None:
            return False
        low, high = loop_range(loops[0])
        terms.append((factor, high - low))
    reach = 1
    for factor, size in sorted(terms):
        if factor != reach and size > 1:
            return False
        reach *= max(1, size)
    return True
