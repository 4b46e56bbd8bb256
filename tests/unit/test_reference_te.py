"""What te means: order of reductions, guards, opaque reads, literal matrices, scans, types."""

from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from xdsl.dialects.builtin import IntegerType, Signedness, TensorType, bf16, f32, i32, i64
from xdsl.ir import Attribute

from nnc.dialects import te
from nnc.dialects.te_build import Index, KernelBuilder, Scalar, Tensor
from nnc.dialects.te_build.functions import where
from nnc.reference.steps import NotChecked, OutsideDomain
from nnc.reference.te import run_kernel
from nnc.textir import parse

Array = np.ndarray[Any, Any]
ui8 = IntegerType(8, Signedness.UNSIGNED)


def tensor(element: Attribute, *shape: int) -> TensorType[Any]:
    return TensorType(element, shape)


def kernel_of(text: str) -> te.KernelOp:
    [kernel] = parse(text).ops
    assert isinstance(kernel, te.KernelOp)
    return kernel


def test_a_sum_runs_in_order_and_in_its_own_type() -> None:
    k = KernelBuilder("s", {"x": tensor(f32, 2, 1000)})
    [x] = k.args
    kernel = k.finish(k.compute("s", {"i": 2}, lambda i: k.sum({"k": 1000}, lambda r: x[i, r])))
    values = np.random.default_rng(0).normal(size=(2, 1000)).astype(np.float32)
    expected = np.zeros(2, np.float32)
    for column in values.T:
        expected = expected + column
    assert (run_kernel(kernel, [values])[0] == expected).all()


@pytest.mark.parametrize(
    ("combiner", "neutral"), [("sum", 0), ("prod", 1), ("max", -np.inf), ("min", np.inf)]
)
def test_empty_reductions_give_the_neutral_element(combiner: str, neutral: float) -> None:
    k = KernelBuilder("r", {"x": tensor(f32, 3, 0)})
    [x] = k.args
    reduced = k.compute("r", {"i": 3}, lambda i: k.reduce(combiner, {"k": 0}, lambda r: x[i, r]))
    assert (run_kernel(k.finish(reduced), [np.zeros((3, 0), np.float32)])[0] == neutral).all()


def test_maxima_propagate_nan() -> None:
    k = KernelBuilder("m", {"x": tensor(f32, 3)})
    [x] = k.args
    kernel = k.finish(k.compute("m", {}, lambda: k.reduce("max", {"k": 3}, lambda r: x[r])))
    assert np.isnan(run_kernel(kernel, [np.array([1, np.nan, 2], "f4")])[0])


def test_guards_and_opaque_reads() -> None:
    kernel = kernel_of("""
        te.kernel @k(%x: tensor<3xf32>, %i: tensor<4xi64>) -> tensor<4xf32> {
          %y = te.compute @y [n: 4] { (%x[n - 1] else 9.0) + %x[(index_cast(%i[n], index))] }
            : tensor<4xf32>
          te.return %y
        }
    """)
    x = np.array([1, 2, 3], "f4")
    [y] = run_kernel(kernel, [x, np.array([0, 1, 2, 0])])
    assert y.tolist() == [9 + 1, 1 + 2, 2 + 3, 3 + 1]
    with pytest.raises(OutsideDomain, match="of a tensor of shape"):
        run_kernel(kernel, [x, np.array([0, 1, 3, 0])])


def test_zeros_of_a_literal_matrix_are_no_terms() -> None:
    k = KernelBuilder("k", {"x": tensor(f32, 2)})
    [x] = k.args
    matrix = [[1.0, 0.0], [0.5, -0.5]]
    product = k.compute(
        "y", {"i": 2}, lambda i: k.sum({"k": 2}, lambda r: k.coeff(matrix, [i, r]) * x[r])
    )
    kernel = k.finish(product)
    kernel.verify()
    assert run_kernel(kernel, [np.array([3, np.inf], "f4")])[0].tolist() == [3, -np.inf]


@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan_keeps_every_state(reverse: bool) -> None:
    k = KernelBuilder("s", {"x": tensor(f32, 5, 3)})
    [x] = k.args

    def step(t: Any, states: Sequence[Tensor]) -> Sequence[Tensor]:
        return [k.compute("n", {"i": 3}, lambda i: states[0][i] + x[t(), i])]

    [sums] = k.scan("s", ("t", 5), [k.splat(1.0, f32, (3,))], step, reverse=reverse)
    values = np.arange(15, dtype="f4").reshape(5, 3)
    ordered = values[::-1] if reverse else values
    expected = 1 + np.cumsum(ordered, axis=0)
    [found] = run_kernel(k.finish(sums), [values])
    assert (found == (expected[::-1] if reverse else expected)).all()


