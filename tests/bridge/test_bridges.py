"""Kernels that go over the bridges to upstream MLIR compute there what they compute here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np
import pytest

from nnc.core.dtypes import numpy_dtype
from nnc.core.irtypes import tensor_element, tensor_shape
from nnc.dialects import te
from nnc.reference.body import difference
from nnc.reference.reduction import machine_epsilon
from nnc.reference.te import run_kernel_with_errors
from nnc.textir import parse

Array = np.ndarray[Any, np.dtype[Any]]

LINALG = "convert-te-to-linalg|linalg"
NEST = "convert-te-to-loop,convert-loop-to-mlir|loop"
TILES = "convert-te-to-loop,schedule-kernels,form-tiles,convert-loop-to-mlir|loop"
BRIDGES = [LINALG, NEST, TILES]
TYPES = ["f32", "f64", "i32"]


def zero(t: str) -> str:
    return "0" if t.startswith("i") else "0.0"


def gemm(m: int, n: int, k: int, t: str = "f32") -> str:
    return f"""
te.kernel @k(%x: tensor<{m}x{k}x{t}>, %w: tensor<{k}x{n}x{t}> const, %b: tensor<{n}x{t}>)
    -> tensor<{m}x{n}x{t}> {{
  %c = te.compute @c [i: {m}, j: {n}] sum [k: {k}] {{ %x[i, k] * %w[k, j] }} : tensor<{m}x{n}x{t}>
  %y = te.compute @y [i: {m}, j: {n}] {{ max(%c[i, j] + %b[j], {zero(t)}) }} : tensor<{m}x{n}x{t}>
  te.return %y
}}"""


def conv(
    channels: int, out: int, size: int, kernel: int, stride: int, pad: int, t: str = "f32"
) -> str:
    rows = (size + 2 * pad - kernel) // stride + 1
    result = f"tensor<1x{out}x{rows}x{rows}x{t}>"
    h, w = f"{stride} * h + kh - {pad}", f"{stride} * w + kw - {pad}"
    return f"""
te.kernel @k(%x: tensor<1x{channels}x{size}x{size}x{t}>,
             %w: tensor<{out}x{channels}x{kernel}x{kernel}x{t}>) -> {result} {{
  %c = te.compute @c [n: 1, c: {out}, h: {rows}, w: {rows}]
      sum [ic: {channels}, kh: {kernel}, kw: {kernel}] {{
    %x[n, ic, {h}, {w}] else {zero(t)} * %w[c, ic, kh, kw]
  }} : {result}
  te.return %c
}}"""


def softmax(m: int, n: int, t: str = "f32") -> str:
    return f"""
te.kernel @k(%x: tensor<{m}x{n}x{t}>) -> tensor<{m}x{n}x{t}> {{
  %m = te.compute @m [i: {m}] max [j: {n}] {{ %x[i, j] }} : tensor<{m}x{t}>
  %e = te.compute @e [i: {m}, j: {n}] {{ exp(%x[i, j] - %m[i]) }} : tensor<{m}x{n}x{t}>
  %s = te.compute @s [i: {m}] sum [j: {n}] {{ %e[i, j] }} : tensor<{m}x{t}>
  %y = te.compute @y [i: {m}, j: {n}] {{ %e[i, j] / %s[i] }} : tensor<{m}x{n}x{t}>
  te.return %y
}}"""


def reduction(m: int, n: int, combiner: str, t: str = "f32") -> str:
    return f"""
