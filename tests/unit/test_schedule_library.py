"""What the library makes of row kernels, reductions and transpositions, as machine code."""

from math import prod
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from nnc.compiler.emulated import EmulatedKernel, can_run, runnable
from nnc.compiler.native import NativeKernel
from nnc.dialects.loop import ForOp
from nnc.dialects.te import KernelOp
from nnc.lowering.te_to_loop.kernel import KernelConverter
from nnc.passes.loop.form_tiles import form_tiles
from nnc.reference.body import difference
from nnc.reference.te import run_kernel_with_errors
from nnc.schedules.library import schedule_kernel
from nnc.targets import resolve
from nnc.textir import parse

Array = np.ndarray[Any, Any]
MACHINES = [
    pytest.param(name, marks=pytest.mark.skipif(not can_run(resolve(name)), reason="cannot run"))
    for name in ("cpu", "x86-64-v3", "aarch64-neon")
]


def check(
    text: str, inputs: list[Array], machine: str, numerics: str = "fast"
) -> NativeKernel | EmulatedKernel:
    """Compile a te kernel by the library's schedule, and compare with the reference."""
    made = next(iter(parse(text).ops))
    assert isinstance(made, KernelOp)
    expected, errors = run_kernel_with_errors(made, inputs)
    kernel = KernelConverter(made).convert()
    module = ModuleOp([kernel])
    schedule_kernel(kernel, resolve(machine), numerics)
    form_tiles(kernel)
    module.verify()
    native = runnable(kernel, resolve(machine))
    for got, want, error in zip(native(*inputs), expected, errors, strict=True):
        assert (difference(got, want) <= error).all()
    return native


def type_of(shape: tuple[int, ...], element: str = "f32") -> str:
    return f"tensor<{'x'.join(map(str, shape))}x{element}>"


def softmax(shape: tuple[int, ...], axis: int) -> str:
    names = "abcd"[: len(shape)]
    axes = ", ".join(f"{name}: {size}" for name, size in zip(names, shape, strict=True))
    kept = [name for position, name in enumerate(names) if position != axis]
    rows = ", ".join(f"{name}: {shape[names.index(name)]}" for name in kept)
    whole, row = ", ".join(names), ", ".join(kept)
    full = type_of(shape)
    part = type_of(tuple(size for position, size in enumerate(shape) if position != axis))
    reduced = f"{names[axis]}: {shape[axis]}"
    return f"""
    te.kernel @softmax(%x: {full}) -> {full} {{
      %t = te.compute @t [{rows}] max [{reduced}] {{ %x[{whole}] }} : {part}
      %p = te.compute @p [{axes}] {{ exp(%x[{whole}] - %t[{row}]) }} : {full}
      %s = te.compute @s [{rows}] sum [{reduced}] {{ %p[{whole}] }} : {part}
      %y = te.compute @y [{axes}] {{ %p[{whole}] / %s[{row}] }} : {full}
      te.return %y
    }}
    """


ROW_SHAPES = [
    *(((128, 768), 1), ((3, 1), 1), ((1, 1000), 1), ((40, 10), 1), ((7, 33), 1), ((65, 64), 0)),
    *(((2, 21, 7, 7), 1), ((2, 3, 5, 40), 1), ((2, 3, 5, 40), 3), ((3, 4, 6, 5), 2)),
]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("shape", "axis"), ROW_SHAPES)
def test_softmax_along_any_axis(shape: tuple[int, ...], axis: int, machine: str) -> None:
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    check(softmax(shape, axis), [x], machine)
    check(softmax(shape, axis), [x], machine, "strict")


def test_a_row_kernel_is_one_phase_and_needs_no_whole_intermediate() -> None:
    x = np.random.default_rng(1).standard_normal((128, 768)).astype(np.float32)
    native = check(softmax((128, 768), 1), [x], "cpu")
    assert [phase.extent for phase in native.emitted.phases] == [128]
    assert native.emitted.temporaries == []
    assert native.emitted.scratch_bytes < 2 * 768 * 4


