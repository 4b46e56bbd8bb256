"""Loop-invariant code motion on tile form.

No mid-level LLVM pass runs, so what does not change in a loop is moved out here: constants, masks,
tiles that are loaded from memory the loop does not write.
"""

from __future__ import annotations

from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import Pure

from ...core.counters import may
from ...core.explain import why_not
from ...core.passes import Statistic
from ...dialects.loop import ForOp, LoadOp, StoreOp

HOISTED = Statistic("hoisted op", "ops moved out of a loop that does not change them")


def hoist_invariants(block: Block) -> None:
    """Move invariant ops out of the loops of a block, inner loops first."""
    for op in list(block.ops):
        for region in op.regions:
            hoist_invariants(region.block)
        if isinstance(op, ForOp) and op.kind.data != "parallel":
            _hoist_from(op)


def _hoist_from(loop: ForOp) -> None:
    written = {store.dest for store in loop.body.walk() if isinstance(store, StoreOp)}
    inside: set[SSAValue] = set(loop.body.block.args)
    for op in list(loop.body.block.ops):
        movable = not op.regions and not any(operand in inside for operand in op.operands)
        movable = movable and (op.has_trait(Pure) or _is_safe_load(op, loop, written))
        if movable and may(HOISTED.name, op):
            HOISTED.add()
            op.detach()
            assert loop.parent is not None
            loop.parent.insert_op_before(op, loop)
        else:
            inside.update(op.results)


def _is_safe_load(op: Operation, loop: ForOp, written: set[SSAValue]) -> bool:
    """A load may move if nothing in the loop writes its buffer and the loop surely runs."""
    if not isinstance(op, LoadOp):
        return False
    interval = loop.constant_range
    name = loop.loop_name.data
    if op.source in written:
        why_not(op, f"it stays in loop {name}, which writes the memory that it reads")
        return False
    if interval is None or interval[0] >= interval[1]:
        why_not(op, f"it stays in loop {name}, which may have no iteration")
        return False
    return True