te.kernel @k(%x: tensor<{m}x5x{n}x{t}>) -> tensor<5x{t}> {{
  %r = te.compute @r [j: 5] {combiner} [i: {m}, k: {n}] {{ %x[i, j, k] }} : tensor<5x{t}>
  te.return %r
}}"""


def random_array(random: np.random.Generator, type_: Any) -> Array:
    dtype = numpy_dtype(tensor_element(type_))
    shape = tensor_shape(type_)
    if dtype.kind == "f":
        return random.normal(size=shape).astype(dtype)
    return random.integers(-8, 9, shape).astype(dtype)


def check(upstream: Any, texts: Sequence[str], bridge: str, ulps: int = 0) -> None:
    """Every kernel gives the reference's bits, or as near as its own functions are.

    Linalg and nests run a reduction in the order of its axes, without contraction. Schedules may
    change the order, and tiles fuse products with sums: the reference says how far that moves.
    """
    text = "".join(f"{each.replace('@k(', f'@k{at}(')}\n" for at, each in enumerate(texts))
    call = upstream.compile(text, bridge)
    for kernel in parse(text).ops:
        assert isinstance(kernel, te.KernelOp)
        random = np.random.default_rng(len(text))
        inputs = [random_array(random, type_) for type_ in kernel.body.block.arg_types]
        wanted, errors = run_kernel_with_errors(kernel, inputs)
        got = call(kernel.sym_name.data, inputs, wanted)
        for mine, theirs, error in zip(got, wanted, errors, strict=True):
            allowed = error if bridge == TILES else np.zeros(())
            scale = np.abs(np.where(np.isfinite(theirs), theirs, 0))
            allowed = allowed + ulps * machine_epsilon(theirs.dtype) * scale
            far = difference(mine, theirs) > allowed
            assert mine.dtype == theirs.dtype
            assert not far.any(), f"{kernel.sym_name}: {mine[far][:5]} for {theirs[far][:5]}"


FAMILIES = {
    "gemm": [gemm(*s, t=t) for s, t in product([(4, 8, 3), (17, 33, 9), (1, 1, 1)], TYPES)],
    "convolution": [
        conv(*s, t=t)
        for s, t in product(
            [(3, 5, 8, 3, 1, 1), (3, 5, 9, 3, 2, 1), (2, 4, 7, 5, 2, 2), (4, 3, 6, 1, 1, 0)], TYPES
        )
    ],
    "reduction": [
        reduction(*s, combiner, t)
        for s, combiner, t in product(
            [(4, 16), (3, 37), (0, 4)], ["sum", "prod", "max", "min"], TYPES
        )
    ],
}
ROWS = [softmax(*s, t) for s, t in product([(4, 16), (3, 37), (1, 1)], ["f32", "f64"])]


@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_agree(upstream: Any, family: str, bridge: str) -> None:
    check(upstream, FAMILIES[family], bridge)


@pytest.mark.parametrize("bridge", BRIDGES)
def test_softmax_agrees(upstream: Any, bridge: str) -> None:
    check(upstream, ROWS, bridge, ulps=4)


OTHERS = {
    "a window that no operand indexes plainly": """
te.kernel @k(%x: tensor<2x9xf32>) -> tensor<2x4xf32> {
  %y = te.compute @y [c: 2, i: 4] max [k: 3] { %x[c, 2 * i + k] } : tensor<2x4xf32>
  te.return %y
}""",
    "data-dependent indices, guarded and not": """
te.kernel @k(%x: tensor<9x4xf32>, %id: tensor<6xi64>) -> (tensor<6x4xf32>, tensor<6x4xf32>) {
  %y = te.compute @y [i: 6, j: 4] { %x[(index_cast(%id[i], index)), j] else 7.5 } : tensor<6x4xf32>
  %z = te.compute @z [i: 6, j: 4] { %x[(index_cast(absi(%id[i]), index)), j] } : tensor<6x4xf32>
  te.return %y, %z
}""",
    "divided indices, a part of a tensor, a position as a number": """
te.kernel @k(%x: tensor<6x5xf32>)
    -> (tensor<30xf32>, tensor<4xf32>, tensor<3x4xi64>, tensor<9xf32>) {
  %a = te.compute @a [i: 30] { %x[i floordiv 5, i mod 5] } : tensor<30xf32>
  %b = te.compute @b [i: 4] { %x[i, 2] } : tensor<4xf32>
  %c = te.compute @c [i: 3, j: 4] { index_cast(i, i64) * 10 + index_cast(j, i64) } : tensor<3x4xi64>
  %d = te.compute @d [i: 9] { %x[(i - 2) floordiv 2, i mod 3] else -1.0 } : tensor<9xf32>
  te.return %a, %b, %c, %d
}""",
    "two results and a combiner of its own": """
te.kernel @k(%x: tensor<3x8xf32>) -> (tensor<3xf32>, tensor<3xi64>) {
  %v, %p = te.compute @best [i: 3] reduce [k: 8] { %x[i, k], index_cast(k, i64) }
    init [0xFF800000 : f32, -1 : i64]
    combine (%a: f32, %i: i64, %b: f32, %j: i64) {
      %greater = arith.cmpf(%b, %a) {predicate = 2 : i64} : i1
      te.yield select(%greater, %b, %a), select(%greater, %j, %i)
    } : tensor<3xf32>, tensor<3xi64>
  te.return %v, %p
}""",
    "scans, forwards and backwards": """
te.kernel @k(%x: tensor<5x4xf32>, %h0: tensor<4xf32>) -> (tensor<5x4xf32>, tensor<5x4xf32>) {
  %h = te.scan @h [t: 5] reverse (%s = %h0) {
    %n = te.compute @n [i: 4] { %x[(%t), i] + %s[3 - i] } : tensor<4xf32>
    te.yield %n
  } : tensor<5x4xf32>
  %g = te.scan @g [u: 5] (%r = %h0) {
    %m = te.compute @m [i: 4] { %h[(%u), i] * %r[i] } : tensor<4xf32>
    te.yield %m
  } : tensor<5x4xf32>
  te.return %h, %g
}""",
    "zeros of a literal matrix are no terms": """