def test_the_largest_of_a_row_is_nan_where_one_is() -> None:
    text = """
    te.kernel @top(%x: tensor<64x100xf32>) -> (tensor<64xf32>, tensor<64xf32>) {
      %t = te.compute @t [i: 64] max [j: 100] { %x[i, j] } : tensor<64xf32>
      %u = te.compute @u [i: 64] min [j: 100] { %x[i, j] } : tensor<64xf32>
      te.return %t, %u
    }
    """
    x = np.random.default_rng(2).standard_normal((64, 100)).astype(np.float32)
    x[np.arange(0, 64, 2), np.arange(0, 64, 2) + 30] = np.nan
    native = check(text, [x], "cpu")
    for result in native(x):
        assert np.isnan(result[::2]).all()
        assert not np.isnan(result[1::2]).any()


def test_statistics_that_several_rows_share_are_not_computed_again() -> None:
    """Channels in groups of 4: the rows are images, not channels."""
    text = """
    te.kernel @norm(%x: tensor<2x12x5x7xf32>) -> tensor<2x12x5x7xf32> {
      %m = te.compute @m [n: 2, g: 3] sum [c: 4, h: 5, w: 7] { %x[n, 4 * g + c, h, w] }
        : tensor<2x3xf32>
      %y = te.compute @y [n: 2, c: 12, h: 5, w: 7] {
        %x[n, c, h, w] - %m[n, c floordiv 4] * 0.25
      } : tensor<2x12x5x7xf32>
      te.return %y
    }
    """
    x = np.random.default_rng(3).standard_normal((2, 12, 5, 7)).astype(np.float32)
    native = check(text, [x], "cpu")
    assert len(native.emitted.phases) == 1
    assert native.emitted.scratch_bytes == 64  # 3 floats


@pytest.mark.parametrize("shape", [(2, 19, 6, 7), (1, 3, 1, 1), (2, 8, 30, 30)])
def test_a_mean_of_each_image_is_read_along_memory(shape: tuple[int, ...]) -> None:
    n, c, h, w = shape
    text = f"""
    te.kernel @mean(%x: {type_of(shape)}) -> {type_of((n, c))} {{
      %s = te.compute @s [n: {n}, c: {c}] sum [h: {h}, w: {w}] {{ %x[n, c, h, w] }}
        : {type_of((n, c))}
      %y = te.compute @y [n: {n}, c: {c}] {{ %s[n, c] / {h * w}.0 }} : {type_of((n, c))}
      te.return %y
    }}
    """
    x = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    native = check(text, [x], "cpu")
    assert h * w == 1 or "load float" not in native.emitted.llvm_text


def transposition(shape: tuple[int, ...], order: tuple[int, ...], element: str) -> str:
    out = tuple(shape[axis] for axis in order)
    names = "abcd"[: len(shape)]
    axes = ", ".join(f"{names[axis]}: {shape[axis]}" for axis in order)
    return f"""
    te.kernel @turn(%x: {type_of(shape, element)}) -> {type_of(out, element)} {{
      %y = te.compute @y [{axes}] {{ %x[{", ".join(names)}] }} : {type_of(out, element)}
      te.return %y
    }}
    """


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("shape", "order"),
    [
        *(((64, 48), (1, 0)), ((33, 77), (1, 0)), ((16, 16), (1, 0)), ((5, 1000), (1, 0))),
        *(((4, 4), (1, 0)), ((7, 9), (1, 0)), ((12, 23), (1, 0)), ((31, 6), (1, 0))),
        *(((1, 64, 7, 7), (0, 2, 3, 1)), ((2, 7, 9, 20), (0, 3, 1, 2)), ((2, 50, 3), (0, 2, 1))),
        *(((8, 5, 6, 17), (3, 2, 1, 0)), ((3, 18, 35), (2, 1, 0)), ((3, 18, 35), (1, 2, 0))),
    ],
)
def test_transpositions(shape: tuple[int, ...], order: tuple[int, ...], machine: str) -> None:
    x = np.arange(prod(shape), dtype=np.float32).reshape(shape)
    native = check(transposition(shape, order, "f32"), [x], machine)
    np.testing.assert_array_equal(native(x)[0], x.transpose(order))


