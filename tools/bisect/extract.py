"""A few ops of a module as a module of their own: where the reduction of a reproducer begins."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from xdsl.dialects import func
from xdsl.dialects.builtin import FunctionType, ModuleOp
from xdsl.ir import Block, Operation, Region, SSAValue

from ...core.locations import parts
from ...dialects import loop, sched, te
from ...dialects.graph import base as graph
from ...passes.graph.bind_inputs import main_function


def neighbourhood(module: ModuleOp, ops: Iterable[Operation], radius: int) -> ModuleOp | None:
    """The ops of main that share a location with one of `ops`, and those up to `radius` uses away.

    What they read becomes an argument, but for constants; what others read is returned.
    `None` where main has none of these locations.
    """
    main = main_function(module)
    wanted = {location for op in ops for location in parts(op.location)}
    chosen = {
        each
        for each in main.body.block.ops
        if wanted & set(parts(each.location))
        and not isinstance(each, graph.ConstantOp | func.ReturnOp)
    }
    if not chosen:
        return None
    for _ in range(radius):
        near = {other for each in chosen for other in _neighbours(each)}
        chosen |= {each for each in near if not isinstance(each, func.ReturnOp)}
    return outline(module, chosen)


def _neighbours(op: Operation) -> Iterator[Operation]:
    for operand in op.operands:
        if isinstance(operand.owner, Operation):
            yield operand.owner
    for result in op.results:
        for use in result.uses:
            yield use.operation


def outline(module: ModuleOp, chosen: Collection[Operation]) -> ModuleOp:
    """A module whose main holds copies of some of main's ops, with the kernels that they call."""
    ops = [op for op in main_function(module).body.block.ops if op in chosen]
    block = Block()
    values: dict[SSAValue, SSAValue] = {}
    for op in ops:
        for operand in op.operands:
            if operand not in values:
                values[operand] = _brought(operand, block)
        copy = op.clone(values)
        block.add_op(copy)
    outside = [
        values[result]
        for op in ops
        for result in op.results
        if not isinstance(op, graph.ConstantOp)
        and any(use.operation not in chosen for use in result.uses)
    ]
    block.add_op(func.ReturnOp(*outside))
    type_ = FunctionType.from_lists(list(block.arg_types), [value.type for value in outside])
    main = func.FuncOp("main", type_, Region(block))
    return ModuleOp([*_callees(module, ops), main], dict(module.attributes))


def _brought(value: SSAValue, block: Block) -> SSAValue:
    """A constant's copy, or a new argument."""
    if isinstance(value.owner, graph.ConstantOp):
        copy = value.owner.clone()
        block.add_op(copy)
        return copy.res
    argument = block.insert_arg(value.type, len(block.args))
    argument.name_hint = value.name_hint
    return argument


def _callees(module: ModuleOp, ops: Collection[Operation]) -> list[Operation]:
    names = {op.callee.string_value() for op in ops if isinstance(op, te.CallOp)}
    return [op.clone() for op in module.ops if _symbol(op) in names]


def kernel_alone(module: ModuleOp, symbol: str) -> ModuleOp:
    """One kernel, with its schedule if it has one."""
    ops = [op.clone() for op in module.ops if _symbol(op) == symbol]
    return ModuleOp(ops, dict(module.attributes))


def _symbol(op: Operation) -> str | None:
    if isinstance(op, te.KernelOp | loop.KernelOp):
        return op.sym_name.data
    return op.kernel.string_value() if isinstance(op, sched.ScheduleOp) else None
