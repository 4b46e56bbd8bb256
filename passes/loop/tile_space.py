"""What form-tiles knows of a kernel's loops before it writes anything.

Every loop of the kernel gets a number; affine expressions over the kernel use it as a dimension.
The dimension of a serial loop is its variable; that of a marked loop (vectorize, unroll) is the
position on a tile axis, counted from 0; a loop of one iteration is a constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineBinaryOpExpr, AffineBinaryOpKind, AffineConstantExpr, AffineExpr

from ...core.affine import (
    Range,
    Ranges,
    bounds,
    const,
    dim,
    linear_terms,
    simplify,
    substitute,
    sym,
    used,
)
from ...core.errors import PassError
from ...core.locations import describe
from ...core.walk import ancestors
from ...dialects.loop import ForOp, KernelOp, ReadOp, StmtOp, TileAxisAttr, buffer_type

MARKED = ("vectorize", "unroll")


@dataclass
class LoopSpace:
    """The loops of one kernel, numbered.

    Attributes:
        exprs: each loop variable of the nest as an expression over the numbering.
        ranges: what is known of each number.
        axes: the tile axis of a marked loop, by number.
        values: the variable of the new loop, by number, once it has been written.
        cuts: guards of a marked loop whose bounds are not constant.
    """

    numbers: dict[SSAValue, int] = field(default_factory=dict[SSAValue, int])
    exprs: dict[SSAValue, AffineExpr] = field(default_factory=dict[SSAValue, AffineExpr])
    ranges: Ranges = field(default_factory=Ranges)
    axes: dict[int, TileAxisAttr] = field(default_factory=dict[int, TileAxisAttr])
    values: dict[int, SSAValue] = field(default_factory=dict[int, SSAValue])
    cuts: dict[ForOp, list[AffineExpr]] = field(default_factory=dict[ForOp, list[AffineExpr]])

    @staticmethod
    def of(kernel: KernelOp) -> LoopSpace:
        """Number the loops of a kernel in nest form.

        Raises: PassError: a loop whose bounds are unknown.
        """
        space = LoopSpace()
        for loop in kernel.body.walk():
            if isinstance(loop, ForOp):
                space._add(loop)
        return space

    def _add(self, loop: ForOp) -> None:
        number = len(self.ranges.dims)
        self.numbers[loop.variable] = number
        lowers, uppers = self.bounds_of(loop)
        low, high = self._extremes(loop, lowers, uppers)
        exact = lowers == [const(low)] and uppers == [const(high)]
        expr = dim(number)
        interval = (low, high)
        if high - low == 1 and exact:
            expr = const(low)
        elif loop.kind.data in MARKED:
            expr = dim(number) + low
            interval = (0, max(0, high - low))
            if high > low:
                self.axes[number] = _tile_axis(loop, high - low)
            self.cuts[loop] = [] if exact else self._cuts(expr, lowers, uppers)
        self.exprs[loop.variable] = expr
        self.ranges = Ranges((*self.ranges.dims, interval))

    def bounds_of(self, loop: ForOp) -> tuple[list[AffineExpr], list[AffineExpr]]:
        """Lower and upper bounds of a loop, over the numbering."""
        lower_dims = [self.exprs[value] for value in loop.lower_args]
        upper_dims = [self.exprs[value] for value in loop.upper_args]
        lowers = [self.simplify(substitute(e, lower_dims)) for e in loop.lower.data.results]
        uppers = [self.simplify(substitute(e, upper_dims)) for e in loop.upper.data.results]
        return list(dict.fromkeys(lowers)), list(dict.fromkeys(uppers))

    def _extremes(
        self, loop: ForOp, lowers: Sequence[AffineExpr], uppers: Sequence[AffineExpr]
    ) -> Range:
        """The interval that every value of a loop's variable lies in."""
        known_lowers = [b for b in (bounds(e, self.ranges) for e in lowers) if b is not None]
        known_uppers = [b for b in (bounds(e, self.ranges) for e in uppers) if b is not None]
        if not known_lowers or not known_uppers:
            raise PassError(
                f"loop '{loop.loop_name.data}' has no known bounds", where=describe(loop)
            )
        return max(b[0] for b in known_lowers), min(b[1] - 1 for b in known_uppers)

    def _cuts(
        self, expr: AffineExpr, lowers: Sequence[AffineExpr], uppers: Sequence[AffineExpr]
    ) -> list[AffineExpr]:
        """What must be >= 0 for a position of a tile axis to lie inside its loop's bounds."""
        return [expr - low for low in lowers] + [high - expr - 1 for high in uppers]

    def simplify(self, expr: AffineExpr) -> AffineExpr:
        """`expr` with what the loops' ranges tell."""
        return simplify(expr, self.ranges)

    def extent(self, number: int) -> Range:
        """The interval of one dimension of the numbering."""
        interval = self.ranges.dims[number]
        assert interval is not None
        return interval

    def holds(self, expr: AffineExpr) -> bool:
        """Whether expr >= 0 is certain."""
        interval = bounds(expr, self.ranges)
        return interval is not None and interval[0] >= 0

    def axis_numbers(self, exprs: Iterable[AffineExpr]) -> list[int]:
        """Numbers of the tile axes that the expressions use; the lanes axis last."""
        numbers = {n for expr in exprs for n in used(expr)[0] if n in self.axes}
        return self.in_order(numbers)

    def in_order(self, numbers: Iterable[int]) -> list[int]:
        """Tile axes in the order of a tile type: outer loops first, lanes last."""
        return sorted(set(numbers), key=lambda n: (self.axes[n].is_lanes, n))

    def alike(self, first: Sequence[int], second: Sequence[int]) -> bool:
        """Whether two lists of tile axes have the same sizes and places."""
        shapes = [
            [(self.axes[n].extent, self.axes[n].is_lanes) for n in ns] for ns in (first, second)
        ]
        return shapes[0] == shapes[1]

    def loop_numbers(self, exprs: Iterable[AffineExpr]) -> list[int]:
        """Numbers of the serial loops that the expressions use."""
        return sorted({n for expr in exprs for n in used(expr)[0] if n not in self.axes})

    def project(
        self, exprs: Sequence[AffineExpr], axes: Sequence[int]
    ) -> tuple[list[SSAValue], list[AffineExpr]]:
        """Operands and expressions for an op whose dimensions are loop variables, then `axes`."""
        loops = self.loop_numbers(exprs)
        position = {number: dim(i) for i, number in enumerate([*loops, *axes])}
        dims = [position.get(n, const(0)) for n in range(len(self.ranges.dims))]
        return [self.values[n] for n in loops], [substitute(expr, dims) for expr in exprs]


