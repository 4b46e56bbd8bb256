"""From a main function of calls to a program: slots, arena, launches, host steps.

    func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
      %w = graph.constant #graph.weight<"f0e1..."> : tensor<8x8xf32>
      %0 = te.call @dense(%x, %w) : (tensor<4x8xf32>, tensor<8x8xf32>) -> tensor<4x8xf32>
      %1 = graph.reshape(%0, %shape) : tensor<32xf32>           // a view: no code, same memory
      %2 = te.call @relu(%1) : (tensor<32xf32>) -> tensor<32xf32>
      func.return %2
    }

Calls that follow each other become one segment with one entry function; every other op is a host
step. What a host step or the caller sees has a slot of its own, all else lives in the arena. Views,
and what is marked `in_place`, have no memory of their own (passes/graph/places.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Operation, SSAValue

from ...core.dtypes import numpy_dtype
from ...core.errors import PassError
from ...core.irtypes import tensor_element, tensor_shape
from ...core.locations import describe
from ...dialects.buffers import buffer_of
from ...dialects.graph.base import ConstantOp
from ...dialects.loop import BufferType
from ...dialects.te import CallOp
from ...passes.graph.bind_inputs import main_function
from ...passes.graph.places import Places, is_in_place, is_memory_view
from ...runtime.arrays import Array, ready
from ...runtime.program import (
    ARENA,
    FIRST_SLOT,
    SCRATCH,
    HostStep,
    LaunchCode,
    Output,
    Program,
    Segment,
    TensorSpec,
    Use,
)
from ..llvm_to_object import merge_modules
from .entry import emit_entry
from .launch import KernelCode, Launch, Place
from .memory import Lifetime, align, plan_arena
from .packing import PackedConstants, pack

HostRun = Callable[..., Sequence[Array]]


@dataclass
class Storage:
    """Memory that one or several values of main share.

    Attributes:
        size: bytes.
        shape, dtype: of the value that all of it is.
        slot: its slot; `None` while undecided and where it lives in the arena.
        index: its number among the arena's buffers.
        constant: its content, if known.
        on_host: made by a host step.
        first, last: positions of the first and the last op that uses it.
    """

    size: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    slot: int | None = None
    index: int | None = None
    constant: ConstantOp | None = None
    on_host: bool = False
    first: int = 0
    last: int = 0


@dataclass
class SegmentPlan:
    """Calls that one entry function runs; `launches` once the arena is planned."""

    symbol: str
    calls: list[tuple[CallOp, int]] = field(default_factory=list[tuple[CallOp, int]])
    reads: dict[int, Storage] = field(default_factory=dict[int, Storage])
    writes: dict[int, Storage] = field(default_factory=dict[int, Storage])


@dataclass(frozen=True)
class ProgramPlan:
    """A program whose entry functions are still text."""

    llvm_text: str
    symbols: tuple[str, ...]
    """The entry functions, then the functions that they call."""
    program: Callable[[Callable[[str], int], object], Program]
    """Takes the address of each symbol and what keeps the code in memory."""


def value_bytes(type_: Attribute) -> int:
    """Bytes of a tensor or of a buffer, the padding of its layout included."""
    buffer = type_ if isinstance(type_, BufferType) else buffer_of(type_)
    return buffer.num_elements * numpy_dtype(buffer.element_type).itemsize


def plan_program(
    module: ModuleOp,
    kernels: Mapping[str, KernelCode],
    host: Callable[[Operation], HostRun],
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    packed: PackedConstants | None = None,
) -> ProgramPlan:
    """Plan `@main` of `module`.

    Args:
        module: holds `func.func @main` of calls, constants, views and host operators.
        kernels: the compiled kernels by symbol.
        host: gives the Python function that runs an operator on the host.
        inputs: what the caller gives, in order of main's arguments.
        outputs: what main returns, in order.
        packed: constants of other programs of this model, which this one shares and adds to.
    """
    main = main_function(module)
    packed = PackedConstants() if packed is None else packed
    return _Planner(kernels, host, inputs, outputs, packed).plan(main)


class _Planner:
    def __init__(
        self,
        kernels: Mapping[str, KernelCode],
        host: Callable[[Operation], HostRun],
        inputs: Sequence[TensorSpec],
        outputs: Sequence[TensorSpec],
        packed: PackedConstants,
    ):
        self.kernels, self.host = kernels, host
        self.inputs, self.outputs = inputs, outputs
        self.places: Places
        self.storages: dict[SSAValue, Storage] = {}
        """By the value that all of it is."""
        self.steps: list[SegmentPlan | Operation] = []
        self.num_slots = len(inputs)
        self.constants: dict[int, Array] = {}
        self.constant_slots: dict[object, int] = {}
        self.packed = packed
        self.position = 0

    def plan(self, main: FuncOp) -> ProgramPlan:
        self.places = Places.of(main.body.block)
        self._place_inputs(main)
        for op in main.body.block.ops:
            self._visit(op)
        returned = main.body.block.last_op
        assert isinstance(returned, ReturnOp), "main ends with func.return"
        results = [
            self._output(*pair) for pair in zip(returned.arguments, self.outputs, strict=True)
        ]
        self._overwrite_operands()
        self._fill_segments()
        launches, arena_bytes = self._place_in_arena()
        steps = [self._host_step(s) if isinstance(s, Operation) else s for s in self.steps]
        entries = [s.symbol for s in steps if isinstance(s, SegmentPlan)]
        functions = [launch.symbol for symbol in entries for launch in launches[symbol]]
        scratch = align(max((code.scratch for code in self.kernels.values()), default=0))
        text = merge_modules(emit_entry(symbol, launches[symbol], scratch) for symbol in entries)

        def program(address: Callable[[str], int], keep: object) -> Program:
            return Program(
                inputs=tuple(self.inputs),
                outputs=tuple(results),
                steps=tuple(
                    s if isinstance(s, HostStep) else _segment(s, launches[s.symbol], address)
                    for s in steps
                ),
                num_slots=self.num_slots,
                constants=self.constants,
                last_use=self._last_uses(steps, results),
                arena_bytes=arena_bytes,
                scratch_bytes=scratch,
                keep=keep,
            )

        return ProgramPlan(text, tuple(dict.fromkeys([*entries, *functions])), program)

    def _place_inputs(self, main: FuncOp) -> None:
        for slot, (argument, spec) in enumerate(zip(main.args, self.inputs, strict=True)):
            storage = Storage(value_bytes(argument.type), spec.shape, spec.dtype, slot=slot)
            self.storages[argument] = storage

    def _visit(self, op: Operation) -> None:
        if isinstance(op, ReturnOp):
            return
        if isinstance(op, ConstantOp):
            self._storage(op.res).constant = op
        elif not is_memory_view(op) and not is_in_place(op):
            self._visit_step(op)

    def _visit_step(self, op: Operation) -> None:
        self.position += 1
        for value in (*op.operands, *op.results):
            self._storage(value).last = self.position
        if not isinstance(op, CallOp):
            for value in (*op.operands, *op.results):
                self._slot(self._storage(value))
            for result in op.results:
                self._storage(result).on_host = True
            self.steps.append(op)
            return
        if not self.steps or isinstance(self.steps[-1], Operation):
            self.steps.append(SegmentPlan(f"nnc.entry.{len(self.steps)}"))
        segment = self.steps[-1]
        assert isinstance(segment, SegmentPlan)
        segment.calls.append((op, self.position))

    def _storage(self, value: SSAValue) -> Storage:
        """The memory in which a value lies."""
        root, _ = self.places.root(value)
        if root not in self.storages:
            self.storages[root] = self._new(root)
        return self.storages[root]

    def _new(self, value: SSAValue) -> Storage:
        shape, dtype = tensor_shape(value.type), numpy_dtype(tensor_element(value.type))
        size = value_bytes(value.type) if -1 not in shape else 0
        return Storage(size, shape, dtype, first=self.position, last=self.position)

    def _slot(self, storage: Storage) -> int:
        """The storage's slot; a constant's holds it as it is."""
        if storage.slot is None:
            if storage.constant is not None:
                storage.slot = self._constant(storage.constant, None)
            else:
                storage.slot = self._new_slot()
        return storage.slot

    def _new_slot(self) -> int:
        self.num_slots += 1
        return self.num_slots - 1

    def _constant(self, op: ConstantOp, buffer: BufferType | None) -> int:
        """The slot of a constant as the buffer's layout wants it; equal ones share it."""
        shape = buffer.extents if buffer is not None else tensor_shape(op.res.type)
        layout = buffer.layout if buffer is not None else None
        key = (op.value, tensor_element(op.res.type), shape, layout)
        if key not in self.constant_slots:
            slot = self.constant_slots[key] = self._new_slot()
            self.constants[slot] = self.packed.get(key, lambda: _packed(op, shape, buffer))
        return self.constant_slots[key]

    def _output(self, value: SSAValue, spec: TensorSpec) -> Output:
        storage = self._storage(value)
        known = storage.slot is not None or storage.constant is not None
        slot = self._slot(storage)
        shape = spec.shape if -1 not in spec.shape else None
        return Output(spec, Use(slot, shape), copy=known or storage.on_host)

    def _overwrite_operands(self) -> None:
        """Let results take over the memory of operands that die, where kernels allow it."""
        for segment in self.steps:
            if not isinstance(segment, SegmentPlan):
                continue
            for call, position in segment.calls:
                for operand, result in self._code(call).inout:
                    made = call.results[result - len(call.operands)]
                    self._overwrite(call, position, call.operands[operand], made)

    def _overwrite(self, call: CallOp, position: int, value: SSAValue, made: SSAValue) -> None:
        """Let `made` take over the memory of `value` if it ends here and nothing else is in it."""
        old, new = self._storage(value), self._storage(made)
        touched = [self._storage(other) for other in (*call.operands, *call.results)]
        if (
            self._is_whole(value)
            and self._is_whole(made)
            and old.last == new.first == position
            and sum(storage is old for storage in touched) == 1
        ):
            self.storages[self.places.root(made)[0]] = old
            old.last = new.last

    def _is_whole(self, value: SSAValue) -> bool:
        """Whether a value is all of a buffer in the arena."""
        storage, (_, offset) = self._storage(value), self.places.root(value)
        if storage.slot is not None or storage.constant is not None or offset:
            return False
        return value_bytes(value.type) == storage.size

    def _fill_segments(self) -> None:
        """What each segment reads and writes, once every slot is known."""
        for segment in self.steps:
            if not isinstance(segment, SegmentPlan):
                continue
            for call, _ in segment.calls:
                for result in call.results:
                    slot = self._storage(result).slot
                    if slot is not None:
                        segment.writes[slot] = self._storage(result)
                for operand in call.operands:
                    storage = self._storage(operand)
                    if storage.slot is not None and storage.constant is None:
                        segment.reads[storage.slot] = storage
            for slot in segment.writes:
                segment.reads.pop(slot, None)

    def _place_in_arena(self) -> tuple[dict[str, list[Launch]], int]:
        """Plan the arena, then make the launches of every segment; its size in bytes."""
        lifetimes: list[Lifetime] = []
        segments = [step for step in self.steps if isinstance(step, SegmentPlan)]
        calls = [call for segment in segments for call in segment.calls]
        temporaries: dict[CallOp, range] = {}
        for call, position in calls:
            for storage in (self._storage(result) for result in call.results):
                if storage.slot is None and storage.index is None:
                    storage.index = len(lifetimes)
                    lifetimes.append(Lifetime(storage.size, storage.first, storage.last))
            sizes = self._code(call).temporaries
            temporaries[call] = range(len(lifetimes), len(lifetimes) + len(sizes))
            lifetimes += [Lifetime(size, position, position) for size in sizes]
        arena = plan_arena(lifetimes)
        places = [
            Place(ARENA, offset, lifetime.size)
            for offset, lifetime in zip(arena.offsets, lifetimes, strict=True)
        ]
        launches = {
            segment.symbol: [
                launch
                for call, _ in segment.calls
                for launch in self._launches(call, [places[i] for i in temporaries[call]], places)
            ]
            for segment in segments
        }
        return launches, arena.size

    def _code(self, call: CallOp) -> KernelCode:
        symbol = call.callee.root_reference.data
        code = self.kernels.get(symbol)
        if code is None:
            raise PassError(f"there is no compiled kernel '{symbol}'", where=describe(call))
        return code

    def _launches(
        self, call: CallOp, temporaries: Sequence[Place], places: Sequence[Place]
    ) -> list[Launch]:
        code = self._code(call)
        values = [*call.operands, *call.results]
        assert len(values) == len(code.args), f"{call.callee} has {len(code.args)} arguments"
        where = [
            self._place(value, type_, places)
            for value, type_ in zip(values, code.args, strict=True)
        ]
        num_inputs = len(call.operands)
        return [
            Launch(
                symbol,
                extent,
                tuple(where[:num_inputs]),
                (*where[num_inputs:], *temporaries),
                code.alone,
                describe(call),
            )
            for symbol, extent in code.phases
        ]

    def _place(self, value: SSAValue, buffer: BufferType, places: Sequence[Place]) -> Place:
        storage = self._storage(value)
        if storage.constant is not None:
            return Place(
                FIRST_SLOT + self._constant(storage.constant, buffer), 0, value_bytes(buffer)
            )
        size = value_bytes(buffer)
        assert size == value_bytes(value.type), "only constants are packed"
        offset = self.places.root(value)[1] * storage.dtype.itemsize
        if storage.index is not None:
            place = places[storage.index]
            return Place(place.slot, place.offset + offset, size)
        assert storage.slot is not None
        return Place(FIRST_SLOT + storage.slot, offset, size)

    def _host_step(self, op: Operation) -> HostStep:
        args = tuple(self._use(operand) for operand in op.operands)
        results = tuple(self._slot(self._storage(result)) for result in op.results)
        return HostStep(self.host(op), args, results, op.name.removeprefix("graph."), describe(op))

    def _use(self, value: SSAValue) -> Use:
        shape = tensor_shape(value.type)
        return Use(self._slot(self._storage(value)), shape if -1 not in shape else None)

    def _last_uses(
        self, steps: Sequence[SegmentPlan | HostStep], results: Sequence[Output]
    ) -> tuple[tuple[int, ...], ...]:
        last: dict[int, int] = {}
        for number, step in enumerate(steps):
            if isinstance(step, SegmentPlan):
                slots = [*step.reads, *step.writes]
            else:
                slots = [*(use.slot for use in step.args if use), *step.results]
            last.update(dict.fromkeys(slots, number))
        keep = {output.use.slot for output in results} | set(self.constants)
        dead: list[list[int]] = [[] for _ in steps]
        for slot, number in last.items():
            if slot not in keep:
                dead[number].append(slot)
        return tuple(tuple(slots) for slots in dead)


def _packed(op: ConstantOp, shape: tuple[int, ...], buffer: BufferType | None) -> Array:
    array = op.array.reshape(shape)
    if buffer is None:
        return ready(array)
    return pack(array, buffer.layout_map, buffer.physical_shape)


def _segment(
    plan: SegmentPlan, launches: Sequence[Launch], address: Callable[[str], int]
) -> Segment:
    return Segment(
        entry=address(plan.symbol),
        reads=tuple(plan.reads),
        host_reads=tuple(slot for slot, storage in plan.reads.items() if storage.on_host),
        writes=tuple((slot, s.shape, s.dtype) for slot, s in plan.writes.items()),
        launches=tuple(_launch_code(launch, address) for launch in launches if launch.extent),
        is_parallel=not all(launch.on_first_thread for launch in launches),
    )


def _launch_code(launch: Launch, address: Callable[[str], int]) -> LaunchCode:
    places = [(place.slot, place.offset) for place in (*launch.reads, *launch.writes)]
    pointers = (*places, (SCRATCH, 0))
    return LaunchCode(address(launch.symbol), pointers, launch.extent, launch.symbol, launch.where)
