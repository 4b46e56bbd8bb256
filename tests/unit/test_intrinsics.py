"""tensorize and prefetch as machine code: the numbers, and the instructions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir.affine import AffineDimExpr, AffineMap

from nnc.compiler.native import NativeKernel
from nnc.dialects import te
from nnc.dialects.intrinsics import INTRINSICS
from nnc.dialects.loop import KernelOp
from nnc.lowering.llvm_to_object import assembly
from nnc.lowering.loop_to_llvm import emit_kernel
from nnc.lowering.loop_to_llvm.intrinsics import LOWERINGS
from nnc.lowering.te_to_loop.kernel import KernelConverter
from nnc.passes.loop.form_tiles import form_tiles
from nnc.reference.loop import run_loop_kernel
from nnc.schedules.replay import Schedule
from nnc.targets import Target, resolve
from nnc.textir import parse

Array = np.ndarray[Any, Any]
BODIES = {
    "dot4_u8s8": ("i8", "extui", "extsi"),
    "dot2_s16s16": ("i16", "extsi", "extsi"),
}
TYPES = {"dot4_u8s8": (np.uint8, np.int8), "dot2_s16s16": (np.int16, np.int16)}


def product(name: str, m: int, n: int, k: int) -> te.KernelOp:
    element, x, w = BODIES[name]
    text = f"""
    te.kernel @k(%x: tensor<{m}x{k}x{element}>, %w: tensor<{k}x{n}x{element}> const)
        -> tensor<{m}x{n}xi32> {{
      %c = te.compute @c [i: {m}, j: {n}] sum [k: {k}] {{
        {x}(%x[i, k], i32) * {w}(%w[k, j], i32)
      }} : tensor<{m}x{n}xi32>
      te.return %c
    }}"""
    (kernel,) = parse(text).ops
    assert isinstance(kernel, te.KernelOp)
    return kernel


def operands(name: str, m: int, n: int, k: int) -> tuple[Array, Array]:
    """Numbers from end to end of the types, the ends among them."""
    rng = np.random.default_rng(m * n * k)
    made: list[Array] = []
    for dtype, shape in zip(TYPES[name], ((m, k), (k, n)), strict=True):
        info = np.iinfo(dtype)
        array = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
        array.flat[: array.size // 2] = rng.choice([info.min, info.max], array.size // 2)
        made.append(array)
    return made[0], made[1]


def schedule_tiles(s: Schedule, name: str, lanes: int, packed: bool) -> None:
    """Lanes and terms that do not divide are left to nests of their own."""
    terms = INTRINSICS[name].terms
    s.split("c.j", lanes, "peel")
    s.reorder("c.k", "c.j.i")
    s.split("c.k", terms, "peel")
    s.reorder("c.j.i", "c.k.i")
    s.tensorize("c.j.i", name)
    if packed:
        d0, d1 = AffineDimExpr(0), AffineDimExpr(1)
        s.pack("w", AffineMap(2, 0, (d0 // terms, d1, d0 % terms)))


def lowered(made: te.KernelOp, name: str, lanes: int, packed: bool) -> KernelOp:
    kernel = KernelConverter(made).convert()
    module = ModuleOp([kernel])
    schedule_tiles(Schedule(kernel), name, lanes, packed)
    module.verify()
    form_tiles(kernel)
    module.verify()
    return kernel


def runs_here(target: Target) -> bool:
    features = {f for f in target.features.split(",") if f.startswith("+")}
    return features <= set(resolve("cpu").features.split(","))


SIZES = ((1, 16, 4, 16), (3, 40, 12, 24), (2, 7, 8, 7), (2, 21, 11, 8), (4, 2, 5, 2))
"""Rows, columns, terms in all, lanes: filling registers or not, dividing or not."""


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("target", ["cpu", "x86-64-v4", "x86-64-v3"])
@pytest.mark.parametrize("name", INTRINSICS)
def test_dot_products_are_exact(name: str, target: str, packed: bool) -> None:
    if not runs_here(resolve(target)):
        pytest.skip("this machine lacks the target's features")
    for m, n, k, lanes in SIZES:
        x, w = operands(name, m, n, k)
        expected = (x.astype(np.int64) @ w.astype(np.int64)).astype(np.int32)
        kernel = lowered(product(name, m, n, k), name, lanes, packed)
        assert any(op.name == "loop.intrinsic" for op in kernel.walk())
        (got,) = run_loop_kernel(kernel, [x, w])
        np.testing.assert_array_equal(got, expected)
        (got,) = NativeKernel(kernel, resolve(target))(x, w)
        np.testing.assert_array_equal(got, expected)


def test_the_instruction_takes_packed_operands_from_memory() -> None:
    """One vpdpbusd for four terms of 16 lanes: w is its memory operand, x is broadcast."""
    base = resolve("x86-64-v4")
    target = replace(base, features=f"{base.features},+avx512vnni")
    kernel = lowered(product("dot4_u8s8", 1, 16, 32), "dot4_u8s8", 16, True)
    text = assembly(emit_kernel(kernel, target).llvm_text, target)
    lines = [line.split() for line in text.splitlines()]
    assert [line[0] for line in lines if "vpdpbusd" in line] == ["vpdpbusd"]
    assert not [line for line in lines if line and line[0].startswith(("vpmovzx", "vpinsr"))]


def test_without_the_instruction_pairs_are_multiplied_and_added() -> None:
    target = resolve("x86-64-v3")
    kernel = lowered(product("dot2_s16s16", 1, 8, 32), "dot2_s16s16", 8, True)
    assert "vpmaddwd" in assembly(emit_kernel(kernel, target).llvm_text, target)


def test_every_intrinsic_can_be_lowered() -> None:
    assert set(LOWERINGS) == set(INTRINSICS)
    for name, intrinsic in INTRINSICS.items():
        intrinsic.kernel(16).verify()
        assert LOWERINGS[name].terms == intrinsic.terms


def test_a_prefetch_is_one_instruction_and_changes_nothing() -> None:
    (made,) = parse("""
    te.kernel @k(%x: tensor<8x64xf32>, %w: tensor<64x48xf32> const) -> tensor<8x48xf32> {
      %c = te.compute @c [i: 8, j: 48] sum [k: 64] { %x[i, k] * %w[k, j] } : tensor<8x48xf32>
      te.return %c
    }""").ops
    assert isinstance(made, te.KernelOp)
    rng = np.random.default_rng(5)
    inputs = [rng.standard_normal(shape, np.float32) for shape in ((8, 64), (64, 48))]
    results: list[Array] = []
    for distance in (None, 1, 1 << 40):
        kernel = KernelConverter(made).convert()
        ModuleOp([kernel])
        s = Schedule(kernel)
        s.reorder("c.k", "c.j")
        if distance is not None:
            s.prefetch("w", "c.k", distance)
        s.vectorize("c.j")
        form_tiles(kernel)
        results += NativeKernel(kernel)(*inputs)
        target = resolve("x86-64-v4")
        text = assembly(emit_kernel(kernel, target).llvm_text, target)
        assert text.count("prefetcht0") == (0 if distance is None else 3)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
