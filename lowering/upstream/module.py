"""What stands around converted kernels: calls, functions, types, attributes of the module."""

from __future__ import annotations

from typing import Any, cast

from xdsl.dialects.builtin import ModuleOp, TensorType, UnitAttr
from xdsl.dialects.func import CallOp, FuncOp
from xdsl.ir import Attribute, Block, Operation

from ...core.errors import PassError
from ...core.irtypes import tensor_element, tensor_shape
from ...core.locations import describe
from ...dialects import te

C_INTERFACE = "llvm.emit_c_interface"
"""Asks upstream's lowering for a wrapper that takes pointers to memref descriptors."""


def exported(
    name: str, inputs: list[Attribute], outputs: list[Attribute], origin: Operation
) -> FuncOp:
    """An empty public function that C can call."""
    function = FuncOp(name, (inputs, outputs))
    function.attributes[C_INTERFACE] = UnitAttr()
    function.location = origin.location
    return function


def upstream_tensor(type_: Attribute) -> TensorType[Any]:
    """A tensor type without what only graph knows: te is logical, whatever the layout is."""
    return TensorType(tensor_element(type_), tensor_shape(type_))


def drop_our_attributes(module: ModuleOp) -> None:
    """Upstream takes no attribute of a dialect that it does not know: the machine goes."""
    for name in [name for name in module.attributes if name.startswith("nnc.")]:
        del module.attributes[name]


def convert_calls(module: ModuleOp) -> None:
    """te.call -> func.call, but for calls of te kernels that are still there.

    Raises: PassError: the caller's tensors are not those of the kernel.
    """
    left = {op.sym_name.data for op in module.ops if isinstance(op, te.KernelOp)}
    functions = {op.sym_name.data: op for op in module.ops if isinstance(op, FuncOp)}
    for function in functions.values():
        calls = [op for op in function.walk() if isinstance(op, te.CallOp)]
        for call in calls:
            name = call.callee.root_reference.data
            if name not in left:
                _convert_call(call, functions.get(name))


def _convert_call(call: te.CallOp, callee: FuncOp | None) -> None:
    where = describe(call)
    if callee is None:
        raise PassError(f"{call.callee} is no kernel of the module", where=where)
    wanted = [*callee.function_type.inputs, *callee.function_type.outputs]
    if [*call.operand_types, *call.result_types] != wanted:
        raise PassError(
            f"the tensors of the call are not those of @{callee.sym_name.data}: "
            f"{_first_difference([*call.operand_types, *call.result_types], wanted)}",
            where=where,
            hint="kernels are signless and logical here; convert them without their callers",
        )
    made = CallOp(callee.sym_name.data, list(call.args), list(call.result_types))
    made.location = call.location
    block = cast("Block", call.parent)
    block.insert_op_before(made, call)
    for old, new in zip(call.results, made.results, strict=True):
        new.name_hint = old.name_hint
        old.replace_all_uses_with(new)
    block.erase_op(call)


def _first_difference(given: list[Attribute], wanted: list[Attribute]) -> str:
    pairs = zip(given, wanted, strict=False)
    return next((f"{g} for {w}" for g, w in pairs if g != w), "their numbers differ")
