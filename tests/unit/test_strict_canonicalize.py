"""Canonicalization keeps every bit: each pattern that is a class, on zeros of both signs, NaN,
infinities, subnormal numbers and the greatest ones; rules that are equations are in test_rules.py.
"""

from __future__ import annotations

from itertools import product
from typing import Any, cast

import numpy as np
import pytest
from xdsl.dialects import arith
from xdsl.dialects.builtin import (
    AnyFloat,
    FloatAttr,
    FunctionType,
    IntegerAttr,
    ModuleOp,
    f16,
    f32,
    i1,
    i8,
)
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import Attribute, Block, Region, SSAValue

import nnc
from nnc.core.dtypes import numpy_dtype
from nnc.core.irtypes import tensor_element, tensor_shape
from nnc.core.rewriting import Pattern, PatternSet, rewrite
from nnc.dialects import context
from nnc.passes.graph.canonicalize import TABLES
from nnc.passes.graph.rules import Rule
from nnc.passes.graph.rules.check import Trial
from nnc.passes.graph.rules.drawing import random_array
from nnc.reference import scalar
from nnc.reference.graph.run import run_module
from nnc.textir import parse

PATTERNS: dict[str, Pattern[Any]] = {
    pattern.name: pattern
    for load in TABLES.values()
    for pattern in load()(False)
    if not isinstance(pattern, Rule)
}

