"""The two measured kernels, from te and sched text: right as machine code, loops without spills."""

import re
from pathlib import Path

import kernel_texts
import numpy as np
import pytest

from nnc.compiler.native import NativeKernel
from nnc.dialects.loop import KernelOp
from nnc.lowering.llvm_to_object import assembly
from nnc.lowering.loop_to_llvm import emit_kernel
from nnc.lowering.te_to_loop.convert_te_to_loop import ConvertTeToLoopPass
from nnc.passes.loop.form_tiles import form_tiles
from nnc.schedules.apply_schedules import ApplySchedulesPass
from nnc.targets import Target, host, resolve
from nnc.textir import default_context, parse

ROOT = Path(__file__).parents[2]
TARGETS = ("x86-64-v3", "x86-64-v4", "aarch64-neon")
KERNELS = ("matmul_text", "convolution_text")


def tiles(text: str) -> KernelOp:
    module = parse(text)
    ConvertTeToLoopPass().apply(default_context(), module)
    ApplySchedulesPass().apply(default_context(), module)
    module.verify()
    kernel = next(op for op in module.ops if isinstance(op, KernelOp))
    form_tiles(kernel)
    module.verify()
    return kernel


def innermost_loops(text: str) -> list[str]:
    """Bodies of the loops that jump back to their own first block."""
    blocks = re.split(r"^(\.LBB\w+):", text, flags=re.M)
    found: list[str] = []
    for label, body in zip(blocks[1::2], blocks[2::2], strict=True):
        jump = rf"\b(j\w+|b\.\w+|cbn?z\s+\w+,|tbn?z\s.*,)\s*{re.escape(label)}\b"
        if end := re.search(jump, body):
            found.append(body[: end.end()])
    return found


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("name", TARGETS)
def test_no_spills_in_the_innermost_loops(kernel: str, name: str) -> None:
    target = resolve(name)
    emitted = emit_kernel(tiles(getattr(kernel_texts, kernel)(target)), target)
    code = assembly(emitted.llvm_text, target)
    loops = [body for body in innermost_loops(code) if re.search(r"fmadd|fmla", body)]
    assert loops, "no innermost loop multiplies and adds"
    for body in loops:
        assert not re.search(r"\tv\w+\t.*\(%rsp|\[sp", body), body


@pytest.fixture(params=["x86-64-v3", "cpu"])
def runnable(request: pytest.FixtureRequest) -> Target:
    target = resolve(request.param)
    if target.triple.partition("-")[0] != host().triple.partition("-")[0]:
        pytest.skip("another architecture")
    return target


def test_matmul_is_right(runnable: Target) -> None:
    rng = np.random.default_rng(1)
    shapes = ((128, 768), (768, 3072), (3072,))
    x, w, b = (rng.standard_normal(shape).astype(np.float32) for shape in shapes)
    native = NativeKernel(tiles(kernel_texts.matmul_text(runnable)), runnable)
    expected = np.maximum(x.astype(np.float64) @ w + b, 0)
    bound = 768 * 2.0**-23 * (np.abs(x) @ np.abs(w) + np.abs(b))
    assert (np.abs(native(x, w, b)[0] - expected) <= bound).all()


def test_convolution_is_right(runnable: Target) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((1, 64, 56, 56)).astype(np.float32)
    w = rng.standard_normal((64, 64, 3, 3)).astype(np.float32)
    native = NativeKernel(tiles(kernel_texts.convolution_text(runnable)), runnable)
    padded = np.pad(x[0].astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    expected = np.einsum("ochw,cyxhw->oyx", w, windows, optimize=True)
    assert np.abs(native(x, w)[0][0] - expected).max() <= 2e-4
