"""What the library makes of row kernels, reductions and transpositions, as machine code."""

import ctypes
import mmap
import re
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
@pytest.mark.parametrize(
    ("m", "n", "how"), [(243, 603, "cache_read"), (73, 1024, "cache_read"), (73, 603, "prefetch")]
)
def test_panels_of_a_large_dynamic_factor(
    machine: str, epilogue: bool, m: int, n: int, how: str
) -> None:
    """x [m, 707] times w [707, n]: copied where many rows pass, or where rows of w displace each
    other in the second cache; else, if tiles are large, asked for as they lie.
    """
    if resolve(machine).vector_bits == 256:
        how = "cache_read"
    k = 707
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
    ways = {"sched.cache_read", "sched.prefetch"}
    assert ways & {op.name for op in schedule.body.block.ops} == {f"sched.{how}"}
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


WINDOWS = [
    # rows, stride, window, padding before and after, dilation
    *(((9, 40), 1, 3, 1, 1), ((9, 41), 2, 3, 1, 0), ((2, 70), 2, 2, 0, 1), ((8, 95), 3, 4, 2, 2)),
    *(((6, 150), 4, 5, 2, 2), ((5, 33), 2, 3, 2, 2), ((7, 7), 2, 3, 1, 1), ((3, 35), 5, 3, 1, 1)),
]


def pooling(
    shape: tuple[int, int], stride: int, window: int, pads: tuple[int, int], step: int, kind: str
) -> tuple[str, tuple[int, ...]]:
    """Windows over planes, as the operator is lowered."""
    reach = step * (window - 1) + 1
    h, w = (max(1, (size + sum(pads) - reach) // stride + 1) for size in shape)
    full = (2, 3, *shape)
    result = type_of((2, 3, h, w))
    fill = "0.0" if kind == "sum" else "0xFF800000"
    places = ", ".join(f"{stride} * {out} + {step} * k{out} - {pads[0]}" for out in "hw")
    text = f"""
    te.kernel @pool(%x: {type_of(full)}) -> {result} {{
      %p = te.compute @p [n: 2, c: 3, h: {h}, w: {w}] {kind} [kh: {window}, kw: {window}] {{
        %x[n, c, {places}] else {fill}
      }} : {result}
      %y = te.compute @y [n: 2, c: 3, h: {h}, w: {w}] {{ %p[n, c, h, w] * 0.5 }} : {result}
      te.return %y
    }}
    """
    return text, full


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("kind", ["max", "sum"])
@pytest.mark.parametrize(("shape", "stride", "window", "before", "after"), WINDOWS)
def test_windows_over_planes(
    shape: tuple[int, int],
    stride: int,
    window: int,
    before: int,
    after: int,
    kind: str,
    machine: str,
) -> None:
    rng = np.random.default_rng(stride)
    for step in (1, 2):
        text, full = pooling(shape, stride, window, (before, after), step, kind)
        x = rng.standard_normal(full).astype(np.float32)
        check(text, [x], machine, "strict" if step == 2 else "fast")


@pytest.mark.skipif(not resolve("cpu").has_masks, reason="masked loads are slow here")
def test_windows_are_read_as_vectors() -> None:
    """No element by element access but at the ends of a row."""
    text, full = pooling((9, 41), 2, 3, (1, 1), 1, "max")
    native = check(text, [np.zeros(full, np.float32)], "cpu")
    assert not re.search(r"insertelement <\d+ x float>", native.emitted.llvm_text)
    assert "shufflevector <16 x float>" in native.emitted.llvm_text


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("element", ["f32", "f64", "i8", "i64", "i1"])
@pytest.mark.parametrize("stride", [2, 3, 4, 5])
def test_elements_a_few_apart(stride: int, element: str, machine: str) -> None:
    """Of rows of 21 and of 64: whole registers and tails; a guard that cuts some lanes."""
    dtype = np.dtype(np.float32) if element == "f32" else np.dtype(DTYPES[element])
    fill = {"f": "1.0", "b": "true", "i": "1"}[dtype.kind]
    for size in (21, 64):
        out = type_of((2, size), element)
        source = (2, (size - 1) * stride + 2)
        text = f"""
        te.kernel @k(%x: {type_of(source, element)}) -> ({out}, {out}) {{
          %y = te.compute @y [r: 2, i: {size}] {{ %x[r, {stride} * i + 1] }} : {out}
          %z = te.compute @z [r: 2, i: {size}] {{ %x[r, {stride} * i - 5] else {fill} }} : {out}
          te.return %y, %z
        }}
        """
        x = np.random.default_rng(size).integers(0, 2, source).astype(dtype)
        check(text, [x], machine)


@pytest.mark.parametrize("machine", ["cpu", "x86-64-v3"])
def test_nothing_behind_the_last_wanted_element_is_read(machine: str) -> None:
    """The array ends where a page ends, and the next page may not be read."""
    if not can_run(resolve(machine)):
        pytest.skip("cannot run")
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    whole = np.frombuffer(memory, np.float32)
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(whole.ctypes.data + page), page, 0) == 0
    x = whole[page // 4 - 64 : page // 4]
    x[:] = np.arange(64)
    text = f"""
    te.kernel @k(%x: {type_of((64,))}) -> {type_of((22,))} {{
      %y = te.compute @y [i: 22] {{ %x[3 * i] }} : {type_of((22,))}
      te.return %y
    }}
    """
    native = check(text, [x], machine)
    np.testing.assert_array_equal(native(x)[0], x[::3])
