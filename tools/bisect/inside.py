"""Which operator of a fused kernel is wrong: its computes, one by one.

After a pass of te they are compared with those of the same names before it; after the lowering
from the graph with the operators' values: the last compute of a location gives the operator's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import FunctionType, LocationAttr, ModuleOp
from xdsl.ir import SSAValue

from ...core.errors import NncError
from ...core.locations import parts
from ...dialects import te
from ...reference.te import run_kernel
from ...runtime.arrays import Array
from .kernels import Case, callee_of, calls_of
from .locate import Culprit
from .trace import KERNEL_STEPS, Trace, widened
from .values import Tolerance, Wanted, compare

Computed = list[tuple[te.ComputeOp, int, Array]]
"""Computes, the number of a result, its content."""
Lookup = Callable[[te.ComputeOp, int], Sequence[Wanted]]
"""What a compute's result may be compared with."""


def narrowed(
    case: Case, states: tuple[ModuleOp, ModuleOp], right: Trace, tolerance: Tolerance
) -> Culprit | None:
    """The first compute that is wrong in the second state; `None` where that has no te kernel."""
    before, after = (_computed(case, state) for state in states)
    known = _by_name(before) if before else _by_operator(right, after)
    for op, number, array in after:
        found = [each for each in known(op, number) if each.array.shape == array.shape]
        differences = [compare(wanted, array, tolerance) for wanted in found]
        if differences and all(difference.is_wrong for difference in differences):
            best = min(differences, key=lambda each: each.absolute)
            return Culprit(op, f"compute @{op.sym_name.data} gives another result", best)
    return None


def _computed(case: Case, state: ModuleOp) -> Computed:
    """What each compute of a call's te kernel gives on right inputs."""
    calls = calls_of(state)
    kernel = callee_of(calls[case.number]) if case.number < len(calls) else None
    if not isinstance(kernel, te.KernelOp):
        return []
    copy, values = _giving_all(kernel)
    try:
        arrays = run_kernel(copy, case.inputs, limit=KERNEL_STEPS)
    except NncError:
        return []
    found: Computed = []
    for value, array in zip(values, arrays, strict=True):
        owner = value.owner
        assert isinstance(owner, te.ComputeOp)
        found.append((owner, owner.results.index(value), array))
    return found


def _giving_all(kernel: te.KernelOp) -> tuple[te.KernelOp, Sequence[SSAValue]]:
    """A copy of a kernel that returns the result of every compute."""
    copy = kernel.clone()
    block = copy.body.block
    values = [r for op in block.ops if isinstance(op, te.ComputeOp) for r in op.results]
    last = block.last_op
    assert last is not None
    last.operands = values
    inputs = list(block.arg_types)
    copy.function_type = FunctionType.from_lists(inputs, [value.type for value in values])
    return copy, values


def _by_name(before: Computed) -> Lookup:
    known = {
        (op.sym_name.data, number): Wanted(array, widened(array)) for op, number, array in before
    }

    def lookup(op: te.ComputeOp, number: int) -> Sequence[Wanted]:
        found = known.get((op.sym_name.data, number))
        return [found] if found is not None else []

    return lookup


def _by_operator(right: Trace, after: Computed) -> Lookup:
    known: defaultdict[LocationAttr, list[Wanted]] = defaultdict(list)
    for op in right.ops:
        for location in parts(op.location):
            known[location] += [right.values[result] for result in op.results]
    last = {op.location: op for op, _, _ in after}

    def lookup(op: te.ComputeOp, number: int) -> Sequence[Wanted]:
        del number  # an operator's results have shapes of their own
        if last[op.location] is not op:
            return []
        return [wanted for location in parts(op.location) for wanted in known[location]]

    return lookup
