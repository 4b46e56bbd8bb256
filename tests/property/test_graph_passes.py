"""Graph passes keep what a graph computes: random graphs, run before and after by the reference.

Graphs are drawn from all families, extents from 0 to 4. A pass that claims to keep every bit is
held to it (the sign of zero aside); one that folds weights is compared in f64 at 1e-9.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from xdsl.dialects import func
from xdsl.dialects.builtin import (
    Float32Type,
    Float64Type,
    ModuleOp,
    NameLoc,
    NoneAttr,
    StringAttr,
    TensorType,
)
from xdsl.ir import Attribute, Block, Region, SSAValue
from xdsl.rewriter import Rewriter

from nnc.compiler.pipelines import FUSE, GRAPH
from nnc.core.locations import parts
from nnc.core.symbolic import symbol
from nnc.core.verifier import problems
from nnc.core.walk import walk
from nnc.dialects import context
from nnc.dialects.graph.base import ConstantOp, GraphOp, KernelOp
from nnc.dialects.graph.registry import operator
from nnc.dialects.graph.types import dims, element, tensor_type
from nnc.passes import PASSES
from nnc.passes.graph.infer_shapes import specialize
from nnc.reference.graph.run import run_module

Array = np.ndarray[Any, Any]
EXTENTS = st.sampled_from((0, 1, 1, 2, 3, 4))
CTX = context()
PIPELINE = (*GRAPH, *FUSE)


class GraphMaker:
    """Draws operators one after the other; every value has a static shape of floats."""

    def __init__(self, draw: st.DrawFn, dtype: str):
        self.draw = draw
        self.dtype = np.dtype(dtype)
        self.element = Float32Type() if dtype == "float32" else Float64Type()
        shapes = [self.shape(), self.shape(), self.image_shape()]
        self.block = Block(arg_types=[TensorType(self.element, shape) for shape in shapes])
        self.values: list[SSAValue] = list(self.block.args)

    def shape(self) -> tuple[int, ...]:
        return tuple(self.draw(st.lists(EXTENTS, max_size=3)))

    def image_shape(self) -> tuple[int, ...]:
        small = st.integers(1, 4)
        return (self.draw(st.integers(0, 2)), self.draw(small), self.draw(small), self.draw(small))

    def add(self, op: GraphOp) -> None:
        self.block.add_op(op)
        self.values += [r for r in op.results if element(r.type) == self.element]

    def constant(self, array: Array) -> SSAValue:
        op = ConstantOp.of(np.ascontiguousarray(array))
        self.block.add_op(op)
        return op.res

    def numbers(self, *shape: int) -> SSAValue:
        """Random constant weights, now and then a special number throughout."""
        special = self.draw(st.sampled_from((None, None, None, 0.0, -0.0, 1.0, 2.0, -0.5)))
        if special is not None:
            return self.constant(np.full(shape, special, self.dtype))
        seed = self.draw(st.integers(0, 1 << 20))
        return self.constant(np.random.default_rng(seed).normal(size=shape).astype(self.dtype))

    def integers(self, *values: int) -> SSAValue:
        return self.constant(np.asarray(values, np.int64).reshape(-1))

    def pick(self, rank: int | None = None) -> SSAValue:
        fitting = [v for v in self.values if rank is None or len(extents(v)) == rank]
        return self.draw(st.sampled_from(fitting))

    def step(self) -> None:
        self.draw(st.sampled_from(STEPS))(self)

    def module(self, results: Sequence[SSAValue]) -> ModuleOp:
        self.block.add_op(func.ReturnOp(*results))
        types = list(self.block.arg_types), [value.type for value in results]
        return ModuleOp([func.FuncOp("main", types, Region(self.block))])


def kind(name: str) -> type[GraphOp]:
    return operator(f"graph.{name}").cls


def extents(value: SSAValue) -> tuple[int, ...]:
    return tuple(dim for dim in dims(value.type) or () if isinstance(dim, int))


def unary(g: GraphMaker) -> None:
    names = ("abs", "ceil", "floor", "identity", "neg", "relu", "sigmoid", "tanh", "leaky_relu")
    g.add(kind(g.draw(st.sampled_from(names))).of(g.pick()))


def binary(g: GraphMaker) -> None:
    x = g.pick()
    shape = extents(x)
    operand = g.draw(st.sampled_from(("same", "scalar", "row", "channel", "itself")))
    other = {
        "same": lambda: g.numbers(*shape),
        "scalar": lambda: g.numbers(),
        "row": lambda: g.numbers(*shape[-1:]),
        "channel": lambda: g.numbers(*shape[1:2], *(1,) * (len(shape) - 2)),
        "itself": lambda: x,
    }[operand]()
    name = g.draw(st.sampled_from(("add", "sub", "mul", "div", "max", "min", "sum")))
    swapped = g.draw(st.booleans())
    g.add(kind(name).of(other, x) if swapped else kind(name).of(x, other))


def meet(g: GraphMaker) -> None:
    x = g.pick()
    partners = [v for v in g.values if extents(v) == extents(x)]
    g.add(kind("add").of(x, g.draw(st.sampled_from(partners))))


def choose(g: GraphMaker) -> None:
    x = g.pick()
    condition = kind("greater").of(x, g.numbers())
    g.block.add_op(condition)
    g.add(kind("where").of(condition.results[0], x, g.numbers()))


def clip(g: GraphMaker) -> None:
    low = g.constant(np.asarray(g.draw(st.sampled_from((-1.0, 0.0))), g.dtype))
    high = g.constant(np.asarray(1.5, g.dtype)) if g.draw(st.booleans()) else None
    g.add(kind("clip").of(g.pick(), low, high))


def cast(g: GraphMaker) -> None:
    x = g.pick()
    wide = kind("cast").of(x, to=Float64Type())
    g.block.add_op(wide)
    g.add(kind("cast").of(wide.results[0], to=g.element))


def transpose(g: GraphMaker) -> None:
    x = g.pick()
    g.add(kind("transpose").of(x, perm=g.draw(st.permutations(range(len(extents(x)))))))


def reshape(g: GraphMaker) -> None:
    x = g.pick()
    size = math.prod(extents(x))
    shapes = [(size,), (1, size), (size, 1, 1), extents(x), (*extents(x), 1)]
    shape = g.draw(st.sampled_from(shapes))
    g.add(kind("reshape").of(x, g.integers(*shape), allowzero=int(0 in shape)))


def reshape_by_shape(g: GraphMaker) -> None:
    """reshape(x, shape(x)[::-1]), as exporters compute it."""
    x = g.pick()
    shape = kind("shape").of(x)
    order = g.integers(*range(len(extents(x)))[::-1])
    picked = kind("gather").of(shape.results[0], order)
    g.block.add_ops([shape, picked])
    if 0 not in extents(x):
        g.add(kind("reshape").of(x, picked.results[0]))


def view(g: GraphMaker) -> None:
    x = g.pick()
    shape = extents(x)
    name = g.draw(st.sampled_from(("flatten", "squeeze", "unsqueeze")))
    if name == "flatten":
        g.add(kind("flatten").of(x, axis=g.draw(st.integers(0, len(shape)))))
    elif name == "squeeze":
        ones = [i for i, extent in enumerate(shape) if extent == 1]
        g.add(kind("squeeze").of(x, g.integers(*ones)))
    else:
        g.add(kind("unsqueeze").of(x, g.integers(g.draw(st.integers(0, len(shape))))))


def concat(g: GraphMaker) -> None:
    x = g.pick()
    if (shape := extents(x)) != ():
        axis = g.draw(st.integers(0, len(shape) - 1))
        extra = list(shape)
        extra[axis] = g.draw(EXTENTS)
        pieces = g.draw(st.sampled_from(([x], [x, x], [x, g.numbers(*extra)])))
        g.add(kind("concat").of(*pieces, axis=axis))


def slice_(g: GraphMaker) -> None:
    x = g.pick()
    if (shape := extents(x)) != ():
        axis = g.draw(st.integers(0, len(shape) - 1))
        start, end = g.draw(st.integers(-4, 4)), g.draw(st.sampled_from((1, 3, 1 << 40)))
        step = g.draw(st.sampled_from((1, 1, 2, -1)))
        bounds = [g.integers(number) for number in (start, end, axis, step)]
        g.add(kind("slice").of(x, *bounds))


def pad(g: GraphMaker) -> None:
    x = g.pick()
    pads = [g.draw(st.sampled_from((0, 0, 1))) for _ in range(2 * len(extents(x)))]
    fill = g.draw(st.sampled_from((None, 0.0, 1.0)))
    value = None if fill is None else g.constant(np.asarray(fill, g.dtype))
    g.add(kind("pad").of(x, g.integers(*pads), value))


def repeat(g: GraphMaker) -> None:
    x = g.pick()
    repeats = [g.draw(st.sampled_from((1, 1, 2))) for _ in extents(x)]
    g.add(kind("tile").of(x, g.integers(*repeats)))


def expand(g: GraphMaker) -> None:
    x = g.pick()
    more = tuple(g.draw(EXTENTS) if extent == 1 else extent for extent in extents(x))
    g.add(kind("expand").of(x, g.integers(*more)))


def split(g: GraphMaker) -> None:
    x = g.pick()
    if (shape := extents(x)) != ():
        axis = g.draw(st.integers(0, len(shape) - 1))
        first = g.draw(st.integers(0, shape[axis]))
        pieces = [first, shape[axis] - first] if g.draw(st.booleans()) else [shape[axis]]
        g.add(kind("split").of(x, g.integers(*pieces), axis=axis, results=len(pieces)))


def reduce(g: GraphMaker) -> None:
    x = g.pick()
    shape = extents(x)
    if 0 not in shape:
        axes = sorted(g.draw(st.sets(st.integers(0, max(0, len(shape) - 1)), max_size=2)))
        name = g.draw(st.sampled_from(("reduce_max", "reduce_mean", "reduce_sum")))
        keep = g.draw(st.integers(0, 1))
        g.add(kind(name).of(x, g.integers(*axes if shape else ()), keepdims=keep))


def softmax(g: GraphMaker) -> None:
    x = g.pick()
    if (shape := extents(x)) != ():
        g.add(kind("softmax").of(x, axis=g.draw(st.integers(-len(shape), -1))))


def matmul(g: GraphMaker) -> None:
    x = g.pick()
    if (shape := extents(x)) != ():
        g.add(kind("matmul").of(x, g.numbers(shape[-1], g.draw(EXTENTS))))


def gemm(g: GraphMaker) -> None:
    fitting = [v for v in g.values if len(extents(v)) == 2]
    if fitting:
        x = g.draw(st.sampled_from(fitting))
        k, m = extents(x)[1], g.draw(st.integers(1, 3))
        transposed = g.draw(st.integers(0, 1))
        w = g.numbers(m, k) if transposed else g.numbers(k, m)
        c = g.draw(st.sampled_from((None, (), (m,), (1, m), (1, 1))))
        bias = None if c is None else g.numbers(*c)
        g.add(kind("gemm").of(x, w, bias, transB=transposed, beta=0.5, alpha=2.0))


def conv(g: GraphMaker) -> None:
    x = g.pick(4)
    _, channels, *size = extents(x)
    if channels == 0:
        return
    group = g.draw(st.sampled_from((1, channels)))
    out = group * g.draw(st.integers(1, 2))
    kernel = [g.draw(st.integers(1, max(1, min(2, extent)))) for extent in size]
    if 0 in size:
        return
    pads = [g.draw(st.integers(0, 1)) for _ in range(4)]
    bias = g.numbers(out) if g.draw(st.booleans()) else None
    if g.draw(st.booleans()):
        w = g.numbers(out, channels // group, *kernel)
        g.add(kind("conv").of(x, w, bias, group=group, pads=pads))
    else:
        w = g.numbers(channels, out // group, *kernel)
        g.add(kind("conv_transpose").of(x, w, bias, group=group))


def batch_norm(g: GraphMaker) -> None:
    fitting = [v for v in g.values if len(extents(v)) >= 2]
    x = g.draw(st.sampled_from(fitting))
    channels = extents(x)[1]
    variance = g.constant(np.full((channels,), 0.75, g.dtype))
    parameters = [g.numbers(channels) for _ in range(3)]
    g.add(kind("batch_normalization").of(x, *parameters, variance))


def dropout(g: GraphMaker) -> None:
    g.add(kind("dropout").of(g.pick()))


Step = Callable[[GraphMaker], None]
STEPS: tuple[Step, ...] = (
    *(unary, unary, binary, binary, meet, choose, clip, cast, transpose, reshape),
    *(reshape_by_shape, view, concat, slice_, pad, repeat, expand, split, reduce, softmax),
    *(matmul, gemm, conv, conv, batch_norm, batch_norm, dropout),
)


class Case:
    """A module and inputs for it, shown as text."""

    def __init__(self, module: ModuleOp, seed: int):
        self.module = module
        self.inputs = inputs_of(module, seed)

    def __repr__(self) -> str:
        return f"\n{self.module}\n"

    def run(self) -> list[Array]:
        return run_module(self.module, self.inputs)


@st.composite
def cases(draw: st.DrawFn, dtype: str = "float32") -> Case:
    g = GraphMaker(draw, dtype)
    for _ in range(draw(st.integers(1, 8))):
        g.step()
    wanted = draw(st.lists(st.sampled_from(g.values[3:] or g.values), min_size=1, max_size=2))
    return Case(g.module([*wanted, g.values[-1]]), draw(st.integers(0, 99)))


def inputs_of(module: ModuleOp, seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    main = next(op for op in module.ops if isinstance(op, func.FuncOp))
    arrays = [rng.normal(size=extents(arg)) for arg in main.body.block.args]
    names = [np.float32 if "f32" in str(arg.type) else np.float64 for arg in main.body.block.args]
    return [np.asarray(a, dtype) for a, dtype in zip(arrays, names, strict=True)]


def apply(name: str, module: ModuleOp, **options: Any) -> None:
    PASSES[name]()(**options).apply(CTX, module)
    assert problems(module) == []


def assert_same(before: Sequence[Array], after: Sequence[Array], tolerance: float) -> None:
    for old, new in zip(before, after, strict=True):
        assert (old.shape, old.dtype) == (new.shape, new.dtype)
        scale = float(np.max(np.abs(old), initial=0, where=np.isfinite(old)))
        np.testing.assert_allclose(new, old, rtol=tolerance, atol=tolerance * scale)


relaxed = settings(
    deadline=None,
    max_examples=60,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize(
    "name", ["infer-shapes", "canonicalize", "fold-constants", "cse", "dce", "fuse"]
)
@relaxed
@given(case=cases())
def test_a_pass_keeps_every_bit(name: str, case: Case) -> None:
    before = case.run()
    apply(name, case.module)
    assert_same(before, case.run(), 0)


@relaxed
@given(case=cases("float64"))
def test_simplify_inference_changes_by_rounding_alone(case: Case) -> None:
    before = case.run()
    apply("simplify-inference", case.module)
    assert_same(before, case.run(), 1e-9)


@relaxed
@given(case=cases("float64"), fast=st.booleans())
def test_the_pipeline_keeps_the_meaning(case: Case, fast: bool) -> None:
    before = case.run()
    for name in PIPELINE:
        numerics = {"numerics": "fast" if fast else "strict"} if name == "canonicalize" else {}
        apply(name, case.module, **numerics)
    assert_same(before, case.run(), 1e-9)


@pytest.mark.parametrize("name", sorted(set(PIPELINE)))
@settings(relaxed, max_examples=25)
@given(case=cases())
def test_a_pass_finds_nothing_left_to_do(name: str, case: Case) -> None:
    apply(name, case.module)
    once = str(case.module)
    apply(name, case.module)
    assert str(case.module) == once


def forget_types(module: ModuleOp) -> dict[str, tuple[int, ...]]:
    """Give inputs named extents, and all else no type; the shapes of the inputs."""
    main = next(op for op in module.ops if isinstance(op, func.FuncOp))
    shapes: dict[str, tuple[int, ...]] = {}
    for i, arg in enumerate(main.body.block.args):
        shapes[f"arg{i}"] = extents(arg)
        named = [symbol(f"{'xyz'[i]}{axis}") for axis in range(len(extents(arg)))]
        Rewriter.replace_value_with_new_type(arg, tensor_type(named, element(arg.type)))
    for op in walk(module):
        if isinstance(op, GraphOp):
            for result in op.results:
                Rewriter.replace_value_with_new_type(
                    result, tensor_type(None, element(result.type))
                )
    return shapes


@relaxed
@given(case=cases("float64"))
def test_named_extents_are_not_assumed_to_be_anything(case: Case) -> None:
    """Passes on a graph of unknown sizes, which get their values only afterwards."""
    before = case.run()
    shapes = forget_types(case.module)
    for name in PIPELINE:
        apply(name, case.module)
    assert_same(before, case.run(), 1e-9)
    specialize(case.module, shapes)
    assert problems(case.module) == []
    assert_same(before, case.run(), 1e-9)


@relaxed
@given(case=cases("float64"))
def test_every_op_knows_where_it_came_from(case: Case) -> None:
    """Locations that all ops have before the pipeline all ops have after it, and no others."""
    for i, op in enumerate(walk(case.module)):
        op.location = NameLoc(StringAttr(f"node{i}"), NoneAttr())
    known = {op.location for op in walk(case.module)}
    for name in PIPELINE:
        apply(name, case.module)
        for op in walk(case.module):
            assert parts(op.location), f"{op.name} has no location after {name}"
            assert known.issuperset(parts(op.location))


@relaxed
@given(case=cases())
def test_inference_finds_the_types_again(case: Case) -> None:
    """Static types, forgotten and inferred from the inputs, are the same ones."""
    known: list[Attribute] = [r.type for op in walk(case.module) for r in op.results]
    shapes = forget_types(case.module)
    specialize(case.module, shapes)
    assert [r.type for op in walk(case.module) for r in op.results] == known


@relaxed
@given(case=cases())
def test_a_kernel_has_one_way_out(case: Case) -> None:
    """After fuse every operator but views stands in a kernel, and kernels yield what is used."""
    for name in ("fold-constants", "dce", "fuse"):
        apply(name, case.module)
    main = next(op for op in case.module.ops if isinstance(op, func.FuncOp))
    views = {"graph.reshape", "graph.squeeze", "graph.unsqueeze", "graph.flatten", "graph.identity"}
    for op in main.body.block.ops:
        assert not isinstance(op, GraphOp) or op.name in views
        if isinstance(op, KernelOp):
            assert all(result.first_use is not None for result in op.results)
