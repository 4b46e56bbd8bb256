"""Schedules that a user gives beside a model, instead of those that the library writes."""

from __future__ import annotations

import os

from xdsl.dialects.builtin import ModuleOp

from ..core.errors import InputError
from ..core.locations import describe
from ..core.walk import erase
from ..dialects.sched import ScheduleOp


def replace_schedules(module: ModuleOp, path: str | os.PathLike[str]) -> None:
    """Put the schedules of a text into a module, in the place of those for the same kernels.

    Raises: NncError: the file cannot be read, holds something else, or two for one kernel.
    """
    from ..textir import parse_file

    found: dict[str, ScheduleOp] = {}
    for op in parse_file(os.fspath(path)).ops:
        if not isinstance(op, ScheduleOp):
            raise InputError(f"expected schedules only, got {op.name}", where=describe(op))
        name = op.kernel.string_value()
        if name in found:
            raise InputError(f"a second schedule for @{name}", where=describe(op))
        found[name] = op
    for op in list(module.ops):
        if isinstance(op, ScheduleOp) and op.kernel.string_value() in found:
            erase(op)
    for op in found.values():
        op.detach()
        module.body.block.add_op(op)
