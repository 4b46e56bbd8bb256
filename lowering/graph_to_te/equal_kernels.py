"""When two te kernels are the same but for names of their own and locations."""

from __future__ import annotations

from typing import TypeAlias

from xdsl.ir import Block, Operation, SSAValue

from ...dialects import te

Structure: TypeAlias = "tuple[object, ...]"


def structure(kernel: te.KernelOp) -> Structure:
    """A hashable key: equal for kernels that differ only in their symbol and in locations."""
    numbers: dict[SSAValue, int] = {}
    header = tuple(v for k, v in sorted(kernel.properties.items()) if k != "sym_name")
    return (header, _block(kernel.body.block, numbers))


def _block(block: Block, numbers: dict[SSAValue, int]) -> Structure:
    for argument in block.args:
        numbers[argument] = len(numbers)
    types = tuple(argument.type for argument in block.args)
    return (types, *(_operation(op, numbers) for op in block.ops))


def _operation(op: Operation, numbers: dict[SSAValue, int]) -> Structure:
    operands = tuple(numbers[operand] for operand in op.operands)
    regions = tuple(_block(block, numbers) for region in op.regions for block in region.blocks)
    for result in op.results:
        numbers[result] = len(numbers)
    types = tuple(result.type for result in op.results)
    return (op.name, operands, tuple(sorted(op.properties.items(), key=_name)), types, regions)


def _name(item: tuple[str, object]) -> str:
    return item[0]
