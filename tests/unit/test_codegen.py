"""Kernels of every kind of element and access, as machine code against the reference."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from xdsl.dialects.arith import Arith
from xdsl.dialects.builtin import ModuleOp, TensorType, bf16, f16, f32, f64, i1, i8, i32, i64
from xdsl.dialects.math import Math
from xdsl.ir import Attribute

from nnc.compiler.native import NativeKernel
from nnc.core.dtypes import numpy_dtype
from nnc.dialects import te
from nnc.dialects.loop import ELEMENTWISE, KernelOp
from nnc.dialects.te_build import KernelBuilder
from nnc.lowering.loop_to_llvm.arithmetic import ARITHMETIC
from nnc.lowering.loop_to_llvm.math import MATH
from nnc.lowering.te_to_loop.kernel import KernelConverter
from nnc.passes.loop.form_tiles import form_tiles
from nnc.reference.body import difference
from nnc.reference.te import run_kernel_with_errors
from nnc.schedules.replay import Schedule
from nnc.textir import parse

Array = np.ndarray[Any, Any]


def tensor(element: Attribute, *shape: int) -> TensorType[Any]:
    return TensorType(element, list(shape))


Step = Callable[[Schedule], object]


def as_it_is(_: Schedule) -> None:
    """The schedule that does nothing."""


def check(build: KernelBuilder, outputs: list[Any], inputs: list[Array], *steps: Step) -> None:
    """Run as te, then as machine code: unscheduled, and after each schedule."""
    made = build.finish(*outputs)
    made.verify()
    expected, errors = run_kernel_with_errors(made, inputs)
    for step in (as_it_is, *steps):
        kernel = KernelConverter(made).convert()
        module = ModuleOp([kernel])
        step(Schedule(kernel))
        form_tiles(kernel)
        module.verify()
        for got, want, error in zip(NativeKernel(kernel)(*inputs), expected, errors, strict=True):
            assert (difference(got, want) <= error).all(), f"{got}\n{want}\n{kernel}"


@pytest.mark.parametrize("combiner", ["max", "min", "or", "and"])
@pytest.mark.parametrize("size", [1, 7, 19])
def test_booleans_reduce_over_lanes(combiner: str, size: int) -> None:
    rng = np.random.default_rng(size)
    b = KernelBuilder("any", {"x": tensor(i1, 5, size)})
    (x,) = b.args
    y = b.compute("y", {"i": 5}, lambda i: b.reduce(combiner, {"k": size}, lambda k: x[i, k]))
    flags = rng.random((5, size)) < (0.1 if combiner in ("max", "or") else 0.9)
    check(b, [y], [flags], lambda s: s.vectorize("y.k"))


@pytest.mark.parametrize("element", [f16, bf16, f32, f64, i8, i32, i64])
@pytest.mark.parametrize("combiner", ["max", "min", "sum"])
def test_every_type_reduces_over_lanes(element: Attribute, combiner: str) -> None:
    rng = np.random.default_rng(3)
    b = KernelBuilder("reduce", {"x": tensor(element, 3, 20)})
    (x,) = b.args
    y = b.compute("y", {"i": 3}, lambda i: b.reduce(combiner, {"k": 20}, lambda k: x[i, k]))
    # small whole numbers: sums are exact in every type and order
    values = rng.integers(-3, 4, (3, 20)).astype(numpy_dtype(element))
    check(b, [y], [values], lambda s: s.vectorize("y.k"), lambda s: s.unroll("y.k"))


@pytest.mark.parametrize("element", [f16, bf16, f32, f64, i32])
def test_every_type_multiplies_and_adds(element: Attribute) -> None:
    rng = np.random.default_rng(4)
    b = KernelBuilder("mm", {"x": tensor(element, 3, 5), "w": tensor(element, 5, 9)})
    x, w = b.args
    c = b.compute("c", {"i": 3, "j": 9}, lambda i, j: b.sum({"k": 5}, lambda k: x[i, k] * w[k, j]))
    dtype = numpy_dtype(element)
    inputs = [rng.integers(-3, 4, s).astype(dtype) for s in ((3, 5), (5, 9))]

    def tiled(s: Schedule) -> None:
        s.reorder("c.k", "c.i", "c.j")
        s.unroll("c.i")
        s.vectorize("c.j")

    check(b, [c], inputs, tiled)


@pytest.mark.parametrize("size", [0, 1, 8, 13, 100])
@pytest.mark.parametrize("factor", [4, 8, 16])
@pytest.mark.parametrize("tail", ["mask", "peel", "balanced"])
def test_tails(size: int, factor: int, tail: str) -> None:
    rng = np.random.default_rng(5)
    b = KernelBuilder("tail", {"x": tensor(f32, size)})
    (x,) = b.args
    y = b.compute("y", {"i": size}, lambda i: x[i] * 2.0 + 1.0)

    def vectorized(s: Schedule) -> None:
        s.split("y.i", factor, tail)
        for loop in s.loops():
            if ".i.i" in loop:
                s.vectorize(loop)

    check(b, [y], [rng.standard_normal(size).astype(np.float32)], vectorized)


def test_integer_division_never_traps() -> None:
    low = -(2**31)
    x = np.array([7, -7, low, 5, 0, 9, -9, low, 3, 2, 1], np.int32)
    y = np.array([2, 2, -1, 0, 0, -3, -3, 1, 5, 1, 4], np.int32)
    text = """
    te.kernel @div(%x: tensor<11xi32>, %y: tensor<11xi32>) -> (tensor<11xi32>, tensor<11xi32>) {
      %q = te.compute @q [i: 11] { %x[i] / %y[i] } : tensor<11xi32>
      %r = te.compute @r [i: 11] { remsi(%x[i], %y[i]) } : tensor<11xi32>
      te.return %q, %r
    }
    """
    made = next(iter(parse(text).ops))
    assert isinstance(made, te.KernelOp)
    kernel = KernelConverter(made).convert()
    ModuleOp([kernel])
    s = Schedule(kernel)
    for loop in ("q.i", "r.i"):
        _, inner = s.split(loop, 8)
        s.vectorize(inner)
    form_tiles(kernel)
    quotient, remainder = NativeKernel(kernel)(x, y)
    defined = y != 0
    exact = x[defined].astype(np.int64), y[defined].astype(np.int64)
    wanted = (np.sign(exact[0]) * np.sign(exact[1])) * (abs(exact[0]) // abs(exact[1]))
    np.testing.assert_array_equal(quotient[defined], wanted.astype(np.int32))
    np.testing.assert_array_equal(
        remainder[defined], (exact[0] - wanted * exact[1]).astype(np.int32)
    )


def test_quotients_of_indices_from_memory_are_rounded_down() -> None:
    """i - ids[n] is negative: an index that is an axis and one that is data, then divided."""
    b = KernelBuilder("k", {"x": tensor(f32, 9), "ids": tensor(i32, 6)})
    x, ids = b.args
    s = b.compute("s", {"r": 6, "i": 5}, lambda r, i: x[(r * 2 - i) % 3 + (i - r) // 4 + 3])
    y = b.compute("y", {"n": 6, "i": 5}, lambda n, i: s[ids[n], i])

    def inlined(axis: str) -> Step:
        def step(schedule: Schedule) -> None:
            schedule.compute_inline("s")
            schedule.vectorize(axis)

        return step

    check(
        b,
        [y],
        [np.arange(9, dtype=np.float32), np.arange(6, dtype=np.int32)],
        lambda s: s.compute_inline("s"),
        inlined("y.n"),
        inlined("y.i"),
    )


@pytest.mark.parametrize("element", [f16, bf16, f32, f64])
def test_a_guards_value_keeps_the_sign_of_zero(element: Attribute) -> None:
    b = KernelBuilder("k", {"x": tensor(element, 3)})
    (x,) = b.args
    y = b.compute("y", {"n": 20}, lambda n: 1.0 / x.read((n - 9,), -0.0))
    ones = np.ones(3, numpy_dtype(element))
    with np.errstate(divide="ignore"):
        check(b, [y], [ones], lambda s: s.vectorize("y.n"), lambda s: s.split("y.n", 4))


def test_a_conditional_gives_results() -> None:
    text = """
    loop.kernel @pick(%x: buffer<9xf32>, %y: out buffer<9xf32>) {
      loop.for %i = 0 to 9 {name = "i"} {
        %v = "loop.if"(%i) <{condition = affine_set<(d0) : (d0 - 4 >= 0)>}> ({
          %a = loop.load %x[%i] : tile<f32>
          loop.yield %a
        }, {
          %b = loop.constant -1.0 : tile<f32>
          loop.yield %b
        }) : (index) -> tile<f32>
        loop.store %v, %y[%i]
      }
    }
    """
    kernel = next(iter(parse(text).ops))
    assert isinstance(kernel, KernelOp)
    x = np.arange(9, dtype=np.float32)
    (got,) = NativeKernel(kernel)(x)
    np.testing.assert_array_equal(got, np.where(x >= 4, x, -1))


def test_bfloat16_is_rounded_to_even() -> None:
    b = KernelBuilder("add", {"x": tensor(bf16, 12), "y": tensor(bf16, 12)})
    x, y = b.args
    z = b.compute("z", {"i": 12}, lambda i: x[i] + y[i])
    rng = np.random.default_rng(6)
    inputs = [rng.standard_normal(12).astype(ml_dtypes.bfloat16) for _ in range(2)]
    check(b, [z], inputs, lambda s: s.vectorize("z.i"))


def test_every_scalar_op_has_a_tile_op_and_llvm_ir() -> None:
    """What a body may say, in text or from the builder, can be compiled."""
    scalar = {op.name for dialect in (Arith, Math) for op in dialect.operations}
    left_out = {
        *("arith.constant", "arith.addui_extended"),  # a tile of its own; several results
        *("arith.mului_extended", "arith.mulsi_extended", "math.sincos"),
        *("math.cttz", "math.ctlz", "math.ctpop", "math.ipowi", "math.fpowi"),  # of no operator
    }
    assert scalar - left_out - set(ELEMENTWISE) == set()
    assert set(ELEMENTWISE) - set(ARITHMETIC) - set(MATH) == set()
