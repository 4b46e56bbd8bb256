"""Loop kernels in nest form and in tile form, layouts and poisoned memory."""

from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import AffineMapAttr, ModuleOp, TensorType, f32
from xdsl.ir.affine import AffineMap

from nnc.core.irtypes import tensor_shape
from nnc.dialects import loop, te
from nnc.dialects.te_build import KernelBuilder
from nnc.dialects.te_build.functions import maximum
from nnc.lowering.te_to_loop.kernel import KernelConverter
from nnc.passes.loop.form_tiles import form_tiles
from nnc.reference.loop import run_loop_kernel
from nnc.reference.memory import Memory
from nnc.reference.steps import NotChecked, OutsideDomain
from nnc.reference.te import run_kernel, run_kernel_with_errors
from nnc.schedules.replay import Schedule

Array = np.ndarray[Any, Any]
random = np.random.default_rng(3)


def dense(rows: int, columns: int, depth: int) -> te.KernelOp:
    types = {"x": (rows, depth), "w": (depth, columns), "b": (columns,)}
    k = KernelBuilder(
        "dense", {name: TensorType(f32, shape) for name, shape in types.items()}, ("w", "b")
    )
    x, w, b = k.args
    c = k.compute(
        "c",
        {"i": rows, "j": columns},
        lambda i, j: k.sum({"k": depth}, lambda r: x[i, r] * w[r, j]),
    )
    return k.finish(
        k.compute("y", {"i": rows, "j": columns}, lambda i, j: maximum(c[i, j] + b[j], 0.0))
    )


def inputs_of(kernel: te.KernelOp) -> list[Array]:
    shapes = [tensor_shape(type_) for type_ in kernel.body.block.arg_types]
    return [random.normal(size=shape).astype(np.float32) for shape in shapes]


SIZES = [(16, 96, 20), (13, 50, 7), (1, 1, 1), (3, 48, 0), (0, 5, 4)]


@pytest.mark.parametrize("sizes", SIZES)
def test_canonical_nests_give_the_bits_of_te(sizes: tuple[int, int, int]) -> None:
    kernel = dense(*sizes)
    inputs = inputs_of(kernel)
    [expected] = run_kernel(kernel, inputs)
    [found] = run_loop_kernel(KernelConverter(kernel).convert(), inputs)
    assert found.dtype == expected.dtype
    assert (found == expected).all()


@pytest.mark.parametrize("sizes", [*SIZES[:2], (9, 33, 1)])
def test_scheduled_nests_and_tiles(sizes: tuple[int, int, int]) -> None:
    kernel = dense(*sizes)
    inputs = inputs_of(kernel)
    [expected], [error] = run_kernel_with_errors(kernel, inputs)
    nest = KernelConverter(kernel).convert()
    s = Schedule(nest)
    s.split("y.j", 16)
    s.split("y.i", 4)
    s.reorder("y.j.o", "y.i.o", "y.i.i", "y.j.i")
    s.compute_at("c", "y.i.o")
    s.reorder("c.k", "c.i", "c.j")
    s.set_scope("c", "register")
    s.pack("w", AffineMap.from_callable(lambda k, j: (j // 16, k, j % 16)))
    [found] = run_loop_kernel(nest, inputs)
    assert (found == expected).all()
    for name in ("c.i", "y.i.i"):
        s.unroll(name)
    for name in ("c.j", "y.j.i"):
        s.vectorize(name)
    form_tiles(nest)
    nest.verify()
    [found] = run_loop_kernel(nest, inputs)
    assert (np.abs(found - expected) <= error).all()


def test_layouts_are_packed_and_padding_is_poison() -> None:
    layout = AffineMap.from_callable(lambda i, j: (j // 4, i, j % 4))
    memory = Memory(loop.BufferType.get([3, 6], f32, "global", layout), "w")
    values = np.arange(18, dtype="f4").reshape(3, 6)
    memory.pack(values)
    assert memory.shape == (2, 3, 4)
    assert np.isnan(memory.flat.reshape(2, 3, 4)[1, :, 2:]).all()
    assert (memory.unpack() == values).all()


def test_memory_that_nobody_wrote_shows() -> None:
    """The last iteration of every loop is left out: what it should have written is NaN."""
    nest = KernelConverter(dense(4, 4, 4)).convert()
    for op in nest.walk():
        if isinstance(op, loop.ForOp):
            op.properties["upper"] = AffineMapAttr(AffineMap.constant_map(3))
    [found] = run_loop_kernel(nest, inputs_of(dense(4, 4, 4)))
    assert np.isnan(found[3]).all()
    assert not np.isnan(found[:3, :3]).any()


def test_accesses_outside_of_a_buffer_are_errors() -> None:
    nest = KernelConverter(dense(4, 4, 4)).convert()
    reads = [op for op in nest.walk() if isinstance(op, loop.ReadOp)]
    results = reads[0].map.data.results
    moved = AffineMap(3, len(reads[0].map.data.results) + 1, (results[0] + 1, results[1]))
    reads[0].properties["map"] = AffineMapAttr(moved)
    with pytest.raises(OutsideDomain, match="of physical shape"):
        run_loop_kernel(nest, inputs_of(dense(4, 4, 4)))


def test_points_outside_of_the_index_space_do_not_run() -> None:
    nest = KernelConverter(dense(5, 6, 3)).convert()
    for op in nest.walk():
        if isinstance(op, loop.ForOp):
            op.properties["upper"] = AffineMapAttr(AffineMap.constant_map(9))
    kernel = dense(5, 6, 3)
    inputs = inputs_of(kernel)
    assert (run_loop_kernel(nest, inputs)[0] == run_kernel(kernel, inputs)[0]).all()


def test_too_many_steps_are_not_run() -> None:
    nest = KernelConverter(dense(512, 512, 512)).convert()
    with pytest.raises(NotChecked, match="steps"):
        run_loop_kernel(nest, inputs_of(dense(512, 512, 512)))


def test_a_module_keeps_its_kernels() -> None:
    """A clone, as --check-semantics takes one, runs as the original does."""
    kernel = dense(5, 6, 3)
    module = ModuleOp([kernel])
    [copy] = module.clone().ops
    assert isinstance(copy, te.KernelOp)
    inputs = inputs_of(kernel)
    assert (run_kernel(copy, inputs)[0] == run_kernel(kernel, inputs)[0]).all()
