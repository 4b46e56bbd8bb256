"""Runs a graph-level function in NumPy, op by op.

    outputs = run_function(main, [x, w])

Kernels (`graph.kernel`) run their bodies; a `func.call` or `te.call` runs the function of that
name, which may be of any level that `call` of the caller knows how to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr
from xdsl.dialects.func import CallOp, FuncOp, ReturnOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import SymbolTable

from ...core.errors import InputError, NncError, PassError
from ...dialects import loop, te
from ...dialects.buffers import buffer_of
from ...dialects.graph.base import ConstantOp, KernelOp, YieldOp
from ...dialects.graph.types import layout
from ..steps import WrongMeaning
from . import evaluate
from .meaning import Array

Caller = Callable[[Operation, Sequence[Array]], Sequence[Array]]
"""Runs a callee that is no `func.func`: a te or loop kernel."""


def run_function(
    function: FuncOp, inputs: Sequence[Array], *, call: Caller | None = None
) -> list[Array]:
    """The results of `function` for these inputs.

    Args:
        function: its body holds graph operators, kernels and calls.
        inputs: one array for each argument.
        call: runs callees that are no `func.func`.

    Raises:
        InputError: the number of inputs is wrong.
        PassError: an op has no meaning at this level; the message names it.
    """
    block = function.body.block
    if len(inputs) != len(block.args):
        raise InputError(f"{len(inputs)} inputs for {len(block.args)} arguments")
    return run_block(block, inputs, call)


def run_block(block: Block, inputs: Sequence[Array], call: Caller | None = None) -> list[Array]:
    """The operands of the block's terminator, given its arguments."""
    values: dict[SSAValue, Array] = dict(zip(block.args, map(np.asarray, inputs), strict=True))
    for op in block.ops:
        operands = [values[operand] for operand in op.operands]
        if isinstance(op, ReturnOp | YieldOp):
            return operands
        values.update(zip(op.results, run_op(op, operands, call), strict=True))
    raise PassError("a block without a terminator")


def run_op(op: Operation, operands: list[Array], call: Caller | None = None) -> Sequence[Array]:
    """The results of one op of a function, as who reads them finds them."""
    return as_stored(op, _run_op(op, operands, call))


def as_stored(op: Operation, results: Sequence[Array]) -> Sequence[Array]:
    """Results whose types name a layout go through its memory.

    A layout in which two elements share a place shows.
    """
    if not any(layout(result.type) for result in op.results):
        return results
    from ..memory import through_memory

    buffers = [buffer_of(result.type) for result in op.results]
    return [through_memory(x, b, b) for x, b in zip(results, buffers, strict=True)]


def _run_op(op: Operation, operands: list[Array], call: Caller | None) -> Sequence[Array]:
    if isinstance(op, ConstantOp):
        return [op.array]
    if isinstance(op, KernelOp):
        return run_block(op.body.block, operands, call)
    if isinstance(op, CallOp | te.CallOp):
        return _run_call(op, operands, call)
    try:
        return evaluate(op, operands)
    except NncError as error:
        kind = WrongMeaning if isinstance(error, WrongMeaning) else PassError
        raise kind(f"{op.name}: {error.message}", where=error.where) from error


def _run_call(
    op: CallOp | te.CallOp, operands: list[Array], call: Caller | None
) -> Sequence[Array]:
    callee = SymbolTable.lookup_symbol(op, op.callee)
    if isinstance(callee, FuncOp):
        return run_function(callee, operands, call=call)
    if callee is None or call is None:
        raise PassError(f"cannot run the callee {op.callee}")
    if not isinstance(callee, loop.KernelOp):
        return call(callee, operands)
    results = call(callee, as_callee_reads(callee, op, operands))
    return as_caller_reads(callee, op, results)


def as_callee_reads(callee: loop.KernelOp, op: Operation, operands: Sequence[Array]) -> list[Array]:
    """What a kernel finds in its arguments' memory, in whatever layout the caller wrote it."""
    from ..memory import through_memory

    found = list(operands)
    for at, (operand, argument) in enumerate(
        zip(op.operands, callee.body.block.args, strict=False)
    ):
        written, read = buffer_of(operand.type), loop.buffer_type(argument)
        # the content of constants is packed for the kernel
        if at not in callee.const_positions and written.layout != read.layout:
            found[at] = through_memory(operands[at], written, read)
    return found


def as_caller_reads(callee: loop.KernelOp, op: Operation, results: Sequence[Array]) -> list[Array]:
    """What the caller finds in the memory that a kernel wrote in its own layout."""
    from ..memory import through_memory

    found = list(results)
    arguments = callee.body.block.args[len(op.operands) :]
    for at, (result, argument) in enumerate(zip(op.results, arguments, strict=True)):
        written, read = loop.buffer_type(argument), buffer_of(result.type)
        if written.layout != read.layout:
            found[at] = through_memory(results[at], written, read)
    return found


def run_module(
    module: ModuleOp, inputs: Mapping[str, Array] | Sequence[Array], *, call: Caller | None = None
) -> list[Array]:
    """The results of `@main`; inputs by position, or by the names in `nnc.input_names`."""
    main = SymbolTable.lookup_symbol(module, "main")
    if not isinstance(main, FuncOp):
        raise InputError("the module has no function @main")
    if isinstance(inputs, Mapping):
        inputs = [inputs[name] for name in _input_names(main)]
    return run_function(main, inputs, call=call)


def _input_names(main: FuncOp) -> list[str]:
    names = main.attributes.get("nnc.input_names")
    if not isinstance(names, ArrayAttr):
        raise InputError("@main does not name its inputs")
    return [item.data for item in cast("ArrayAttr[StringAttr]", names)]
