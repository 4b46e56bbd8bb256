"""Building nests: loops around a leaf, statements, reads, and the nest that copies a buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from xdsl.dialects.builtin import AffineMapAttr, ArrayAttr, StringAttr
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue
from xdsl.ir.affine import AffineMap

from ...core.affine import dim
from ...core.irtypes import strings
from ..index_space import PARALLEL, AxisAttr
from .nest import ForOp, ReadOp, StmtOp, YieldOp
from .types import buffer_type

Leaf = Callable[[list[SSAValue]], Sequence[Operation]]


def loop_nest(loops: Sequence[tuple[str, int]], leaf: Leaf) -> list[Operation]:
    """Loops `(name, extent)`, outermost first, around what `leaf` makes of their variables.

    Without loops it is the leaf itself.
    """
    made = [ForOp(name, 0, extent) for name, extent in loops]
    for loop in made:
        loop.variable.name_hint = variable_hint(loop.loop_name.data)
    for outer, inner in pairwise(made):
        outer.body.block.add_op(inner)
    inside = list(leaf([loop.variable for loop in made]))
    if not made:
        return inside
    made[-1].body.block.add_ops(inside)
    return [made[0]]


def variable_hint(loop_name: str) -> str:
    """A short SSA name for the variable of a loop: `c.j.o` -> `jo`."""
    parts = loop_name.split(".")[1:] or [loop_name]
    hint = "".join(parts)
    return hint if hint.isidentifier() else f"v{hint}"


def make_stmt(
    sym_name: str,
    axes: Sequence[AxisAttr],
    bind: AffineMap,
    ivs: Sequence[SSAValue],
    outs: Sequence[tuple[SSAValue, AffineMap]],
    body: Region,
    *,
    combiner: Sequence[str] = (),
    init: Sequence[Attribute] = (),
    combine: Region | None = None,
) -> StmtOp:
    """A `loop.stmt`; `outs` are pairs of a buffer and its map."""
    properties: dict[str, Attribute | None] = {
        "sym_name": StringAttr(sym_name),
        "axes": ArrayAttr(axes),
        "combiner": strings(combiner) if combiner else None,
        "init": ArrayAttr(init) if init else None,
        "bind": AffineMapAttr(bind),
        "out_maps": ArrayAttr([AffineMapAttr(map_) for _, map_ in outs]),
    }
    return StmtOp(
        operands=[list(ivs), [buffer for buffer, _ in outs]],
        properties=properties,
        regions=[body, [combine] if combine is not None else []],
    )


def make_read(
    source: SSAValue,
    map_: AffineMap,
    symbols: Sequence[SSAValue] = (),
    fill: Attribute | None = None,
) -> ReadOp:
    """A `loop.read`; the map's symbols are `symbols`, then the statement's ivs."""
    return ReadOp(
        operands=[source, list(symbols)],
        properties={"map": AffineMapAttr(map_), "fill": fill},
        result_types=[buffer_type(source).element_type],
    )


def copy_stmt(
    sym_name: str,
    axes: Sequence[AxisAttr],
    bind: AffineMap,
    ivs: Sequence[SSAValue],
    source: tuple[SSAValue, AffineMap],
    dest: tuple[SSAValue, AffineMap],
) -> StmtOp:
    """`dest[...] = source[...]` at each point of the axes; both maps have dims and ivs."""
    read = make_read(*source)
    body = Region(Block([read, YieldOp(read.res)]))
    return make_stmt(sym_name, axes, bind, ivs, [dest], body)


def copy_nest(
    symbol: str, axes: Sequence[AxisAttr], source: SSAValue, dest: SSAValue
) -> list[Operation]:
    """A canonical nest over `axes` that copies a whole buffer to one of the same extents."""
    rank = len(axes)
    plain = AffineMap(rank, rank, tuple(dim(i) for i in range(rank)))

    def leaf(ivs: list[SSAValue]) -> list[Operation]:
        bind = AffineMap.identity(rank)
        return [copy_stmt(symbol, axes, bind, ivs, (source, plain), (dest, plain))]

    return loop_nest([(f"{symbol}.{axis.label}", axis.size) for axis in axes], leaf)


def plain_axes(extents: Sequence[int], names: Sequence[str] | None = None) -> list[AxisAttr]:
    """One parallel axis for each extent, named d0, d1, ... unless names are given."""
    labels = names or [f"d{position}" for position in range(len(extents))]
    return [AxisAttr.get(n, PARALLEL, e) for n, e in zip(labels, extents, strict=True)]
