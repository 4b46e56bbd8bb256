"""reorder: the loops of one perfect nest stand in another order.

    for c.i                            for c.k
      for c.j                            for c.i
        for c.k               ->           for c.j
          c[i, j] += ...                     c[i, j] += ...

A parallel loop may pass a reduce loop: each point still combines its values in the same order, and
starts from the neutral element at the first of them. Two reduce loops may pass each other where the
combiner is a named one; the order of summation is then another.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ...core.errors import ScheduleError
from ...dialects.loop import ForOp, KernelOp, StmtOp
from .lookup import find_loop, listing, stmts_in
from .space import REDUCE, accumulates_once, loops_around, role


def reorder(kernel: KernelOp, loops: Sequence[str]) -> None:
    """Put the named loops in this order, outermost first; loops between them keep their places.

    Raises: ScheduleError: not one perfect nest, a bound would stand outside what it depends on, the
        terms of a reduction with a combiner of its own would be combined in another order, a term
        would be combined twice, or a parallel loop would not be the outermost any more.
    Source: Halide, TVM `reorder`.
    """
    named = [find_loop(kernel, name) for name in loops]
    if len(set(named)) != len(named):
        raise ScheduleError(f"reorder: a loop is named twice in {listing(list(loops))}")
    if len(named) < 2:
        return
    chain = _perfect_chain(named)
    wanted = iter(named)
    order = [next(wanted) if loop in named else loop for loop in chain]
    _check(chain, order)
    _rebuild(chain, order)


def _perfect_chain(named: Sequence[ForOp]) -> list[ForOp]:
    """The loops from the outermost of the named ones to the innermost.

    Raises: ScheduleError: they are not one perfect nest.
    """
    depths = {loop: len(loops_around(loop)) for loop in named}
    innermost = max(named, key=lambda loop: depths[loop])
    outermost = min(named, key=lambda loop: depths[loop])
    around = [*loops_around(innermost), innermost]
    chain = around[depths[outermost] :]
    if outside := [loop for loop in named if loop not in chain]:
        raise ScheduleError(
            f"reorder: '{outside[0].loop_name.data}' is not in one nest with "
            f"'{innermost.loop_name.data}'"
        )
    for outer, inner in pairwise(chain):
        if outer.only_op is not inner:
            raise ScheduleError(
                f"reorder: the nest is not perfect, '{outer.loop_name.data}' holds more than "
                f"'{inner.loop_name.data}'",
                hint="reorder before compute_at, or only the loops below",
            )
    return chain


def _check(chain: Sequence[ForOp], order: Sequence[ForOp]) -> None:
    _check_bounds(order)
    for before, after in zip(chain, order, strict=True):
        if before is not after and "parallel" in (before.kind.data, after.kind.data):
            marked = before if before.kind.data == "parallel" else after
            raise ScheduleError(
                f"reorder: '{marked.loop_name.data}' is marked parallel and must stay outermost",
                hint="reorder first, then mark",
            )
    for stmt in stmts_in(order[-1]):
        _check_reduction(stmt, chain, order)


def _check_bounds(order: Sequence[ForOp]) -> None:
    for position, loop in enumerate(order):
        inner = {other.variable for other in order[position + 1 :]}
        if any(arg in inner for arg in (*loop.lower_args, *loop.upper_args)):
            raise ScheduleError(
                f"reorder: the bounds of '{loop.loop_name.data}' depend on a loop that would be "
                "inside it",
                hint="split by a factor that divides, or with the tail peel",
            )


def _check_reduction(stmt: StmtOp, chain: Sequence[ForOp], order: Sequence[ForOp]) -> None:
    symbol = stmt.sym_name.data
    old = [loop for loop in chain if role(stmt, loop) == REDUCE]
    new = [loop for loop in order if role(stmt, loop) == REDUCE]
    if old != new and stmt.combine is not None:
        names = [loop.loop_name.data for loop in old]
        raise ScheduleError(
            f"reorder: @{symbol} combines with a region of its own, which is not known to commute, "
            f"so that {listing(names)} must keep their order"
        )
    prefix = loops_around(chain[0])
    inner = [loop for loop in loops_around(stmt) if loop not in chain and loop not in prefix]
    if not accumulates_once(stmt, [*prefix, *order, *inner]):
        raise ScheduleError(
            f"reorder: a reduce loop of @{symbol} would stand outside a loop that visits points "
            "again (overlapping tiles, or a loop that it does not depend on), and terms would be "
            "combined twice",
            hint="keep that loop outside the reduce loops, or split with the tail mask",
        )


def _rebuild(chain: Sequence[ForOp], order: Sequence[ForOp]) -> None:
    block = chain[0].parent
    assert block is not None
    follower = chain[0].next_op
    inside = list(chain[-1].body.block.ops)
    for op in [*chain[::-1], *inside]:
        op.detach()
    order[-1].body.block.add_ops(inside)
    for outer, inner in pairwise(order):
        outer.body.block.add_op(inner)
    if follower is None:
        block.add_op(order[0])
    else:
        block.insert_op_before(order[0], follower)