DTYPES: dict[str, Any] = {
    **{"i1": np.bool_, "i8": np.int8, "i32": np.int32, "i64": np.int64},
    **{"f16": np.float16, "bf16": ml_dtypes.bfloat16, "f64": np.float64},
}


@pytest.mark.parametrize("element", DTYPES)
@pytest.mark.parametrize("shape", [(64, 48), (21, 39)])
def test_every_type_is_transposed(element: str, shape: tuple[int, int]) -> None:
    x = np.random.default_rng(4).integers(-99, 99, shape).astype(DTYPES[element])
    native = check(transposition(shape, (1, 0), element), [x], "cpu")
    np.testing.assert_array_equal(native(x)[0], x.T)


def test_a_transposed_operand_is_loaded_along_memory() -> None:
    """Shuffles, no element by element access, also where something is computed on the way."""
    text = """
    te.kernel @k(%x: tensor<64x64xf32>, %z: tensor<64x64xf32>) -> tensor<64x64xf32> {
      %y = te.compute @y [i: 64, j: 64] { %x[j, i] - %z[i, j] } : tensor<64x64xf32>
      te.return %y
    }
    """
    rng = np.random.default_rng(5)
    inputs = [rng.standard_normal((64, 64)).astype(np.float32) for _ in range(2)]
    native = check(text, inputs, "cpu")
    assert "shufflevector" in native.emitted.llvm_text
    assert "load float" not in native.emitted.llvm_text
    assert "insertelement" not in native.emitted.llvm_text


@pytest.mark.parametrize("combiner", ["sum", "max", "min", "prod"])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        *(((70, 33), "b"), ((70, 33), "a"), ((70, 33), "ab"), ((2, 6, 7, 7), "cd")),
        *(((2, 6, 7, 7), "b"), ((2, 6, 7, 7), "acd"), ((2, 6, 7, 40), "d"), ((2, 6, 7, 40), "bd")),
        *(((5, 3), "b"), ((300, 10), "b"), ((1, 1), "b"), ((4, 0), "b"), ((9, 300), "a")),
        *(((700, 530), "a"), ((2, 290, 600), "b"), ((47, 103), "b"), ((6, 63), "b")),
    ],
)
def test_reductions_over_any_axes(shape: tuple[int, ...], axes: str, combiner: str) -> None:
    names = "abcd"[: len(shape)]
    kept = [name for name in names if name not in axes]
    size = dict(zip(names, shape, strict=True))
    parallel = ", ".join(f"{name}: {size[name]}" for name in kept)
    reduced = ", ".join(f"{name}: {size[name]}" for name in axes)
    result = type_of(tuple(size[name] for name in kept)) if kept else "tensor<f32>"
    text = f"""
    te.kernel @r(%x: {type_of(shape)}) -> {result} {{
      %y = te.compute @y [{parallel}] {combiner} [{reduced}] {{ %x[{", ".join(names)}] }} : {result}
      te.return %y
    }}
    """
    x = np.random.default_rng(6).standard_normal(shape).astype(np.float32)
    for machine in filter(lambda name: can_run(resolve(name)), ("cpu", "x86-64-v3")):
        check(text, [x], machine)
        check(text, [x], machine, "strict")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("epilogue", [False, True])
def test_panels_of_a_large_dynamic_factor_are_copied(machine: str, epilogue: bool) -> None:
    """x [73, 707] times w [707, 603], which is larger than the second cache: tails everywhere."""
    m, k, n = 73, 707, 603
    result = type_of((m, n))
    last = f"%y = te.compute @y [i: {m}, j: {n}] {{ max(%c[i, j] + %b[j], 0.0) }} : {result}"
    text = f"""
    te.kernel @k(%x: {type_of((m, k))}, %w: {type_of((k, n))}, %b: {type_of((n,))}) -> {result} {{
      %c = te.compute @c [i: {m}, j: {n}] sum [k: {k}] {{ %x[i, k] * %w[k, j] }} : {result}
      {last if epilogue else ""}
      te.return {"%y" if epilogue else "%c"}
    }}
    """
    random = np.random.default_rng(3)
    inputs = [random.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n), (n,))]
    made = next(iter(parse(text).ops))
    assert isinstance(made, KernelOp)
    kernel = KernelConverter(made).convert()
    schedule = schedule_kernel(kernel, resolve(machine), "fast")
    assert any(op.name == "sched.cache_read" for op in schedule.body.block.ops)
    form_tiles(kernel)
    (got,) = runnable(kernel, resolve(machine))(*inputs)
    exact = inputs[0].astype(np.float64) @ inputs[1]
    want = np.maximum(exact + inputs[2], 0) if epilogue else exact
    np.testing.assert_allclose(got, want, rtol=0, atol=3e-4)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("shape", [(6, 57), (3, 5), (2, 64), (1, 33)])
