"""fuse: two loops, one directly inside the other, become one.

for y.i in [0, 4)                  for y.i_j in [0, 24)
for y.j in [0, 6)       ->         y[i = %ij floordiv 6, j = %ij mod 6]
y[i = %i, j = %j]
"""

from __future__ import annotations

from ...core.affine import dim
from ...core.errors import ScheduleError
from ...core.walk import erase
from ...dialects.loop import ForOp, KernelOp
from .lookup import find_loop, owner_of, stmts_in
from .rewrite import new_loop, normalize, substitute_variable, take_over
from .space import FREE, role
from .split import constant_bounds, require_unmarked


def fuse(kernel: KernelOp, outer: str, inner: str) -> str:
    """Fuse loop `inner` into `outer`; the result is called `outer_inner` without the prefix twice.

    Returns: the name of the fused loop.
    Raises: ScheduleError: not directly nested, bounds not constant, marked, or one of them reduces
        and the other does not.
    Source: Halide, TVM `fuse`.
    """
    first, second = find_loop(kernel, outer), find_loop(kernel, inner)
    for loop in (first, second):
        require_unmarked(loop, "fuse")
    _require_nested(first, second)
    low_o, high_o = constant_bounds(first, "fuse")
    low_i, high_i = constant_bounds(second, "fuse")
    _require_same_role(first, second)
    size = high_i - low_i
    stem = owner_of(kernel, second)
    name = f"{outer}_{inner.removeprefix(f'{stem}.')}"
    fused = new_loop(first, name, (high_o - low_o) * size)
    take_over(fused, fused, first, second)
    divisor = max(1, size)
    variables = [fused.variable]
    substitute_variable(second.variable, dim(0) % divisor + low_i, variables, fused)
    substitute_variable(first.variable, dim(0) // divisor + low_o, variables, fused)
    erase(first)
    normalize(fused)
    return name


def _require_nested(outer: ForOp, inner: ForOp) -> None:
    """Raises: ScheduleError: `inner` is not all that `outer` holds."""
    if outer.only_op is inner:
        return
    names = f"'{inner.loop_name.data}'", f"'{outer.loop_name.data}'"
    if inner.parent is outer.body.block:
        reason = f"{names[1]} holds more than {names[0]}"
    else:
        reason = f"{names[0]} is not directly inside {names[1]}"
    raise ScheduleError(f"fuse: {reason}", hint="reorder so that one is directly in the other")


def _require_same_role(outer: ForOp, inner: ForOp) -> None:
    """Raises: ScheduleError: for some statement one loop reduces and the other does not."""
    for stmt in stmts_in(inner):
        roles = role(stmt, outer), role(stmt, inner)
        if roles[0] != roles[1] and FREE not in roles:
            raise ScheduleError(
                f"fuse: for @{stmt.sym_name.data} '{outer.loop_name.data}' is a {roles[0]} loop "
                f"and '{inner.loop_name.data}' a {roles[1]} loop",
                hint="fuse loops of one kind",
            )