def test_tuple_reductions() -> None:
    """The maximum and where it is, the first of equals."""
    k = KernelBuilder("a", {"x": tensor(f32, 2, 4)})
    [x] = k.args

    def pick(old: tuple[Scalar, ...], new: tuple[Scalar, ...]) -> Sequence[Scalar]:
        better = new[0] > old[0]
        return [where(better, n, o) for o, n in zip(old, new, strict=True)]

    value, position = k.computes(
        "a",
        {"i": 2},
        lambda i: k.reduce_with(pick, [-np.inf, 0], {"k": 4}, lambda r: [x[i, r], r.cast(i64)]),
    )
    data = np.array([[1, 5, 5, 2], [-1, -7, -2, -1]], "f4")
    top, at = run_kernel(k.finish(value, position), [data])
    assert top.tolist() == [5, -1]
    assert at.tolist() == [1, 0]


def test_unsigned_arithmetic_on_signless_types() -> None:
    k = KernelBuilder("u", {"x": tensor(ui8, 3), "y": tensor(ui8, 3)})
    x, y = k.args
    quotient = k.compute("q", {"i": 3}, lambda i: x[i] / y[i])
    wider = k.compute("w", {"i": 3}, lambda i: x[i].cast(i32))
    below = k.compute("b", {"i": 3}, lambda i: x[i] < y[i])
    inputs = [np.array([200, 7, 3], "u1"), np.array([3, 2, 200], "u1")]
    q, w, b = run_kernel(k.finish(quotient, wider, below), inputs)
    assert q.dtype == np.int8
    assert q.view("u1").tolist() == [66, 3, 0]
    assert w.tolist() == [200, 7, 3]
    assert b.tolist() == [False, False, True]


def test_sixteen_bit_floats_round_at_each_op() -> None:
    k = KernelBuilder("h", {"x": tensor(bf16, 3)})
    [x] = k.args
    kernel = k.finish(k.compute("y", {"i": 3}, lambda i: x[i] * x[i] + 1.0))
    data: Array = np.array([1.01, 2.02, 3.03], ml_dtypes.bfloat16)
    [found] = run_kernel(kernel, [data])
    assert found.dtype == data.dtype
    squares = (data.astype("f4") * data.astype("f4")).astype(data.dtype)
    assert (found == (squares.astype("f4") + 1).astype(data.dtype)).all()


def test_positions_are_numbers() -> None:
    k = KernelBuilder("p", {"x": tensor(i64, 4)})
    [x] = k.args

    def body(i: Index) -> Scalar:
        return x[i] + ((i + 3) % 4 * 10 + i // 2).cast(i64)

    [found] = run_kernel(k.finish(k.compute("y", {"i": 4}, body)), [np.zeros(4, "i8")])
    assert found.tolist() == [(i + 3) % 4 * 10 + i // 2 for i in range(4)]


def test_equal_expressions_are_made_once() -> None:
    k = KernelBuilder("c", {"x": tensor(f32, 4)})
    [x] = k.args
    kernel = k.finish(k.compute("y", {"i": 4}, lambda i: x[i] * x[i] + x[i] * x[i]))
    names = [op.name for op in kernel.walk() if op.name.startswith(("arith", "te.read"))]
    assert names == ["te.read", "arith.mulf", "arith.addf"]


def test_zeros_of_both_signs_are_different_literals() -> None:
    k = KernelBuilder("z", {"x": tensor(f32, 1)})
    [x] = k.args
    kernel = k.finish(k.compute("y", {"i": 1}, lambda i: where(x[i] < 0.0, x[i] * -0.0, -0.0)))
    [found] = run_kernel(kernel, [np.ones(1, "f4")])
    assert np.signbit(found).all()


def test_too_large_kernels_are_not_run() -> None:
    k = KernelBuilder("big", {"x": tensor(f32, 4096, 4096)})
    [x] = k.args
    product = k.compute(
        "c",
        {"i": 4096, "j": 4096},
        lambda i, j: k.sum({"k": 4096}, lambda r: x[i, r] * x[r, j]),
    )
    with pytest.raises(NotChecked, match="steps") as caught:
        run_kernel(k.finish(product), [np.zeros((4096, 4096), "f4")])
    assert caught.value.steps > 4096**3
