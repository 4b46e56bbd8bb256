"""Tensor expressions: as text, by the reference, and as machine code, against NumPy."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp, TensorType, f32

from nnc import te
from nnc.dialects.te_build import KernelBuilder
from nnc.reference.te import run_kernel
from nnc.textir import parse, print_module
from nnc.textir.equality import equal

Array = np.ndarray[Any, Any]
SIZES = [0, 1, 5, 16]


def check(
    outputs: te.Tensor | Sequence[te.Tensor],
    inputs: Sequence[te.Tensor],
    arrays: Sequence[Array],
    expected: Array | Sequence[Array],
    tolerance: float = 0.0,
) -> None:
    """The text reads back, and reference, canonical nests and library schedules give `expected`."""
    results = [outputs] if isinstance(outputs, te.Tensor) else list(outputs)
    wanted = [expected] if isinstance(expected, np.ndarray) else list(expected)
    kernel = te.create_kernel(results, inputs)
    module = ModuleOp([kernel.op.clone()])
    module.verify()
    assert equal(module, parse(kernel.ir()), names=True) is None
    args = [*inputs, *results]
    found = [run_kernel(kernel.op, arrays)]
    for source in (te.create_schedule(results, inputs), results):
        out = te.build(source, args)(*arrays)
        found.append(list(out) if isinstance(out, tuple) else [out])
    for made in found:
        for got, want in zip(made, wanted, strict=True):
            assert got.shape == want.shape
            assert got.dtype.itemsize == want.dtype.itemsize
            np.testing.assert_allclose(got.view(want.dtype), want, rtol=tolerance, atol=tolerance)


def floats(*shape: int, dtype: str = "float32") -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def whole(*shape: int, dtype: str = "float32", low: int = -4, high: int = 5) -> Array:
    """Small whole numbers: sums of them are exact in any order."""
    return np.random.default_rng(sum(shape)).integers(low, high, shape).astype(dtype)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("inner", [0, 1, 7])
def test_matmul(n: int, inner: int) -> None:
    a = te.placeholder((n, inner), name="a")
    b = te.placeholder((inner, 9), name="b", const=True)
    k = te.reduce_axis((0, inner), name="k")
    c = te.compute((n, 9), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="c")
    x, y = whole(n, inner), whole(inner, 9)
    check(c, [a, b], [x, y], x @ y)
    check(te.matmul(a, b), [a, b], [x, y], x @ y)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "int64"])
def test_reductions_of_dimensions(n: int, dtype: str) -> None:
    x = te.placeholder((3, n), dtype, "x")
    low = 0 if dtype.startswith("u") else -2
    array = whole(3, n, dtype=dtype, low=low, high=3)
    check(te.sum(x, axis=1), [x], [array], array.sum(1, dtype=dtype))
    check(te.sum(x, keepdims=True), [x], [array], array.sum(keepdims=True, dtype=dtype))
    check(te.prod(x, axis=-1), [x], [array], array.prod(1, dtype=dtype))
    if n:
        check(te.max(x, axis=1), [x], [array], array.max(1))
        check(te.min(x, axis=(0, 1)), [x], [array], np.asarray(array.min()))
    else:
        start = np.full(3, te.min_value(dtype), dtype)
        check(te.max(x, axis=1), [x], [array], start)


def test_unsigned_maximum_above_the_signed_range() -> None:
    x = te.placeholder((4,), "uint8", "x")
    array = np.array([3, 200, 128, 7], np.uint8)
    check(te.max(x), [x], [array], np.asarray(np.uint8(200)))
    check(te.min(x), [x], [array], np.asarray(np.uint8(3)))


@pytest.mark.parametrize("n", SIZES)
def test_all_and_any(n: int) -> None:
    x = te.placeholder((4, n), name="x")
    array = whole(4, n)
    k = te.reduce_axis((0, n), name="k")
    every = te.compute((4,), lambda i: te.all(x[i, k] > -4, axis=k), name="every")
    some = te.any(x > 3, axis=1)
    check(
        [every, some],
        [x],
        [array],
        [np.all(array > -4, 1, keepdims=True)[:, 0], np.any(array > 3, 1, keepdims=True)[:, 0]],
    )
    assert every.dtype == some.dtype
    inside = te.compute((4, n), lambda i, j: te.all(x[i, j] > -2, x[i, j] < 2, i != 1))
    rows = np.arange(4)[:, None]
    check(inside, [x], [array], (array > -2) & (array < 2) & (rows != 1))


def test_a_reduction_where_a_condition_holds() -> None:
    x = te.placeholder((6, 6), name="x")
    k = te.reduce_axis((0, 6), name="k")
    lower = te.compute((6,), lambda i: te.sum(x[i, k], axis=k, where=k <= i))
    largest = te.compute((6,), lambda i: te.max(x[i, k], axis=k, where=k > i))
    array = whole(6, 6)
    above = np.where(np.triu(np.ones((6, 6), bool), 1), array, -np.inf).max(1)
    check([lower, largest], [x], [array], [np.tril(array).sum(1), above])


def test_the_condition_of_a_reduction_guards_its_reads() -> None:
    x = te.placeholder((6,), name="x")
    k = te.reduce_axis((-1, 2), name="k")
    sums = te.compute((6,), lambda i: te.sum(x[i + k], axis=k, where=te.all(i + k >= 0, i + k < 6)))
    array = whole(6)
    check(sums, [x], [array], np.convolve(array, np.ones(3, np.float32), "same"))


def test_reduce_axes_keep_the_order_in_which_they_are_named() -> None:
    x = te.placeholder((2, 3, 4), name="x")
    p, q = te.reduce_axis(3, name="p"), te.reduce_axis((0, 4), name="q")
    y = te.compute((2,), lambda i: te.sum(x[i, p, q] * (p + 2 * q), axis=(q, p)), name="y")
    assert "[i: 2] sum [q: 4, p: 3]" in te.create_kernel(y).ir()
    array = whole(2, 3, 4)
    weights = np.arange(3)[:, None] + 2 * np.arange(4)
    check(y, [x], [array], (array * weights.astype(np.float32)).sum((1, 2)))


def test_an_axis_that_is_not_read_repeats_the_sum() -> None:
    x = te.placeholder((3,), name="x")
    k = te.reduce_axis((0, 5), name="k")
    y = te.compute((3,), lambda i: te.sum(x[i], axis=k))
    array = whole(3)
    check(y, [x], [array], array * 5)


def test_axes_of_one_name_are_told_apart() -> None:
    x = te.placeholder((3, 4), name="x")
    k = te.reduce_axis((0, 4), name="i")
    y = te.compute((3,), lambda j: te.sum(x[j, k], axis=k), name="y")
    z = te.compute((3,), lambda i: te.sum(x[i, k], axis=k), name="z")
    assert "@z [i: 3] sum [i_1: 4]" in te.create_kernel([y, z]).ir()
    array = whole(3, 4)
    check([y, z], [x], [array], [array.sum(1), array.sum(1)])


def test_several_results() -> None:
    x = te.placeholder((4, 5), name="x")
    k = te.reduce_axis((0, 5), name="k")
    double, square = te.compute((4, 5), lambda i, j: (x[i, j] * 2, x[i, j] ** 2), name="two")
    total, largest = te.compute(
        (4,), lambda i: (te.sum(x[i, k], axis=k), te.max(x[i, k], axis=k)), name="both"
    )
    array = whole(4, 5)
    expected = [array * 2, array**2, array.sum(1), array.max(1)]
    check([double, square, total, largest], [x], [array], expected)
    check([largest], [x], [array], [array.max(1)])


@pytest.mark.parametrize("n", [1, 2, 9])
def test_a_combiner_of_pairs(n: int) -> None:
    def better(old: Any, new: Any) -> Any:
        is_new = te.all(new[0] > old[0])
        return te.select(is_new, new[0], old[0]), te.select(is_new, new[1], old[1])

    def start(value: str, position: str) -> Any:
        return te.min_value(value), te.const(-1, position)

    argmax = te.comm_reducer(better, start, name="argmax")
    x = te.placeholder((3, n), name="x")
    k = te.reduce_axis((0, n), name="k")
    best, at = te.compute((3,), lambda i: argmax((x[i, k], k), axis=k), name="best")
    array = floats(3, n)
    check([best, at], [x], [array], [array.max(1), array.argmax(1)])


def test_a_combiner_of_one_value() -> None:
    def combine(a: Any, b: Any) -> Any:
        return a ^ b

    def start(_: str) -> int:
        return 0

    xor = te.comm_reducer(combine, start, name="xor")
    x = te.placeholder((3, 6), "int32", "x")
    k = te.reduce_axis((0, 6), name="k")
    y = te.compute((3,), lambda i: xor(x[i, k], axis=k, where=k != 2))
    array = whole(3, 6, dtype="int32", low=-100, high=100)
    kept = np.delete(array, 2, 1)
    check(y, [x], [array], np.bitwise_xor.reduce(kept, 1))


@pytest.mark.parametrize("n", [0, 1, 4])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_scan(n: int, reverse: bool) -> None:
    x = te.placeholder((n, 3), name="x")
    scale = te.placeholder((3,), name="scale")
    start = te.placeholder((3,), name="start")
    twice = scale * 2.0

    def step(t: Any, s: te.Tensor) -> te.Tensor:
        return te.compute((3,), lambda i: s[i] * twice[i] + x[t, i])

    h = te.scan(
        n,
        start,
        step,
        name="h",
        reverse=reverse,
    )
    arrays = whole(n, 3), whole(3, low=0, high=2), whole(3)
    expected = np.zeros((n, 3), np.float32)
    state = arrays[2]
    for t in range(n)[:: -1 if reverse else 1]:
        state = state * (arrays[1] * 2) + arrays[0][t]
        expected[t] = state
    check(h, [x, scale, start], arrays, expected)


def test_a_scan_of_several_states() -> None:
    x = te.placeholder((5,), "int64", "x")

    def step(t: Any, a: te.Tensor, b: te.Tensor) -> tuple[te.Tensor, te.Tensor]:
        return b, te.compute((), lambda: a[()] + b[()] * x[t] + t)

    starts = [te.zeros((), "int64"), te.ones((), "int64")]
    first, second = te.scan(5, starts, step, name="fib")
    array = np.array([1, 1, 2, 1, 3])
    a, b = 0, 1
    rows: list[tuple[int, int]] = []
    for t in range(5):
        a, b = b, int(a + b * array[t] + t)
        rows.append((a, b))
    expected = np.array(rows).T
    check([first, second], [x], [array], [expected[0], expected[1]])


@pytest.mark.parametrize("n", [1, 2, 8])
def test_guarded_reads(n: int) -> None:
    x = te.placeholder((n,), name="x")
    shifted = te.compute((n,), lambda i: te.if_then_else(i > 0, x[i - 1] * 2, -1.0))
    filled = te.compute((n + 2,), lambda i: x.read((i - 1,), 7.0))
    array = whole(n)
    expected = np.concatenate([[-1], array[:-1] * 2]).astype(np.float32)
    padded = np.pad(array, 1, constant_values=7)
    check([shifted, filled], [x], [array], [expected, padded])


def test_slices() -> None:
    x = te.placeholder((4, 5, 6), name="x")
    array = whole(4, 5, 6)
    k = te.reduce_axis((0, 3), name="k")
    row = te.compute((4, 6), lambda i, j: x[i][2, j] + x[i, :, j][-1], name="row")
    total = te.compute((5,), lambda i: te.sum(x[1, i, 1:6:2][k], axis=k), name="total")
    sums = array[1, :, 1:6:2].sum(1)
    check([row, total], [x], [array], [array[:, 2] + array[:, -1], sums])
    check(x[1:3, ::-2, ..., 0] + x[0, 0, :1], [x], [array], array[1:3, ::-2, 0] + array[0, 0, 0])
    check(te.matmul(x[0, :, :5], x[1]), [x], [array], array[0, :, :5] @ array[1])
    check(te.exp(x[-1]), [x], [array], np.exp(array[-1]), 1e-6)


def test_opaque_indices() -> None:
    x = te.placeholder((7, 3), name="x")
    ids = te.placeholder((5,), "int32", "ids")
    y = te.compute((5, 3), lambda i, j: x[ids[i], j] + x[(ids[i] + 1) % 7, (i * j) % 3])
    array, places = whole(7, 3), np.array([0, 6, 3, 3, 1], np.int32)
    i, j = np.indices((5, 3))
    expected = array[places] + array[(places[:, None] + 1) % 7, (i * j) % 3]
    check(y, [x, ids], [array, places], expected)
    check(te.take(x, ids), [x, ids], [array, places], array[places])
    check(te.take(x, ids % 3, axis=1), [x, ids], [array, places], array[:, places % 3])


UNARY = [
    "acos asin atan cbrt ceil cos cosh erf exp exp2 expm1 floor log log10 log1p log2 round rsqrt",
    "sin sinh sqrt tan tanh trunc abs negative sigmoid relu asinh atanh",
]
EXPECTED: dict[str, Callable[[Array], Array]] = {
    "acos": np.arccos,
    "asin": np.arcsin,
    "asinh": np.arcsinh,
    "atan": np.arctan,
    "atanh": np.arctanh,
    "erf": np.vectorize(math.erf),
    "round": np.rint,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0),
}


@pytest.mark.parametrize("name", " ".join(UNARY).split())
def test_functions_of_one_number(name: str) -> None:
    x = te.placeholder((40,), "float64", "x")
    array = np.linspace(0.02, 0.98, 40)
    expected = EXPECTED.get(name) or getattr(np, name)
    whole_tensor = getattr(te, name)(x)
    check(whole_tensor, [x], [array], expected(array), 1e-12)
    by_element = te.compute((40,), lambda i: getattr(te, name)(x[i]), name=whole_tensor.name)
    assert te.create_kernel(by_element).ir() == te.create_kernel(whole_tensor).ir()


def test_functions_of_two() -> None:
    x = te.placeholder((4, 1), "int32", "x")
    y = te.placeholder((5,), "int32", "y")
    a, b = np.array([[-7], [7], [0], [3]], np.int32), np.array([-2, 2, 1, -5, 4], np.int32)
    pairs: list[tuple[Any, Array]] = [
        (x + y, a + b),
        (x - y, a - b),
        (x * y, a * b),
        (x // y, a // b),
        (x % y, a % b),
        (te.truncdiv(x, y), (a / b).astype(np.int32)),
        (te.truncmod(x, y), np.fmod(a, b)),
        (x & y, a & b),
        (x | y, a | b),
        (x ^ y, a ^ b),
        (~x, ~a),
        (-y, -b),
        (abs(x), abs(a)),
        (x < y, a < b),
        (x >= y, a >= b),
        (te.equal(x, y), a == b),
        (te.not_equal(x, 3), a != 3),
        (te.maximum(x, y), np.maximum(a, b)),
        (te.minimum(1, y), np.minimum(1, b)),
        (te.where(x > y, x, y - 1), np.where(a > b, a, b - 1)),
        (te.clip(x, -1, 5), np.clip(a, -1, 5)),
        (te.left_shift(x, 2), a << 2),
        (te.right_shift(x, 1), a >> 1),
        (3 - x, 3 - a),
        (20 // (y * y), 20 // (b * b)),
        (te.logical_and(x > 0, y > 0), (a > 0) & (b > 0)),
        (te.logical_not(x > 0), ~(a > 0)),
    ]
    for tensor, expected in pairs:
        inputs = [each for each in (x, y) if each in te.create_kernel(tensor).inputs]
        check(tensor, inputs, [{x: a, y: b}[each] for each in inputs], expected)


@pytest.mark.parametrize("target", ["float64", "float16", "int8", "uint8", "int64", "bool"])
@pytest.mark.parametrize("source", ["float32", "int32", "uint8", "bool"])
def test_casts(source: str, target: str) -> None:
    x = te.placeholder((5,), source, "x")
    array = np.array([0, 1, 100, 27, 3]).astype(source)
    check(x.astype(target), [x], [array], array.astype(target))
    y = te.compute((5,), lambda i: te.cast(target, x[i]))
    check(y, [x], [array], array.astype(target))


def test_axes_as_numbers() -> None:
    x = te.placeholder((4,), name="x")
    y = te.compute((4,), lambda i: x[i] * i + i / te.const(4, "float32"), name="y")
    at = te.compute((4, 3), lambda i, j: i * 3 + j, name="at")
    array = whole(4)
    i = np.arange(4, dtype=np.float32)
    check([y, at], [x], [array], [array * i + i / 4, np.arange(12).reshape(4, 3)])


@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (4, 3)])
def test_movement(shape: tuple[int, int]) -> None:
    n, m = shape
    x, array = te.placeholder(shape, name="x"), whole(*shape)
    pairs: list[tuple[te.Tensor, Array]] = [
        (te.transpose(x), array.T),
        (te.transpose(x, (0, 1)), array),
        (te.reshape(x, (m, n)), array.reshape(m, n)),
        (te.reshape(x, n * m), array.reshape(-1)),
        (te.expand_dims(x, 1), array[:, None]),
        (te.expand_dims(x, -1), array[..., None]),
        (te.squeeze(te.expand_dims(x, 0), 0), array),
        (te.broadcast_to(x, (2, n, m)), np.broadcast_to(array, (2, n, m))),
        (te.concatenate([x, x * 2, x[:, :1]], axis=1), np.hstack([array, array * 2, array[:, :1]])),
        (
            te.concatenate([x, te.zeros((0, m)), te.ones((2, m))]),
            np.vstack([array, np.ones((2, m))]),
        ),
        (te.stack([x, -x], axis=1), np.stack([array, -array], 1)),
        (te.pad(x, [(1, 2), (0, 1)], 5), np.pad(array, [(1, 2), (0, 1)], constant_values=5)),
        (te.pad(x, [(0, 0), (-1, 0)]), array[:, 1:]),
        (te.flip(x, 1), array[:, ::-1]),
        (te.flip(x), array[::-1, ::-1]),
        (te.full((2, n), 3.5) + te.sum(x), np.full((2, n), 3.5) + array.sum()),
    ]
    for tensor, expected in pairs:
        check(tensor, [x], [array], expected.astype(np.float32))


def test_arange_and_no_inputs() -> None:
    check(te.arange(5), [], [], np.arange(5))
    check(te.arange(4, "float32") * 0.5, [], [], np.arange(4, dtype=np.float32) / 2)


@pytest.mark.parametrize(
    ("left", "right"),
    [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((5, 1, 2, 3), (4, 3, 2)), ((0, 2, 3), (3, 1))],
)
def test_stacks_of_matrices(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    a, b = te.placeholder(left, name="a"), te.placeholder(right, name="b")
    x, y = whole(*left), whole(*right)
    check(te.matmul(a, b), [a, b], [x, y], np.asarray(x @ y))


@pytest.mark.parametrize("n", [1, 6])
def test_softmax_mean_and_positions(n: int) -> None:
    x, array = te.placeholder((4, n), name="x"), floats(4, n)
    powers = np.exp(array - array.max(1, keepdims=True))
    check(te.softmax(x), [x], [array], powers / powers.sum(1, keepdims=True), 1e-6)
    check(te.mean(x, 0), [x], [array], array.mean(0), 1e-6)
    array[1] = 2.0
    array[2, n // 2] = np.nan
    check(te.argmax(x), [x], [array], array.argmax(1))
    check(te.argmin(x, 0, keepdims=True), [x], [array], array.argmin(0, keepdims=True))


def test_bfloat16_and_float16() -> None:
    import ml_dtypes

    for dtype in (np.dtype(ml_dtypes.bfloat16), np.dtype(np.float16)):
        x = te.placeholder((6,), dtype, "x")
        array = whole(6).astype(dtype)
        check((x * 2 + 1).astype("float32"), [x], [array], array.astype(np.float32) * 2 + 1)


def test_names_of_parameters_name_the_axes() -> None:
    x = te.placeholder((2, 3, 4), name="x")
    named = te.compute((2, 3, 4), lambda n, _, mod: x[n, _, mod], name="named")

    def read(*i: Any) -> Any:
        return x[i]

    rest = te.compute((2, 3, 4), read, name="rest")
    text = te.create_kernel([named, rest]).ir()
    assert "@named [n: 2, i1: 3, i2: 4]" in text
    assert "@rest [i0: 2, i1: 3, i2: 4]" in text
    array = whole(2, 3, 4)
    check([named, rest], [x], [array], [array, array])


def test_kernels_hold_copies() -> None:
    x = te.placeholder((3,), name="x")
    y = te.compute((3,), lambda i: x[i] + 1, name="y")
    z = te.compute((3,), lambda i: y[i] * 2, name="y")
    before = te.create_kernel(z).ir()
    array = whole(3)
    check(y, [x], [array], array + 1)
    check([z, y], [x], [array], [(array + 1) * 2, array + 1])
    assert te.create_kernel(z).ir() == before
    assert "@y_1" in before


def test_the_project_s_builder_writes_with_the_same_functions() -> None:
    """A lowering's compute and a user's are one language: the same text from both."""
    k = te.reduce_axis((0, 5), name="k")
    builder = KernelBuilder("y", {"x": TensorType(f32, [4, 5])})
    (x,) = builder.args
    made = builder.compute("y", {"i": 4}, lambda i: te.max(te.exp(x[i, k]), axis=k))
    x_user = te.placeholder((4, 5), name="x")
    y = te.compute((4,), lambda i: te.max(te.exp(x_user[i, k]), axis=k), name="y")
    assert print_module(builder.finish(made)) == te.create_kernel(y).ir()
