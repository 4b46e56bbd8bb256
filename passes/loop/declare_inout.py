"""declare-inout: which operand of a kernel may lie in the memory of which result.

A kernel that reads an operand element by element, each just before it writes the result's element
at the same place, works as well if the two are one buffer. It says so in `inout`, pairs of argument
numbers; the plan of the program then lets a result take over the memory of an operand that nobody
needs any more.

    loop.kernel @add(%x: buffer<128xf32>, %b: buffer<128xf32>, %y: out buffer<128xf32>) {
      loop.for %io = 0 to 8 {
        %0 = loop.load %x[16 * %io + i] : tile<i: 16 lanes, f32>
        %1 = loop.load %b[16 * %io + i] : tile<i: 16 lanes, f32>
        %2 = loop.addf %0, %1 : tile<i: 16 lanes, f32>
        loop.store %2, %y[16 * %io + i]
    } }
->
    loop.kernel @add(...) attributes {inout = [[0, 2], [1, 2]]} { ... }

Conditions, for an operand and a result of one buffer type:

* what is loaded from the operand flows through elementwise ops into a store to the result at the
  same index, and nowhere else;
* no two points of the loops, and no two stores to the result, write the same element.

Then whoever writes an element has read it before, in whatever order, on whatever thread. A tail
that repeats points (a split with `shift`), a sum and a window do not meet them. Works on tile form.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from xdsl.context import Context
from xdsl.dialects.builtin import ArrayAttr
from xdsl.ir import Operation, SSAValue
from xdsl.ir.affine import AffineExpr

from ...core.affine import Range, Ranges, bounds, dim, substitute
from ...core.counters import may
from ...core.explain import why_not
from ...core.irtypes import ints
from ...core.one_to_one import is_one_to_one
from ...core.passes import OpPass, Statistic
from ...core.walk import ancestors
from ...dialects.loop import ForOp, KernelOp, LoadOp, PrefetchOp, StoreOp, tile_type
from ...dialects.loop.elementwise import ElementwiseOp

DECLARED = Statistic("inout pair", "operands that a result may overwrite")


def inout_pairs(kernel: KernelOp) -> list[tuple[int, int]]:
    """(operand, result), by argument number, that may be one buffer."""
    args = list(kernel.body.block.args)
    first = len(args) - kernel.num_outputs.value.data
    pairs: list[tuple[int, int]] = []
    for number, result in enumerate(args[first:], first):
        stores = _stores(result)
        like = [
            position
            for position, arg in enumerate(args[:first])
            if arg.type == result.type and position not in kernel.const_positions
        ]
        reads = [position for position in like if _is_read_in_place(args[position], stores)]
        if reads and _write_once(stores):
            pairs += [(position, number) for position in reads]
        elif reads:
            why_not(kernel, f"it may write an element of result {number - first} twice")
        for position in (each for each in like if each not in reads):
            why_not(
                kernel,
                f"operand {position} may not lie where result {number - first} does: not all that "
                "is read of it goes, elementwise, to the same place",
            )
    return pairs


def _stores(result: SSAValue) -> list[StoreOp]:
    """The stores to a buffer; none if something else is done with it."""
    users = [use.operation for use in result.uses]
    stores = [op for op in users if isinstance(op, StoreOp)]
    return stores if len(stores) == len(users) else []


def _is_read_in_place(operand: SSAValue, stores: Sequence[StoreOp]) -> bool:
    """Whether all that is loaded from a buffer goes to the same index, through one of `stores`."""
    users = [use.operation for use in operand.uses if not isinstance(use.operation, PrefetchOp)]
    return bool(users) and all(
        isinstance(load, LoadOp) and (sink := _sink(load)) in stores and _same_place(load, sink)
        for load in users
    )


def _sink(load: LoadOp) -> Operation | None:
    """The one store of its block that elementwise ops take a tile to; `None` if there is more."""
    sinks: set[Operation] = set()
    seen: set[Operation] = set()
    waiting: list[Operation] = [load]
    while waiting:
        for result in waiting.pop().results:
            for user in (use.operation for use in result.uses):
                if user.parent is not load.parent:
                    return None
                if isinstance(user, ElementwiseOp) and user not in seen:
                    seen.add(user)
                    waiting.append(user)
                elif not isinstance(user, ElementwiseOp):
                    sinks.add(user)
    return sinks.pop() if len(sinks) == 1 else None


def _same_place(load: LoadOp, store: Operation | None) -> bool:
    """Whether a load and a store that takes its value touch the same elements, none elsewhere."""
    return (
        isinstance(store, StoreOp)
        and not load.indices
        and not store.indices
        and tile_type(load.res).axes == tile_type(store.value).axes
        and list(load.ivs) == list(store.ivs)
        and load.map == store.map
    )


def _write_once(stores: Sequence[StoreOp]) -> bool:
    """Whether no element of the buffer is written twice."""
    boxes: list[list[Range | None]] = []
    for store in stores:
        found = _points(store)
        if found is None or not is_one_to_one(*found):
            return False
        indices, ranges = found
        boxes.append([bounds(index, ranges) for index in indices])
    return all(_are_apart(some, others) for some, others in combinations(boxes, 2))


def _are_apart(some: Sequence[Range | None], others: Sequence[Range | None]) -> bool:
    return any(
        a is not None and b is not None and (a[1] <= b[0] or b[1] <= a[0])
        for a, b in zip(some, others, strict=True)
    )


def _points(store: StoreOp) -> tuple[list[AffineExpr], Ranges] | None:
    """The indices of a store over all loops around it, then the tile's axes, and their ranges."""
    loops = [around for around in ancestors(store) if isinstance(around, ForOp)][::-1]
    variables = [loop.variable for loop in loops]
    ranges: list[Range] = []
    for loop in loops:
        interval = _interval(loop, variables, Ranges(tuple(ranges)))
        if interval is None:
            return None
        ranges.append(interval)
    axes = tile_type(store.value).axes
    numbers = [variables.index(iv) for iv in store.ivs]
    dims = [dim(number) for number in (*numbers, *range(len(loops), len(loops) + len(axes)))]
    indices = [substitute(expr, dims) for expr in store.map.data.results]
    return indices, Ranges((*ranges, *((0, axis.extent) for axis in axes)))


def _interval(loop: ForOp, variables: Sequence[SSAValue], known: Ranges) -> Range | None:
    """What is known of a loop's variable, given the loops around it."""
    ends: list[list[Range]] = []
    for map_, args in ((loop.lower, loop.lower_args), (loop.upper, loop.upper_args)):
        dims = [dim(variables.index(arg)) for arg in args]
        found = [bounds(substitute(expr, dims), known) for expr in map_.data.results]
        ends.append([interval for interval in found if interval is not None])
    lows, highs = ends
    if not lows or not highs:
        return None
    low = max(interval[0] for interval in lows)
    return low, max(min(interval[1] for interval in highs) - 1, low)


@dataclass(frozen=True)
class DeclareInoutPass(OpPass[KernelOp]):
    """Say which operands of a kernel may be overwritten by its results."""

    name = "declare-inout"
    statistics = (DECLARED,)

    def run(self, ctx: Context, op: KernelOp) -> None:
        pairs = [pair for pair in inout_pairs(op) if may(DECLARED.name, op)]
        op.inout = ArrayAttr([ints(pair) for pair in pairs]) if pairs else None
        DECLARED.add(len(pairs))
