"""Nest form: a perfect nest around one statement, all iterations at once.

The iterations are enumerated in the order of the loops. A statement runs at those where every axis
is inside its extent; at the point where every reduce axis is 0 it starts from the neutral element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, StringAttr
from xdsl.ir import Operation, SSAValue

from ..dialects import loop
from ..dialects.combiners import neutral_elements
from .body import Handler, Scope, affine, inside, run_body
from .memory import Memory
from .scalar import NAMED_COMBINERS, Array, attribute_value, dense_value

CHUNK = 1 << 20
"""Iterations that run at once."""

Memories = dict[SSAValue, Memory]
Values = dict[SSAValue, Array]
Watch = Callable[[loop.StmtOp, Sequence[Array], Sequence[Array]], None]
"""Told what a statement wrote: it, the positions on its axes, and the values of each result."""


@dataclass
class Chain:
    """Loops, each the only op of the one around it, and the statement inside."""

    loops: list[loop.ForOp]
    statement: loop.StmtOp


def chain_of(op: loop.ForOp) -> Chain | None:
    """The perfect nest of a loop, `None` if it is none."""
    loops: list[loop.ForOp] = []
    current: Operation | None = op
    while isinstance(current, loop.ForOp):
        if current.inits:
            return None
        loops.append(current)
        current = current.only_op
    return Chain(loops, current) if isinstance(current, loop.StmtOp) else None


def run_chain(chain: Chain, memory: Memories, values: Values, watch: Watch | None = None) -> None:
    """Run a perfect nest; `values` has the variables of the loops around it."""
    _run_loops(chain, 0, memory, values, watch)


def _run_loops(
    chain: Chain, depth: int, memory: Memories, values: Values, watch: Watch | None
) -> None:
    """Run the loops from `depth` on; outer ones as Python loops while there are many points."""
    points = _enumerate(chain.loops[depth:], values)
    if points is not None:
        iterations = min((len(found) for found in points.values()), default=1)
        if iterations:
            _run_points(chain.statement, {**values, **points}, memory, watch)
        return
    op = chain.loops[depth]
    low, high = _bounds(op, values)
    for position in range(int(low), int(high)):
        values[op.variable] = np.asarray(position)
        _run_loops(chain, depth + 1, memory, values, watch)


def _bounds(op: loop.ForOp, values: Mapping[SSAValue, Array]) -> tuple[Array, Array]:
    lows = [affine(e, [values[v] for v in op.lower_args], []) for e in op.lower.data.results]
    highs = [affine(e, [values[v] for v in op.upper_args], []) for e in op.upper.data.results]
    low, high = lows[0], highs[0]
    for other in lows[1:]:
        low = np.maximum(low, other)
    for other in highs[1:]:
        high = np.minimum(high, other)
    return low, high


def _enumerate(loops: Sequence[loop.ForOp], values: Values) -> Values | None:
    """Every iteration in order: one array of positions for each loop variable.

    `None` if there are too many, and an outer loop can be taken out.
    """
    points: Values = {}
    count = 1
    for op in loops:
        low, high = _bounds(op, {**values, **points})
        low = np.broadcast_to(low, (count,))
        trips = np.maximum(np.broadcast_to(high, (count,)) - low, 0)
        total = int(trips.sum())
        if total > CHUNK and len(loops) > 1:
            return None
        parent = np.repeat(np.arange(count), trips)
        first = np.cumsum(trips) - trips
        points = {variable: position[parent] for variable, position in points.items()}
        points[op.variable] = low[parent] + np.arange(total) - first[parent]
        count = total
    return points


def _run_points(op: loop.StmtOp, values: Values, memory: Memories, watch: Watch | None) -> None:
    """Run a statement at many iterations, in order."""
    ivs = [np.atleast_1d(values[iv]) for iv in op.ivs]
    count = max((len(iv) for iv in ivs), default=1)
    axes = [np.broadcast_to(affine(e, ivs, []), (count,)) for e in op.bind.data.results]
    extents = [axis.size for axis in op.axes]
    kept = np.broadcast_to(inside(axes, extents), (count,))
    axes = [axis[kept] for axis in axes]
    ivs = [np.broadcast_to(iv, (count,))[kept] for iv in ivs]
    count = int(kept.sum())
    if count == 0:
        return
    places = _out_places(op, axes, ivs, memory)
    if reads_own_results(op):
        for at in range(count):
            _evaluate_and_write(op, values, axes, ivs, places, slice(at, at + 1), memory)
    else:
        _evaluate_and_write(op, values, axes, ivs, places, slice(0, count), memory)
    if watch is not None:
        written = [memory[out].flat[place] for out, place in zip(op.outs, places, strict=True)]
        watch(op, axes, written)


def reads_own_results(op: loop.StmtOp) -> bool:
    """Whether it runs at one iteration after the other: each may read what the last one wrote."""
    outs = set(op.outs)
    return any(isinstance(i, loop.ReadOp) and i.source in outs for i in op.body.block.ops)


def _out_places(
    op: loop.StmtOp, axes: Sequence[Array], ivs: Sequence[Array], memory: Memories
) -> list[Array]:
    places: list[Array] = []
    shape = axes[0].shape if axes else ivs[0].shape if ivs else (1,)
    for out, map_ in zip(op.outs, op.out_maps, strict=True):
        indices = [affine(expr, axes, ivs) for expr in map_.data.results]
        places.append(np.broadcast_to(memory[out].places(indices), shape))
    return places


def _evaluate_and_write(
    op: loop.StmtOp,
    values: Values,
    axes: Sequence[Array],
    ivs: Sequence[Array],
    places: Sequence[Array],
    part: slice,
    memory: Memories,
) -> None:
    axes, ivs = [axis[part] for axis in axes], [iv[part] for iv in ivs]
    places = [place[part] for place in places]
    count = len(places[0]) if places else 1
    names = [axis.label for axis in op.axes]
    scope = Scope({v: a for v, a in values.items() if a.ndim == 0})
    handlers: dict[str, Handler] = {
        "loop.read": partial(_read, axes, ivs, memory),
        "loop.index": partial(_index, dict(zip(names, axes, strict=True))),
        "loop.coeff": partial(_coeff, axes, ivs),
    }
    yielded = run_body(op.body.block, scope, handlers)
    results = [np.broadcast_to(scope.values[value], (count,)) for value in yielded]
    if not op.is_reduction:
        for out, place, result in zip(op.outs, places, results, strict=True):
            memory[out].flat[place] = result
        return
    starts = np.ones(count, bool)
    for axis, position in zip(op.axes, axes, strict=True):
        if axis.is_reduce:
            starts &= position == 0
    _accumulate(op, places, results, starts, memory)


def _read(
    axes: Sequence[Array], ivs: Sequence[Array], memory: Memories, op: Operation, scope: Scope
) -> None:
    assert isinstance(op, loop.ReadOp)
    symbols = [*(scope.values[symbol] for symbol in op.symbols), *ivs]
    indices = [affine(expr, axes, symbols) for expr in op.map.data.results]
    source = memory[op.source]
    if op.fill is None:
        scope.values[op.res] = source.flat[source.places(indices)]
        return
    ok = inside(indices, source.type.extents)
    fill = attribute_value(op.fill)
    value = source.flat[source.places(indices, where=ok)] if source.flat.size else fill
    scope.values[op.res] = np.where(ok, value, fill)


def _index(positions: Mapping[str, Array], op: Operation, scope: Scope) -> None:
    assert isinstance(op, loop.IndexOp)
    scope.values[op.res] = positions[op.axis.data]


def _coeff(axes: Sequence[Array], ivs: Sequence[Array], op: Operation, scope: Scope) -> None:
    assert isinstance(op, loop.CoeffOp)
    indices = [affine(expr, axes, ivs) for expr in op.map.data.results]
    value = np.asarray(dense_value(op.values)[tuple(indices)])
    scope.values[op.res] = value
    scope.absent[op.res] = value == 0


def _accumulate(
    op: loop.StmtOp,
    places: Sequence[Array],
    results: Sequence[Array],
    starts: Array,
    memory: Memories,
) -> None:
    """Combine results into accumulators, in order; `starts` begin from the neutral element."""
    if op.combine is None and all(_starts_come_first(place, starts) for place in places):
        names = cast("ArrayAttr[StringAttr]", op.combiner)
        elements = [loop.buffer_type(out).element_type for out in op.outs]
        neutral = neutral_elements(op, elements)
        for out, name, place, result, start in zip(
            op.outs, names, places, results, neutral, strict=True
        ):
            flat = memory[out].flat
            flat[place[starts]] = attribute_value(start)
            with np.errstate(all="ignore"):
                NAMED_COMBINERS[name.data].at(flat, place, result.astype(flat.dtype, copy=False))
        return
    for part in _rounds(places[0]):
        _combine_once(
            op, [p[part] for p in places], [r[part] for r in results], starts[part], memory
        )


def _starts_come_first(place: Array, starts: Array) -> bool:
    """Whether no accumulator is started anew after something was added to it."""
    positions = np.arange(len(place))
    first = np.zeros(int(place.max()) + 1, np.int64)
    first[place[::-1]] = positions[::-1]
    return bool((first[place[starts]] == positions[starts]).all())


def _rounds(place: Array) -> list[Array]:
    """Iterations in groups without a repeated place: the first visits, the second ones ..."""
    order = np.argsort(place, kind="stable")
    sorted_places = place[order]
    is_new = np.concatenate([[True], sorted_places[1:] != sorted_places[:-1]])
    group = np.maximum.accumulate(np.where(is_new, np.arange(len(place)), 0))
    rank = np.empty(len(place), np.int64)
    rank[order] = np.arange(len(place)) - group
    by_rank = np.argsort(rank, kind="stable")
    cuts = np.cumsum(np.bincount(rank))[:-1]
    return list(np.split(by_rank, cuts))


def _combine_once(
    op: loop.StmtOp,
    places: Sequence[Array],
    results: Sequence[Array],
    starts: Array,
    memory: Memories,
) -> None:
    elements = [loop.buffer_type(out).element_type for out in op.outs]
    neutral = [attribute_value(a) for a in neutral_elements(op, elements)]
    old = [
        np.where(starts, start, memory[out].flat[place])
        for out, place, start in zip(op.outs, places, neutral, strict=True)
    ]
    if op.combine is None:
        names = cast("ArrayAttr[StringAttr]", op.combiner)
        with np.errstate(all="ignore"):
            new: list[Any] = [
                NAMED_COMBINERS[n.data](o, r) for n, o, r in zip(names, old, results, strict=True)
            ]
    else:
        scope = Scope(dict(zip(op.combine.block.args, [*old, *results], strict=True)))
        new = [scope.values[v] for v in run_body(op.combine.block, scope, {})]
    for out, place, value in zip(op.outs, places, new, strict=True):
        memory[out].flat[place] = value
