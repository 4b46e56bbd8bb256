"""NumPy meaning of loop kernels, in nest form and in tile form.

    outputs = run_loop_kernel(kernel, [x, w, b])

Inputs and outputs are logical arrays: layouts are applied on the way in and out. Loops run in
their order, whatever their kind. A perfect nest around one statement runs as arrays over all of
its iterations; accumulators are combined in the order of the loops, so the bits are those of the
plain execution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from xdsl.ir import Block, Operation, SSAValue

from ..core.affine import Range, Ranges, bounds
from ..core.errors import PassError
from ..core.locations import describe
from ..dialects import loop
from .memory import Memory
from .nest import Chain, Watch, chain_of, reads_own_results, run_chain
from .scalar import Array
from .steps import MAX_STEPS, OPERATION_STEPS, check_budget
from .tiles import TILE_OPS, condition

TILE_STEPS = 20 * OPERATION_STEPS
"""What one tile op costs: some twenty NumPy calls."""


@dataclass
class State:
    """What is known while a kernel runs."""

    memory: dict[SSAValue, Memory] = field(default_factory=dict[SSAValue, Memory])
    values: dict[SSAValue, Array] = field(default_factory=dict[SSAValue, Array])
    """Loop variables (0-d) and tiles."""
    watch: Watch | None = None
    other_poison: bool = False

    def add_memory(self, value: SSAValue) -> None:
        """Memory of a buffer, that nobody has written."""
        type_, name = loop.buffer_type(value), value.name_hint or "?"
        self.memory[value] = Memory(type_, name, other_poison=self.other_poison)


def run_loop_kernel(
    kernel: loop.KernelOp,
    inputs: Sequence[Array],
    *,
    limit: int = MAX_STEPS,
    other_poison: bool = False,
    shared: Sequence[tuple[int, int]] = (),
) -> list[Array]:
    """The outputs of a kernel, logical arrays in signless types.

    Args:
        kernel: verified, in nest form or in tile form.
        inputs: logical arrays, constants too; unsigned ones are taken as their bits.
        limit: steps (elements of NumPy operations) that the check may take.
        other_poison: memory that nobody has written holds other values than NaN and the like.
        shared: (operand, result) by argument number, which are one buffer; of tile form only.

    Raises:
        NotChecked: it would take longer.
        OutsideDomain: an access leaves its buffer.
    """
    state = _run(kernel, inputs, limit, State(other_poison=other_poison), shared)
    arguments = kernel.body.block.args
    outputs = arguments[len(arguments) - kernel.num_outputs.value.data :]
    return [state.memory[output].unpack() for output in outputs]


def run_loop_kernel_watched(
    kernel: loop.KernelOp, inputs: Sequence[Array], watch: Watch, *, limit: int = MAX_STEPS
) -> dict[SSAValue, Array]:
    """The last content of every buffer of a kernel; `watch` is told what statements write.

    Raises: as `run_loop_kernel`.
    """
    state = _run(kernel, inputs, limit, State(watch=watch))
    return {value: memory.unpack() for value, memory in state.memory.items()}


def _run(
    kernel: loop.KernelOp,
    inputs: Sequence[Array],
    limit: int,
    state: State,
    shared: Sequence[tuple[int, int]] = (),
) -> State:
    block = kernel.body.block
    check_budget(_steps(block, {}), limit, f"@{kernel.sym_name.data}")
    for argument in block.args:
        state.add_memory(argument)
    for argument, array in zip(block.args, inputs, strict=False):
        state.memory[argument].pack(array)
    for operand, result in shared:
        state.memory[block.args[result]] = state.memory[block.args[operand]]
    _run_block(block, state)
    return state


def _run_block(block: Block, state: State) -> list[Array]:
    """Run the ops of a block; returns what `loop.yield` gives."""
    for op in block.ops:
        if isinstance(op, loop.YieldOp):
            return [state.values[value] for value in op.operands]
        _run_op(op, state)
    return []


def _run_op(op: Operation, state: State) -> None:
    if isinstance(op, loop.AllocOp):
        state.add_memory(op.res)
    elif isinstance(op, loop.ForOp):
        _run_for(op, state)
    elif isinstance(op, loop.StmtOp):
        run_chain(Chain([], op), state.memory, state.values, state.watch)
    elif isinstance(op, loop.PrefetchOp):
        return  # a hint
    elif isinstance(op, loop.IfOp):
        _run_if(op, state)
    elif (tile_op := TILE_OPS.get(op.name)) is not None:
        tile_op(op, state.memory, state.values)
    else:
        raise PassError(f"the reference has no meaning for {op.name}", where=describe(op))


def _run_if(op: loop.IfOp, state: State) -> None:
    ivs = [state.values[iv] for iv in op.ivs]
    taken = op.then if bool(condition(op.condition.data, ivs)) else op.otherwise
    results = _run_block(taken.block, state) if taken is not None else []
    state.values.update(zip(op.results, results, strict=True))


def _run_for(op: loop.ForOp, state: State) -> None:
    chain = chain_of(op)
    if chain is not None:
        run_chain(chain, state.memory, state.values, state.watch)
        return
    block = op.body.block
    carried = [state.values[init] for init in op.inits]
    for position in range(*loop_range(op, state.values)):
        state.values[block.args[0]] = np.asarray(position)
        state.values.update(zip(block.args[1:], carried, strict=True))
        carried = _run_block(block, state)
    state.values.update(zip(op.results, carried, strict=True))


def loop_range(op: loop.ForOp, values: dict[SSAValue, Array]) -> tuple[int, int]:
    """The bounds of a loop, given the variables of those around it."""
    low_args = [int(values[v]) for v in op.lower_args]
    high_args = [int(values[v]) for v in op.upper_args]
    low = max(expr.eval(low_args, []) for expr in op.lower.data.results)
    return low, min(expr.eval(high_args, []) for expr in op.upper.data.results)


def _steps(block: Block, known: dict[SSAValue, Range]) -> int:
    """An upper estimate of what running a block takes."""
    total = 0
    for op in block.ops:
        if isinstance(op, loop.ForOp):
            chain = chain_of(op)
            total += _loop_steps(op, known) if chain is None else _chain_steps(chain, known)
        elif isinstance(op, loop.IfOp):
            total += max(_steps(region.block, known) for region in op.regions)
        else:
            total += TILE_STEPS
    return total


def _loop_steps(op: loop.ForOp, known: dict[SSAValue, Range]) -> int:
    low, high = loop_hull(op, known)
    known[op.variable] = (low, max(high, low + 1))
    return max(0, high - low) * _steps(op.body.block, known)


def _chain_steps(chain: Chain, known: dict[SSAValue, Range]) -> int:
    points = 1
    for op in chain.loops:
        low, high = loop_hull(op, known)
        known[op.variable] = (low, max(high, low + 1))
        points *= max(0, high - low)
    num_ops = sum(1 for _ in chain.statement.body.block.ops)
    if reads_own_results(chain.statement):
        return points * (num_ops + 4) * OPERATION_STEPS
    return points * (12 * num_ops + 60) + num_ops * OPERATION_STEPS


def loop_hull(op: loop.ForOp, known: dict[SSAValue, Range]) -> Range:
    """Bounds that hold for all values of the variables of the loops around it."""
    lows = Ranges(tuple(known.get(v) for v in op.lower_args))
    highs = Ranges(tuple(known.get(v) for v in op.upper_args))
    starts = [bounds(expr, lows) for expr in op.lower.data.results]
    ends = [bounds(expr, highs) for expr in op.upper.data.results]
    low = max((start[0] for start in starts if start is not None), default=0)
    high = min((end[1] - 1 for end in ends if end is not None), default=low)
    return low, high
