"""decompose_reduction: the start values of a reduction are written by a nest of their own.

    for c.i                            for c.i
      for c.k in 32                      for c.init.j
        for c.j               ->           c[i, j] = 0
          c[i, j] += ...                 for c.k in 32
                                           for c.j
                                             c[i, j] += ...

What is left of `c` goes on with what is in memory, as a later part of a partitioned reduction does:
its reduce axis starts at 1, point 0 being that of `c.init`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from xdsl.dialects import arith
from xdsl.dialects.builtin import AffineMapAttr, ArrayAttr
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap

from ...core.affine import const, dim, substitute, sym
from ...core.errors import ScheduleError
from ...core.walk import erase
from ...dialects.combiners import neutral_elements
from ...dialects.index_space import AxisAttr
from ...dialects.loop import ForOp, IndexOp, KernelOp, StmtOp, YieldOp, buffer_type
from ...dialects.loop.build import make_stmt, variable_hint
from .index_value import IndexBuilder
from .lookup import find_loop, find_stmt, fresh_symbol, nest_root, owner_of, require_sole_writer
from .mark import is_private
from .rewrite import edit_maps, normalize
from .space import FREE, PARALLEL, REDUCE, is_disjoint, loops_around, role


def decompose_reduction(kernel: KernelOp, compute: str, loop: str) -> str:
    """Write the start values of the reduction `compute` just before its loop `loop`.

    Returns: the symbol of the compute that writes them.
    Raises: ScheduleError: not a loop of `compute`, a reduce loop stands outside of it (whose later
        iterations would start again), or it visits points again.
    Source: TVM `decompose_reduction`.
    """
    stmt, target = find_stmt(kernel, compute, "decompose_reduction"), find_loop(kernel, loop)
    require_sole_writer(stmt, "decompose_reduction")
    kept = _require_startable(kernel, stmt, target)
    symbol = fresh_symbol(kernel, f"{compute}.init")
    made = _init_nest(stmt, symbol, kept)
    assert target.parent is not None
    target.parent.insert_op_before(made, target)
    _start_at_one(stmt)
    normalize(made)
    normalize(target)
    return symbol


def _require_startable(kernel: KernelOp, stmt: StmtOp, target: ForOp) -> list[ForOp]:
    """The loops from `target` on that drive what is computed.

    Raises: ScheduleError: start values before `target` would not do.
    """
    symbol, name = stmt.sym_name.data, target.loop_name.data
    if not stmt.is_reduction:
        raise ScheduleError(f"decompose_reduction: '{symbol}' does not reduce")
    own = nest_root(kernel, stmt).is_ancestor(target) and owner_of(kernel, target) == symbol
    if not own or not target.is_ancestor(stmt):
        raise ScheduleError(f"decompose_reduction: '{name}' is not a loop of '{symbol}'")
    if any(is_private(out, target) for out in stmt.outs):
        raise ScheduleError(
            f"decompose_reduction: the buffer of '{symbol}' is made inside '{name}'",
            hint="decompose further in, or before reverse_compute_at",
        )
    around = loops_around(stmt)
    at = around.index(target)
    for loop in around[:at]:
        if role(stmt, loop) not in (PARALLEL, FREE):
            raise ScheduleError(
                f"decompose_reduction: '{loop.loop_name.data}', which reduces '{symbol}', stands "
                f"outside '{name}': each of its iterations would start again",
                hint=f"decompose_reduction at '{loop.loop_name.data}' or further out",
            )
    kept = [loop for loop in around[at:] if role(stmt, loop) != REDUCE]
    if not is_disjoint(stmt, kept):
        raise ScheduleError(
            f"decompose_reduction: inside '{name}' points of '{symbol}' are visited again "
            "(overlapping tiles, or a loop that it does not depend on), and terms would be "
            "combined twice",
            hint="split with the tail mask, or decompose further in",
        )
    _require_independent(kept, {loop.variable for loop in around[at:] if loop not in kept})
    return kept


def _require_independent(kept: Sequence[ForOp], dropped: set[SSAValue]) -> None:
    """Raises: ScheduleError: the bounds of a loop depend on one that the start values lack."""
    for loop in kept:
        if any(arg in dropped for arg in (*loop.lower_args, *loop.upper_args)):
            raise ScheduleError(
                f"decompose_reduction: the bounds of '{loop.loop_name.data}' depend on a reduce "
                "loop"
            )


def _init_nest(stmt: StmtOp, symbol: str, kept: Sequence[ForOp]) -> Operation:
    """Copies of the loops `kept` around a statement that writes the neutral elements."""
    variables: dict[SSAValue, SSAValue] = {}
    loops: list[ForOp] = []
    for loop in kept:
        name = f"{symbol}{loop.loop_name.data.removeprefix(stmt.sym_name.data)}"
        made = ForOp(
            name,
            loop.lower.data,
            loop.upper.data,
            kind=loop.kind.data,
            lower_args=[variables.get(arg, arg) for arg in loop.lower_args],
            upper_args=[variables.get(arg, arg) for arg in loop.upper_args],
        )
        made.variable.name_hint = variable_hint(name)
        variables[loop.variable] = made.variable
        if loops:
            loops[-1].body.block.add_op(made)
        loops.append(made)
    inside = _init_stmt(stmt, symbol, variables)
    if loops:
        loops[-1].body.block.add_op(inside)
    root: Operation = loops[0] if loops else inside
    for op in root.walk():
        op.location = stmt.location
    return root


def _init_stmt(stmt: StmtOp, symbol: str, variables: dict[SSAValue, SSAValue]) -> StmtOp:
    axes = [axis for axis in stmt.axes if not axis.is_reduce]
    reduce = [iv for iv in stmt.ivs if _role_of(stmt, iv) == REDUCE]
    ivs = [variables.get(iv, iv) for iv in stmt.ivs if iv not in reduce]
    places = iter(range(len(ivs)))
    numbers = [None if iv in reduce else next(places) for iv in stmt.ivs]
    dims: list[AffineExpr] = [const(0) if n is None else dim(n) for n in numbers]
    syms: list[AffineExpr] = [const(0) if n is None else sym(n) for n in numbers]
    own = [dim(i) for i in range(len(axes))]
    bind = [substitute(expr, dims) for expr in stmt.bind.data.results[: len(axes)]]
    maps = [
        map_.data.replace_dims_and_symbols(
            [*own, *[const(0)] * (len(stmt.axes) - len(axes))], syms, len(axes), len(ivs)
        )
        for map_ in stmt.out_maps
    ]
    neutral = neutral_elements(stmt, [buffer_type(out).element_type for out in stmt.outs])
    constants = [arith.ConstantOp(cast("Any", value)) for value in neutral]
    body = Region(Block([*constants, YieldOp(*(c.result for c in constants))]))
    outs = list(zip(stmt.outs, maps, strict=True))
    return make_stmt(symbol, axes, AffineMap(len(ivs), 0, tuple(bind)), ivs, outs, body)


def _role_of(stmt: StmtOp, variable: SSAValue) -> str:
    """The role of the loop with this variable."""
    return role(stmt, next(loop for loop in loops_around(stmt) if loop.variable is variable))


def _start_at_one(stmt: StmtOp) -> None:
    """Move the first reduce axis by one, so that no point of the statement is the first."""
    axes = list(stmt.axes)
    at = next(position for position, axis in enumerate(axes) if axis.is_reduce)
    old, kind = axes[at], axes[at].kind.data
    axes[at] = AxisAttr.get(old.label, kind, old.size + 1)
    moved = [dim(i) + const(-1) if i == at else dim(i) for i in range(len(axes))]

    def edit(map_: AffineMap, num_opaque: int) -> AffineMap:
        del num_opaque
        symbols = [sym(i) for i in range(map_.num_symbols)]
        return map_.replace_dims_and_symbols(moved, symbols, len(axes), map_.num_symbols)

    edit_maps(stmt, edit)
    bind = list(stmt.bind.data.results)
    bind[at] = bind[at] + const(1)
    stmt.bind = AffineMapAttr(AffineMap(len(stmt.ivs), 0, tuple(bind)))
    stmt.axes = ArrayAttr(axes)
    for op in list(stmt.body.block.ops):
        if isinstance(op, IndexOp) and op.axis.data == old.label:
            value = IndexBuilder(stmt, op).value(moved[at])
            op.res.replace_all_uses_with(value)
            erase(op)