CASES = {
    "CastLikeKnown": """(%x: tensor<2x3x?xT>, %y: tensor<1xf16>) -> tensor<2x3x?xf16> {
        %0 = graph.cast_like(%x, %y) : tensor<2x3x?xf16>""",
    "ConstantOnTheRight": """(%x: tensor<2x3x4xT>) -> tensor<2x3x4xT> {
        %c = graph.constant dense<-0.0> : tensor<T>
        %0 = graph.add(%c, %x) : tensor<2x3x4xT>""",
    "SplatToScalar": """(%x: tensor<2x3x4xT>) -> tensor<2x3x4xT> {
        %c = graph.constant dense<-0.0> : tensor<3x1xT>
        %0 = graph.sub(%x, %c) : tensor<2x3x4xT>""",
    "RepeatedExtremum": """(%x: tensor<2x3x4xT>, %y: tensor<3x4xT>) -> tensor<2x3x4xT> {
        %0 = graph.max(%x, %y, %x, %y) : tensor<2x3x4xT>""",
    "ExtremumOfInfinity": """(%x: tensor<2x3x4xT>) -> tensor<2x3x4xT> {
        %c = graph.constant dense<INF> : tensor<3x1xT>
        %0 = graph.min(%c, %x) : tensor<2x3x4xT>""",
    "PReluOfOneSlope": """(%x: tensor<2x3x4xT>) -> tensor<2x3x4xT> {
        %c = graph.constant dense<-0.5> : tensor<3x1xT>
        %0 = graph.p_relu(%x, %c) : tensor<2x3x4xT>""",
    "ViewOfSameShape": """(%x: tensor<2x3x4xT>) -> tensor<2x3x4xT> {
        %s = graph.constant dense<[2, 3, 4]> : tensor<3xi64>
        %0 = graph.reshape(%x, %s) : tensor<2x3x4xT>""",
    "ViewOfView": """(%x: tensor<2x3x4xT>) -> tensor<2x12xT> {
        %s = graph.constant dense<[4, 6]> : tensor<2xi64>
        %1 = graph.reshape(%x, %s) : tensor<4x6xT>
        %t = graph.constant dense<[2, 12]> : tensor<2xi64>
        %0 = graph.reshape(%1, %t) : tensor<2x12xT>""",
    "ViewAsReshape": """(%x: tensor<2x3x4xT>) -> tensor<2x12xT> {
        %0 = graph.flatten(%x) : tensor<2x12xT>""",
    "ReshapeToKnownShape": """(%x: tensor<2x3x4xT>, %y: tensor<2x12xT>) -> tensor<2x12xT> {
        %s = graph.shape(%y) : tensor<2xi64>
        %0 = graph.reshape(%x, %s) : tensor<2x12xT>""",
    "TransposeOfTranspose": """(%x: tensor<2x3x4xT>) -> tensor<4x3x2xT> {
        %1 = graph.transpose(%x) {perm = [1, 2, 0]} : tensor<3x4x2xT>
        %0 = graph.transpose(%1) {perm = [1, 0, 2]} : tensor<4x3x2xT>""",
    "TransposeInPlace": """(%x: tensor<2x1x4xT>) -> tensor<1x2x4xT> {
        %0 = graph.transpose(%x) {perm = [1, 0, 2]} : tensor<1x2x4xT>""",
    "ExpandToSameShape": """(%x: tensor<2x3x4xT>) -> tensor<2x3x4xT> {
        %s = graph.constant dense<[3, 1]> : tensor<2xi64>
        %0 = graph.expand(%x, %s) : tensor<2x3x4xT>""",
    "BroadcastOfExpand": """(%x: tensor<2x3x4xT>, %y: tensor<3x1xT>) -> tensor<2x3x4xT> {
        %s = graph.constant dense<[2, 3, 4]> : tensor<3xi64>
        %1 = graph.expand(%y, %s) : tensor<2x3x4xT>
        %0 = graph.sub(%1, %x) : tensor<2x3x4xT>""",
    "ConcatWithNothing": """(%x: tensor<2x3xT>, %y: tensor<2x0xT>) -> tensor<2x6xT> {
        %0 = graph.concat(%x, %y, %x) {axis = -1} : tensor<2x6xT>""",
    "ConcatOfConcat": """(%x: tensor<2x3xT>, %y: tensor<2x2xT>) -> tensor<2x8xT> {
        %1 = graph.concat(%y, %x) {axis = -1} : tensor<2x5xT>
        %0 = graph.concat(%x, %1) {axis = 1} : tensor<2x8xT>""",
    "SliceOfEverything": """(%x: tensor<2x3xT>) -> tensor<2x3xT> {
        %b = graph.constant dense<[0]> : tensor<1xi64>
        %e = graph.constant dense<[9]> : tensor<1xi64>
        %0 = graph.slice(%x, %b, %e) : tensor<2x3xT>""",
    "PadWithNothing": """(%x: tensor<2x3xT>) -> tensor<2x3xT> {
        %p = graph.constant dense<[0, 0, 0, 0]> : tensor<4xi64>
        %0 = graph.pad(%x, %p) : tensor<2x3xT>""",
    "TileOnce": """(%x: tensor<2x3xT>) -> tensor<2x3xT> {
        %r = graph.constant dense<[1, 1]> : tensor<2xi64>
        %0 = graph.tile(%x, %r) : tensor<2x3xT>""",
    "SplitIntoOne": """(%x: tensor<2x3xT>) -> tensor<2x3xT> {
        %0 = graph.split(%x) : tensor<2x3xT>""",
    "ReduceOverOnes": """(%x: tensor<2x1x4xT>) -> tensor<2x4xT> {
        %a = graph.constant dense<[1]> : tensor<1xi64>
        %0 = graph.reduce_sum(%x, %a) {keepdims = 0} : tensor<2x4xT>""",
    "ReshapeOfReduction": """(%x: tensor<2x3x4xT>) -> tensor<2x1x4xT> {
        %a = graph.constant dense<[1]> : tensor<1xi64>
        %s = graph.constant dense<[2, 1, 4]> : tensor<3xi64>
        %1 = graph.reduce_mean(%x, %a) {keepdims = 0} : tensor<2x4xT>
        %0 = graph.reshape(%1, %s) : tensor<2x1x4xT>""",
    "DropoutAtInference": """(%x: tensor<2x3x4xT>) -> tensor<2x3x4xT> {
        %0 = graph.dropout(%x) : tensor<2x3x4xT>""",
}
MORE = [
    *(("ReduceOverOnes", kind) for kind in ("max", "min", "mean", "prod", "sum")),
    ("RepeatedExtremum", "min"),
    ("ConstantOnTheRight", "mul"),
    ("SplatToScalar", "div"),
]
INFINITIES = {"f16": "0x7C00", "bf16": "0x7F80", "f32": "0x7F800000", "f64": "0x7FF0000000000000"}


