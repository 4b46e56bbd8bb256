"""split: one loop becomes an outer and an inner one.

    for c.j in [0, 100)                for c.j.o in [0, 3)
      c[j = %j]               ->         for c.j.i in [0, 48)
                                           c[j = 48 * %jo + %ji]

The tail, the points that do not fill a tile (here 144 places for 100 points):

- mask: the statement's own domain cuts them (j < 100). Where no domain does, because the loop is
  itself a part of a loop, the inner loop's bound is min(48, 100 - 48 * jo) instead.
- peel: whole tiles only, and a second nest with suffix `.t` for the rest (`.t2` where another tail
  has that name).
- shift: the last tile starts at 52 and overlaps the one before.
- pad: as mask, and the buffer that is written gets room for whole tiles (112 places), so that
  stores, and loads of it, need no mask. Reads of other buffers do, where those are not padded.
- balanced: as many tiles as before, of two sizes that differ by one: 34, 33, 33. The nest of the
  smaller ones has the suffix `.t`.
"""

from __future__ import annotations

from xdsl.ir import SSAValue
from xdsl.ir.affine import AffineDimExpr, AffineExpr, AffineMap

from ...core.affine import Ranges, bounds, const, dim, linear_terms, substitute, used
from ...core.errors import ScheduleError
from ...core.walk import erase
from ...dialects.loop import BufferType, ForOp, KernelOp, StmtOp, buffer_type
from .localize import places_of
from .lookup import find_alloc, find_loop, loops_of, stmts_in
from .rewrite import (
    kernel_of,
    new_loop,
    normalize,
    rename_loops,
    replace_buffer,
    substitute_variable,
    take_over,
)
from .space import FREE, PARALLEL, REDUCE, iv_ranges, loops_around, role

TAIL_SUFFIX = ".t"


def split(kernel: KernelOp, loop: str, factor: int, tail: str = "mask") -> tuple[str, str]:
    """Split `loop` into `loop.o` and `loop.i`, the latter of `factor` iterations.

    Args:
        kernel: edited in place.
        loop: not marked yet, bounds constant.
        factor: > 0.
        tail: mask, peel, shift, pad or balanced.

    Returns: the names of the two loops.
    Raises: ScheduleError: no such loop, marked, or the tail would combine points twice.
    Source: Halide `split`, `TailStrategy`; TVM `split`.
    """
    op = find_loop(kernel, loop)
    low, high = constant_bounds(op, "split")
    require_unmarked(op, "split")
    if factor <= 0:
        raise ScheduleError(f"split: a factor is positive, got {factor}")
    if tail not in _TAILS:
        raise ScheduleError(f"split: unknown tail '{tail}', expected one of {', '.join(_TAILS)}")
    _TAILS[tail](op, low, high, factor)
    return f"{loop}.o", f"{loop}.i"


def constant_bounds(loop: ForOp, primitive: str) -> tuple[int, int]:
    """(lower, upper) of a loop.

    Raises: ScheduleError: they depend on other loops.
    """
    if (interval := loop.constant_range) is None:
        raise ScheduleError(
            f"{primitive}: the bounds of '{loop.loop_name.data}' depend on other loops",
            hint="split by factors that divide, or with the tail peel",
        )
    return interval[0], max(interval)


def require_unmarked(loop: ForOp, primitive: str) -> None:
    """Raises: ScheduleError: the loop is already parallel, vectorized or unrolled."""
    if loop.kind.data != "serial":
        raise ScheduleError(
            f"{primitive}: '{loop.loop_name.data}' is marked {loop.kind.data}",
            hint=f"{primitive} first, then mark",
        )


