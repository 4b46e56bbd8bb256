"""Each rule fires as often as it should: once, or, on something that only looks like it, never.

Every case is also run before and after.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp

from nnc.core.explain import explaining
from nnc.core.verifier import problems
from nnc.dialects import context
from nnc.dialects.graph.types import dims
from nnc.passes import PASSES
from nnc.reference.graph.run import run_module
from nnc.textir import parse


@dataclass(frozen=True)
class Case:
    """A function's body that returns %r, and how often a rule fires on it."""

    name: str
    rule: str
    times: int
    args: str
    result: str
    body: str
    options: dict[str, Any] = field(default_factory=dict[str, Any])

    def module(self) -> ModuleOp:
        lines = "\n".join(f"  {line.strip()}" for line in self.body.strip().splitlines())
        return parse(
            f"func.func @main({self.args}) -> {self.result} {{\n{lines}\n  func.return %r\n}}"
        )


X = "%x: tensor<2x3xf32>"
IMAGE = "%x: tensor<1x2x4x4xf32>"
FAST = {"numerics": "fast"}

CANONICALIZE = [
    Case(
        *("transposes that cancel", "TransposeInPlace", 1, X, "tensor<2x3xf32>"),
        """%0 = graph.transpose(%x) {perm = [1, 0]} : tensor<3x2xf32>
        %r = graph.transpose(%0) {perm = [1, 0]} : tensor<2x3xf32>""",
    ),
    Case(
        *("transposes that rotate", "TransposeInPlace", 0),
        *("%x: tensor<2x2x2xf32>", "tensor<2x2x2xf32>"),
        """%0 = graph.transpose(%x) {perm = [1, 2, 0]} : tensor<2x2x2xf32>
        %r = graph.transpose(%0) {perm = [1, 2, 0]} : tensor<2x2x2xf32>""",
    ),
    Case(
        *("a slice of everything, backward", "SliceOfEverything", 0, X, "tensor<2x3xf32>"),
        """%s = graph.constant dense<-1> : tensor<1xi64>
        %e = graph.constant dense<-100> : tensor<1xi64>
        %a = graph.constant dense<1> : tensor<1xi64>
        %r = graph.slice(%x, %s, %e, %a, %s) : tensor<2x3xf32>""",
    ),
    Case(
        *("pads that shift", "PadWithNothing", 0, "%x: tensor<3xf32>", "tensor<3xf32>"),
        """%p = graph.constant dense<[1, -1]> : tensor<2xi64>
        %r = graph.pad(%x, %p) : tensor<3xf32>""",
    ),
    Case(
        *("pads of nothing", "PadWithNothing", 1, "%x: tensor<3xf32>", "tensor<3xf32>"),
        """%p = graph.constant dense<0> : tensor<2xi64>
        %r = graph.pad(%x, %p) : tensor<3xf32>""",
    ),
    Case(
        *("x - -0.0", "NeutralElement", 0, X, "tensor<2x3xf32>"),
        """%z = graph.constant dense<-0.0> : tensor<f32>
        %r = graph.sub(%x, %z) : tensor<2x3xf32>""",
    ),
    Case(
        *("x - -0.0, fast", "NeutralElement", 1, X, "tensor<2x3xf32>"),
        """%z = graph.constant dense<-0.0> : tensor<f32>
        %r = graph.sub(%x, %z) : tensor<2x3xf32>""",
        FAST,
    ),
    Case(
        *("1 - x", "NeutralElement", 0, X, "tensor<2x3xf32>"),
        """%z = graph.constant dense<0.0> : tensor<f32>
        %r = graph.sub(%z, %x) : tensor<2x3xf32>""",
    ),
    Case(
        *("integer x + 0", "NeutralElement", 1, "%x: tensor<3xi32>", "tensor<3xi32>"),
        """%z = graph.constant dense<0> : tensor<i32>
        %r = graph.add(%x, %z) : tensor<3xi32>""",
    ),
    Case(
        *("division by what has no finite inverse", "DivisionByConstant", 0, X, "tensor<2x3xf32>"),
        """%c = graph.constant dense<1.0e-40> : tensor<f32>
        %r = graph.div(%x, %c) : tensor<2x3xf32>""",
        FAST,
    ),
    Case(
        *("integer division", "DivisionByConstant", 0, "%x: tensor<3xi32>", "tensor<3xi32>"),
        """%c = graph.constant dense<2> : tensor<i32>
        %r = graph.div(%x, %c) : tensor<3xi32>""",
    ),
    Case(
        *("a cast through a narrower type", "CastOfWidening", 0),
        *("%x: tensor<3xi32>", "tensor<3xi64>"),
        """%0 = graph.cast(%x) {to = i8} : tensor<3xi8>
        %r = graph.cast(%0) {to = i64} : tensor<3xi64>""",
    ),
    Case(
        *("a cast of i64 through f64", "CastOfWidening", 0),
        *("%x: tensor<3xi64>", "tensor<3xi32>"),
        """%0 = graph.cast(%x) {to = f64} : tensor<3xf64>
        %r = graph.cast(%0) {to = i32} : tensor<3xi32>""",
    ),
    Case(
        *("a cast through a wider type", "CastOfWidening", 1),
        *("%x: tensor<3xi32>", "tensor<3xi8>"),
        """%0 = graph.cast(%x) {to = i64} : tensor<3xi64>
        %r = graph.cast(%0) {to = i8} : tensor<3xi8>""",
    ),
    Case(
        *("clip at another bound", "ClipAtZero", 0, X, "tensor<2x3xf32>"),
        """%c = graph.constant dense<0.5> : tensor<f32>
        %r = graph.clip(%x, %c, _) : tensor<2x3xf32>""",
    ),
    Case(
        *("clip at zero", "ClipAtZero", 1, X, "tensor<2x3xf32>"),
        """%c = graph.constant dense<0.0> : tensor<f32>
        %r = graph.clip(%x, %c, _) : tensor<2x3xf32>""",
    ),
    Case(
        *("slopes that differ", "PReluOfOneSlope", 0, X, "tensor<2x3xf32>"),
        """%c = graph.constant dense<[0.1, 0.1, 0.2]> : tensor<3xf32>
        %r = graph.p_relu(%x, %c) : tensor<2x3xf32>""",
    ),
    Case(
        *("subtraction does not commute", "ConstantOnTheRight", 0, X, "tensor<2x3xf32>"),
        """%c = graph.constant dense<2.0> : tensor<f32>
        %r = graph.sub(%c, %x) : tensor<2x3xf32>""",
    ),
    Case(
        *("an inner concat that is used elsewhere", "ConcatOfConcat", 0),
        *("%x: tensor<2xf32>", "tensor<8xf32>"),
        """%0 = graph.concat(%x, %x) {axis = 0} : tensor<4xf32>
        %r = graph.concat(%0, %0) {axis = 0} : tensor<8xf32>""",
    ),
    Case(
        *("a concat along another axis", "ConcatOfConcat", 0),
        *("%x: tensor<2x2xf32>", "tensor<4x4xf32>"),
        """%0 = graph.concat(%x, %x) {axis = 0} : tensor<4x2xf32>
        %1 = graph.neg(%0) : tensor<4x2xf32>
        %r = graph.concat(%0, %1) {axis = 1} : tensor<4x4xf32>""",
    ),
    Case(
        *("a concat along the same axis", "ConcatOfConcat", 1),
        *("%x: tensor<2x2xf32>", "tensor<2x6xf32>"),
        """%0 = graph.concat(%x, %x) {axis = 1} : tensor<2x4xf32>
        %r = graph.concat(%0, %x) {axis = -1} : tensor<2x6xf32>""",
    ),
    Case(
        *("a mean over extents of 1", "ReduceOverOnes", 1),
        *("%x: tensor<2x1x3xf32>", "tensor<2x3xf32>"),
        """%a = graph.constant dense<1> : tensor<1xi64>
        %r = graph.reduce_mean(%x, %a) {keepdims = 0} : tensor<2x3xf32>""",
    ),
    Case(
        *("a norm over extents of 1", "ReduceOverOnes", 0),
        *("%x: tensor<2x1x3xf32>", "tensor<2x3xf32>"),
        """%a = graph.constant dense<1> : tensor<1xi64>
        %r = graph.reduce_l1(%x, %a) {keepdims = 0} : tensor<2x3xf32>""",
    ),
]