def module_of(name: str, type_: str, kind: str | None = None) -> ModuleOp:
    text = CASES[name].replace("xT>", f"x{type_}>").replace("<T>", f"<{type_}>")
    if kind is not None:
        old = {"ReduceOverOnes": "sum", "RepeatedExtremum": "max", "ConstantOnTheRight": "add"}
        text = text.replace(old.get(name, "sub"), kind)
    text = text.replace("INF", INFINITIES[type_])
    return parse(f"func.func @main{text}\n  func.return %0\n}}")


def draw(value: SSAValue, random: np.random.Generator) -> np.ndarray[Any, Any]:
    shape = tuple(5 if extent < 0 else extent for extent in tensor_shape(value.type))
    return random_array(random, shape, numpy_dtype(tensor_element(value.type)))


def inputs_of(module: ModuleOp, seed: int) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(seed)
    (main,) = (op for op in module.ops if isinstance(op, FuncOp))
    return [draw(argument, random) for argument in main.body.block.args]


def test_every_pattern_has_a_case() -> None:
    assert PATTERNS.keys() == CASES.keys()


@pytest.mark.parametrize("type_", INFINITIES)
@pytest.mark.parametrize(("name", "kind"), [*((name, None) for name in CASES), *MORE])
def test_a_pattern_keeps_every_bit(name: str, kind: str | None, type_: str) -> None:
    if name == "PReluOfOneSlope" and type_ != "f32":
        pytest.skip("the slope of a leaky_relu is f32")
    module = module_of(name, type_, kind)
    before = module.clone()
    assert rewrite(module, [PATTERNS[name]])[name], "it does not fire"
    module.verify()
    for seed in range(8):
        inputs = inputs_of(before, seed)
        (left,), (right,) = run_module(before, inputs), run_module(module, inputs)
        assert Trial(before, inputs, left, right).difference() is None


NATIVE = [
    *(("ReduceOverOnes", kind) for kind in ("max", "mean", "prod", "sum")),
    *(("RepeatedExtremum", None), ("RepeatedExtremum", "min"), ("ExtremumOfInfinity", None)),
    *(("ConstantOnTheRight", None), ("SplatToScalar", "div"), ("PReluOfOneSlope", None)),
]


@pytest.mark.parametrize(("name", "kind"), NATIVE)
def test_machine_code_has_these_bits(name: str, kind: str | None) -> None:
    check_native(module_of(name, "f32", kind))


def check_native(module: ModuleOp) -> None:
    before = module.clone()
    compiled = nnc.compile(module, numerics="strict", cache=False)
    for seed in range(3):
        inputs = inputs_of(before, seed)
        (right,) = compiled(dict(zip(("x", "y"), inputs, strict=False))).values()
        (left,) = run_module(before, inputs)
        assert Trial(before, inputs, left, right).difference() is None


BOUNDS = """
func.func @main(%x: tensor<2x3x40xf32>) -> tensor<2x3x40xf32> {
  %low = graph.constant dense<LOW> : tensor<f32>
  %high = graph.constant dense<HIGH> : tensor<f32>
  %0 = graph.OPERATOR : tensor<2x3x40xf32>
  func.return %0
}"""


@pytest.mark.parametrize("operator", ["clip(%x, %low)", "clip(%x, %low, %high)", "max(%x, %low)"])
@pytest.mark.parametrize(("low", "high"), [("0.0", "6.0"), ("-0.0", "0.0"), ("-1.5", "-0.0")])
def test_a_zero_that_is_a_bound_keeps_its_sign(operator: str, low: str, high: str) -> None:
    """clip(x, 0) is relu(x), of -0.0 too."""
    text = BOUNDS.replace("OPERATOR", operator).replace("LOW", low).replace("HIGH", high)
    check_native(parse(text))


