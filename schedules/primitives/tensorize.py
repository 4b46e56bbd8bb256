"""tensorize: the nest from a loop on is one machine instruction.

    for c.j.i in 16                                      for c.j.i in 16 vectorize
      for c.k.i in 4                              ->       for c.k.i in 4 unroll
        c[j] += extui(x[k]) * extsi(w[k, j])                 c[j] += ... {intrinsic = "dot4_u8s8"}

An intrinsic is a te compute (dialects/intrinsics.py), and the statement in the nest must be that
compute up to names. The nest keeps its meaning; form-tiles makes a `loop.intrinsic` of it.
"""

from __future__ import annotations

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation

from ...core.affine import Ranges, bounds, used
from ...core.errors import ScheduleError
from ...dialects.intrinsics import INTRINSICS, Intrinsic, match_body
from ...dialects.loop import ForOp, KernelOp, ReadOp, StmtOp
from ...dialects.te import ComputeOp
from ...dialects.te import ReadOp as TeReadOp
from .lookup import buffer_name, find_loop, suggestion
from .mark import require_constant_extent, require_own_places
from .space import PARALLEL, REDUCE, iv_ranges, loop_of, loops_around, role, through_bind
from .split import constant_bounds, require_unmarked


def tensorize(kernel: KernelOp, loop: str, intrinsic: str) -> None:
    """Make the perfect nest from `loop` on, one loop for each axis, the instruction `intrinsic`.

    Raises: ScheduleError: no such intrinsic, or the nest is not its compute: other loops, another
        body, operands that depend on other loops, points outside the domain.
    Source: TVM `tensorize`.
    """
    target = find_loop(kernel, loop)
    if intrinsic not in INTRINSICS:
        raise ScheduleError(
            f"tensorize: no intrinsic '{intrinsic}'", hint=suggestion(intrinsic, INTRINSICS)
        )
    spec = INTRINSICS[intrinsic]
    lanes, terms, stmt = _nest_of(target, spec)
    low, high = constant_bounds(lanes, "tensorize")
    described = spec.compute(high - low)
    _require_domain(stmt, spec)
    _require_compute(kernel, stmt, described, spec, (lanes, terms))
    lanes.kind, terms.kind = StringAttr("vectorize"), StringAttr("unroll")
    stmt.intrinsic = StringAttr(intrinsic)


def _nest_of(target: ForOp, spec: Intrinsic) -> tuple[ForOp, ForOp, StmtOp]:
    """The loop of the lanes, that of the terms, and the statement.

    Raises: ScheduleError: the nest has another form.
    """
    loops: list[ForOp] = []
    current: Operation | None = target
    while isinstance(current, ForOp):
        loops.append(current)
        current = current.only_op
    name = target.loop_name.data
    if not isinstance(current, StmtOp) or len(loops) != 2:
        raise ScheduleError(
            f"tensorize: '{name}' is not a perfect nest of two loops around one statement",
            hint=f"{spec.name} runs over lanes, then over {spec.terms} terms: split and reorder",
        )
    lanes, terms = loops
    for loop, wanted in ((lanes, PARALLEL), (terms, REDUCE)):
        require_unmarked(loop, "tensorize")
        require_constant_extent(loop, "tensorize")
        require_own_places(loop, "tensorize")
        if (kind := role(current, loop)) != wanted:
            raise ScheduleError(
                f"tensorize: '{loop.loop_name.data}' is a {kind} loop of "
                f"@{current.sym_name.data}, {spec.name} has a {wanted} axis there"
            )
    _require_extents(lanes, terms, spec)
    for other in loops_around(target):
        if other.kind.data == "vectorize":
            raise ScheduleError(
                f"tensorize: '{other.loop_name.data}' of the same nest has the lanes already"
            )
    return lanes, terms, current


def _require_extents(lanes: ForOp, terms: ForOp, spec: Intrinsic) -> None:
    """Raises: ScheduleError: not the intrinsic's number of terms, or one lane."""
    low, high = constant_bounds(terms, "tensorize")
    if high - low != spec.terms:
        raise ScheduleError(
            f"tensorize: '{terms.loop_name.data}' has {high - low} iterations, {spec.name} has "
            f"{spec.terms} terms",
            hint=f"split the reduce loop by {spec.terms}",
        )
    low, high = constant_bounds(lanes, "tensorize")
    if high - low < 2:
        raise ScheduleError(f"tensorize: '{lanes.loop_name.data}' has fewer than two lanes")


def _require_domain(stmt: StmtOp, spec: Intrinsic) -> None:
    """Raises: ScheduleError: some points of the nest do not run."""
    ranges = Ranges(iv_ranges(stmt))
    for axis, expr in zip(stmt.axes, stmt.bind.data.results, strict=True):
        interval = bounds(expr, ranges)
        if interval is None or interval[0] < 0 or interval[1] > axis.size:
            raise ScheduleError(
                f"tensorize: the nest may leave axis '{axis.label}' of @{stmt.sym_name.data}, "
                f"which has {axis.size} points, and {spec.name} runs at all of them",
                hint="split with the tail peel, and tensorize the whole tiles",
            )


def _require_compute(
    kernel: KernelOp,
    stmt: StmtOp,
    described: ComputeOp,
    spec: Intrinsic,
    loops: tuple[ForOp, ForOp],
) -> None:
    """Raises: ScheduleError: the statement is another compute than the intrinsic's."""
    symbol = stmt.sym_name.data
    same = stmt.combiner == described.combiner and stmt.combine is None
    found = match_body(described.body.block, stmt.body.block) if same else None
    if found is None or len(stmt.outs) != 1:
        raise ScheduleError(
            f"tensorize: the body or the combiner of @{symbol} is not that of {spec.name}",
            hint=f"it sums products of {spec.terms} neighbours, see dialects/intrinsics.py",
        )
    for op in described.body.block.ops:
        if not isinstance(op, TeReadOp):
            continue
        read = found[op.source]
        assert isinstance(read, ReadOp)
        name = buffer_name(kernel, read.source)
        if read.fill is not None or read.symbols:
            raise ScheduleError(
                f"tensorize: @{symbol} reads '{name}' with a guard or a data-dependent index"
            )
        allowed = {loops[at] for expr in op.map.data.results for at in used(expr)[0]}
        moves = {
            loop_of(stmt.ivs[position])
            for expr in read.map.data.results
            for position in used(through_bind(stmt, expr))[0]
        }
        for loop in loops:
            if loop in moves and loop not in allowed:
                raise ScheduleError(
                    f"tensorize: '{name}' depends on '{loop.loop_name.data}', the operand of "
                    f"{spec.name} in its place does not",
                    hint="reorder, so that the lanes are an axis of the other operand",
                )