def _tile_axis(loop: ForOp, extent: int) -> TileAxisAttr:
    """The axis of a marked loop: the innermost vectorized one of a nest lives on lanes."""
    inner = any(
        isinstance(op, ForOp) and op is not loop and op.kind.data == "vectorize"
        for op in loop.walk()
    )
    on_lanes = loop.kind.data == "vectorize" and not inner
    return TileAxisAttr.get(loop.loop_name.data, extent, "lanes" if on_lanes else "reg")


@dataclass
class Statement:
    """A statement with its axes as expressions over the loop numbering, and its guards.

    Attributes:
        guards: expressions that must be >= 0 for the statement to run, those that always hold left
            out.
        absorbed: further ones, of guarded reads whose fill value adds nothing to the reduction:
            skipping the point is the same as running it.
        reduce_numbers: loops that its reduce axes depend on.
        guard_axes: the axes that a guard keeps in their extents.
    """

    op: StmtOp
    axis_exprs: list[AffineExpr]
    iv_exprs: list[AffineExpr]
    guards: list[AffineExpr]
    absorbed: list[AffineExpr]
    reduce_numbers: set[int]
    parallel_numbers: set[int]
    guard_axes: dict[AffineExpr, set[int]]

    @staticmethod
    def of(op: StmtOp, space: LoopSpace) -> Statement:
        """Analyse one statement."""
        ivs = [space.exprs[iv] for iv in op.ivs]
        exprs = [space.simplify(substitute(expr, ivs)) for expr in op.bind.data.results]
        guard_axes: dict[AffineExpr, set[int]] = {}
        for position, (expr, axis) in enumerate(zip(exprs, op.axes, strict=True)):
            for guard in _domain_guards([expr], [axis.size], space):
                guard_axes.setdefault(guard, set()).add(position)
        guards = list(guard_axes)
        for loop in loops_around(op):
            cuts = [space.simplify(cut) for cut in space.cuts.get(loop, [])]
            guards += [cut for cut in cuts if not space.holds(cut)]
        reduce: set[int] = set()
        parallel: set[int] = set()
        for axis, expr in zip(op.axes, exprs, strict=True):
            (reduce if axis.is_reduce else parallel).update(used(expr)[0])
        statement = Statement(op, exprs, ivs, guards, [], reduce, parallel, guard_axes)
        statement.absorbed = _absorbed_guards(statement, space)
        return statement

    def access(
        self, exprs: Sequence[AffineExpr], opaque: int, space: LoopSpace
    ) -> list[AffineExpr]:
        """Index expressions of a read or write over the loop numbering; opaque symbols stay."""
        symbols = [*(sym(i) for i in range(opaque)), *self.iv_exprs]
        return [space.simplify(substitute(expr, self.axis_exprs, symbols)) for expr in exprs]


