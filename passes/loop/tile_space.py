"""What form-tiles knows of a kernel's loops before it writes anything.

Every loop of the kernel gets a number; affine expressions over the kernel use it as a dimension.
The dimension of a serial loop is its variable; that of a marked loop (vectorize, unroll) is the
position on a tile axis, counted from 0; a loop of one iteration is a constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineExpr

from ...core.affine import Range, Ranges, bounds, const, dim, simplify, substitute, sym, used
from ...core.errors import PassError
from ...core.locations import describe
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
    """

    numbers: dict[SSAValue, int] = field(default_factory=dict[SSAValue, int])
    exprs: dict[SSAValue, AffineExpr] = field(default_factory=dict[SSAValue, AffineExpr])
    ranges: Ranges = field(default_factory=Ranges)
    axes: dict[int, TileAxisAttr] = field(default_factory=dict[int, TileAxisAttr])
    values: dict[int, SSAValue] = field(default_factory=dict[int, SSAValue])

    @staticmethod
    def of(kernel: KernelOp) -> LoopSpace:
        """Number the loops of a kernel in nest form.

        Raises: PassError: a loop without constant bounds.
        """
        space = LoopSpace()
        intervals: list[Range] = []
        for loop in kernel.body.walk():
            if isinstance(loop, ForOp):
                low, high = constant_range(loop)
                number = len(intervals)
                space.numbers[loop.variable] = number
                if high - low == 1:
                    space.exprs[loop.variable] = const(low)
                    intervals.append((0, 1))
                elif loop.kind.data in MARKED:
                    space.exprs[loop.variable] = dim(number) + low
                    intervals.append((0, high - low))
                    if high > low:
                        space.axes[number] = _tile_axis(loop, high - low)
                else:
                    space.exprs[loop.variable] = dim(number)
                    intervals.append((low, high))
        space.ranges = Ranges(tuple(intervals))
        return space

    def simplify(self, expr: AffineExpr) -> AffineExpr:
        """`expr` with what the loops' ranges tell."""
        return simplify(expr, self.ranges)

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


def constant_range(loop: ForOp) -> Range:
    """The constant bounds of a loop in nest form.

    Raises: PassError: it has none.
    """
    interval = loop.constant_range
    if interval is None:
        raise PassError(
            f"loop '{loop.loop_name.data}' has no constant bounds",
            where=describe(loop),
            hint="form-tiles takes nest form, whose loops have constant bounds",
        )
    return interval


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
    """

    op: StmtOp
    axis_exprs: list[AffineExpr]
    iv_exprs: list[AffineExpr]
    guards: list[AffineExpr]
    absorbed: list[AffineExpr]
    reduce_numbers: set[int]
    parallel_numbers: set[int]

    @staticmethod
    def of(op: StmtOp, space: LoopSpace) -> Statement:
        """Analyse one statement."""
        ivs = [space.exprs[iv] for iv in op.ivs]
        exprs = [space.simplify(substitute(expr, ivs)) for expr in op.bind.data.results]
        guards = _domain_guards(exprs, [axis.size for axis in op.axes], space)
        reduce: set[int] = set()
        parallel: set[int] = set()
        for axis, expr in zip(op.axes, exprs, strict=True):
            (reduce if axis.is_reduce else parallel).update(used(expr)[0])
        statement = Statement(op, exprs, ivs, guards, [], reduce, parallel)
        statement.absorbed = _absorbed_guards(statement, space)
        return statement

    def access(
        self, exprs: Sequence[AffineExpr], opaque: int, space: LoopSpace
    ) -> list[AffineExpr]:
        """Index expressions of a read or write over the loop numbering; opaque symbols stay."""
        symbols = [*(sym(i) for i in range(opaque)), *self.iv_exprs]
        return [space.simplify(substitute(expr, self.axis_exprs, symbols)) for expr in exprs]


def _domain_guards(
    exprs: Sequence[AffineExpr], extents: Sequence[int], space: LoopSpace
) -> list[AffineExpr]:
    guards: list[AffineExpr] = []
    for expr, extent in zip(exprs, extents, strict=True):
        for guard in (expr, space.simplify(const(extent - 1) - expr)):
            if not space.holds(guard) and guard not in guards:
                guards.append(guard)
    return guards


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