te.kernel @k(%x: tensor<3x4xf32>) -> tensor<2x4xf32> {
  %i = te.compute @i [i: 3, j: 4] { %x[i, j] / 0.0 } : tensor<3x4xf32>
  %y = te.compute @y [i: 2, j: 4] sum [k: 3] {
    coeff(dense<[[1.0, 0.0, 0.5], [0.0, 0.0, -2.0]]> : tensor<2x3xf32>)[i, k] * %i[k, j]
  } : tensor<2x4xf32>
  te.return %y
}""",
    "divisions of lanes that are masked off, by 0 and by -1": """
te.kernel @k(%x: tensor<5x33xi32>, %z: tensor<5x33xi32>)
    -> (tensor<5x33xi32>, tensor<5x33xi32>, tensor<5x33xi32>, tensor<5xi32>) {
  %d = te.compute @d [i: 5, j: 33] { %z[i, j] * 2 + 1 } : tensor<5x33xi32>
  %q = te.compute @q [i: 5, j: 33] { %x[i, j] / %d[i, j] } : tensor<5x33xi32>
  %r = te.compute @r [i: 5, j: 33] { remsi(%x[i, j], %d[i, j]) } : tensor<5x33xi32>
  %f = te.compute @f [i: 5, j: 33] { floordivsi(%x[i, j], %d[i, j]) } : tensor<5x33xi32>
  %g = te.compute @g [i: 5] { 1 + 0 * divui(%x[i, 0], %z[i, 0] * 0) } : tensor<5xi32>
  te.return %q, %r, %f, %g
}""",
    "a convolution of each channel by itself, in steps": """
te.kernel @k(%x: tensor<1x6x9x9xf32>, %w: tensor<6x1x3x3xf32>) -> tensor<1x6x5x5xf32> {
  %y = te.compute @y [n: 1, c: 6, h: 5, w: 5] sum [kh: 3, kw: 3] {
    %x[n, c, 2 * h + kh - 1, 2 * w + kw - 1] else 0.0 * %w[c, 0, kh, kw]
  } : tensor<1x6x5x5xf32>
  te.return %y
}""",
    "a concatenation of shorts, rows of halves by number, and nothing": """
te.kernel @k(%x: tensor<2x3xi16>, %z: tensor<2x4xi16>, %h: tensor<9x3xf16>, %id: tensor<4xi64>,
             %none: tensor<0x5xf32>) -> (tensor<2x7xi16>, tensor<4x3xf16>, tensor<0x5xf32>) {
  %c = te.compute @c [i: 2, j: 7] {
    select(j < 3, %x[i, j] else 0, %z[i, j - 3] else 0)
  } : tensor<2x7xi16>
  %g = te.compute @g [i: 4, j: 3] {
    %h[(index_cast(absi(%id[i]), index)), j] + %h[j, 0]
  } : tensor<4x3xf16>
  %n = te.compute @n [i: 0, j: 5] { exp(%none[i, j]) } : tensor<0x5xf32>
  te.return %c, %g, %n
}""",
    "booleans and small integers": """
te.kernel @k(%x: tensor<7xi8>, %m: tensor<7xi1>) -> (tensor<7xi1>, tensor<i32>, tensor<i1>) {
  %p = te.compute @p [i: 7] { %x[i] > 0 } : tensor<7xi1>
  %s = te.compute @s [] sum [i: 7] { extui(%x[i], i32) } : tensor<i32>
  %a = te.compute @a [] max [i: 7] { %m[i] } : tensor<i1>
  te.return %p, %s, %a
}""",
    "an argument and a result that are returned as they are": """
te.kernel @k(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %y = te.compute @y [i: 4] { %x[i] * 2.0 } : tensor<4xf32>
  te.return %y, %x, %y
}""",
    "nothing": """
te.kernel @k(%x: tensor<0x4xf32>) -> (tensor<0x4xf32>, tensor<4xf32>, tensor<3xf32>) {
  %y = te.compute @y [i: 0, j: 4] { %x[i, j] * 2.0 } : tensor<0x4xf32>
  %s = te.compute @s [j: 4] max [i: 0] { %x[i, j] } : tensor<4xf32>
  %z = te.compute @z [j: 3] { %x[j, 0] else 2.5 } : tensor<3xf32>
  te.return %y, %s, %z
}""",
}


LITERAL = "zeros of a literal matrix are no terms"


@pytest.mark.parametrize("bridge", BRIDGES)
def test_whatever_te_can_say(upstream: Any, bridge: str) -> None:
    texts = [text for what, text in OTHERS.items() if bridge != TILES or what != LITERAL]
    check(upstream, texts, bridge)