MORE = [
    Case(
        *("a reduction that gets its dimension back", "ReshapeOfReduction", 1, X),
        "tensor<2x1xf32>",
        """%a = graph.constant dense<1> : tensor<1xi64>
        %s = graph.constant dense<[2, 1]> : tensor<2xi64>
        %0 = graph.reduce_sum(%x, %a) {keepdims = 0} : tensor<2xf32>
        %r = graph.reshape(%0, %s) : tensor<2x1xf32>""",
    ),
    Case(
        *("a reduction that gets another dimension", "ReshapeOfReduction", 0, X),
        "tensor<1x2xf32>",
        """%a = graph.constant dense<1> : tensor<1xi64>
        %s = graph.constant dense<[1, 2]> : tensor<2xi64>
        %0 = graph.reduce_sum(%x, %a) {keepdims = 0} : tensor<2xf32>
        %r = graph.reshape(%0, %s) : tensor<1x2xf32>""",
    ),
    Case(
        *("max with minus infinity", "ExtremumOfInfinity", 1, X, "tensor<2x3xf32>"),
        """%c = graph.constant dense<"0x000080FF"> : tensor<f32>
        %r = graph.max(%x, %c) : tensor<2x3xf32>""",
    ),
    Case(
        *("max with infinity", "ExtremumOfInfinity", 0, X, "tensor<2x3xf32>"),
        """%c = graph.constant dense<"0x0000807F"> : tensor<f32>
        %r = graph.max(%x, %c) : tensor<2x3xf32>""",
    ),
]