def test_interleaved_rows_are_read_along_memory(machine: str, shape: tuple[int, int]) -> None:
    """y[j, i, l] is x[i, j] for l = 0 and z[i, j] for l = 1 and 2: lanes run along j."""
    rows, columns = shape
    full, out = type_of(shape), type_of((columns, rows, 3))
    text = f"""
    te.kernel @k(%x: {full}, %z: {full}) -> {out} {{
      %y = te.compute @y [j: {columns}, i: {rows}, l: 3] {{
        %0 = %x[i + l, j] else 0.0
        %1 = %z[i, j]
        te.yield select(l < 1, %0, %1 * 2.0)
      }} : {out}
      te.return %y
    }}
    """
    random = np.random.default_rng(rows)
    check(text, [random.standard_normal(shape).astype(np.float32) for _ in range(2)], machine)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("width", [40, 32])
def test_rows_of_a_stack_of_matrices_share_tiles(machine: str, width: int) -> None:
    """Tiles of rows run through x[p floordiv 7, p mod 7] though no matrix has as many rows."""
    result = type_of((2, 3, 7, width))
    text = f"""
    te.kernel @k(%x: {type_of((2, 3, 7, 20))}, %w: {type_of((20, width))}, %b: {type_of((width,))}) -> {result} {{
      %c = te.compute @c [p: 42, j: {width}] sum [k: 20] {{
        %x[p floordiv 21, p floordiv 7 mod 3, p mod 7, k] * %w[k, j]
      }} : {type_of((42, width))}
      %y = te.compute @y [b: 2, h: 3, i: 7, j: {width}] {{ %c[21 * b + 7 * h + i, j] + %b[j] }} : {result}
      te.return %y
    }}
    """  # noqa: E501
    random = np.random.default_rng(8)
    shapes = ((2, 3, 7, 20), (20, width), (width,))
    check(text, [random.standard_normal(s).astype(np.float32) for s in shapes], machine)
    made = next(iter(parse(text).ops))
    assert isinstance(made, KernelOp)
    schedule = schedule_kernel(KernelConverter(made).convert(), resolve(machine), "fast")
    steps = [op.name for op in schedule.body.block.ops]
    assert steps.count("sched.fuse") >= 2
    assert "sched.compute_at" in steps


@pytest.mark.parametrize(("inner", "alike"), [(1024, True), (1040, False)])
def test_rows_that_displace_each_other_from_the_cache_are_few(inner: int, alike: bool) -> None:
    """Rows 4 KiB apart share one place of the first cache, which keeps 8 of them."""
    result = type_of((98, 32))
    text = f"""
    te.kernel @k(%x: {type_of((98, inner))}, %w: {type_of((inner, 32))} const) -> {result} {{
      %c = te.compute @c [i: 98, j: 32] sum [k: {inner}] {{ %x[i, k] * %w[k, j] }} : {result}
      te.return %c
    }}
    """
    made = next(iter(parse(text).ops))
    assert isinstance(made, KernelOp)
    kernel = KernelConverter(made).convert()
    schedule_kernel(kernel, resolve("x86-64-v4"), "fast")
    loops = [op for op in kernel.walk() if isinstance(op, ForOp)]
    (rows,) = [loop.constant_range for loop in loops if loop.kind.data == "unroll"]
    assert rows is not None
    assert (rows[1] <= 8) == alike
