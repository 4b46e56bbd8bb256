"""Which part of a kernel is wrong: its computes, its statements, its buffers, one by one.

They are compared with those of the same names in the state before: computes of te, statements of
nests, and, where the tiles of form-tiles have taken the place of the statements, the last contents
of the buffers. After the lowering from the graph computes are compared with the operators' values:
the last compute of a location gives the operator's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import FunctionType, LocationAttr, ModuleOp
from xdsl.ir import Block, Operation, SSAValue

from ...core.dtypes import numpy_dtype
from ...core.errors import NncError
from ...core.locations import fuse, parts
from ...core.walk import walk
from ...dialects import loop, te
from ...reference.graph.run import as_callee_reads
from ...reference.loop import run_loop_kernel_watched
from ...reference.memory import poison
from ...reference.te import run_kernel
from ...runtime.arrays import Array
from .kernels import Case, callee_of, calls_of
from .locate import Culprit
from .trace import KERNEL_STEPS, Trace, widened
from .values import Difference, Tolerance, Wanted, compare


@dataclass(frozen=True)
class Part:
    """Something inside a kernel that has a value.

    Attributes:
        op: the compute or statement; of a buffer, what writes it.
        key: the same for the same part before and after a pass.
        what: for the reader.
        is_buffer: whether elements that nobody has written may be anything.
        array: its value; of a statement, by the positions on its axes.
    """

    op: Operation
    key: Hashable
    what: str
    array: Array
    is_buffer: bool = False


Lookup = Callable[[Part], Sequence[Wanted]]
"""What a part may be compared with."""


def narrowed(
    case: Case, states: tuple[ModuleOp, ModuleOp], right: Trace, tolerance: Tolerance
) -> Culprit | None:
    """The first part of a call's kernel that is wrong in the second state.

    `None` where no part shows it, or where running them takes too long.
    """
    before, after = (_parts_of_call(case, state) for state in states)
    known = _by_key(before) if before else _by_operator(right, after)
    return _first_wrong(before, after, known, tolerance)


def narrowed_kernel(
    before: Operation, after: Operation, inputs: Sequence[Array], tolerance: Tolerance
) -> Culprit | None:
    """The same for a kernel that is run by itself."""
    old, new = _parts(before, inputs), _parts(after, inputs)
    return _first_wrong(old, new, _by_key(old), tolerance)


def _first_wrong(
    before: Sequence[Part], after: Sequence[Part], known: Lookup, tolerance: Tolerance
) -> Culprit | None:
    for part in after:
        found = [each for each in known(part) if each.array.shape == part.array.shape]
        differences = [compare(wanted, part.array, tolerance) for wanted in found]
        if differences and all(difference.is_wrong for difference in differences):
            best = min(differences, key=lambda each: each.absolute)
            return _culprit(part, before, after, best)
    return None


def _culprit(
    part: Part, before: Sequence[Part], after: Sequence[Part], difference: Difference
) -> Culprit:
    if isinstance(part.op, loop.StoreOp):
        return Culprit(part.op, f"{part.what} is another value", difference, _makers(part.op))
    lost = _lost(part, before, after)
    if lost is not None:
        how = f"{lost.what} is gone, and {part.what} reads what it wrote"
        return Culprit(lost.op, how, difference)
    return Culprit(part.op, f"{part.what} gives another result", difference)


def _lost(part: Part, before: Sequence[Part], after: Sequence[Part]) -> Part | None:
    """A statement that is no longer there, and whose buffer `part` reads."""
    if not isinstance(part.op, loop.StmtOp):
        return None
    there = {each.key for each in after}
    read = {op.source.name_hint for op in walk(part.op) if isinstance(op, loop.ReadOp)}
    for other in before:
        is_gone = not other.is_buffer and other.key not in there
        if is_gone and read & {out.name_hint for out in _written_by(other.op)}:
            return other
    return None


def _makers(store: loop.StoreOp) -> LocationAttr:
    """Where the ops come from that compute what is stored, up to what they load."""
    found: dict[Operation, None] = {}
    waiting = [value.owner for value in store.operands]
    while waiting:
        op = waiting.pop()
        if isinstance(op, Block):
            parent = op.parent_op()
            op = parent if isinstance(parent, loop.ForOp) and parent.inits else None
        if op is None or op in found or isinstance(op, loop.AllocOp):
            continue
        found[op] = None
        waiting += [value.owner for value in op.operands]
        waiting += [value.owner for inner in walk(op) for value in inner.operands]
    return fuse([op.location for op in reversed(found)])


def _parts_of_call(case: Case, state: ModuleOp) -> list[Part]:
    calls = calls_of(state)
    if case.number >= len(calls):
        return []
    kernel, inputs = callee_of(calls[case.number]), case.inputs
    if isinstance(kernel, loop.KernelOp):
        inputs = as_callee_reads(kernel, calls[case.number], inputs)
    return _parts(kernel, inputs)


def _parts(kernel: Operation, inputs: Sequence[Array]) -> list[Part]:
    """What the parts of a kernel give; none where that takes too long."""
    try:
        if isinstance(kernel, te.KernelOp):
            return _computes(kernel, inputs)
        return _statements(kernel, inputs) if isinstance(kernel, loop.KernelOp) else []
    except (NncError, IndexError):
        return []


def _computes(kernel: te.KernelOp, inputs: Sequence[Array]) -> list[Part]:
    copy, values = _giving_all(kernel)
    found: list[Part] = []
    for value, array in zip(values, run_kernel(copy, inputs, limit=KERNEL_STEPS), strict=True):
        op = value.owner
        assert isinstance(op, te.ComputeOp)
        name = op.sym_name.data
        found.append(Part(op, (name, op.results.index(value)), f"compute @{name}", array))
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


def _statements(kernel: loop.KernelOp, inputs: Sequence[Array]) -> list[Part]:
    """The values of statements, then those of buffers; both in the order of the program."""
    written: dict[Hashable, Part] = {}
    for op in walk(kernel):
        for number in range(len(op.outs) if isinstance(op, loop.StmtOp) else 0):
            assert isinstance(op, loop.StmtOp)
            key = op.sym_name.data, number
            written.setdefault(key, Part(op, key, f"statement @{key[0]}", _unwritten(op, number)))

    def watch(op: loop.StmtOp, axes: Sequence[Array], values: Sequence[Array]) -> None:
        pairs = zip(op.axes, axes, strict=True)
        places = tuple(position for axis, position in pairs if not axis.is_reduce)
        for number, value in enumerate(values):
            array = written[op.sym_name.data, number].array
            if len(places) == array.ndim and _are_inside(places, array.shape):
                array[places] = value

    contents = run_loop_kernel_watched(kernel, inputs, watch, limit=KERNEL_STEPS)
    return [*written.values(), *_buffers(kernel, contents)]


def _unwritten(op: loop.StmtOp, number: int) -> Array:
    extents = [axis.size for axis in op.axes if not axis.is_reduce]
    dtype = numpy_dtype(loop.buffer_type(op.outs[number]).element_type)
    return np.full(extents, poison(dtype), dtype)


def _are_inside(places: Sequence[Array], shape: Sequence[int]) -> bool:
    """Parts of a statement that was cut in two may have axes of other extents."""
    pairs = zip(places, shape, strict=True)
    return all(not place.size or int(place.max()) < size for place, size in pairs)


def _buffers(kernel: loop.KernelOp, contents: dict[SSAValue, Array]) -> list[Part]:
    """What is in each buffer in the end, in the order in which they are first written."""
    found: dict[SSAValue, Part] = {}
    numbers: defaultdict[str, int] = defaultdict(int)
    for op in walk(kernel):
        for buffer in _written_by(op):
            if buffer in contents and buffer not in found:
                name = buffer.name_hint or "?"
                numbers[name] += 1
                key = "buffer", name, numbers[name]
                found[buffer] = Part(op, key, f"what is stored to %{name}", contents[buffer], True)
    return list(found.values())


def _written_by(op: Operation) -> Sequence[SSAValue]:
    if isinstance(op, loop.StoreOp):
        return [op.dest]
    return op.outs if isinstance(op, loop.StmtOp) else ()


def _by_key(before: Sequence[Part]) -> Lookup:
    known = {part.key: part.array for part in before}

    def lookup(part: Part) -> Sequence[Wanted]:
        array = known.get(part.key)
        if array is None:
            return []
        if part.is_buffer and array.shape == part.array.shape and array.dtype == part.array.dtype:
            is_free = array != array if array.dtype.kind == "f" else array == poison(array.dtype)
            array = np.where(is_free, part.array, array)
        return [Wanted(array, widened(array))]

    return lookup


def _by_operator(right: Trace, after: Sequence[Part]) -> Lookup:
    known: defaultdict[LocationAttr, list[Wanted]] = defaultdict(list)
    for op in right.ops:
        for location in parts(op.location):
            known[location] += [right.values[result] for result in op.results]
    last = {part.op.location: part.op for part in after}

    def lookup(part: Part) -> Sequence[Wanted]:
        if last[part.op.location] is not part.op:
            return []
        return [wanted for location in parts(part.op.location) for wanted in known[location]]

    return lookup
