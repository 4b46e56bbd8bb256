"""cache_write: a compute writes a buffer of its own, which is then copied.

    for c.i                            alloc c.cache
      c[i] += x[i, k]          ->      for c.cache.i
                                         c.cache[i] += x[i, k]
                                       for c.i
                                         c[i] = c.cache[i]

What was the nest of c belongs to `c.cache` now; `compute_at c.cache, c.i.o` brings the two
together.
"""

from __future__ import annotations

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Operation
from xdsl.ir.affine import AffineDimExpr

from ...core.errors import ScheduleError
from ...dialects.loop import AllocOp, BufferType, ForOp, KernelOp, ReadOp, StmtOp, buffer_type
from ...dialects.loop.build import copy_nest, variable_hint
from .lookup import find_stmt, fresh_symbol, nest_root, owner_of, require_sole_writer
from .rewrite import normalize
from .set_scope import require_space
from .space import FREE, loops_around, role


def cache_write(kernel: KernelOp, compute: str, space: str) -> str:
    """Compute `compute` in a buffer `compute.cache` of `space`, then copy it to where it went.

    Returns: the symbol of the compute that has the old body.
    Raises: ScheduleError: several results, or after compute_at.
    Source: TVM `cache_write`.
    """
    require_space(space, "cache_write")
    stmt = find_stmt(kernel, compute, "cache_write")
    dims = _axes_of_out(stmt)
    require_sole_writer(stmt, "cache_write")
    symbol = fresh_symbol(kernel, f"{compute}.cache")
    root = nest_root(kernel, stmt)
    require_whole(stmt, root, "cache_write", "cache_write before reverse_compute_at")
    rename_nest(kernel, root, compute, symbol)
    dest = stmt.outs[0]
    old = buffer_type(dest)
    alloc = AllocOp(BufferType.get(old.extents, old.element_type, space))
    alloc.res.name_hint = symbol.replace(".", "_")
    stmt.sym_name = StringAttr(symbol)
    stmt.operands[len(stmt.ivs)] = alloc.res
    axes = [stmt.axes.data[position] for position in dims]
    block = root.parent
    assert block is not None
    block.insert_op_before(alloc, root)
    for op in reversed(copy_nest(compute, axes, alloc.res, dest)):
        for inner in op.walk():
            inner.location = stmt.location
        block.insert_op_after(op, root)
    alloc.location = stmt.location
    normalize(root)
    return symbol


def _axes_of_out(stmt: StmtOp) -> list[int]:
    """The axis in each dimension of the out buffer.

    Raises: ScheduleError: several out buffers, or a part of one.
    """
    name = stmt.sym_name.data
    if len(stmt.outs) != 1:
        raise ScheduleError(f"cache_write: '{name}' has {len(stmt.outs)} results, expected one")
    results = stmt.out_maps.data[0].data.results
    dims = [expr.position for expr in results if isinstance(expr, AffineDimExpr)]
    if len(dims) != len(results) or len(set(dims)) != len(dims):
        raise ScheduleError(
            f"cache_write: the buffer of '{name}' holds a part of it",
            hint="cache_write before compute_at",
        )
    return dims


def require_whole(stmt: StmtOp, root: Operation, primitive: str, hint: str) -> None:
    """Raises: ScheduleError: the nest computes a part at a time, or holds a reader of it."""
    for loop in loops_around(root):
        if role(stmt, loop) != FREE:
            raise ScheduleError(
                f"{primitive}: the nest of '{stmt.sym_name.data}' computes a part of it in each "
                f"iteration of '{loop.loop_name.data}'",
                hint=hint,
            )
    for out in stmt.outs:
        for use in out.uses:
            reader = use.operation.parent_op()
            if isinstance(use.operation, ReadOp) and root.is_ancestor(use.operation):
                assert isinstance(reader, StmtOp)
                raise ScheduleError(
                    f"{primitive}: @{reader.sym_name.data}, inside the nest of "
                    f"'{stmt.sym_name.data}', reads what would be written after that nest",
                    hint=hint,
                )


def rename_nest(kernel: KernelOp, root: Operation, old: str, new: str) -> None:
    """Rename the loops of compute `old` inside `root` to those of a compute `new`."""
    for loop in list(root.walk()):
        if isinstance(loop, ForOp) and owner_of(kernel, loop) == old:
            name = loop.loop_name.data.removeprefix(f"{old}.")
            loop.loop_name = StringAttr(f"{new}.{name}")
            loop.variable.name_hint = variable_hint(f"{old}.{name}")
