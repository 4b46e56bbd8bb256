"""cache_read: a compute reads a buffer through a copy.

    for c.i                            alloc x.cache
      c[i] = x[i] * 2          ->      for x.cache.d0
                                         x.cache[d0] = x[d0]
                                       for c.i
                                         c[i] = x.cache[i] * 2

The copy covers the whole buffer until `compute_at x.cache, ...` shrinks it.
"""

from __future__ import annotations

from xdsl.ir import Block, Operation, SSAValue

from ...core.errors import ScheduleError
from ...dialects.loop import AllocOp, BufferType, KernelOp, ReadOp, buffer_type
from ...dialects.loop.build import copy_nest, plain_axes
from .lookup import (
    buffer_name,
    find_buffer,
    find_stmts,
    fresh_symbol,
    loops_of,
    nest_root,
    stmts_in,
)
from .rewrite import position_in
from .set_scope import require_space
from .space import reads_in


def cache_read(kernel: KernelOp, buffer: str, reader: str, space: str) -> str:
    """Let `reader` read `buffer` through a copy `buffer.cache` in `space`.

    Returns: the symbol of the compute that copies.
    Raises: ScheduleError: `reader` does not read it, or not such a space.
    Source: TVM `cache_read`.
    """
    require_space(space, "cache_read")
    source = find_buffer(kernel, buffer)
    stmts = find_stmts(kernel, reader)
    reads = [read for stmt in stmts for read in reads_in(stmt) if read.source is source]
    if not reads:
        names = {buffer_name(kernel, read.source) for stmt in stmts for read in reads_in(stmt)}
        raise ScheduleError(
            f"cache_read: @{reader} does not read '{buffer}'",
            hint=f"it reads {', '.join(sorted(names))}" if names else None,
        )
    block, anchor = _place(kernel, source, reads)
    _require_complete(kernel, buffer, source, block)
    symbol = fresh_symbol(kernel, f"{buffer}.cache")
    old = buffer_type(source)
    alloc = AllocOp(BufferType.get(old.extents, old.element_type, space))
    alloc.res.name_hint = symbol.replace(".", "_")
    nest = copy_nest(symbol, plain_axes(old.extents), source, alloc.res)
    for op in [alloc, *nest]:
        for inner in op.walk():
            inner.location = stmts[0].location
        block.insert_op_before(op, anchor)
    for read in reads:
        read.operands[0] = alloc.res
    return symbol


def _place(kernel: KernelOp, source: SSAValue, reads: list[ReadOp]) -> tuple[Block, Operation]:
    """The block and the op in it before which the copy stands: just before the readers' nests.

    A buffer that lives inside a loop of the reader's own nest is copied there.
    """
    stmt = reads[0].parent_op()
    assert stmt is not None
    root = nest_root(kernel, stmts_in(stmt)[0])
    home = source.owner if isinstance(source.owner, Block) else source.owner.parent
    block = root.parent
    assert home is not None
    assert block is not None
    parent = home.parent_op()
    if home is not kernel.body.block and parent is not None and root.is_ancestor(parent):
        block = home
    positions = {position_in(block, read) for read in reads if _is_inside(block, read)}
    return block, next(op for op in block.ops if op in positions)


def _require_complete(kernel: KernelOp, name: str, source: SSAValue, block: Block) -> None:
    """Raises: ScheduleError: where the copy would stand, only a part has been computed."""
    outer = [loop for loop in loops_of(kernel) if _is_inside(loop.body.block, block)]
    for stmt in stmts_in(kernel):
        if source not in tuple(stmt.outs):
            continue
        for loop in outer:
            if loop.is_ancestor(stmt) and any(iv is loop.variable for iv in stmt.ivs):
                if isinstance(source.owner, Operation) and loop.is_ancestor(source.owner):
                    continue
                raise ScheduleError(
                    f"cache_read: '{name}' is computed part by part in '{loop.loop_name.data}', "
                    "inside which the copy would stand",
                    hint="cache_read before compute_at and reverse_compute_at",
                )


def _is_inside(block: Block, inner: Operation | Block) -> bool:
    parent = block.parent_op()
    return parent is not None and parent.is_ancestor(inner)
