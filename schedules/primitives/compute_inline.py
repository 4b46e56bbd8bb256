"""compute_inline: the body of a compute takes the place of every read of it.

    for s.i                            for y.i
      s[i] = x[i] * 2          ->        y[i] = exp(x[i + 1] * 2)
    for y.i
      y[i] = exp(s[i + 1])

A guarded read (`s[i - 1] else 0`) that may leave the domain of s becomes a select on comparisons of
the index; where s only moves data, the guard moves to what it reads instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.ir.affine import AffineDimExpr, AffineExpr, AffineMap

from ...core.affine import dim, substitute, sym, used
from ...core.errors import ScheduleError
from ...core.walk import erase
from ...dialects.loop import CoeffOp, IndexOp, KernelOp, ReadOp, StmtOp, buffer_type
from ...dialects.loop.build import make_read
from .index_value import Guard, IndexBuilder, zero_of
from .lookup import find_alloc, find_stmt, nest_root, require_alone, require_sole_writer, stmts_in
from .rewrite import index_bounds, normalize_stmt
from .space import reads_in

TRAPPING = (
    *("arith.divsi", "arith.divui", "arith.remsi", "arith.remui"),
    *("arith.floordivsi", "arith.ceildivsi", "arith.ceildivui"),
)
"""Scalar ops that must not run on values from outside a domain."""


def compute_inline(kernel: KernelOp, compute: str) -> None:
    """Inline `compute` into everything that reads it, and remove its nest.

    Raises: ScheduleError: it reduces, is an output of the kernel, is not whole (after compute_at),
        or what it reads is written again before its reader.
    Source: Halide's default, TVM `compute_inline`.
    """
    stmt = find_stmt(kernel, compute, "compute_inline")
    root = nest_root(kernel, stmt)
    require_alone(root, stmt, "compute_inline")
    _require_inlinable(stmt)
    require_sole_writer(stmt, "compute_inline")
    buffers = list(stmt.outs)
    allocs = [find_alloc(out, compute, "compute_inline") for out in buffers]
    readers = [
        reader
        for reader in stmts_in(kernel)
        if any(read.source in buffers for read in reads_in(reader))
    ]
    for reader in readers:
        if reader.intrinsic is not None:
            raise ScheduleError(
                f"compute_inline: @{reader.sym_name.data}, which reads '{compute}', is the "
                f"instruction {reader.intrinsic.data}",
                hint="compute_inline first, then tensorize",
            )
        _require_unwritten(kernel, stmt, reader)
        _require_total(stmt, reader)
    for reader in readers:
        _Inliner(stmt, reader).run()
        normalize_stmt(reader)
    erase(root)
    for alloc in allocs:
        erase(alloc)


def _require_inlinable(stmt: StmtOp) -> None:
    symbol = stmt.sym_name.data
    if stmt.is_reduction:
        raise ScheduleError(
            f"compute_inline: '{symbol}' reduces, every reader would compute all of it again",
            hint=f"compute_at {symbol}",
        )
    for map_ in stmt.out_maps:
        results = map_.data.results
        dims = [expr.position for expr in results if isinstance(expr, AffineDimExpr)]
        if sorted(dims) != list(range(len(stmt.axes))) or len(dims) != len(results):
            raise ScheduleError(
                f"compute_inline: the buffer of '{symbol}' holds a part of it",
                hint="compute_inline before compute_at",
            )
    maps = [op.map.data for op in stmt.body.block.ops if isinstance(op, ReadOp | CoeffOp)]
    if len(stmt.ivs) and any(_uses_ivs(stmt, map_) for map_ in maps):
        raise ScheduleError(
            f"compute_inline: '{symbol}' reads relative to the loops around it",
            hint="compute_inline before compute_at",
        )


def _uses_ivs(stmt: StmtOp, map_: AffineMap) -> bool:
    first = map_.num_symbols - len(stmt.ivs)
    return any(position >= first for expr in map_.results for position in used(expr)[1])


def _require_unwritten(kernel: KernelOp, stmt: StmtOp, reader: StmtOp) -> None:
    """Raises: ScheduleError: a buffer that `stmt` reads has several writers."""
    sources = {read.source for read in reads_in(stmt)}
    order = stmts_in(kernel)
    start, end = order.index(stmt), order.index(reader)
    for other in order[start:end]:
        if other is not stmt and any(out in sources for out in other.outs):
            raise ScheduleError(
                f"compute_inline: what '{stmt.sym_name.data}' reads is written by "
                f"@{other.sym_name.data} before @{reader.sym_name.data} reads it"
            )


def _require_total(stmt: StmtOp, reader: StmtOp) -> None:
    """Raises: ScheduleError: an op that traps would run on places outside the domain."""
    traps = [op.name for op in stmt.body.block.ops if op.name in TRAPPING]
    guarded = any(r.fill is not None for r in reads_in(reader) if r.source in set(stmt.outs))
    if traps and guarded:
        raise ScheduleError(
            f"compute_inline: '{stmt.sym_name.data}' holds {traps[0]}, which @"
            f"{reader.sym_name.data} would run on places outside its domain",
            hint=f"compute_at {stmt.sym_name.data}",
        )


@dataclass
class _Inliner:
    """Replaces the reads of `stmt` in one reader."""

    stmt: StmtOp
    reader: StmtOp

    def run(self) -> None:
        made: dict[object, SSAValue] = {}
        for read in reads_in(self.reader):
            number = next((i for i, o in enumerate(self.stmt.outs) if o is read.source), None)
            if number is None:
                continue
            key = (number, read.map, tuple(read.symbols), read.fill)
            value = made[key] if key in made else self._inline(read, number)
            made[key] = value
            read.res.replace_all_uses_with(value)
            erase(read)

    def _inline(self, read: ReadOp, number: int) -> SSAValue:
        """The value of one read, computed before it."""
        places = self._places(read, number)
        build = IndexBuilder(self.reader, read, list(read.symbols))
        fill = None if read.fill is None else self._moved_fill(read, number)
        guards = [] if fill is not None or read.fill is None else self._unsafe(read)
        values: dict[SSAValue, SSAValue] = {}
        for op in list(self.stmt.body.block.ops)[:-1]:
            new = self._convert(op, read, places, values, build, bool(guards), fill)
            for old_result, value in zip(op.results, new, strict=True):
                values[old_result] = value
        last = self.stmt.body.block.last_op
        assert last is not None
        result = values[last.operands[number]]
        if guards and read.fill is not None:
            result = build.guarded(guards, result, read.fill)
        return result

    def _places(self, read: ReadOp, number: int) -> list[AffineExpr]:
        """Each axis of the inlined statement as an expression of the read's map."""
        results = self.stmt.out_maps.data[number].data.results
        found: dict[int, AffineExpr] = {}
        for expr, index in zip(results, read.map.data.results, strict=True):
            assert isinstance(expr, AffineDimExpr)
            found[expr.position] = index
        return [found[position] for position in range(len(results))]

    def _unsafe(self, read: ReadOp) -> list[Guard]:
        """The ends at which an index of a read may leave the buffer."""
        guards: list[Guard] = []
        extents = buffer_type(read.source).extents
        for expr, extent in zip(read.map.data.results, extents, strict=True):
            interval = index_bounds(self.reader, read, expr)
            if interval is None or interval[0] < 0:
                guards.append((expr, "sge", 0))
            if interval is None or interval[1] > extent:
                guards.append((expr, "slt", extent))
        return guards

    def _moved_fill(self, read: ReadOp, number: int) -> Attribute | None:
        """The fill value, where the body is one read over the same domain that can take it."""
        first, last = self.stmt.body.block.first_op, self.stmt.body.block.last_op
        if not isinstance(first, ReadOp) or first.next_op is not last or last is None:
            return None
        if first.fill is not None or first.symbols or last.operands[number] is not first.res:
            return None
        dims = [e.position for e in first.map.data.results if isinstance(e, AffineDimExpr)]
        extents = buffer_type(first.source).extents
        sizes = [axis.size for axis in self.stmt.axes]
        if sorted(dims) != list(range(len(sizes))) or len(dims) != len(extents):
            return None
        return read.fill if [sizes[d] for d in dims] == list(extents) else None

    def _convert(
        self,
        op: Operation,
        read: ReadOp,
        places: list[AffineExpr],
        values: dict[SSAValue, SSAValue],
        build: IndexBuilder,
        guarded: bool,
        fill: Attribute | None,
    ) -> list[SSAValue]:
        """One op of the inlined body, before `read`; the values of its results."""
        if isinstance(op, IndexOp):
            labels = [axis.label for axis in self.stmt.axes]
            return [build.value(places[labels.index(op.axis.data)])]
        if isinstance(op, ReadOp):
            new: Operation = self._read(op, read, places, values, guarded, fill)
        elif isinstance(op, CoeffOp):
            new = self._coeff(op, read, places)
        else:
            new = op.clone(values)
        new.location = op.location
        block = read.parent
        assert block is not None
        block.insert_op_before(new, read)
        return list(new.results)

    def _read(
        self,
        op: ReadOp,
        read: ReadOp,
        places: list[AffineExpr],
        values: dict[SSAValue, SSAValue],
        guarded: bool,
        fill: Attribute | None,
    ) -> ReadOp:
        own, outer = len(op.symbols), len(read.symbols)
        num_ivs = len(self.reader.ivs)
        shifted = [sym(own + i) for i in range(outer + num_ivs)]
        dims = [
            substitute(p, [dim(i) for i in range(len(self.reader.axes))], shifted) for p in places
        ]
        map_ = op.map.data.replace_dims_and_symbols(
            dims, [sym(i) for i in range(own)], len(self.reader.axes), own + outer + num_ivs
        )
        symbols = [values[value] for value in op.symbols] + list(read.symbols)
        new_fill = op.fill
        if new_fill is None and (guarded or fill is not None):
            new_fill = read.fill if fill is not None else zero_of(op.res.type)
        return make_read(op.source, map_, symbols, new_fill)

    def _coeff(self, op: CoeffOp, read: ReadOp, places: list[AffineExpr]) -> CoeffOp:
        outer = len(read.symbols)
        if any(_names_opaque(place, outer) for place in places):
            raise ScheduleError(
                f"compute_inline: the matrix of '{self.stmt.sym_name.data}' would have a "
                "data-dependent index"
            )
        symbols = [sym(max(0, i - outer)) for i in range(outer + len(self.reader.ivs))]
        axes = [dim(i) for i in range(len(self.reader.axes))]
        dims = [substitute(place, axes, symbols) for place in places]
        map_ = op.map.data.replace_dims_and_symbols(dims, [], len(axes), len(self.reader.ivs))
        return CoeffOp(op.values, map_)


def _names_opaque(expr: AffineExpr, num_opaque: int) -> bool:
    return any(position < num_opaque for position in used(expr)[1])
