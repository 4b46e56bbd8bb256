"""Schedules and functions of tensor expressions."""

import threading
from typing import Any

import numpy as np
import pytest
from xdsl.ir.affine import AffineMap

from nnc import te
from nnc.core.errors import ExpressionError, InputError, NncError, ScheduleError, UnsupportedError
from nnc.textir import parse

Array = np.ndarray[Any, Any]


class Dense:
    """relu(x @ w + b), and a kernel that runs on arrays of small whole numbers."""

    def __init__(self, n: int = 32, m: int = 96, inner: int = 20, dtype: str = "float32"):
        self.x = te.placeholder((n, inner), dtype, "x")
        self.w = te.placeholder((inner, m), dtype, "w", const=True)
        self.b = te.placeholder((m,), dtype, "b")
        x, w, b = self.x, self.w, self.b
        k = self.k = te.reduce_axis((0, inner), name="k")
        c = self.c = te.compute((n, m), lambda i, j: te.sum(x[i, k] * w[k, j], axis=k), name="c")
        self.y = te.compute((n, m), lambda i, j: te.maximum(c[i, j] + b[j], 0), name="y")
        rng = np.random.default_rng(7)
        shapes = [(n, inner), (inner, m), (m,)]
        self.arrays: list[Array] = [rng.integers(-3, 4, s).astype(dtype) for s in shapes]
        left, right, bias = self.arrays
        self.expected: Array = np.maximum(left @ right + bias, 0)

    @property
    def args(self) -> list[te.Tensor]:
        return [self.x, self.w, self.b, self.y]


def tiled(d: Dense, rows: int, columns: int) -> te.Schedule:
    """The GEMM of docs/schedules.md by TVM's names."""
    s = te.create_schedule(d.y)
    i, j = s[d.y].op.axis
    io, jo, ii, ji = s[d.y].tile(i, j, rows, columns)
    s[d.c].compute_at(s[d.y], jo)
    ci, cj = s[d.c].op.axis
    s[d.c].reorder(d.k, ci, cj)
    s[d.c].set_scope("register")
    s[d.c].unroll(ci)
    s[d.c].vectorize(cj)
    s[d.y].unroll(ii)
    s[d.y].vectorize(ji)
    s[d.y].parallel(io)
    return s


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [(32, 96), (31, 100), (9, 49)])
def test_a_tiled_product(size: tuple[int, int], threads: int) -> None:
    d = Dense(*size)
    f = te.build(tiled(d, 8, 48), d.args, threads=threads)
    np.testing.assert_array_equal(f(*d.arrays), d.expected)


def test_the_schedule_prints_and_runs_again_from_its_text() -> None:
    d = Dense()
    s = tiled(d, 8, 48)
    text = te.lower(s, "sched")
    assert "compute_at c, y.j.o" in text
    assert te.lower(s, "te") == te.create_kernel(d.y).ir()
    for level in ("te", "sched", "nest", "loop"):
        parse(te.lower(s, level))
    assert "vectorize" in te.lower(s)
    assert "tile<" in te.lower(s, "loop")
    assert "define" in te.lower(s, "llvm", target="x86-64-v3")
    assert ".globl" in te.lower(s, "asm")