LOOSE = """
func.func @main(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c = graph.constant dense<0x7F800000> : tensor<3xf32>
  %0 = graph.min(%x, %c) : tensor<?xf32>
  func.return %0
}"""


def test_an_extremum_that_may_broadcast_stays() -> None:
    module = parse(LOOSE)
    assert not rewrite(module, [PATTERNS["ExtremumOfInfinity"]])
    (result,) = run_module(module, [np.ones(1, np.float32)])
    assert result.shape == (3,)


SLOPE = """
func.func @main(%x: tensor<1x3xf32>, %y: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %s = graph.constant dense<[2, 3]> : tensor<2xi64>
  %1 = graph.expand(%x, %s) : tensor<2x3xf32>
  %0 = graph.p_relu(%1, %y) : tensor<2x3xf32>
  func.return %0
}"""


def test_a_slope_does_not_broadcast_the_data() -> None:
    module = parse(SLOPE)
    assert not rewrite(module, [PATTERNS["BroadcastOfExpand"]])
    module.verify()


NUMBERS: dict[Attribute, list[float]] = {
    f32: [0.0, -0.0, 1.0, 0.1, -3.0, 1e30, 1e-30, 1e-44, float("inf"), float("-inf"), float("nan")],
    f16: [0.0, -0.0, 1.0, 0.1, -3.0, 65504.0, 6e-8, float("inf"), float("nan")],
    i8: [0, 1, -1, 2, 7, 8, -128, 127],
    i1: [0, -1],
}
FLOAT_OPS = ["addf", "subf", "mulf", "divf", "maximumf", "minimumf"]
INT_OPS = [
    *("addi", "subi", "muli", "divsi", "divui", "remsi", "remui", "andi", "ori", "xori"),
    *("shli", "shrsi", "shrui", "maxsi", "minsi", "maxui", "minui"),
]


def scalar_function(name: str, form: str, type_: Any, left: float, right: float) -> FuncOp:
    """`f(x)` of x and constants: which operand is one says `form`, as in "cx"."""
    make = cast("Any", FloatAttr if isinstance(type_, AnyFloat) else IntegerAttr)
    block = Block(arg_types=[type_])
    operands: list[SSAValue] = []
    for is_constant, number in zip(form, (left, right), strict=True):
        constant = arith.ConstantOp(make(number, type_))
        operands.append(constant.result if is_constant == "c" else block.args[0])
        if is_constant == "c":
            block.add_op(constant)
    op_class = next(op for op in arith.Arith.operations if op.name == f"arith.{name}")
    op = cast("Any", op_class)(*operands)
    block.add_ops([op, ReturnOp(op.results[0])])
    return FuncOp("f", FunctionType.from_lists([type_], [type_]), Region(block))


def result_of(function: FuncOp, x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    values: dict[SSAValue, np.ndarray[Any, Any]] = {function.body.block.args[0]: x}
    for op in function.body.block.ops:
        if isinstance(op, ReturnOp):
            return values[op.operands[0]]
        values[op.results[0]] = scalar.evaluate(op, [values[o] for o in op.operands])
    raise AssertionError("it returns")


@pytest.mark.parametrize("form", ["cc", "xc", "cx"])
@pytest.mark.parametrize(
    ("name", "type_"),
    [*product(FLOAT_OPS, (f32, f16)), *product(INT_OPS, (i8, i1))],
)
def test_patterns_of_upstream_keep_every_bit(name: str, type_: Any, form: str) -> None:
    """Canonicalization of the scalars in te and loop kernels is xDSL's."""
    numbers = NUMBERS[type_]
    inputs = [np.asarray(number).astype(numpy_dtype(type_)) for number in numbers]
    ctx = context()
    for left, right in product(numbers, numbers):
        function = scalar_function(name, form, type_, left, right)
        before = [result_of(function, x) for x in inputs]
        module = ModuleOp([function])
        rewrite(module, PatternSet([], hooks=True), context=ctx)
        for x, expected in zip(inputs, before, strict=True):
            trial = Trial(module, [x], expected, result_of(function, x))
            assert trial.difference() is None, (left, right)
