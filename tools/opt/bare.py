"""`--no-implicit-module`: the input is one op, and that op is what is printed.

Inside, a module holds it all the same: passes on single ops run as ever, `func.func(cse)`; those on
the module are refused where the input has none.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ...core.errors import NncError, PassError
from ...core.passes import OpPass
from .pipeline import MODULE, Step


def check_bare(module: ModuleOp, steps: Sequence[Step], file: str) -> None:
    """A module that is not written in the input must hold one op, and no pass may need it.

    Raises: NncError, PassError: it does not, or one does.
    """
    ops = list(module.ops)
    if len(ops) != 1:
        number = f"{len(ops)} ops" if ops else "nothing"
        raise NncError(
            f"expected one op at the top, got {number}",
            where=file,
            hint="without --no-implicit-module a builtin.module is put around them",
        )
    needing = [step.flag for step in steps if not isinstance(step.pass_, OpPass)]
    if needing:
        raise PassError(
            f"pass '{needing[0]}' runs on {MODULE}, the input is a {ops[0].name}",
            hint="without --no-implicit-module a builtin.module is put around it",
        )


def without_module(op: Operation) -> Operation:
    """The one op of a module that was put around it."""
    ops = list(op.ops) if isinstance(op, ModuleOp) and op.parent is None else []
    return ops[0] if len(ops) == 1 else op
