"""A text without a main function: one is made that runs its kernels."""

from __future__ import annotations

from xdsl.dialects import func
from xdsl.dialects.builtin import AffineMapAttr, FunctionType, ModuleOp
from xdsl.ir import Attribute, Block, Region

from ...dialects import loop, te
from ...dialects.graph.types import tensor_type


def with_main(module: ModuleOp) -> ModuleOp:
    """The module, with a main that calls every kernel if it has kernels only."""
    if any(isinstance(op, func.FuncOp) for op in module.ops):
        return module
    kernels = [op for op in module.ops if isinstance(op, te.KernelOp | loop.KernelOp)]
    if not kernels:
        return module
    block = Block()
    calls = [_call(kernel, block) for kernel in kernels]
    results = [result for call in calls for result in call.results]
    block.add_op(func.ReturnOp(*results))
    types = [result.type for result in results]
    type_ = FunctionType.from_lists(list(block.arg_types), types)
    module.body.block.add_op(func.FuncOp("main", type_, Region(block)))
    return module


def _call(kernel: te.KernelOp | loop.KernelOp, block: Block) -> te.CallOp:
    types = [_tensor(type_) for type_ in kernel.body.block.arg_types]
    if isinstance(kernel, te.KernelOp):
        results = list(kernel.function_type.outputs)
    else:
        split = len(types) - kernel.num_outputs.value.data
        types, results = types[:split], types[split:]
    values = [block.insert_arg(type_, len(block.args)) for type_ in types]
    for value, name in zip(values, kernel.arg_names, strict=False):
        value.name_hint = name.data
    call = te.CallOp(kernel.sym_name.data, values, results)
    call.location = kernel.location
    block.add_op(call)
    return call


def _tensor(type_: Attribute) -> Attribute:
    if not isinstance(type_, loop.BufferType):
        return type_
    layout = type_.layout if isinstance(type_.layout, AffineMapAttr) else None
    return tensor_type(type_.extents, type_.element_type, layout)
