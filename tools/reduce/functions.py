"""Arguments and results of functions and kernels, added and dropped: what every move needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from xdsl.dialects import func
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.ir import Attribute, Operation, SSAValue

from ...core.irtypes import ints, strings
from ...core.names import fresh
from ...core.walk import walk
from ...dialects import te
from ...dialects.graph import base as graph
from ...passes.graph.dce import remove_dead

Holder = func.FuncOp | te.KernelOp
"""What has arguments that nobody else counts, as long as it is not called."""
NAMES = ("nnc.input_names", "nnc.output_names")


class Refused(Exception):
    """A change that cannot be made here."""


def holders(module: ModuleOp) -> list[Holder]:
    """Functions and te kernels with a body that nobody calls."""
    called = called_symbols(module)
    return [
        op
        for op in module.ops
        if isinstance(op, func.FuncOp | te.KernelOp)
        and op.body.blocks
        and op.sym_name.data not in called
    ]


def called_symbols(module: ModuleOp) -> set[str]:
    """The symbols that calls and schedules name."""
    return {
        op.callee.root_reference.data
        for op in walk(module)
        if isinstance(op, te.CallOp | func.CallOp)
    }


def holder_of(op: Operation, module: ModuleOp) -> Holder:
    """The function or kernel around an op whose arguments may change.

    Raises: Refused: there is none.
    """
    parent = op.parent_op()
    while parent is not None and not isinstance(parent, func.FuncOp | te.KernelOp):
        parent = parent.parent_op()
    if parent is None or parent not in holders(module):
        raise Refused
    return parent


def add_argument(holder: Holder, type_: Attribute, hint: str | None) -> SSAValue:
    """A new last argument."""
    block = holder.body.block
    taken = {argument.name_hint for argument in block.args}
    name = fresh(hint or "x", taken)
    argument = block.insert_arg(type_, len(block.args))
    argument.name_hint = name
    if isinstance(holder, te.KernelOp):
        holder.arg_names = strings([*(each.data for each in holder.arg_names), name])
    update_type(holder)
    return argument


def drop_arguments(holder: Holder, unwanted: Collection[int]) -> None:
    """Erase arguments that nobody uses."""
    block = holder.body.block
    kept = [at for at in range(len(block.args)) if at not in unwanted]
    if isinstance(holder, te.KernelOp):
        constants = [new for new, at in enumerate(kept) if at in holder.const_positions]
        names = [each.data for each in holder.arg_names]
        holder.arg_names = strings([names[at] for at in kept])
        holder.const_args = ints(constants) if constants else None
    for at in sorted(unwanted, reverse=True):
        block.erase_arg(block.args[at])
    update_type(holder)


def keep_results(holder: Holder, kept: Sequence[int]) -> None:
    """Return only some of the results."""
    last = holder.body.block.last_op
    assert last is not None
    last.operands = [last.operands[at] for at in kept]
    update_type(holder)


def update_type(holder: Holder) -> None:
    """The function's type from its body; names of inputs and outputs that no longer fit go."""
    block = holder.body.block
    last = block.last_op
    assert last is not None
    type_ = FunctionType.from_lists(list(block.arg_types), list(last.operand_types))
    if type_ != holder.function_type:
        holder.function_type = type_
        for name in NAMES:
            holder.attributes.pop(name, None)


def tidy(module: ModuleOp) -> None:
    """Drop what nobody uses any more: dead ops, arguments, operands of fused kernels."""
    remove_dead(module)
    for op in list(walk(module)):
        if isinstance(op, graph.KernelOp):
            _drop_operands(op)
    remove_dead(module)
    for holder in holders(module):
        unused = {a.index for a in holder.body.block.args if a.first_use is None}
        if unused:
            drop_arguments(holder, unused)


def _drop_operands(kernel: graph.KernelOp) -> None:
    block = kernel.body.block
    unused = {argument.index for argument in block.args if argument.first_use is None}
    if not unused:
        return
    kernel.operands = [value for at, value in enumerate(kernel.args) if at not in unused]
    for at in sorted(unused, reverse=True):
        block.erase_arg(block.args[at])