SIMPLIFY = [
    Case(
        *("a negated convolution", "NegBehindLinear", 1, IMAGE, "tensor<1x1x4x4xf32>"),
        """%w = graph.constant dense<0.5> : tensor<1x2x1x1xf32>
        %0 = graph.conv(%x, %w) : tensor<1x1x4x4xf32>
        %r = graph.neg(%0) : tensor<1x1x4x4xf32>""",
    ),
    Case(
        *("a negated product of two inputs", "NegBehindLinear", 0),
        *(f"{X}, %y: tensor<3x2xf32>", "tensor<2x2xf32>"),
        """%0 = graph.matmul(%x, %y) : tensor<2x2xf32>
        %r = graph.neg(%0) : tensor<2x2xf32>""",
    ),
    Case(
        *("a shift before SAME padding", "ShiftBeforeConv", 0, IMAGE, "tensor<1x1x4x4xf32>"),
        """%w = graph.constant dense<0.5> : tensor<1x2x3x3xf32>
        %c = graph.constant dense<1.0> : tensor<f32>
        %0 = graph.add(%x, %c) : tensor<1x2x4x4xf32>
        %r = graph.conv(%0, %w) {auto_pad = "SAME_UPPER"} : tensor<1x1x4x4xf32>""",
    ),
    Case(
        *("SAME without padding", "ShiftBeforeConv", 1, IMAGE, "tensor<1x1x4x4xf32>"),
        """%w = graph.constant dense<0.5> : tensor<1x2x1x1xf32>
        %c = graph.constant dense<1.0> : tensor<f32>
        %0 = graph.sub(%x, %c) : tensor<1x2x4x4xf32>
        %r = graph.conv(%0, %w) {auto_pad = "SAME_UPPER"} : tensor<1x1x4x4xf32>""",
    ),
    Case(
        *("a scale per pixel", "ScaleBehindLinear", 0, IMAGE, "tensor<1x2x4x4xf32>"),
        """%w = graph.constant dense<0.5> : tensor<2x2x1x1xf32>
        %c = graph.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
        %0 = graph.conv(%x, %w) : tensor<1x2x4x4xf32>
        %r = graph.mul(%0, %c) : tensor<1x2x4x4xf32>""",
    ),
    Case(
        *("a scale that broadcasts the only channel", "ScaleBehindLinear", 0),
        *(IMAGE, "tensor<1x2x4x4xf32>"),
        """%w = graph.constant dense<0.5> : tensor<1x2x1x1xf32>
        %c = graph.constant dense<[[[1.0]], [[2.0]]]> : tensor<2x1x1xf32>
        %0 = graph.conv(%x, %w) : tensor<1x1x4x4xf32>
        %r = graph.mul(%0, %c) : tensor<1x2x4x4xf32>""",
    ),
    Case(
        *("a scale that overflows", "ScaleBehindLinear", 0, IMAGE, "tensor<1x2x4x4xf32>"),
        """%w = graph.constant dense<1.0e+30> : tensor<2x2x1x1xf32>
        %c = graph.constant dense<1.0e+30> : tensor<f32>
        %0 = graph.conv(%x, %w) : tensor<1x2x4x4xf32>
        %r = graph.mul(%0, %c) : tensor<1x2x4x4xf32>""",
    ),
    Case(
        *("groups of a transposed convolution", "ScaleBehindLinear", 1),
        *(IMAGE, "tensor<1x4x4x4xf32>"),
        """%w = graph.constant dense<[[[[0.5]], [[1.0]]], [[[1.5]], [[2.0]]]]> : tensor<2x2x1x1xf32>
        %c = graph.constant dense<[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]> : tensor<4x1x1xf32>
        %0 = graph.conv_transpose(%x, %w) {group = 2} : tensor<1x4x4x4xf32>
        %r = graph.mul(%0, %c) : tensor<1x4x4x4xf32>""",
    ),
    Case(
        *("a quotient", "ScaleBehindLinear", 1, X, "tensor<2x1xf32>"),
        """%w = graph.constant dense<1.0> : tensor<3x1xf32>
        %c = graph.constant dense<3.0> : tensor<f32>
        %0 = graph.matmul(%x, %w) : tensor<2x1xf32>
        %r = graph.div(%0, %c) : tensor<2x1xf32>""",
    ),
    Case(
        *("a quotient by zero", "ScaleBehindLinear", 0, X, "tensor<2x1xf32>"),
        """%w = graph.constant dense<1.0> : tensor<3x1xf32>
        %c = graph.constant dense<0.0> : tensor<f32>
        %0 = graph.matmul(%x, %w) : tensor<2x1xf32>
        %r = graph.div(%0, %c) : tensor<2x1xf32>""",
    ),
    Case(
        *("a scale behind a bias", "ScaleBehindShift", 1, X, "tensor<2x1xf32>"),
        """%w = graph.constant dense<1.0> : tensor<3x1xf32>
        %b = graph.constant dense<2.0> : tensor<1xf32>
        %c = graph.constant dense<0.125> : tensor<f32>
        %0 = graph.matmul(%x, %w) : tensor<2x1xf32>
        %1 = graph.add(%0, %b) : tensor<2x1xf32>
        %r = graph.mul(%1, %c) : tensor<2x1xf32>""",
    ),
    Case(
        *("pads of channels", "PadBeforeConv", 0, IMAGE, "tensor<1x1x4x4xf32>"),
        """%w = graph.constant dense<0.5> : tensor<1x3x1x1xf32>
        %p = graph.constant dense<[0, 1, 0, 0, 0, 0, 0, 0]> : tensor<8xi64>
        %0 = graph.pad(%x, %p) : tensor<1x3x4x4xf32>
        %r = graph.conv(%0, %w) : tensor<1x1x4x4xf32>""",
    ),
    Case(
        *("pads before VALID, whose own pads count for nothing", "PadBeforeConv", 1),
        *(IMAGE, "tensor<1x1x5x4xf32>"),
        """%w = graph.constant dense<0.5> : tensor<1x2x1x1xf32>
        %p = graph.constant dense<[0, 0, 1, 0, 0, 0, 0, 0]> : tensor<8xi64>
        %0 = graph.pad(%x, %p) : tensor<1x2x5x4xf32>
        %r = graph.conv(%0, %w) {auto_pad = "VALID"} : tensor<1x1x5x4xf32>""",
    ),
]


