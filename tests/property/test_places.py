"""Pieces and parts in place, operands overwritten: random networks compute what they say.

The plan of each is run twice. Once by this file, kernel by kernel, on memory that begins as NaN and
with paddings that become NaN, so that whatever lies in the wrong place, or is overwritten too
early, shows; and once as machine code, on one thread and on two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, TensorType, f32
from xdsl.ir import Block, Region, SSAValue

import nnc
from nnc.compiler.host import host_function
from nnc.compiler.pipelines import FUSE, TE, run_passes
from nnc.compiler.signature import input_specs, output_specs
from nnc.compiler.timing import Timings
from nnc.core.verifier import problems
from nnc.dialects import te
from nnc.dialects.graph.base import ConstantOp, GraphOp, KernelOp
from nnc.dialects.graph.registry import operator
from nnc.dialects.graph.types import dims
from nnc.dialects.loop import BufferType
from nnc.lowering.program import KernelCode, plan_program
from nnc.lowering.te_to_loop.views import buffer_of
from nnc.passes.graph.places import is_in_place
from nnc.reference.graph.run import run_module
from nnc.reference.te import run_kernel
from nnc.runtime.program import ARENA, FIRST_SLOT, HostStep, LaunchCode, Program

Array = np.ndarray[Any, Any]
ELEMENTWISE = {"graph.relu", "graph.tanh", "graph.add"}
CHANNELS = 160


class Maker:
    """Draws operators on images [1, c, h, w] of one size."""

    def __init__(self, draw: st.DrawFn, size: tuple[int, int]):
        self.draw, self.size = draw, size
        self.block = Block(arg_types=[TensorType(f32, (1, c, *size)) for c in (16, 24)])
        self.values: list[SSAValue] = list(self.block.args)
        self.random = np.random.default_rng(draw(st.integers(0, 99)))

    def add(self, name: str, *operands: SSAValue, **properties: Any) -> None:
        op: GraphOp = operator(f"graph.{name}").cls.of(*operands, **properties)
        self.block.add_op(op)
        self.values += op.results

    def constant(self, array: Any) -> SSAValue:
        op = ConstantOp.of(np.asarray(array))
        self.block.add_op(op)
        return op.res

    def pick(self) -> SSAValue:
        """The later a value, the likelier."""
        back = min(self.draw(st.integers(0, 2 * len(self.values))), len(self.values) - 1)
        return self.values[-1 - (back if self.draw(st.booleans()) else back // 3)]

    def step(self) -> None:
        kinds = ("conv", "conv", "unary", "add_", "concat", "concat", "cut", "view", "host")
        getattr(self, self.draw(st.sampled_from(kinds)))()

    def conv(self) -> None:
        x, out = self.pick(), self.draw(st.sampled_from((16, 32, 24)))
        w = self.random.normal(size=(out, channels(x), 1, 1)) / np.sqrt(channels(x))
        self.add("conv", x, self.constant(w.astype(np.float32)))

    def unary(self) -> None:
        self.add(self.draw(st.sampled_from(("relu", "tanh"))), self.pick())

    def add_(self) -> None:
        x = self.pick()
        self.add("add", x, self.draw(st.sampled_from([v for v in self.values if same(v, x)])))

    def concat(self) -> None:
        pieces = [self.pick() for _ in range(self.draw(st.integers(1, 4)))]
        if sum(map(channels, pieces)) <= CHANNELS:
            self.add("concat", *pieces, axis=1)

    def cut(self) -> None:
        x = self.pick()
        at = 8 * self.draw(st.integers(1, channels(x) // 8))
        if at == channels(x):
            return
        if self.draw(st.booleans()):
            cuts = self.constant(np.array([at, channels(x) - at]))
            self.add("split", x, cuts, axis=1, results=2)
        else:
            bounds = [self.constant(np.array([n])) for n in (at, channels(x), 1)]
            self.add("slice", x, *bounds)

    def view(self) -> None:
        """A reshape counts elements in row-major order."""
        x = self.pick()
        shape = self.constant(np.array([1, channels(x), *self.size]))
        self.add("reshape", x, shape)

    def host(self) -> None:
        """A step that runs in Python, between two segments of compiled code."""
        zero = self.constant(np.zeros((1, 1, 1, 1), np.int64))
        update = self.constant(np.full((1, 1, 1, 1), 0.5, np.float32))
        self.add("scatter_elements", self.pick(), zero, update, axis=1)

    def module(self) -> ModuleOp:
        few = st.lists(st.sampled_from(self.values), max_size=2)
        results = [self.values[-1], *self.draw(few)]
        self.block.add_op(func.ReturnOp(*results))
        types = list(self.block.arg_types), [value.type for value in results]
        return ModuleOp([func.FuncOp("main", types, Region(self.block))])


def channels(value: SSAValue) -> int:
    found = dims(value.type)
    assert found is not None
    assert isinstance(found[1], int)
    return found[1]


def same(a: SSAValue, b: SSAValue) -> bool:
    return a.type == b.type


@st.composite
def networks(draw: st.DrawFn, size: tuple[int, int] = (3, 2)) -> ModuleOp:
    maker = Maker(draw, size)
    for _ in range(draw(st.integers(2, 14))):
        maker.step()
    return maker.module()


def inputs_of(module: ModuleOp) -> list[Array]:
    random = np.random.default_rng(7)
    return [random.normal(size=s.shape).astype(s.dtype) for s in input_specs(module)]


@dataclass
class Memory:
    """The frame of a program: bytes by slot."""

    bytes: dict[int, Array]

    def elements(self, buffer: BufferType, pointer: tuple[int, int]) -> tuple[Array, Array]:
        """(all elements of a buffer, the places of the logical ones in it)."""
        slot, offset = pointer
        count = buffer.num_elements
        flat = self.bytes[slot][offset : offset + 4 * count].view(np.float32)
        index = list(np.indices(buffer.extents))
        physical = [expr.eval(index, []) for expr in buffer.layout_map.results]
        places = np.ravel_multi_index(np.broadcast_arrays(*physical), buffer.physical_shape)
        return flat, places

    def read(self, buffer: BufferType, pointer: tuple[int, int]) -> Array:
        flat, places = self.elements(buffer, pointer)
        return flat[places]

    def write(self, buffer: BufferType, pointer: tuple[int, int], array: Array) -> None:
        flat, places = self.elements(buffer, pointer)
        flat[:] = np.nan
        flat[places] = array


def run_program(
    program: Program, kernels: dict[str, te.KernelOp], inputs: Sequence[Array]
) -> list[Array]:
    """Run a plan, each kernel by its meaning."""
    memory = Memory({ARENA: np.full(program.arena_bytes // 4, np.nan, np.float32).view(np.uint8)})
    values: list[Array | None] = [None] * program.num_slots
    for slot, array in (*enumerate(inputs), *program.constants.items()):
        values[slot] = np.ascontiguousarray(array)
    for step in program.steps:
        if isinstance(step, HostStep):
            arrays = [use.of(values) for use in step.args if use is not None]
            for slot, array in zip(step.results, step.run(*arrays), strict=True):
                values[slot] = np.ascontiguousarray(array)
            continue
        for slot, shape, dtype in step.writes:
            values[slot] = np.full(shape, np.nan, dtype)
        for slot, array in enumerate(values):
            if array is not None:
                memory.bytes[FIRST_SLOT + slot] = array.reshape(-1).view(np.uint8)
        for launch in step.launches:
            run_launch(launch, kernels[launch.name], memory)
    return [output.use.of(values).copy() for output in program.outputs]


def run_launch(launch: LaunchCode, kernel: te.KernelOp, memory: Memory) -> None:
    inputs, outputs = kernel_buffers(kernel)
    pointers = launch.pointers[: len(inputs) + len(outputs)]
    arrays = [
        memory.read(buffer, pointer)
        for buffer, pointer in zip(inputs, pointers[: len(inputs)], strict=True)
    ]
    results = run_kernel(kernel, arrays)
    for buffer, pointer, result in zip(outputs, pointers[len(inputs) :], results, strict=True):
        memory.write(buffer, pointer, result)


def kernel_buffers(kernel: te.KernelOp) -> tuple[list[BufferType], list[BufferType]]:
    inputs = [buffer_of(type_) for type_ in kernel.function_type.inputs]
    return inputs, [buffer_of(type_) for type_ in kernel.function_type.outputs]


def code_of(kernel: te.KernelOp, elementwise: bool) -> KernelCode:
    """One phase; of elementwise kernels every operand of the result's type may be overwritten."""
    inputs, outputs = kernel_buffers(kernel)
    pairs = [
        (i, len(inputs) + o)
        for i, buffer in enumerate(inputs)
        for o, result in enumerate(outputs)
        if elementwise and buffer == result and i not in kernel.const_positions
    ]
    phases = ((kernel.sym_name.data, 2),)
    return KernelCode(phases, (*inputs, *outputs), len(outputs), inout=tuple(pairs))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_the_plan_computes_what_the_network_says(module: ModuleOp):
    inputs = inputs_of(module)
    expected = run_module(module, inputs)
    in_specs, out_specs = input_specs(module), output_specs(module)
    run_passes(FUSE, module, Timings())
    elementwise = {
        op.sym_name.data
        for op in module.walk()
        if isinstance(op, KernelOp)
        and all(inner.name in ELEMENTWISE | {"graph.yield"} for inner in op.body.block.ops)
    }
    run_passes(TE, module, Timings())
    assert not problems(module)
    kernels = {op.sym_name.data: op for op in module.ops if isinstance(op, te.KernelOp)}
    code = {name: code_of(kernel, name in elementwise) for name, kernel in kernels.items()}
    plan = plan_program(module, code, host_function, in_specs, out_specs)
    names = {symbol: number for number, symbol in enumerate(plan.symbols)}
    found = run_program(plan.program(names.__getitem__, None), kernels, inputs)
    for array, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-4, atol=1e-5)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks(size=(24, 20)))