def loops_around(op: Operation) -> Iterator[ForOp]:
    """The loops around an op, innermost first."""
    return (around for around in ancestors(op) if isinstance(around, ForOp))


def _domain_guards(
    exprs: Sequence[AffineExpr], extents: Sequence[int], space: LoopSpace
) -> list[AffineExpr]:
    guards: list[AffineExpr] = []
    for expr, extent in zip(exprs, extents, strict=True):
        for guard in map(undivided, (expr, space.simplify(const(extent - 1) - expr))):
            if not space.holds(guard) and guard not in guards:
                guards.append(guard)
    return guards


def undivided(guard: AffineExpr) -> AffineExpr:
    """`guard >= 0` without the division that it consists of: `3 - e floordiv 4` is `15 - e`."""
    terms = linear_terms(guard)
    bound = terms.pop(None, 0)
    if len(terms) != 1:
        return guard
    ((term, factor),) = terms.items()
    if (
        not isinstance(term, AffineBinaryOpExpr)
        or term.kind is not AffineBinaryOpKind.FloorDiv
        or not isinstance(term.rhs, AffineConstantExpr)
        or abs(factor) != 1
    ):
        return guard
    divisor = term.rhs.value
    if factor == 1:
        return term.lhs + bound * divisor
    return const((bound + 1) * divisor - 1) - term.lhs


def read_guards(exprs: Sequence[AffineExpr], read: ReadOp, space: LoopSpace) -> list[AffineExpr]:
    """What must be >= 0 for a read to stay inside its buffer's logical domain."""
    return _domain_guards(exprs, buffer_type(read.source).extents, space)


def _absorbed_guards(statement: Statement, space: LoopSpace) -> list[AffineExpr]:
    """Guards of reads with a fill value that leaves the accumulator as it is."""
    combiner = statement.op.combiner
    if combiner is None or len(combiner) != 1:
        return []
    guards: list[AffineExpr] = []
    for read in _absorbing_reads(statement.op, combiner.data[0].data):
        if not read.symbols:
            exprs = statement.access(read.map.data.results, 0, space)
            guards += [g for g in read_guards(exprs, read, space) if g not in guards]
    return guards


def _absorbing_reads(op: StmtOp, combiner: str) -> list[ReadOp]:
    """Reads whose fill value makes the whole body neutral: a zero factor, or the neutral itself."""
    last = op.body.block.last_op
    assert last is not None
    root = last.operands[0].owner
    if combiner == "sum":
        roots: Sequence[Operation] = [root] if isinstance(root, Operation) else []
        reads = [read for top in roots for read in _factors(top)]
        return [read for read in reads if fill_number(read) == 0]
    if isinstance(root, ReadOp) and fill_number(root) is not None:
        neutral = {"max": float("-inf"), "min": float("inf"), "prod": 1}.get(combiner)
        return [root] if fill_number(root) == neutral else []
    return []


def _factors(op: Operation) -> list[ReadOp]:
    if isinstance(op, ReadOp):
        return [op]
    if op.name in ("arith.mulf", "arith.muli"):
        owners = [operand.owner for operand in op.operands]
        return [
            read for owner in owners if isinstance(owner, Operation) for read in _factors(owner)
        ]
    return []


def fill_number(read: ReadOp) -> float | None:
    """The fill value of a read as a number, if it has one."""
    value = getattr(getattr(read.fill, "value", None), "data", None)
    return value if isinstance(value, int | float) else None