ERF = """%s = graph.constant dense<0.70710677> : tensor<f32>
        %one = graph.constant dense<1.0> : tensor<f32>
        %half = graph.constant dense<0.5> : tensor<f32>
        %0 = graph.mul(%x, %s) : tensor<2x3xf32>
        %1 = graph.erf(%0) : tensor<2x3xf32>
        %2 = graph.add(%1, %one) : tensor<2x3xf32>"""
MEAN = """%e = graph.constant dense<1.0e-5> : tensor<f32>
        %m = graph.reduce_mean(%x, %a) : tensor<2x1xf32>
        %d = graph.sub(%x, %m) : tensor<2x3xf32>
        %q = graph.mul(%d, %d) : tensor<2x3xf32>
        %v = graph.reduce_mean(%q, %a) : tensor<2x1xf32>
        %w = graph.add(%v, %e) : tensor<2x1xf32>
        %s = graph.sqrt(%w) : tensor<2x1xf32>"""

RECOGNIZE = [
    Case(
        *("gelu, halved last", "GeluByErf", 1, X, "tensor<2x3xf32>"),
        ERF
        + """
        %3 = graph.mul(%x, %2) : tensor<2x3xf32>
        %r = graph.mul(%3, %half) : tensor<2x3xf32>""",
    ),
    Case(
        *("gelu, halved first", "GeluByErf", 1, X, "tensor<2x3xf32>"),
        ERF
        + """
        %3 = graph.mul(%x, %half) : tensor<2x3xf32>
        %r = graph.mul(%2, %3) : tensor<2x3xf32>""",
    ),
    Case(
        *("gelu of two different values", "GeluByErf", 0, f"{X}, %y: tensor<2x3xf32>"),
        "tensor<2x3xf32>",
        ERF
        + """
        %3 = graph.mul(%y, %2) : tensor<2x3xf32>
        %r = graph.mul(%3, %half) : tensor<2x3xf32>""",
    ),
    Case(
        *("swish", "SwishBySigmoid", 1, X, "tensor<2x3xf32>"),
        """%0 = graph.sigmoid(%x) : tensor<2x3xf32>
        %r = graph.mul(%0, %x) : tensor<2x3xf32>""",
    ),
    Case(
        *("a gate", "SwishBySigmoid", 0, f"{X}, %y: tensor<2x3xf32>", "tensor<2x3xf32>"),
        """%0 = graph.sigmoid(%x) : tensor<2x3xf32>
        %r = graph.mul(%0, %y) : tensor<2x3xf32>""",
    ),
    *(
        Case(
            *(name, rule, times, X, "tensor<2x3xf32>"),
            f"""%three = graph.constant dense<{offset}> : tensor<f32>
        %six = graph.constant dense<6.0> : tensor<f32>
        %zero = graph.constant dense<0.0> : tensor<f32>
        %0 = graph.add(%x, %three) : tensor<2x3xf32>
        %1 = graph.clip(%0, %zero, %six) : tensor<2x3xf32>
        %2 = graph.{order[0]} : tensor<2x3xf32>
        %r = graph.{order[1]} : tensor<2x3xf32>""",
        )
        for name, rule, times, offset, order in (
            ("hard-swish", "HardSwishByClip", 1, 3.0, ("mul(%x, %1)", "div(%2, %six)")),
            ("hard-sigmoid", "HardSwishByHardSigmoid", 1, 3.0, ("div(%1, %six)", "mul(%x, %2)")),
            ("another offset", "HardSwishByClip", 0, 2.5, ("mul(%x, %1)", "div(%2, %six)")),
            ("another factor", "HardSwishByClip", 0, 3.0, ("mul(%x, %1)", "div(%2, %three)")),
        )
    ),
    Case(
        *("softmax", "SoftmaxByExp", 1, X, "tensor<2x3xf32>"),
        """%a = graph.constant dense<-1> : tensor<1xi64>
        %0 = graph.reduce_max(%x, %a) : tensor<2x1xf32>
        %1 = graph.sub(%x, %0) : tensor<2x3xf32>
        %2 = graph.exp(%1) : tensor<2x3xf32>
        %3 = graph.reduce_sum(%2, %a) : tensor<2x1xf32>
        %r = graph.div(%2, %3) : tensor<2x3xf32>""",
    ),
    Case(
        *("softmax over two axes", "SoftmaxByExp", 0, X, "tensor<2x3xf32>"),
        """%a = graph.constant dense<[0, 1]> : tensor<2xi64>
        %0 = graph.reduce_max(%x, %a) : tensor<1x1xf32>
        %1 = graph.sub(%x, %0) : tensor<2x3xf32>
        %2 = graph.exp(%1) : tensor<2x3xf32>
        %3 = graph.reduce_sum(%2, %a) : tensor<1x1xf32>
        %r = graph.div(%2, %3) : tensor<2x3xf32>""",
    ),
    Case(
        *("layer normalisation with scale and shift", "ShiftOfLayerNorm", 1, X, "tensor<2x3xf32>"),
        "%a = graph.constant dense<-1> : tensor<1xi64>\n"
        + MEAN
        + """
        %g = graph.constant dense<[1.0, 2.0, 3.0]> : tensor<3xf32>
        %n = graph.div(%d, %s) : tensor<2x3xf32>
        %h = graph.mul(%n, %g) : tensor<2x3xf32>
        %r = graph.add(%h, %g) : tensor<2x3xf32>""",
    ),
    Case(
        *("layer normalisation by a reciprocal", "LayerNormByMeans", 1, X, "tensor<2x3xf32>"),
        "%a = graph.constant dense<1> : tensor<1xi64>\n"
        + MEAN
        + """
        %i = graph.reciprocal(%s) : tensor<2x1xf32>
        %r = graph.mul(%d, %i) : tensor<2x3xf32>""",
    ),
    Case(
        *("means over the first axis", "LayerNormByMeans", 0, X, "tensor<2x3xf32>"),
        "%a = graph.constant dense<0> : tensor<1xi64>\n"
        + MEAN.replace("2x1", "1x3")
        + """
        %r = graph.div(%d, %s) : tensor<2x3xf32>""",
    ),
]


