"""Main, run op by op with the reference: every value, in its own type and in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Block, Operation, SSAValue

from ...core.errors import NncError
from ...dialects import loop, te
from ...dialects.graph import base as graph
from ...passes.graph.bind_inputs import input_names, main_function
from ...reference.graph.run import as_stored, run_op
from ...reference.loop import run_loop_kernel
from ...reference.te import run_kernel
from ...runtime.arrays import Array
from .values import Wanted

KERNEL_STEPS = 400_000_000
"""For the interpreters of te and loop kernels: some seconds."""
NARROW = ("float32", "float16", "bfloat16")


@dataclass
class Trace:
    """What main computes.

    Attributes:
        ops: in the order in which they ran; those inside a fused kernel come before it.
        values: of every value that was computed.
        results: what main returns.
    """

    ops: list[Operation] = field(default_factory=list[Operation])
    values: dict[SSAValue, Wanted] = field(default_factory=dict[SSAValue, Wanted])
    results: list[Wanted] = field(default_factory=list[Wanted])


def trace(module: ModuleOp, inputs: Mapping[str, Array]) -> Trace:
    """Run main of a module.

    Raises: NncError: an op has no meaning, or a kernel would take too long.
    """
    main = main_function(module)
    arrays = [np.asarray(inputs[name]) for name in input_names(main)]
    made = Trace()
    given = [Wanted(array, widened(array)) for array in arrays]
    made.results = _run_block(main.body.block, given, made)
    return made


def widened(array: Array) -> Array:
    """Floats as float64, anything else as it is."""
    return array.astype(np.float64) if array.dtype.name in NARROW else array


def _run_block(block: Block, inputs: Sequence[Wanted], made: Trace) -> list[Wanted]:
    made.values.update(zip(block.args, inputs, strict=True))
    for op in block.ops:
        operands = [made.values[operand] for operand in op.operands]
        if isinstance(op, ReturnOp | graph.YieldOp):
            made.ops.append(op)
            return operands
        results = run_wanted(op, operands, made)
        made.ops.append(op)
        made.values.update(zip(op.results, results, strict=True))
    return []


def run_wanted(op: Operation, operands: list[Wanted], made: Trace) -> list[Wanted]:
    """The results of an op; the ops inside a fused kernel are traced too."""
    if isinstance(op, graph.KernelOp):
        results = _run_block(op.body.block, operands, made)
        narrow = as_stored(op, [each.array for each in results])
        wide = as_stored(op, [each.wide for each in results])
        return [Wanted(x, w) for x, w in zip(narrow, wide, strict=True)]
    narrow = run_op(op, [each.array for each in operands], run_callee)
    if isinstance(op, graph.ConstantOp | te.CallOp):
        return [Wanted(x, widened(x)) for x in narrow]
    return [Wanted(x, w) for x, w in zip(narrow, _wide(op, operands, narrow), strict=True)]


def _wide(op: Operation, operands: list[Wanted], narrow: Sequence[Array]) -> Sequence[Array]:
    """The results in float64, where the operator's meaning can be had in it."""
    try:
        found = run_op(op, [each.wide for each in operands])
    except (NncError, ValueError, IndexError, TypeError):
        return [widened(x) for x in narrow]
    fits = all(w.shape == x.shape for w, x in zip(found, narrow, strict=True))
    return found if fits else [widened(x) for x in narrow]


def run_callee(callee: Operation, arrays: Sequence[Array]) -> Sequence[Array]:
    """A te or loop kernel, by its interpreter.

    Raises: NotChecked: it would take too long.
    """
    if isinstance(callee, te.KernelOp):
        return run_kernel(callee, arrays, limit=KERNEL_STEPS)
    assert isinstance(callee, loop.KernelOp), f"{callee.name} is called"
    return run_loop_kernel(callee, arrays, limit=KERNEL_STEPS)
