"""set_scope: where the buffer of an intermediate compute lives.

%c = loop.alloc : buffer<8x48xf32, scratch>  ->  %c = loop.alloc : buffer<8x48xf32, register>
"""

from __future__ import annotations

from xdsl.dialects.builtin import AffineMapAttr
from xdsl.ir import Operation

from ...core.errors import ScheduleError
from ...dialects.loop import AllocOp, BufferType, ForOp, KernelOp, buffer_type
from ...dialects.loop.types import SPACES
from .lookup import buffer_name, find_alloc, find_stmts, listing, stmts_in
from .rewrite import position_in, replace_buffer
from .space import reads_in

OWN = ("scratch", "register")
"""Spaces that belong to one thread."""


def set_scope(kernel: KernelOp, compute: str, space: str) -> None:
    """Put the buffers that `compute` writes into `space`: global, scratch or register.

    Raises: ScheduleError: not such a space, or an output of the kernel.
    Source: TVM `set_scope`, Halide `store_in`.
    """
    require_space(space, "set_scope")
    outs = {out for stmt in find_stmts(kernel, compute) for out in stmt.outs}
    for out in outs:
        find_alloc(out, compute, "set_scope")
    for out in outs:
        old = buffer_type(out)
        layout = old.layout.data if isinstance(old.layout, AffineMapAttr) else None
        replace_buffer(out, BufferType.get(old.extents, old.element_type, space, layout))


def require_space(space: str, primitive: str) -> None:
    """Raises: ScheduleError: a schedule may not put a buffer there."""
    allowed = ("global", *OWN)
    if space not in allowed:
        known = "" if space in SPACES else "unknown "
        raise ScheduleError(
            f"{primitive}: {known}space '{space}', expected one of {', '.join(allowed)}"
        )


def check_scopes(kernel: KernelOp) -> None:
    """A thread's own buffer at the top of a kernel is used by one phase only.

    Raises: ScheduleError: it is written in one phase and read in another, which other threads run.
    """
    phases = _phases(kernel)
    for op in kernel.body.block.ops:
        if not isinstance(op, AllocOp) or buffer_type(op.res).space.data not in OWN:
            continue
        places = {position_in(kernel.body.block, use.operation) for use in op.res.uses}
        if len({phases[place] for place in places}) > 1:
            name = buffer_name(kernel, op.res)
            users = [
                f"@{stmt.sym_name.data}"
                for stmt in stmts_in(kernel)
                if any(read.source is op.res for read in reads_in(stmt))
            ]
            raise ScheduleError(
                f"'{name}' lives in {buffer_type(op.res).space.data} memory, a thread's own, but "
                f"is written in one phase and read in another by {listing(users)}",
                hint=f"compute_at {name}",
            )


def _phases(kernel: KernelOp) -> dict[Operation, int]:
    """The phase of each op at the top: a parallel loop is one, what stands between two another."""
    phases: dict[Operation, int] = {}
    phase = 0
    for op in kernel.body.block.ops:
        is_parallel = isinstance(op, ForOp) and op.kind.data == "parallel"
        phases[op] = phase + is_parallel
        phase += 2 * is_parallel
    return phases