def run(module: ModuleOp) -> list[np.ndarray[Any, Any]]:
    main = next(op for op in module.ops if isinstance(op, func.FuncOp))
    rng = np.random.default_rng(0)
    inputs: list[np.ndarray[Any, Any]] = []
    for arg in main.body.block.args:
        shape = [extent for extent in dims(arg.type) or () if isinstance(extent, int)]
        kind = str(arg.type).rpartition("x")[2].rstrip(">")
        dtype = {"f32": np.float32, "i32": np.int32, "i64": np.int64}[kind]
        inputs.append((rng.normal(size=shape) * (3 if kind == "f32" else 1000)).astype(dtype))
    return run_module(module, inputs)


@pytest.mark.parametrize(
    ("pass_name", "case"),
    [("canonicalize", case) for case in CANONICALIZE + MORE]
    + [("simplify-inference", case) for case in SIMPLIFY]
    + [("recognize", case) for case in RECOGNIZE],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_a_rule_fires_where_it_should(pass_name: str, case: Case) -> None:
    module = case.module()
    assert problems(module) == []
    before = run(module)
    with explaining() as log:
        PASSES[pass_name]()(**case.options).apply(context(), module)
    assert log.counts[case.rule] == case.times, str(module)
    assert problems(module) == []
    for old, new in zip(before, run(module), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-5, atol=1e-6)


def test_shapes_of_two_names_are_copied_where_they_stand_at_their_place() -> None:
    module = parse("""
func.func @main(%x: tensor<[a]x[b]x6xf32>, %y: tensor<[b]x[a]x6xf32>, %s: tensor<4xi64>)
    -> (tensor<[a]x[b]x2x3xf32>, tensor<[a]x[b]x2x3xf32>) {
  %0 = graph.reshape(%x, %s) : tensor<[a]x[b]x2x3xf32>
  %1 = graph.reshape(%y, %s) : tensor<[a]x[b]x2x3xf32>
  func.return %0, %1
}""")
    with explaining() as log:
        PASSES["canonicalize"]()().apply(context(), module)
    assert log.counts["ReshapeToKnownShape"] == 1
    assert "dense<[0, 0, 2, 3]>" in str(module)


def test_fusion_says_why_not() -> None:
    module = parse("""
func.func @main(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>, %y: tensor<4xf32>)
    -> (tensor<2x4xf32>, tensor<2x4xf32>, tensor<4x2xf32>, tensor<8x4xf32>) {
  %0 = graph.matmul(%x, %w) : tensor<2x4xf32>
  %1 = graph.relu(%0) : tensor<2x4xf32>
  %2 = graph.matmul(%x, %w) : tensor<2x4xf32>
  %3 = graph.transpose(%2) : tensor<4x2xf32>
  %4 = graph.exp(%y) : tensor<4xf32>
  %c = graph.constant dense<1.0> : tensor<8x1xf32>
  %5 = graph.add(%4, %c) : tensor<8x4xf32>
  func.return %0, %1, %3, %5
}""")
    with explaining() as log:
        PASSES["fuse"]()().apply(context(), module)
    assert {(note.op_name, note.reason) for note in log.notes} == {
        ("graph.matmul", "its value is used more than once, so it is written to memory"),
        ("graph.transpose", "does not follow graph.matmul into its kernel: it is injective"),
        ("graph.exp", "its users would compute each of its elements again and again"),
    }
