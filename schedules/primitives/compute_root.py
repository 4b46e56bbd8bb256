"""compute_root: a compute has its canonical nest at the top of the kernel again.

    for y.i.o in 16                    alloc c[128], global
      alloc c[8]                       for c.i in 128
      for c.i in 8              ->       c[i] = ...
        c[i = 8 * %io + %ci] = ...     for y.i.o in 16
      for y.i.i in 8                     for y.i.i in 8
        y[i] = f(c[i - 8 * %io])           y[i] = f(c[i])

It undoes compute_at and reverse_compute_at, and every split, reorder and mark of the compute's own
loops. What was inlined is gone and cannot come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xdsl.dialects.builtin import AffineMapAttr, ArrayAttr
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.ir.affine import AffineMap

from ...core.affine import Ranges, const, dim, simplify, substitute, sym, used
from ...core.errors import ScheduleError
from ...core.walk import erase
from ...dialects.loop import (
    AllocOp,
    BufferType,
    CoeffOp,
    ForOp,
    KernelOp,
    ReadOp,
    StmtOp,
    buffer_type,
)
from ...dialects.loop.build import loop_nest
from .localize import Place, places_of, widen
from .lookup import buffer_name, find_stmt, listing, nest_root, require_alone, stmts_in
from .rewrite import normalize, position_in, replace_buffer, set_ivs
from .space import FREE, loop_of, loops_around, reads_in, role

PRIMITIVE = "compute_root"


def compute_root(kernel: KernelOp, compute: str) -> None:
    """Give `compute` its canonical nest at the top of the kernel, over all of its domain.

    Its buffer is whole and global again. It stands before the nest that it was in, or after it if
    nothing in there reads it.

    Raises: ScheduleError: other computes stand in its nest, or it reads what is not complete there.
    Source: Halide, TVM `compute_root`.
    """
    stmt = find_stmt(kernel, compute, PRIMITIVE)
    require_alone(nest_root(kernel, stmt), stmt, PRIMITIVE)
    _Move(kernel, stmt).run()


@dataclass
class _Move:
    """One compute on its way to the top.

    Attributes:
        host: the op at the top of the kernel that the compute stands in.
        places: for each result, the axis in each dimension of its buffer.
        fills: nests that first put a guard's value into its buffer.
        hosted: local buffers of the host that it reads, with their writers: they become global.
        maps: its reads' maps, over axes and opaque symbols only.
    """

    kernel: KernelOp
    stmt: StmtOp
    hosted: dict[SSAValue, StmtOp] = field(default_factory=dict[SSAValue, StmtOp])
    maps: dict[Operation, AffineMap] = field(default_factory=dict[Operation, AffineMap])

    def __post_init__(self) -> None:
        self.symbol = self.stmt.sym_name.data
        self.root = nest_root(self.kernel, self.stmt)
        self.host = position_in(self.kernel.body.block, self.stmt)
        self.places = _whole_places(self.stmt)
        self.fills = self._fills()
        self.is_read_inside = any(
            self.host.is_ancestor(use.operation) and isinstance(use.operation, ReadOp)
            for out in self.stmt.outs
            for use in out.uses
        )
        for read in reads_in(self.stmt):
            self._check_source(read.source)
        for op in self.stmt.body.block.ops:
            if isinstance(op, ReadOp | CoeffOp):
                self.maps[op] = self._absolute(op)

    def run(self) -> None:
        """Make the move; nothing is refused from here on."""
        block = self.kernel.body.block
        for buffer, writer in self.hosted.items():
            widen(buffer, writer, _whole_places(writer)[0], self.host)
        for fill in self.fills:
            self._restore_guards(fill)
        for position, out in enumerate(self.stmt.outs):
            if isinstance(out.owner, AllocOp) and out.owner.parent is not block:
                widen(out, self.stmt, self.places[position], self.host)
        if self.root is self.host:
            follower = self.root.next_op
        else:
            follower = self.host if self.is_read_inside else self.host.next_op
        made = self._canonical()
        if self.root is not self.stmt:
            erase(self.root)
        block.add_op(made) if follower is None else block.insert_op_before(made, follower)
        for out in self.stmt.outs:
            if isinstance(out.owner, AllocOp) and buffer_type(out).space.data != "global":
                old = buffer_type(out)
                layout = old.layout.data if isinstance(old.layout, AffineMapAttr) else None
                replace_buffer(out, BufferType.get(old.extents, old.element_type, "global", layout))
        normalize(self.kernel)

    def _fills(self) -> list[StmtOp]:
        """The nests that compute_at has put before this one for guarded reads.

        Raises: ScheduleError: another compute writes the buffer (the state of a scan).
        """
        fills: list[StmtOp] = []
        for other in stmts_in(self.kernel):
            if other is self.stmt or not set(other.outs) & set(self.stmt.outs):
                continue
            if not other.sym_name.data.startswith(f"{self.symbol}.fill"):
                raise ScheduleError(
                    f"{PRIMITIVE}: '{self.symbol}' shares its buffer with "
                    f"@{other.sym_name.data}, which writes it too"
                )
            require_alone(nest_root(self.kernel, other), other, PRIMITIVE)
            fills.append(other)
        return fills

    def _check_source(self, source: SSAValue) -> None:
        """Raises: ScheduleError: what the compute reads is not complete where it is to stand."""
        writers = [w for w in stmts_in(self.host) if source in tuple(w.outs) and w is not self.stmt]
        if not writers:
            return
        name, writer = buffer_name(self.kernel, source), writers[0]
        symbols = list(dict.fromkeys(f"@{w.sym_name.data}" for w in writers))
        around = loops_around(writer)
        hosts = nest_root(self.kernel, writer) is self.host and len(writers) == 1
        moves_along = hosts and all(role(writer, loop) != FREE for loop in around)
        if self.is_read_inside or not moves_along:
            raise ScheduleError(
                f"{PRIMITIVE}: '{self.symbol}' reads '{name}', which {listing(symbols)} computes "
                f"inside '{_name(self.host)}' too",
                hint=f"{PRIMITIVE} {writer.sym_name.data} first",
            )
        if not isinstance(source.owner, AllocOp):
            return
        if source.owner.parent is not self.kernel.body.block:
            _whole_places(writer)
            marked = [loop for loop in around if loop.kind.data == "parallel"]
            if marked or len(writer.outs) > 1:
                reason = f"'{_name(marked[0])}' is marked" if marked else "it has several results"
                raise ScheduleError(
                    f"{PRIMITIVE}: '{self.symbol}' reads '{name}', a buffer of one iteration that "
                    f"cannot be widened: {reason}",
                    hint=f"{PRIMITIVE} first, then mark",
                )
            self.hosted[source] = writer

    def _absolute(self, op: ReadOp | CoeffOp) -> AffineMap:
        """The map of a read without the loops around it.

        Raises: ScheduleError: it depends on one of them.
        """
        map_, opaque = op.map.data, len(op.symbols) if isinstance(op, ReadOp) else 0
        results = list(map_.results)
        variables = list(self.stmt.ivs)
        if isinstance(op, ReadOp) and op.source in self.hosted:
            writer = self.hosted[op.source]
            variables += [iv for iv in writer.ivs if not any(iv is v for v in variables)]
            places = _whole_places(writer)[0]
            symbols = [sym(opaque + _index(variables, iv)) for iv in writer.ivs]
            results = [
                expr + substitute(place.offset, [], symbols) * -1
                for expr, place in zip(results, places, strict=True)
            ]
        results = [simplify(expr, Ranges()) for expr in results]
        for expr in results:
            for position in used(expr)[1]:
                if position >= opaque:
                    loop = loop_of(variables[position - opaque])
                    raise ScheduleError(
                        f"{PRIMITIVE}: '{self.symbol}' depends on the loop '{_name(loop)}' "
                        "around it"
                    )
        return AffineMap(map_.num_dims, opaque, tuple(results))

    def _restore_guards(self, fill: StmtOp) -> None:
        """Readers have the guard's value for places outside of the domain; drop its nest."""
        constant = fill.body.block.first_op
        assert constant is not None
        value: Attribute = constant.properties["value"]
        for use in list(fill.outs[0].uses):
            if isinstance(use.operation, ReadOp) and use.operation.fill is None:
                use.operation.fill = value
        nest = nest_root(self.kernel, fill)
        erase(nest)

    def _canonical(self) -> Operation:
        """The statement in loops over all of its axes."""
        names = [(f"{self.symbol}.{axis.label}", axis.size) for axis in self.stmt.axes]
        (made,) = loop_nest(names, self._bound_to)
        for op in made.walk():
            op.location = self.stmt.location if isinstance(op, ForOp) else op.location
        return made

    def _bound_to(self, ivs: list[SSAValue]) -> list[Operation]:
        """The statement, taken out of its nest, with one loop for each axis."""
        stmt, count = self.stmt, len(ivs)
        set_ivs(stmt, ivs, [const(0)] * len(stmt.ivs))
        stmt.bind = AffineMapAttr(AffineMap.identity(count))
        outs = [AffineMap(count, count, tuple(dim(p.axis) for p in ps)) for ps in self.places]
        stmt.out_maps = ArrayAttr([AffineMapAttr(map_) for map_ in outs])
        for op, map_ in self.maps.items():
            assert isinstance(op, ReadOp | CoeffOp)
            op.map = AffineMapAttr(AffineMap(count, map_.num_symbols + count, map_.results))
        stmt.detach()
        return [stmt]


def _whole_places(stmt: StmtOp) -> list[list[Place]]:
    """For each result, the axis in each dimension of its buffer.

    Raises: ScheduleError: a result has not every axis in a dimension of its own, as in a scan.
    """
    parallel = sum(not axis.is_reduce for axis in stmt.axes)
    found: list[list[Place]] = []
    for position in range(len(stmt.outs)):
        places = places_of(stmt, position)
        if places is None or len(places) != parallel:
            raise ScheduleError(
                f"{PRIMITIVE}: '{stmt.sym_name.data}' does not write each of its axes to a "
                "dimension of its own"
            )
        found.append(places)
    return found


def _index(values: Sequence[SSAValue], value: SSAValue) -> int:
    return next(i for i, each in enumerate(values) if each is value)


def _name(op: Operation) -> str:
    return op.loop_name.data if isinstance(op, ForOp) else op.name
