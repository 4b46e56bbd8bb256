"""What a conversion leaves because it stands at another level, and which pass would take it on."""

from __future__ import annotations

from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from ..core.explain import listener, why_not
from ..core.walk import children
from ..dialects import loop, te
from ..dialects.graph.base import ConstantOp, GraphOp, KernelOp


def explain_left(module: ModuleOp, taken: type[Operation]) -> None:
    """Say it of all ops but constants and those inside others, if somebody listens.

    Args: taken: what the conversion takes.
    """
    stack: list[Operation] = [module] if listener() is not None else []
    while stack:
        op = stack.pop()
        if isinstance(op, taken):
            continue
        reason = _reason(op)
        if reason is not None:
            why_not(op, reason)
        elif op.regions:
            stack += reversed(children(op))


def _reason(op: Operation) -> str | None:
    match op:
        case ConstantOp():
            return None
        case KernelOp() | GraphOp():
            return "it stands at the graph level, convert-graph-to-te lowers what runs in kernels"
        case te.KernelOp():
            return "it stands at the te level, convert-te-to-loop lowers it"
        case loop.KernelOp():
            return "it stands at the loop level, convert-loop-to-mlir takes that to upstream"
        case _:
            return None
