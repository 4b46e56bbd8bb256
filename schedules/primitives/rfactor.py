"""rfactor: a reduction over one loop becomes many partial ones and a final one.

    for c.i                            for c.rf.i
      for c.k.o in 4                     for c.rf.k.o in 4
        for c.k.i in 8         ->          for c.rf.k.i in 8
          c[i] += x[i, 8 * ko + ki]          c.rf[i, ko] += x[i, 8 * ko + ki]
                                       for c.i
                                         for c.ko in 4
                                           c[i] += c.rf[i, ko]

The loop is a parallel one of `c.rf`: it can be shared by threads or become lanes. The partial
results are combined in another order than the terms were; with a `combine` region the outermost
reduce loop only, since then it is enough that the combination is associative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineDimExpr, AffineExpr, AffineMap

from ...core.affine import Ranges, bounds, const, dim, simplify, substitute, sym
from ...core.errors import ScheduleError
from ...core.walk import erase
from ...dialects.combiners import neutral_elements
from ...dialects.index_space import PARALLEL as PARALLEL_AXIS
from ...dialects.index_space import REDUCE as REDUCE_AXIS
from ...dialects.index_space import AxisAttr
from ...dialects.loop import (
    AllocOp,
    BufferType,
    ForOp,
    IndexOp,
    KernelOp,
    StmtOp,
    YieldOp,
    buffer_type,
)
from ...dialects.loop.build import loop_nest, make_read, make_stmt, variable_hint
from .cache_write import rename_nest, require_whole
from .compute_inline import TRAPPING
from .index_value import Guard, IndexBuilder, zero_of
from .lookup import find_loop, find_stmt, fresh_symbol, nest_root, require_sole_writer
from .rewrite import edit_maps, normalize
from .space import MIXED, REDUCE, loops_around, reads_in, role
from .split import require_unmarked


def rfactor(kernel: KernelOp, compute: str, loop: str) -> str:
    """Reduce `compute` for each iteration of its reduce loop `loop`, then over that loop.

    Returns: the symbol of the compute that has the partial results.
    Raises: ScheduleError: not a reduce loop of `compute`, its terms would be combined in another
        order by a `combine` region, or the buffer of `compute` is not whole (after compute_at).
    Source: Halide, TVM `rfactor`.
    """
    stmt, target = find_stmt(kernel, compute, "rfactor"), find_loop(kernel, loop)
    require_unmarked(target, "rfactor")
    parts = _Parts(kernel, stmt, target)
    symbol = fresh_symbol(kernel, f"{compute}.rf")
    block = parts.root.parent
    assert block is not None
    buffers = [parts.buffer(position, symbol) for position in range(len(stmt.outs))]
    for alloc in buffers:
        block.insert_op_before(alloc, parts.root)
    final = parts.final([alloc.res for alloc in buffers])
    rename_nest(kernel, parts.root, compute, symbol)
    partial = parts.partial(symbol, [alloc.res for alloc in buffers])
    root = partial if parts.root is stmt else parts.root
    for op in reversed(final):
        for inner in op.walk():
            inner.location = partial.location
        block.insert_op_after(op, root)
    normalize(root)
    return symbol


@dataclass
class _Parts:
    """The reduction `stmt`, of which the loop `target` becomes a parallel axis."""

    kernel: KernelOp
    stmt: StmtOp
    target: ForOp

    def __post_init__(self) -> None:
        self.symbol, name = self.stmt.sym_name.data, self.target.loop_name.data
        self.root = nest_root(self.kernel, self.stmt)
        require_sole_writer(self.stmt, "rfactor")
        require_whole(self.stmt, self.root, "rfactor", "rfactor before reverse_compute_at")
        self.parallel = [axis for axis in self.stmt.axes if not axis.is_reduce]
        self._require_plain_outs()
        if role(self.stmt, self.target) != REDUCE or not self.root.is_ancestor(self.target):
            raise ScheduleError(
                f"rfactor: '{name}' is not a reduce loop of '{self.symbol}'",
                hint="split a reduce axis, and name one of its loops",
            )
        self.reduce = self._reduce_loops()
        if self.stmt.combine is not None and self.reduce[0] is not self.target:
            raise ScheduleError(
                f"rfactor: @{self.symbol} combines with a region of its own, which is not known to "
                f"commute, and '{name}' is inside its reduce loop "
                f"'{self.reduce[0].loop_name.data}'",
                hint=f"rfactor '{self.reduce[0].loop_name.data}'",
            )
        self.order = [self.target, *(loop for loop in self.reduce if loop is not self.target)]
        self.axes = self._axes()
        self.old = self._old_axes()
        self.guards = self._guards()

    def _require_plain_outs(self) -> None:
        for map_ in self.stmt.out_maps:
            results = map_.data.results
            dims = {expr.position for expr in results if isinstance(expr, AffineDimExpr)}
            if dims != set(range(len(self.parallel))) or len(results) != len(dims):
                raise ScheduleError(
                    f"rfactor: the buffer of '{self.symbol}' holds a part of it",
                    hint="rfactor before compute_at",
                )

    def _reduce_loops(self) -> list[ForOp]:
        """The reduce loops, outermost first."""
        loops: list[ForOp] = []
        for loop in loops_around(self.stmt):
            kind = role(self.stmt, loop)
            if kind == MIXED or (kind == REDUCE and loop.constant_range is None):
                raise ScheduleError(
                    f"rfactor: the bounds of '{loop.loop_name.data}' depend on other loops",
                    hint="split by factors that divide, or with the tail peel",
                )
            loops += [loop] if kind == REDUCE else []
        return loops

    def _axes(self) -> list[AxisAttr]:
        """The axes of the partial results: one for each reduce loop, the target's is parallel."""
        made = list(self.parallel)
        for loop in self.order:
            label = variable_hint(loop.loop_name.data)
            while any(axis.label == label for axis in made):
                label += "_"
            kind = PARALLEL_AXIS if loop is self.target else REDUCE_AXIS
            low, high = _range(loop)
            made.append(AxisAttr.get(label, kind, max(0, high - low)))
        return made

    def _old_axes(self) -> list[AffineExpr]:
        """Each axis of the statement over the new ones."""
        of_iv: list[AffineExpr] = []
        for iv in self.stmt.ivs:
            at = next((i for i, loop in enumerate(self.order) if loop.variable is iv), None)
            low = 0 if at is None else _range(self.order[at])[0]
            of_iv.append(const(0) if at is None else dim(len(self.parallel) + at) + low)
        ranges = Ranges(tuple((0, axis.size) for axis in self.axes))
        return [
            simplify(substitute(expr, of_iv), ranges) if axis.is_reduce else dim(position)
            for position, (axis, expr) in enumerate(
                zip(self.stmt.axes, self.stmt.bind.data.results, strict=True)
            )
        ]

    def _guards(self) -> list[Guard]:
        """The ends at which a reduce axis may leave its extent."""
        ranges = Ranges(tuple((0, axis.size) for axis in self.axes))
        guards: list[Guard] = []
        for axis, expr in zip(self.stmt.axes, self.old, strict=True):
            interval = bounds(expr, ranges)
            if axis.is_reduce and (interval is None or interval[0] < 0):
                guards.append((expr, "sge", 0))
            if axis.is_reduce and (interval is None or interval[1] > axis.size):
                guards.append((expr, "slt", axis.size))
        traps = [op.name for op in self.stmt.body.block.ops if op.name in TRAPPING]
        if guards and traps:
            raise ScheduleError(
                f"rfactor: '{self.symbol}' holds {traps[0]}, which would run on terms outside its "
                "domain",
                hint="split by a factor that divides",
            )
        return guards

    def buffer(self, position: int, symbol: str) -> AllocOp:
        """The partial results, the new axis last."""
        is_top = self.root.parent is self.kernel.body.block
        extents = [axis.size for axis in self.axes[: len(self.parallel) + 1]]
        element = buffer_type(self.stmt.outs[position]).element_type
        alloc = AllocOp(BufferType.get(extents, element, "global" if is_top else "scratch"))
        suffix = f"_r{position}" if len(self.stmt.outs) > 1 else ""
        alloc.res.name_hint = f"{symbol.replace('.', '_')}{suffix}"
        alloc.location = self.stmt.location
        return alloc

    def partial(self, symbol: str, buffers: Sequence[SSAValue]) -> StmtOp:
        """Replace the statement by that of the partial results."""
        stmt, count = self.stmt, len(self.parallel) + 1
        self._rewrite_body()
        combine = stmt.combine
        is_reduction = len(self.order) > 1
        lows = {loop.variable: _range(loop)[0] for loop in self.order}
        bind = list(stmt.bind.data.results[: count - 1])
        bind += [dim(_position(stmt, v)) + low * -1 for v, low in lows.items()]
        num_ivs = len(stmt.ivs)
        plain = AffineMap(len(self.axes), num_ivs, tuple(dim(i) for i in range(count)))
        made = make_stmt(
            symbol,
            self.axes,
            AffineMap(num_ivs, 0, tuple(bind)),
            list(stmt.ivs),
            [(buffer, plain) for buffer in buffers],
            stmt.detach_region(stmt.body),
            combiner=[name.data for name in stmt.combiner or ()] if is_reduction else (),
            init=stmt.init.data if stmt.init is not None and is_reduction else (),
            combine=stmt.detach_region(combine) if combine is not None and is_reduction else None,
        )
        made.location = stmt.location
        assert stmt.parent is not None
        stmt.parent.insert_op_before(made, stmt)
        erase(stmt)
        return made

    def _rewrite_body(self) -> None:
        """Maps and positions over the new axes; terms outside the domain become neutral."""
        stmt, block = self.stmt, self.stmt.body.block
        neutral = neutral_elements(stmt, [buffer_type(out).element_type for out in stmt.outs])

        def edit(map_: AffineMap, num_opaque: int) -> AffineMap:
            del num_opaque
            symbols = [sym(i) for i in range(map_.num_symbols)]
            return map_.replace_dims_and_symbols(
                self.old, symbols, len(self.axes), map_.num_symbols
            )

        labels = [axis.label for axis in stmt.axes]
        edit_maps(stmt, edit)
        stmt.properties["axes"] = type(stmt.axes)(self.axes)
        for op in list(block.ops):
            if isinstance(op, IndexOp) and op.axis.data in labels[len(self.parallel) :]:
                value = IndexBuilder(stmt, op).value(self.old[labels.index(op.axis.data)])
                op.res.replace_all_uses_with(value)
                erase(op)
        last = block.last_op
        assert isinstance(last, YieldOp)
        if self.guards:
            for read in reads_in(stmt):
                read.fill = read.fill or zero_of(read.res.type)
            build = IndexBuilder(stmt, last)
            values = [
                build.guarded(self.guards, value, rest)
                for value, rest in zip(last.operands, neutral, strict=True)
            ]
            last.operands = values

    def final(self, buffers: Sequence[SSAValue]) -> list[Operation]:
        """The canonical nest that combines the partial results."""
        stmt, count = self.stmt, len(self.parallel)
        label = self.axes[count].label
        axes = [*self.parallel, AxisAttr.get(label, REDUCE_AXIS, self.axes[count].size)]

        def leaf(ivs: list[SSAValue]) -> list[Operation]:
            plain = AffineMap(len(axes), len(ivs), tuple(dim(i) for i in range(len(axes))))
            reads = [make_read(buffer, plain) for buffer in buffers]
            body = Region(Block([*reads, YieldOp(*(read.res for read in reads))]))
            maps = [
                AffineMap(len(axes), len(ivs), map_.data.results) for map_ in stmt.out_maps.data
            ]
            init: Sequence[Attribute] = stmt.init.data if stmt.init is not None else ()
            made = make_stmt(
                self.symbol,
                axes,
                AffineMap.identity(len(axes)),
                ivs,
                list(zip(stmt.outs, maps, strict=True)),
                body,
                combiner=[name.data for name in stmt.combiner or ()],
                init=init,
                combine=stmt.combine.clone() if stmt.combine is not None else None,
            )
            return [made]

        return loop_nest([(f"{self.symbol}.{axis.label}", axis.size) for axis in axes], leaf)


def _range(loop: ForOp) -> tuple[int, int]:
    interval = loop.constant_range
    assert interval is not None
    return interval


def _position(stmt: StmtOp, variable: SSAValue) -> int:
    return next(i for i, iv in enumerate(stmt.ivs) if iv is variable)
