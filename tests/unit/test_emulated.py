"""Kernels of every class of the library as aarch64 code, run by qemu, against the reference."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from nnc.compiler.emulated import EmulatedKernel, can_emulate
from nnc.compiler.kernels import lower_kernel
from nnc.compiler.options import Options
from nnc.compiler.pipelines import GRAPH, run_passes
from nnc.compiler.program import lower_to_te
from nnc.compiler.timing import Timings
from nnc.core.dtypes import numpy_dtype
from nnc.core.errors import UnsupportedError
from nnc.core.irtypes import tensor_element, tensor_shape
from nnc.dialects.graph.base import ConstantOp
from nnc.dialects.te import KernelOp
from nnc.reference.body import difference
from nnc.reference.te import run_kernel_with_errors
from nnc.targets import resolve
from nnc.textir import parse
from nnc.textir.weights import weights_of

Array = np.ndarray[Any, Any]
needs_emulator = pytest.mark.skipif(not can_emulate(), reason="no qemu-aarch64, or no linker")

NETWORKS = {
    "matmul": """
    func.func @main(%x: tensor<37x50xf32>, %w: tensor<50x43xf32>, %b: tensor<43xf32>)
        -> tensor<37x43xf32> {
      %0 = graph.matmul(%x, %w) : tensor<37x43xf32>
      %1 = graph.add(%0, %b) : tensor<37x43xf32>
      %2 = graph.relu(%1) : tensor<37x43xf32>
      func.return %2
    }""",
    "batched matmul": """
    func.func @main(%x: tensor<3x5x16xf32>, %w: tensor<3x16x18xf32>) -> tensor<3x5x18xf32> {
      %0 = graph.matmul(%x, %w) : tensor<3x5x18xf32>
      func.return %0
    }""",
    "convolutions": """
    func.func @main(%x: tensor<1x3x17x15xf32>, %w: tensor<18x3x3x3xf32>, %v: tensor<10x18x1x1xf32>,
        %u: tensor<12x10x5x3xf32>) -> tensor<1x12x3x5xf32> {
      %0 = graph.conv(%x, %w) {strides = [2, 2], pads = [1, 1, 1, 1]} : tensor<1x18x9x8xf32>
      %1 = graph.relu(%0) : tensor<1x18x9x8xf32>
      %2 = graph.conv(%1, %v) : tensor<1x10x9x8xf32>
      %3 = graph.conv(%2, %u) {dilations = [2, 2], pads = [1, 1, 1, 0]} : tensor<1x12x3x5xf32>
      func.return %3
    }""",
    "depthwise": """
    func.func @main(%x: tensor<1x3x11x13xf32>, %w: tensor<20x3x1x1xf32>, %v: tensor<20x1x3x3xf32>)
        -> tensor<1x20x11x13xf32> {
      %0 = graph.conv(%x, %w) : tensor<1x20x11x13xf32>
      %1 = graph.hard_swish(%0) : tensor<1x20x11x13xf32>
      %2 = graph.conv(%1, %v) {pads = [1, 1, 1, 1], group = 20} : tensor<1x20x11x13xf32>
      func.return %2
    }""",
    "grouped and transposed": """
    func.func @main(%x: tensor<1x12x6x7xf32>, %w: tensor<9x4x3x3xf32>, %v: tensor<9x6x2x2xf32>)
        -> tensor<1x6x8x10xf32> {
      %1 = graph.conv(%x, %w) {group = 3} : tensor<1x9x4x5xf32>
      %2 = graph.conv_transpose(%1, %v) {strides = [2, 2]} : tensor<1x6x8x10xf32>
      func.return %2
    }""",
    "winograd": """
    func.func @main(%x: tensor<1x32x20x20xf32>) -> tensor<1x32x20x20xf32> {
      %w = graph.constant #graph.weight<"0"> : tensor<32x32x3x3xf32>
      %0 = graph.conv(%x, %w) {pads = [1, 1, 1, 1]} : tensor<1x32x20x20xf32>
      %1 = graph.relu(%0) : tensor<1x32x20x20xf32>
      func.return %1
    }""",
    "pooling": """
    func.func @main(%x: tensor<1x7x13x18xf32>, %w: tensor<20x7x1x1xf32>)
        -> (tensor<1x7x7x9xf32>, tensor<1x20x13x18xf32>, tensor<1x7x1x1xf32>) {
      %0 = graph.max_pool(%x) {kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]}
        : tensor<1x7x7x9xf32>
      %1 = graph.conv(%x, %w) : tensor<1x20x13x18xf32>
      %2 = graph.average_pool(%1) {kernel_shape = [3, 3], pads = [1, 1, 1, 1]}
        : tensor<1x20x13x18xf32>
      %3 = graph.global_average_pool(%x) : tensor<1x7x1x1xf32>
      func.return %0, %2, %3
    }""",
    "rows": """
    func.func @main(%x: tensor<9x70xf32>, %s: tensor<70xf32>, %b: tensor<70xf32>)
        -> tensor<9x70xf32> {
      %0 = graph.layer_normalization(%x, %s, %b)
        {resultSegmentSizes = array<i32: 1, 0, 0>} : tensor<9x70xf32>
      %1 = graph.softmax(%0) : tensor<9x70xf32>
      func.return %1
    }""",
    "reductions": """
    func.func @main(%x: tensor<6x35x9xf32>) -> (tensor<6x9xf32>, tensor<6x35xf32>) {
      %a = graph.constant dense<[1]> : tensor<1xi64>
      %b = graph.constant dense<[2]> : tensor<1xi64>
      %0 = graph.reduce_sum(%x, %a) {keepdims = 0} : tensor<6x9xf32>
      %1 = graph.reduce_max(%x, %b) {keepdims = 0} : tensor<6x35xf32>
      func.return %0, %1
    }""",
    "elementwise": """
    func.func @main(%x: tensor<5x77xf32>, %y: tensor<77xf32>) -> tensor<5x77xf32> {
      %0 = graph.add(%x, %y) : tensor<5x77xf32>
      %1 = graph.abs(%0) : tensor<5x77xf32>
      %2 = graph.sqrt(%1) : tensor<5x77xf32>
      %3 = graph.div(%x, %2) : tensor<5x77xf32>
      func.return %3
    }""",
    "movement": """
    func.func @main(%x: tensor<9x21x6xf32>, %i: tensor<5x3xi64>)
        -> (tensor<6x9x21xf32>, tensor<5x3x21x6xf32>) {
      %0 = graph.transpose(%x) {perm = [2, 0, 1]} : tensor<6x9x21xf32>
      %1 = graph.gather(%x, %i) : tensor<5x3x21x6xf32>
      func.return %0, %1
    }""",
}


def te_kernels(text: str, options: Options) -> list[KernelOp]:
    module: ModuleOp = parse(text)
    for op, weight in weights_of(module):
        assert isinstance(op, ConstantOp)
        weight.array = array_of(op.res.type, np.random.default_rng(12))
    timings = Timings()
    run_passes(GRAPH, module, timings)
    lower_to_te(module, options, timings)
    return [op for op in module.ops if isinstance(op, KernelOp)]


@needs_emulator
@pytest.mark.parametrize("numerics", ["fast", "strict"])
@pytest.mark.parametrize("network", NETWORKS)
def test_every_class_of_kernel_runs_as_neon(network: str, numerics: str) -> None:
    options = Options(resolve("aarch64-neon"), 1, numerics)
    rng = np.random.default_rng(11)
    kernels = te_kernels(NETWORKS[network], options)
    assert (network == "winograd" and numerics == "fast") == any(map(is_tiled, kernels))
    for kernel in kernels:
        inputs = [array_of(argument.type, rng) for argument in kernel.body.block.args]
        expected, errors = run_kernel_with_errors(kernel, inputs)
        tiles, _ = lower_kernel(kernel, None, "k", options, Timings())
        results = EmulatedKernel(tiles, options.target)(*inputs)
        for got, want, error in zip(results, expected, errors, strict=True):
            assert (difference(got, want) <= error).all()


def is_tiled(kernel: KernelOp) -> bool:
    return "winograd" in kernel.sym_name.data


def array_of(type_: Any, rng: np.random.Generator) -> Array:
    """Values around 0; indices into axes of at least 5."""
    shape, dtype = tensor_shape(type_), numpy_dtype(tensor_element(type_))
    if dtype.kind == "i":
        return rng.integers(-5, 5, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def test_code_for_another_machine_is_refused() -> None:
    options = Options(resolve("x86-64-v4"), 1, "fast")
    (kernel,) = te_kernels(NETWORKS["elementwise"], options)
    tiles, _ = lower_kernel(kernel, None, "k", options, Timings())
    with pytest.raises(UnsupportedError, match="cannot run code for x86-64-v4 in an emulator"):
        EmulatedKernel(tiles, options.target)
