"""What a profile says: the work of kernels, launches joined to calls, the machine's rates."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import nnc
from nnc.compiler.model import Model
from nnc.dialects import te
from nnc.runtime.profile import Profiler
from nnc.runtime.program import LaunchCode
from nnc.targets import resolve
from nnc.textir import parse
from nnc.tools.model.profile import rows_of
from nnc.tools.model.rates import FmaPeak, ReadRate
from nnc.tools.model.work import Machine, Work, kernel_operations, kernel_work

CONV = """
te.kernel @conv(%x: tensor<1x4x9x10xf32>, %w: tensor<8x4x3x3xf32> const) -> tensor<1x8x9x10xf32> {
  %c = te.compute @c [n: 1, o: 8, h: 9, w: 10] sum [i: 4, y: 3, x: 3] {
    (%x[n, i, h + y - 1, w + x - 1] else 0.0) * %w[o, i, y, x]
  } : tensor<1x8x9x10xf32>
  %r = te.compute @r [n: 1, o: 8, h: 9, w: 10] { max(%c[n, o, h, w], 0.0) } : tensor<1x8x9x10xf32>
  te.return %r
}
"""
DIAGONAL = """
te.kernel @diagonal(%x: tensor<6x6xf32>) -> tensor<5xf32> {
  %s = te.compute @s [i: 5] sum [k: 7] { (%x[i + k, i + k] else 0.0) * 2.0 } : tensor<5xf32>
  te.return %s
}
"""
TRANSFORM = """
te.kernel @transform(%x: tensor<3x20xf32>) -> tensor<2x20xf32> {
  %s = te.compute @s [a: 2, n: 20] sum [r: 3] {
    %0 = coeff(dense<[[1.0, 0.5, 0.0], [0.0, -0.5, 0.0]]> : tensor<2x3xf32>)[a, r]
    te.yield %0 * %x[r, n]
  } : tensor<2x20xf32>
  te.return %s
}
"""
EXP = """
te.kernel @exp(%x: tensor<5x7xf32>) -> tensor<5x7xf32> {
  %e = te.compute @e [i: 5, j: 7] { exp(%x[i, j] - 1.0) / 2.0 } : tensor<5x7xf32>
  te.return %e
}
"""


def kernel(text: str) -> te.KernelOp:
    return next(op for op in parse(text).ops if isinstance(op, te.KernelOp))


def test_operations_on_padding_do_not_count():
    rows, columns = (
        sum(0 <= o + k - 1 < size for o, k in product(range(size), range(3))) for size in (9, 10)
    )
    assert kernel_operations(kernel(CONV)) == 2 * 8 * 4 * rows * columns + 8 * 9 * 10


def test_reads_whose_indices_hang_together_count_in_full():
    assert kernel_operations(kernel(DIAGONAL)) == 2 * 5 * 7


def test_structural_zeros_are_no_terms():
    assert kernel_operations(kernel(TRANSFORM)) == 2 * 3 * 20


def test_a_function_is_one_operation():
    assert kernel_operations(kernel(EXP)) == 3 * 5 * 7


@pytest.fixture(scope="module")
def model() -> Model:
    """softmax(relu(x @ W + b)), in one or several kernels, with its output used twice."""
    rng = np.random.default_rng(1)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "W", "b"], ["p"], "product"),
            helper.make_node("Relu", ["p"], ["q"], "activation"),
            helper.make_node("Softmax", ["q"], ["y"], "soft", axis=-1),
        ],
        "test",
        [value("x", TensorProto.FLOAT, [64, 128])],
        [value("y", TensorProto.FLOAT, [64, 256])],
        [
            numpy_helper.from_array(rng.standard_normal((128, 256), np.float32), "W"),
            numpy_helper.from_array(rng.standard_normal(256, np.float32), "b"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    return nnc.compile(helper.make_model(graph, opset_imports=opset, ir_version=9), threads=1)


INPUTS = {"x": np.random.default_rng(2).standard_normal((64, 128), np.float32)}


def test_rows_are_calls_with_their_work(model: Model):
    compiled = model.compiled
    assert compiled is not None
    profile = Profiler(compiled.executable).profile(INPUTS, 3)
    rows = rows_of(profile.steps, compiled)
    launches = sum(len(row.parallel) for row in rows)
    assert launches == len(profile.steps)
    assert sum(row.seconds for row in rows) == pytest.approx(sum(s for _, s in profile.steps))
    nodes = " ".join(row.where for row in rows)
    for name in ("product", "activation", "soft"):
        assert name in nodes
    gemm = next(row for row in rows if "product" in row.where)
    assert gemm.work is not None
    assert gemm.work.operations >= 2 * 64 * 128 * 256
    assert gemm.work.weight_bytes == 4 * (128 * 256 + 256)
    assert gemm.work.tensor_bytes >= 4 * 64 * 128


def test_profiling_leaves_results_alone(model: Model):
    compiled = model.compiled
    assert compiled is not None
    profiler = Profiler(compiled.executable)
    profile = profiler.profile(INPUTS, 2)
    assert profile.whole > 0
    assert profile.share > 0
    np.testing.assert_array_equal(profiler(INPUTS)["y"], model(INPUTS)["y"])


def test_launches_run_again_on_the_same_memory(model: Model):
    compiled = model.compiled
    assert compiled is not None
    chosen: list[str] = []

    def choose(launch: LaunchCode) -> bool:
        chosen.append(launch.name)
        return True

    profiler = Profiler(compiled.executable)
    calls = profiler.launches(INPUTS, choose)
    for call in calls * 3:
        call.bound()()
    steps = [step for step, _ in profiler.profile(INPUTS, 1).steps]
    assert chosen == [step.name for step in steps if isinstance(step, LaunchCode)]
    assert len(calls) == len(steps)


def test_weights_and_tensors_have_rates_of_their_own():
    machine = Machine(resolve("cpu"), rounds=1)
    compute = machine.limit(Work(10**12, 1, 1), 1 << 20)
    assert compute == pytest.approx(1e3 / machine.gflops)
    small, large = (machine.limit(Work(1, 1 << 20, 0), size) for size in (1 << 20, 1 << 27))
    assert small == pytest.approx((1 << 20) / machine.read_gigabytes(1 << 20) / 1e9)
    assert large == pytest.approx((1 << 20) / machine.read_gigabytes(1 << 27) / 1e9)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", ["x86-64-v3", "cpu"])
def test_rates_are_of_this_order(name: str, threads: int):
    target = resolve(name)
    if target.triple.partition("-")[0] != resolve("cpu").triple.partition("-")[0]:
        pytest.skip("another architecture")
    assert 1 < FmaPeak(target, threads)() < 10_000
    assert 0.1 < ReadRate(target, 1 << 20, threads)() < 10_000


def test_the_work_of_a_kernel_knows_weights_from_tensors(model: Model):
    compiled = model.compiled
    assert compiled is not None
    for op in (op for op in compiled.module.ops if isinstance(op, te.KernelOp)):
        work = kernel_work(op, compiled.kernels.code[op.sym_name.data])
        assert work.num_bytes == work.weight_bytes + work.tensor_bytes
        assert (work.weight_bytes > 0) == bool(op.const_positions)