def test_machine_code_computes_what_the_network_says(module: ModuleOp):
    inputs = inputs_of(module)
    expected = run_module(module, inputs)
    names = [spec.name for spec in input_specs(module)]
    given_ = dict(zip(names, inputs, strict=True))
    one = nnc.compile(module.clone(), threads=1)(given_)
    two = nnc.compile(module.clone(), threads=2)(given_)
    for wanted, array, other in zip(expected, one.values(), two.values(), strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(array, other)


def dense_block(layers: int) -> ModuleOp:
    """Every layer reads all before it, concatenations of concatenations; a convolution ends it."""
    block = Block(arg_types=[TensorType(f32, (1, 16, 3, 2))])
    value: SSAValue = block.args[0]
    random = np.random.default_rng(3)
    for _ in range(layers):
        w = ConstantOp.of(random.normal(size=(16, channels(value), 1, 1)).astype(np.float32))
        conv: GraphOp = operator("graph.conv").cls.of(value, w.res)
        concat: GraphOp = operator("graph.concat").cls.of(value, conv.results[0], axis=1)
        block.add_ops([w, conv, concat])
        value = concat.results[0]
    w = ConstantOp.of(random.normal(size=(16, channels(value), 1, 1)).astype(np.float32))
    last: GraphOp = operator("graph.conv").cls.of(value, w.res)
    value = last.results[0]
    block.add_ops([w, last, func.ReturnOp(value)])
    types = list(block.arg_types), [value.type]
    return ModuleOp([func.FuncOp("main", types, Region(block))])


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_a_dense_block_copies_nothing(layers: int):
    module = dense_block(layers)
    run_passes(FUSE, module, Timings())
    names = [op.sym_name.data for op in module.walk() if isinstance(op, KernelOp)]
    assert not [name for name in names if name.startswith(("copy", "concat"))]
    assert sum(is_in_place(op) for op in module.walk()) == layers
