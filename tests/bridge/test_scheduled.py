"""Schedules over the bridge: the kernels of the schedules' lit tests, in nest and in tile form."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp

from nnc.core.dtypes import numpy_dtype
from nnc.core.errors import PassError
from nnc.dialects import loop
from nnc.reference.loop import run_loop_kernel
from nnc.reference.memory import Memory
from nnc.reference.steps import NotChecked
from nnc.textir import parse
from nnc.tools.opt.manager import PassManager
from nnc.tools.opt.pipeline import build
from nnc.tools.opt.registry import load

Array = np.ndarray[Any, np.dtype[Any]]

LIT = Path(__file__).parents[1] / "lit" / "schedules"
FILES = [
    *("split.nn", "unroll.nn", "tile.nn", "partition.nn", "fuse.nn"),
    *("compute-at.nn", "rfactor.nn", "reorder.nn", "decompose-reduction.nn", "prefetch.nn"),
    *("parallel.nn", "vectorize.nn"),
]
NEST, TILES = "", "form-tiles"


def parts(name: str) -> list[str]:
    """The modules of a lit file, each kernel with a name of its own."""
    found = re.split(r"^// -----\n", (LIT / name).read_text(), flags=re.MULTILINE)
    return [part for part in found if "sched.schedule" in part]


def scheduled(text: str, form: str) -> ModuleOp:
    registry = load()
    context = registry.context()
    module = parse(text, "part.nn", context)
    passes = ["convert-te-to-loop", "apply-schedules", *([form] if form else [])]
    PassManager(build([",".join(passes)], registry), context).run(module)
    return module


def random_array(random: np.random.Generator, type_: loop.BufferType) -> Array:
    dtype = numpy_dtype(type_.element_type)
    if dtype.kind == "f":
        return random.normal(size=type_.extents).astype(dtype)
    return random.integers(0, 3, type_.extents).astype(dtype)


def packed(array: Array, type_: loop.BufferType) -> Array:
    """A logical array as the buffer's memory."""
    memory = Memory(type_, "x")
    memory.pack(array)
    return memory.flat.reshape(type_.physical_shape).copy()


def run_kernels(upstream: Any, module: ModuleOp) -> int:
    """Compare each kernel of a module; how many there were."""
    kernels = [op for op in module.ops if isinstance(op, loop.KernelOp)]
    cases: list[tuple[str, list[Array], list[loop.BufferType], list[Array]]] = []
    for kernel in kernels:
        random = np.random.default_rng(7)
        types = [loop.buffer_type(argument) for argument in kernel.body.block.args]
        outs = types[len(types) - kernel.num_outputs.value.data :]
        inputs = [random_array(random, type_) for type_ in types[: len(types) - len(outs)]]
        wanted = run_loop_kernel(kernel, inputs)
        memories = [packed(a, t) for a, t in zip(inputs, types, strict=False)]
        cases.append((kernel.sym_name.data, memories, outs, wanted))
    call = upstream.compile_module(module, "convert-loop-to-mlir", "loop")
    for name, memories, outs, wanted in cases:
        like = [np.zeros(t.physical_shape, numpy_dtype(t.element_type)) for t in outs]
        for got, type_, expected in zip(call(name, memories, like), outs, wanted, strict=True):
            memory = Memory(type_, "y")
            memory.flat[:] = got.ravel()
            np.testing.assert_allclose(memory.unpack(), expected, rtol=1e-6, atol=1e-6)
    return len(cases)


PANELS = """
te.kernel @panels(%x: tensor<5x7xf32>, %w: tensor<7x20xf32> const) -> tensor<5x20xf32> {
  %c = te.compute @c [i: 5, j: 20] sum [k: 7] { %x[i, k] * %w[k, j] } : tensor<5x20xf32>
  %y = te.compute @y [i: 5, j: 20] { max(%c[i, j], 0.0) } : tensor<5x20xf32>
  te.return %y
}
sched.schedule @panels {
  split y.j, 8, mask
  reorder y.j.o, y.i, y.j.i
  compute_at c, y.j.o
  pack w, (d0, d1) -> (d1 floordiv 8, d0, d1 mod 8)
  reorder c.k, c.i, c.j
  set_scope c, register
  unroll c.i
  vectorize c.j
  unroll y.i
  vectorize y.j.i
  parallel y.j.o
}
"""


@pytest.mark.parametrize("form", [NEST, TILES], ids=["nest", "tiles"])
@pytest.mark.parametrize("name", FILES)
def test_schedules_agree(upstream: Any, name: str, form: str) -> None:
    """Kernels that the reference would run for minutes are left out, and what has no tiles."""
    done = 0
    for part in parts(name):
        try:
            module = scheduled(part, form)
        except PassError:
            assert form == TILES
            continue
        with contextlib.suppress(NotChecked):
            done += run_kernels(upstream, module)
    assert done


@pytest.mark.parametrize("form", [NEST, TILES], ids=["nest", "tiles"])
def test_packed_operands_and_masked_tails_agree(upstream: Any, form: str) -> None:
    module = scheduled(PANELS, form)
    assert "mod" in str(module)
    assert run_kernels(upstream, module) == 1


def test_machine_instructions_are_refused_with_their_place(upstream: Any) -> None:
    module = scheduled(parts("tensorize.nn")[0], TILES)
    with pytest.raises(PassError, match=r"'dot4_u8s8' has no counterpart") as caught:
        run_kernels(upstream, module)
    assert caught.value.where is not None
    assert caught.value.where.startswith("part.nn:")
