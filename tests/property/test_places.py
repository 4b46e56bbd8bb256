"""Pieces and parts in place, operands overwritten: random networks compute what they say.

The plan of each is run twice. Once by this file, kernel by kernel, on memory that begins as NaN and
with paddings that become NaN, so that whatever lies in the wrong place, or is overwritten too
early, shows; and once as machine code, on one thread and on two.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from nnc.dialects.buffers import buffer_of
from nnc.dialects.graph.base import ConstantOp, GraphOp, KernelOp
from nnc.dialects.graph.registry import operator
from nnc.dialects.graph.types import dims
from nnc.dialects.loop import BufferType
from nnc.lowering.program import KernelCode, plan_program
from nnc.passes.graph.places import is_in_place
from nnc.reference.graph.run import run_module
from nnc.reference.te import run_kernel
from nnc.runtime.program import ARENA, FIRST_SLOT, HostStep, LaunchCode, Program

Array = np.ndarray[Any, Any]
ELEMENTWISE = {"graph.relu", "graph.tanh", "graph.add"}
CHANNELS = 160


class Network:
    """A network on images [1, c, h, w] of one size; every method gives its result."""

    def __init__(self, size: tuple[int, int] = (3, 2), seed: int = 0):
        self.size = size
        self.block = Block(arg_types=[TensorType(f32, (1, c, *size)) for c in (16, 24)])
        self.values: list[SSAValue] = list(self.block.args)
        self.random = np.random.default_rng(seed)

    def add(self, name: str, *operands: SSAValue, **properties: Any) -> SSAValue:
        op: GraphOp = operator(f"graph.{name}").cls.of(*operands, **properties)
        self.block.add_op(op)
        self.values += op.results
        return op.results[0]

    def constant(self, array: Any) -> SSAValue:
        op = ConstantOp.of(np.asarray(array))
        self.block.add_op(op)
        return op.res

    def conv(self, x: SSAValue, out: int = 16) -> SSAValue:
        w = self.random.normal(size=(out, channels(x), 1, 1)) / np.sqrt(channels(x))
        return self.add("conv", x, self.constant(w.astype(np.float32)))

    def concat(self, *pieces: SSAValue) -> SSAValue:
        return self.add("concat", *pieces, axis=1)

    def split(self, x: SSAValue, at: int) -> tuple[SSAValue, SSAValue]:
        cuts = self.constant(np.array([at, channels(x) - at]))
        self.add("split", x, cuts, axis=1, results=2)
        return self.values[-2], self.values[-1]

    def slice(self, x: SSAValue, at: int) -> SSAValue:
        return self.add("slice", x, *(self.constant(np.array([n])) for n in (at, channels(x), 1)))

    def view(self, x: SSAValue) -> SSAValue:
        """A reshape: it counts elements in row-major order."""
        return self.add("reshape", x, self.constant(np.array([1, channels(x), *self.size])))

    def host(self, x: SSAValue) -> SSAValue:
        """A step that runs in Python, between two segments of compiled code."""
        zero = self.constant(np.zeros((1, 1, 1, 1), np.int64))
        update = self.constant(np.full((1, 1, 1, 1), 0.5, np.float32))
        return self.add("scatter_elements", x, zero, update, axis=1)

    def module(self, *seen: SSAValue) -> ModuleOp:
        """What is not used goes into one sum; that and `seen` are the results."""
        total: SSAValue | None = None
        for value in [v for v in self.values if v.first_use is None and v not in seen]:
            term = self.conv(value)
            total = term if total is None else self.add("add", total, term)
        results = [*seen, *([] if total is None else [total])]
        self.block.add_op(func.ReturnOp(*results))
        types = list(self.block.arg_types), [value.type for value in results]
        return ModuleOp([func.FuncOp("main", types, Region(self.block))])


def channels(value: SSAValue) -> int:
    found = dims(value.type)
    assert found is not None
    assert isinstance(found[1], int)
    return found[1]


KINDS = (
    "conv",
    "conv",
    "relu",
    "tanh",
    "add",
    "concat",
    "concat",
    "split",
    "slice",
    "view",
    "host",
)


def step(draw: st.DrawFn, net: Network) -> None:
    """One random operator."""
    pick = st.one_of(st.sampled_from(net.values), st.sampled_from(net.values[-3:]))
    kind, x = draw(st.sampled_from(KINDS)), draw(pick)
    if kind == "conv":
        net.conv(x, draw(st.sampled_from((16, 32, 24))))
    elif kind == "add":
        net.add("add", x, draw(st.sampled_from([v for v in net.values if v.type == x.type])))
    elif kind == "concat":
        pieces = [x, *draw(st.lists(pick, max_size=3))]
        if sum(map(channels, pieces)) <= CHANNELS:
            net.concat(*pieces)
    elif kind in ("split", "slice"):
        at = 8 * draw(st.integers(1, channels(x) // 8 - 1)) if channels(x) > 8 else 0
        if at:
            getattr(net, kind)(x, at)
    elif kind in ("relu", "tanh"):
        net.add(kind, x)
    else:
        getattr(net, kind)(x)


@st.composite
def networks(draw: st.DrawFn, size: tuple[int, int] = (3, 2)) -> ModuleOp:
    net = Network(size, draw(st.integers(0, 99)))
    for _ in range(draw(st.integers(3, 12))):
        step(draw, net)
    return net.module(*draw(st.lists(st.sampled_from(net.values), max_size=2)))


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


def check_plan(module: ModuleOp) -> None:
    """Plan a module, run the plan, and compare with the network."""
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


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(networks())
def test_the_plan_computes_what_the_network_says(module: ModuleOp):
    check_plan(module)


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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


def shared_piece(net: Network, x: SSAValue) -> SSAValue:
    """A piece of two results."""
    a, b, c = net.conv(x), net.conv(x), net.conv(x)
    net.concat(a, b)
    return net.concat(a, c)


def needed_later(net: Network, x: SSAValue) -> SSAValue:
    """An operand that is read after the kernel that could overwrite it."""
    a = net.conv(x)
    b = net.conv(net.add("relu", a))
    return net.add("add", net.conv(b), a)


def two_segments(net: Network, x: SSAValue) -> SSAValue:
    """A host step between the kernels that write the pieces of a result."""
    a = net.add("tanh", x)
    b = net.add("relu", net.host(net.values[1]))
    net.conv(a)
    net.conv(b)
    return net.concat(a, b)


def parts_again(net: Network, x: SSAValue) -> SSAValue:
    """Parts of a value put together in another order, and one of them twice."""
    first, second = net.split(net.conv(x, 32), 16)
    net.conv(net.concat(first, second))
    return net.concat(second, first, second)


def part_of_an_input(net: Network, x: SSAValue) -> SSAValue:
    """A part of what the caller gives, and a piece of it."""
    return net.concat(net.conv(net.slice(x, 8)), x)


HARD = [shared_piece, needed_later, two_segments, parts_again, part_of_an_input]


@pytest.mark.parametrize("build", HARD)
@pytest.mark.parametrize("seen", [False, True])
def test_the_plan_of_hard_cases(build: Callable[[Network, SSAValue], SSAValue], seen: bool):
    net = Network()
    result = build(net, net.values[0])
    check_plan(net.module(*([result] if seen else [])))


TWO_NAMES = """
func.func @main(%x: tensor<2x16x16xf32>, %m: tensor<32x32xf32>) -> tensor<32x16xf32> {
  %w = graph.constant dense<WEIGHTS> : tensor<16x16xf32>
  %rows = graph.constant dense<[32, 16]> : tensor<2xi64>
  %0 = graph.matmul(%x, %w) : tensor<2x16x16xf32>
  %1 = graph.reshape(%0, %rows) : tensor<32x16xf32>
  %2 = graph.flatten(%0) {axis = 2} : tensor<32x16xf32>
  %3 = graph.matmul(%m, %1) : tensor<32x16xf32>
  %4 = graph.add(%3, %2) : tensor<32x16xf32>
  %5 = graph.matmul(%4, %w) : tensor<32x16xf32>
  func.return %5
}
"""


def test_a_buffer_under_two_names_is_not_overwritten():
    """The sum may overwrite what is added, were that not also a factor, under another shape."""
    rows = [[0.125 * ((3 * i + 5 * j) % 7 - 3) for j in range(16)] for i in range(16)]
    module = nnc.parse(TWO_NAMES.replace("WEIGHTS", str(rows)))
    x, m = inputs_of(module)
    found = nnc.compile(module.clone(), threads=1)({"x": x, "m": m})
    (expected,) = run_module(module, [x, m])
    np.testing.assert_allclose(next(iter(found.values())), expected, rtol=1e-4, atol=1e-5)


def dense_block(layers: int) -> ModuleOp:
    """Every layer reads all before it, concatenations of concatenations."""
    net = Network()
    value = net.values[0]
    for _ in range(layers):
        value = net.concat(value, net.conv(value))
    return net.module()


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_a_dense_block_copies_nothing(layers: int):
    module = dense_block(layers)
    run_passes(FUSE, module, Timings())
    names = [op.sym_name.data for op in module.walk() if isinstance(op, KernelOp)]
    assert not [name for name in names if name.startswith(("copy", "concat"))]
    assert sum(is_in_place(op) for op in module.walk()) == layers