def test_what_is_known_is_compiled_in_and_laid_out() -> None:
    d = Dense()
    s = tiled(d, 8, 48)
    d0, d1 = AffineMap.identity(2).results
    layout = AffineMap(2, 0, (d1 // 48, d0, d1 % 48))
    s[d.c].pack(d.w, layout)
    x, w, b = d.arrays
    f = te.build(s, [d.x, d.b, d.y], params={d.w: w})
    np.testing.assert_array_equal(f(x, b), d.expected)
    g = te.build(s, d.args)  # laid out at every call
    np.testing.assert_array_equal(g(x, w, b), d.expected)
    np.testing.assert_array_equal(g(x, w * 0, b), np.broadcast_to(np.maximum(b, 0), (32, 96)))


def test_the_library_schedules_tensors() -> None:
    d = Dense(dtype="float64")
    x, w, b = d.arrays
    f = te.build(d.y, [d.y, d.b, d.x], params={d.w: w}, name="dense", numerics="strict")
    np.testing.assert_array_equal(f(b, x), d.expected)
    (symbol,) = f.compiled.kernels.schedules
    assert symbol.startswith("dense.")


def test_outputs_may_be_given() -> None:
    d = Dense()
    f = te.build(tiled(d, 8, 48), [d.y, d.x, d.w, d.b])
    out = np.full_like(d.expected, np.nan)
    assert f(out, *d.arrays) is out
    np.testing.assert_array_equal(out, d.expected)
    both = te.build([d.c, d.y], [d.x, d.w, d.b, d.c, d.y])
    c, y = both(*d.arrays)
    np.testing.assert_array_equal(c, d.arrays[0] @ d.arrays[1])
    np.testing.assert_array_equal(y, d.expected)


def test_several_threads_of_the_caller() -> None:
    d = Dense()
    f = te.build(tiled(d, 8, 48), d.args, threads=2)
    wrong: list[int] = []

    def call(scale: int) -> None:
        x, w, b = d.arrays
        for _ in range(20):
            got = f(x * np.float32(scale), w, b * np.float32(scale))
            if not np.array_equal(got, d.expected * scale):
                wrong.append(scale)

    callers = [threading.Thread(target=call, args=(scale,)) for scale in range(1, 5)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_every_method_of_a_stage() -> None:
    x = te.placeholder((24, 20), name="x")
    y = te.compute((24, 20), lambda i, j: x[i, j] + 1, name="y")
    z = te.compute((24, 20), lambda i, j: y[i, j] * 2, name="z")
    t = te.compute((24, 20), lambda i, j: z[i, j] - 3, name="t")
    s = te.create_schedule(t)
    s[y].compute_inline()
    outer, inner = s[z].split("i", nparts=6)
    assert s.extent(outer) == 6
    copy = s[z].cache_read(x)
    compute = s[t].cache_write()
    s[t].reverse_compute_at(compute, "i")
    assert (copy.symbol, compute.symbol) == ("x.cache", "t.cache")
    assert copy.loops == ["x.cache.d0", "x.cache.d1"]
    assert s[t].loops == ["t.cache.i", "t.i", "t.j"]
    copy.compute_at(s[z], outer)
    fused = s[z].fuse(inner, s[z].op.axis[1])
    parts = s[z].partition(fused, [7])
    s.vectorize(parts[1])
    f = te.build(s, [x, t])
    array = np.arange(480, dtype=np.float32).reshape(24, 20)
    np.testing.assert_array_equal(f(array), (array + 1) * 2 - 3)


def test_one_name_twice_has_two_stages() -> None:
    x = te.placeholder((8,), name="x")
    first = te.compute((8,), lambda i: x[i] + 1, name="y")
    second = te.compute((8,), lambda i: first[i] * 2, name="y")
    s = te.create_schedule(second)
    s[second].vectorize(second.op.axis[0])
    assert s[first].loops == ["y.i"]
    assert s[second].loops == ["y_1.i"]
    array = np.arange(8, dtype=np.float32)
    np.testing.assert_array_equal(te.build(s, [x, second])(array), (array + 1) * 2)


def test_reduce_axes_that_begin_elsewhere() -> None:
    x = te.placeholder((10,), name="x")
    k = te.reduce_axis((3, 9), name="k")
    y = te.compute((), lambda: te.sum(x[k] * k, axis=k), name="y")
    s = te.create_schedule(y)
    outer, _ = s[y].split(k, 4)
    assert outer == "y.k.o"
    array = np.arange(10, dtype=np.float32)
    assert te.build(s, [x, y])(array) == (array[3:9] * np.arange(3, 9)).sum()


def test_unread_placeholders_are_checked_and_ignored() -> None:
    x, other = te.placeholder((3,), name="x"), te.placeholder((2,), name="other")
    y = x + 1
    f = te.build(y, [other, x, y])
    np.testing.assert_array_equal(f(np.zeros(2, np.float32), np.ones(3, np.float32)), np.full(3, 2))
    with pytest.raises(InputError, match=r"input 'other': expected shape \[2\], got \[3\]"):
        f(np.zeros(3, np.float32), np.ones(3, np.float32))


def refusal(error: type[NncError], run: Any) -> str:
    with pytest.raises(error) as caught:
        run()
    return str(caught.value)


def test_refusals_of_build() -> None:
    d = Dense()
    s = te.create_schedule(d.y)
    build = te.build
    assert "lack 'w', 'y'" in refusal(InputError, lambda: build(s, [d.x, d.b]))
    assert "no output" in refusal(InputError, lambda: build(s, [*d.args, d.c]))
    assert "twice" in refusal(InputError, lambda: build(s, [*d.args, d.x]))
    x, w, _ = d.arrays
    assert "in params" in refusal(InputError, lambda: build(s, d.args, params={d.w: w}))
    message = refusal(InputError, lambda: build(s, d.args[:1] + d.args[2:], params={d.w: x}))
    assert "input 'w': expected shape [20, 96], got [32, 20]" in message
    message = refusal(UnsupportedError, lambda: build(s, d.args, target="vax"))
    assert "unknown target 'vax'" in message
    assert __file__ in message
    assert "unknown level" in refusal(InputError, lambda: te.lower(s, "tir"))


def test_refusals_of_a_call() -> None:
    d = Dense()
    f = te.build(d.y, d.args)
    x, w, b = d.arrays
    assert "expected 3 inputs, or 4 arrays" in refusal(InputError, lambda: f(x, w))
    assert "input 'b': expected shape [96]" in refusal(InputError, lambda: f(x, w, b[1:]))
    assert "input 'x': expected dtype" in refusal(InputError, lambda: f(x.astype("int32"), w, b))
    wrong = np.zeros((32, 96))
    assert "output 'y'" in refusal(InputError, lambda: f(x, w, b, wrong))


def test_refusals_of_a_schedule_name_the_line() -> None:
    d = Dense()
    s = te.create_schedule(d.y)
    message = refusal(ScheduleError, lambda: s[d.y].vectorize("q"))
    assert "no loop 'q'" in message
    assert message.startswith(f"{__file__}:")
    other = d.y + 1
    message = refusal(ExpressionError, lambda: s[other])
    assert "no stage 'add'" in message
    assert "'c', 'y'" in message
    k = te.reduce_axis((0, 2), name="q")
    assert "does not reduce" in refusal(ExpressionError, lambda: s[d.c].split(k, 2))
    assert "factor or nparts" in refusal(ExpressionError, lambda: s[d.c].split("i"))
    s[d.c].split("i", 8)
    message = refusal(ScheduleError, lambda: s[d.c].unroll(d.c.op.axis[0]))
    assert "consumed" in message


def test_reductions_in_parts_and_back_at_the_root() -> None:
    d = Dense()
    s = te.create_schedule(d.y)
    i, _ = s[d.y].op.axis
    io, _ = s[d.y].split(i, s.choose("rows", [4, 8]))
    s[d.c].compute_at(s[d.y], io)
    s[d.c].compute_root()
    ko, _ = s[d.c].split(d.k, 6)
    parts = s[d.c].rfactor(ko)
    assert parts.loops == ["c.rf.i", "c.rf.j", "c.rf.k.o", "c.rf.k.i"]
    start = s[d.c].decompose_reduction("i")
    assert start.loops == ["c.init.i", "c.init.j"]
    parts.prefetch(d.x, "i", 1)
    text = te.lower(s, "sched")
    for line in ("compute_root c", "rfactor c, c.k.o", "decompose_reduction c, c.i"):
        assert f"  {line}\n" in text
    assert "  prefetch x, c.rf.i, 1\n" in text
    assert "  split y.i, $rows\n" in text
    np.testing.assert_array_equal(te.build(s, d.args)(*d.arrays), d.expected)


def test_a_dot_product_is_an_instruction() -> None:
    x = te.placeholder((3, 8), "uint8", "x")
    w = te.placeholder((8, 16), "int8", "w")
    k = te.reduce_axis((0, 8), name="k")
    c = te.compute(
        (3, 16),
        lambda i, j: te.sum(te.cast("int32", x[i, k]) * te.cast("int32", w[k, j]), axis=k),
        name="c",
    )
    s = te.create_schedule(c)
    _, j = s[c].op.axis
    ko, ki = s[c].split(k, 4)
    s[c].reorder(ko, j, ki)
    s[c].tensorize(j, "dot4_u8s8")
    rng = np.random.default_rng(3)
    left = rng.integers(0, 256, (3, 8), np.uint8)
    right = rng.integers(-128, 128, (8, 16), np.int8)
    expected = left.astype(np.int32) @ right.astype(np.int32)
    np.testing.assert_array_equal(te.build(s, [x, w, c])(left, right), expected)