def _mask(loop: ForOp, low: int, high: int, factor: int) -> None:
    size = high - low
    tiles = -(-size // factor)
    exact = size % factor == 0 or _cut_by_domain(loop, high)
    _nest(loop, tiles, factor, dim(0) * factor + dim(1) + low, None if exact else size)


def _peel(loop: ForOp, low: int, high: int, factor: int) -> None:
    size = high - low
    whole = size // factor
    if size % factor and whole:
        rest = _clone_after(loop)
        rename_loops(rest, _tail_suffix(rest))
        _replace_variable(rest, low + whole * factor, size % factor)
    if whole == 0:
        _mask(loop, low, high, factor)
    else:
        _nest(loop, whole, factor, dim(0) * factor + dim(1) + low, None)


def _shift(loop: ForOp, low: int, high: int, factor: int) -> None:
    size = high - low
    tiles = -(-size // factor)
    if size % factor == 0:
        _mask(loop, low, high, factor)
        return
    name = loop.loop_name.data
    if tiles == 1:
        raise ScheduleError(
            f"split: '{name}' has {size} points, a tile of {factor} cannot be shifted into it",
            hint="use the tail mask",
        )
    _require_recomputable(loop)
    # the last tile, and no other, has o floordiv (tiles - 1) == 1
    overlap = tiles * factor - size
    last = dim(0) if tiles == 2 else dim(0) // (tiles - 1)
    _nest(loop, tiles, factor, dim(0) * factor + last * -overlap + dim(1) + low, None)


def _pad(loop: ForOp, low: int, high: int, factor: int) -> None:
    pads = _paddings(loop, low, high, factor) if (high - low) % factor else {}
    for out, layout in pads.items():
        old = buffer_type(out)
        padded = BufferType.get(old.extents, old.element_type, old.space.data, layout)
        replace_buffer(out, padded)
    _mask(loop, low, high, factor)


def _paddings(loop: ForOp, low: int, high: int, factor: int) -> dict[SSAValue, AffineMap]:
    """The padded layout of each buffer that is written along `loop`.

    Raises: ScheduleError: it reduces, or its memory is given.
    """
    name = loop.loop_name.data
    pads: dict[SSAValue, AffineMap] = {}
    for stmt in stmts_in(loop):
        symbol, kind = stmt.sym_name.data, role(stmt, loop)
        if kind not in (PARALLEL, FREE):
            raise ScheduleError(
                f"split: '{name}' reduces @{symbol}, and what is written has no place for the rest "
                "of a tile",
                hint="use the tail mask or peel",
            )
        for position, out in enumerate(stmt.outs if kind == PARALLEL else ()):
            find_alloc(out, symbol, "split with the tail pad")
            at = _dimension_of(stmt, position, loop, (low, high))
            if at is None:
                raise ScheduleError(
                    f"split: '{name}' does not run over the whole of a dimension that @{symbol} "
                    "writes",
                    hint="pad the first split of an axis, or use the tail mask",
                )
            pads[out] = _padded(pads.get(out) or buffer_type(out).layout_map, at, factor)
    return pads


def _dimension_of(stmt: StmtOp, result: int, loop: ForOp, interval: tuple[int, int]) -> int | None:
    """The dimension of an out buffer that a loop alone runs over, from end to end."""
    places = places_of(stmt, result)
    ivs = list(stmt.ivs)
    for dimension, place in enumerate(places or ()):
        expr = stmt.bind.data.results[place.axis]
        whole = interval == (0, stmt.axes.data[place.axis].size)
        drives = isinstance(expr, AffineDimExpr) and ivs[expr.position] is loop.variable
        if drives and whole and not linear_terms(place.offset):
            return dimension
    return None


def _padded(layout: AffineMap, at: int, factor: int) -> AffineMap:
    """A layout whose dimension `at` holds whole tiles."""
    results: list[AffineExpr] = []
    for expr in layout.results:
        whole = isinstance(expr, AffineDimExpr) and expr.position == at
        results += [expr // factor, expr % factor] if whole else [expr]
    return AffineMap(layout.num_dims, 0, tuple(results))


def _balanced(loop: ForOp, low: int, high: int, factor: int) -> None:
    size = high - low
    tiles = max(1, -(-size // factor))
    small, larger = divmod(size, tiles)
    if larger:
        boundary = low + larger * (small + 1)
        rest = _clone_after(loop)
        made = _nest(rest, tiles - larger, small, dim(0) * small + dim(1) + boundary, None)
        rename_loops(made, _tail_suffix(made))
        _nest(loop, larger, small + 1, dim(0) * (small + 1) + dim(1) + low, None)
    else:
        _nest(loop, tiles, small, dim(0) * small + dim(1) + low, None)


_TAILS = {"mask": _mask, "peel": _peel, "shift": _shift, "pad": _pad, "balanced": _balanced}


def _require_recomputable(loop: ForOp) -> None:
    """Raises: ScheduleError: overlapping tiles would add terms twice, or repeat steps of a scan."""
    name = loop.loop_name.data
    for stmt in stmts_in(loop):
        kind = role(stmt, loop)
        symbol = stmt.sym_name.data
        if kind == REDUCE:
            raise ScheduleError(
                f"split: '{name}' reduces @{symbol}, and the terms of overlapping tiles would be "
                "combined twice",
                hint="use the tail mask or peel",
            )
        if kind == FREE and not all(_is_inside(out, loop) for out in stmt.outs):
            raise ScheduleError(
                f"split: the iterations of '{name}' compute all of @{symbol} one after the other, "
                "and those of overlapping tiles would run twice",
                hint="use the tail mask or peel",
            )
        around = [other for other in loops_around(loop) if role(stmt, other) == REDUCE]
        if around and kind != FREE:
            outer = around[0].loop_name.data
            raise ScheduleError(
                f"split: the reduce loop '{outer}' of @{symbol} stands outside '{name}', so that "
                "overlapping tiles would combine terms twice",
                hint=f"reorder '{name}' outside '{outer}' first, or use the tail mask",
            )


def _is_inside(buffer: SSAValue, loop: ForOp) -> bool:
    """Whether a buffer is made anew by each iteration."""
    owner = buffer.owner.parent_op()
    return owner is not None and loop.is_ancestor(owner)


def _cut_by_domain(loop: ForOp, high: int) -> bool:
    """Whether every statement's domain leaves out the places from `high` on."""
    return all(_leaves_domain(stmt, loop, high) for stmt in stmts_in(loop))


def _leaves_domain(stmt: StmtOp, loop: ForOp, high: int) -> bool:
    """Whether some axis is outside its extent wherever the loop's variable is >= high."""
    ivs = list(stmt.ivs)
    at = next((i for i, iv in enumerate(ivs) if iv is loop.variable), None)
    if at is None:
        return False
    ranges = iv_ranges(stmt)
    for expr, axis in zip(stmt.bind.data.results, stmt.axes, strict=True):
        if not _grows_with(expr, at):
            continue
        dims: list[AffineExpr] = [dim(i) for i in range(len(ivs))]
        dims[at] = const(high)
        interval = bounds(substitute(expr, dims), Ranges(ranges))
        if interval is not None and interval[0] >= axis.size:
            return True
    return False


def _grows_with(expr: AffineExpr, position: int) -> bool:
    """Whether `expr` is linear in a dimension, with a positive factor."""
    terms = linear_terms(expr)
    nested = [t for t in terms if t is not None and not isinstance(t, AffineDimExpr)]
    if any(position in used(term)[0] for term in nested):
        return False
    return terms.get(dim(position), 0) > 0


def _nest(loop: ForOp, tiles: int, factor: int, value: AffineExpr, limit: int | None) -> ForOp:
    """Replace a loop by two; `value` is its variable over theirs.

    `limit`: the number of points, where the inner loop has to stop at it. Returns the outer loop.
    """
    name = loop.loop_name.data
    outer = new_loop(loop, f"{name}.o", tiles)
    if limit is None:
        inner = new_loop(loop, f"{name}.i", factor)
    else:
        upper = AffineMap(1, 0, (const(factor), dim(0) * -factor + limit))
        inner = new_loop(loop, f"{name}.i", upper, [outer.variable])
    outer.body.block.add_op(inner)
    take_over(outer, inner, loop, loop)
    substitute_variable(loop.variable, value, [outer.variable, inner.variable], inner)
    erase(loop)
    normalize(outer)
    return outer


def _tail_suffix(nest: ForOp) -> str:
    """`.t`, or with a number where another tail in the same nest has a loop of that name."""
    others = [loop for loop in loops_of(kernel_of(nest)) if not nest.is_ancestor(loop)]
    taken = {loop.loop_name.data for loop in others}
    inside = [loop.loop_name.data for loop in nest.walk() if isinstance(loop, ForOp)]
    suffix, number = TAIL_SUFFIX, 1
    while any(f"{name}{suffix}" in taken for name in inside):
        number += 1
        suffix = f"{TAIL_SUFFIX}{number}"
    return suffix


def _clone_after(loop: ForOp) -> ForOp:
    """A copy of a nest that runs after it."""
    copy = loop.clone()
    block = loop.parent
    assert block is not None
    block.insert_op_after(copy, loop)
    return copy


def _replace_variable(loop: ForOp, start: int, size: int) -> None:
    """Make a loop run from 0 to `size`, its old variable being `start` more."""
    made = new_loop(loop, loop.loop_name.data, size)
    take_over(made, made, loop, loop)
    substitute_variable(loop.variable, dim(0) + start, [made.variable], made)
    erase(loop)
    normalize(made)
