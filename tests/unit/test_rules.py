"""Declarative rules: both sides agree, errors point into the text, reasons are told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation

from nnc.core.dtypes import element_type
from nnc.core.errors import PassError
from nnc.core.explain import explaining
from nnc.core.irtypes import float_attr, int_values
from nnc.core.locations import describe
from nnc.core.rewriting import rewrite
from nnc.core.walk import walk
from nnc.passes.graph.canonicalize.elementwise import FAST_RULES, RULES, is_float, is_integer
from nnc.passes.graph.recognize import RULES as RECOGNIZED
from nnc.passes.graph.rules import Rule, rule
from nnc.passes.graph.rules.check import check
from nnc.textir import parse, print_module

TYPES = [
    *("int8", "int16", "int32", "int64", "uint8", "uint32", "bool"),
    *("float16", "bfloat16", "float32", "float64"),
]


def draw_type(random: np.random.Generator) -> Any:
    return element_type(str(random.choice(TYPES)))


def draw_slope(random: np.random.Generator) -> Any:
    return float_attr(float(random.choice((1 / 6, 0.2))))


def draw_single(random: np.random.Generator) -> Any:
    return random.normal(size=(2, 3)).astype(np.float32)


DRAWS = {"t": draw_type, "u": draw_type, "a": draw_slope}
SINGLE = {"HardSwishByHardSigmoid": {"x": draw_single}}
"""An attribute of the left side is f32, whatever the operands are."""


def alone(rules: Sequence[Rule]) -> list[Rule]:
    """Each equation as a rule."""
    return [Rule(r.name, [e], r.operators, r.functions) for r in rules for e in r.equations]


def label(claim: Rule) -> str:
    return claim.equations[0].text.strip()


@pytest.mark.parametrize("claim", alone(RULES), ids=label)
def test_both_sides_are_equal_bit_by_bit(claim: Rule) -> None:
    check(claim, count=160, draws=DRAWS)


@pytest.mark.parametrize("claim", alone((*FAST_RULES, *RECOGNIZED)), ids=label)
def test_both_sides_are_equal_in_real_numbers(claim: Rule) -> None:
    check(claim, count=160, draws=DRAWS | SINGLE.get(claim.name, {}), ulps=8)


WRONG = {
    "sign of zero": "x + 0.0 -> x",
    "sign of zero where equal": "-(x - y) -> y - x",
    "NaN": "x == x -> True",
    "NaN of infinities": "x - x -> 0",
    "NaN by zero": "x * 0 -> 0",
    "division by zero": "x / x -> 1",
    "overflow of integers": "(x * 2) / 2 -> x if is_integer(x)",
    "least integer": "min(x, 0) -> -relu(-x) if is_integer(x)",
    "overflow of floats": "(x * 4.0) / 4.0 -> x",
    "subnormal numbers": "(x / 2) * 2 -> x if is_float(x)",
    "rounding": "x / C -> x * (1 / C) if is_float(x)",
    "another order": "(x + y) + z -> x + (y + z)",
    "element type": "cast(cast(x, to=f16), to=f32) -> cast(x, to=f32)",
    "rounded twice": "cast(cast(x, to=f32), to=f16) -> cast(x, to=f16)",
    "unsigned": "cast(cast(x, to=ui8), to=i32) -> cast(x, to=i32)",
    "integers by floats": "cast(cast(x, to=f64), to=i8) -> cast(x, to=i8)",
    "axis": "softmax(x, axis=0) -> softmax(x, axis=1)",
    "permutation": "transpose(x, perm=[1, 0]) -> x",
    "permutation and broadcast": "transpose(x + y, perm=[1, 0]) -> transpose(x, perm=[1, 0]) + y",
    "order of pieces": "concat(x, y, axis=-1) -> concat(y, x, axis=1)",
    "broadcast": "where(c, x, y) -> x",
    "unknown extents": "x * 1 -> x",
    "broadcast of a sum": "reduce_sum(x + y) -> reduce_sum(x) + reduce_sum(y) if is_integer(x)",
    "ping-pong": "x * y -> y * x",
}


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_wrong_rule_is_found_out(text: str) -> None:
    wrong = rule("Wrong", text, uses=[is_integer, is_float])
    with pytest.raises(PassError, match="side") as caught:
        check(wrong)
    assert caught.value.where == "rule 'Wrong'"
    assert text in caught.value.message
    assert "func.func @main" in caught.value.message


def draw_axis(random: np.random.Generator) -> Any:
    return np.array([random.integers(2)], np.int64)


def draw_square(random: np.random.Generator) -> Any:
    return random.integers(9, size=(3, 3)).astype(np.float32)


def draw_positive(random: np.random.Generator) -> Any:
    return 1 + random.random((int(random.integers(4)), 3), np.float32)


OPERANDS = {
    "-reduce_sum(x, A, keepdims=0) -> reduce_sum(-transpose(x, perm=[1, 0]), A, keepdims=0)": {
        "x": draw_square,
        "A": draw_axis,
    },
    "abs(reduce_max(x)) -> relu(reduce_max(x))": {"x": draw_positive},
}


@pytest.mark.parametrize("text", OPERANDS)
def test_operands_may_be_drawn_by_a_function(text: str) -> None:
    """A reduced axis that is another one; a maximum of nothing."""
    with pytest.raises(PassError, match="the left side is"):
        check(rule("Wrong", text), draws=OPERANDS[text])


def test_infinity_is_near_nothing_else() -> None:
    """Rounding is allowed, which is relative: all finite numbers are less than an infinite part."""
    with pytest.raises(PassError, match=r"the left side is -?inf, the right side -?[0-9]"):
        check(rule("Wrong", "log(exp(x)) -> x if is_float(x)", uses=[is_float]), ulps=8)


def draw_cube(random: np.random.Generator) -> Any:
    return random.normal(size=(2, 3, 4)).astype(np.float32)


def is_identity(p: Any) -> bool:
    """It moves an axis"""
    return int_values(p) == (0, 1, 2)


def test_attributes_may_be_drawn_as_python_writes_them() -> None:
    def draw_order(random: np.random.Generator) -> Any:
        return random.permutation(3)

    def draw_swap(random: np.random.Generator) -> Any:
        del random
        return [1, 0, 2]

    draws = {"x": draw_cube, "p": draw_order}
    text = "transpose(x, perm=p) -> x"
    check(rule("Right", f"{text} if is_identity(p)", uses=[is_identity]), draws=draws)
    with pytest.raises(PassError, match="left side"):
        check(rule("Wrong", text), draws={"x": draw_cube, "p": draw_swap})
    with pytest.raises(PassError, match="nothing says what the attribute 'p' can be") as caught:
        check(rule("Wrong", text))
    assert caught.value.hint == "draws={'p': lambda random: ...}"


def test_a_rule_that_hardly_ever_fires_is_not_checked() -> None:
    with pytest.raises(PassError, match="fired on 0 of 50 drawings"):
        check(rule("Rare", "conv(x, w, group=7) -> x"), count=50)


def test_a_right_rule_passes() -> None:
    check(rule("Right", "not (x < y) -> not (y > x)"))
    check(rule("Right", "x - x -> 0 if is_integer(x)", uses=[is_integer]))
    check(rule("Right", "x == x -> True if is_integer(x)", uses=[is_integer]))


def never(x: Any) -> bool:
    """It must be Tuesday"""
    return x is None


MISTAKES = [
    ("relu(relu(x) -> x", "'(' was never closed", 4),
    ("relu(x)", "expected 'left -> right'", 7),
    ("x -> x", "the left side is an operator", 0),
    ("relu(x) -> y", "'y' is not on the left side", 11),
    ("rely(x) -> x", "no operator 'graph.rely'", 0),
    ("relu(x) -> x if fits(x)", "no function 'fits' in `uses`", 16),
    ("relu(x[0]) -> x", "expected an operator, a name or a number", 5),
    ("transpose(x, perm={}) -> x", "expected a name, a number, a list or a function", 18),
    ("relu(x) -> x if x", "expected a function of names", 16),
    ("relu(x, y) -> x", "graph.relu takes 1 operand, not 2", 0),
    ("relu(x) -> add(x)", "graph.add takes 2 operands, not 1", 11),
    ("transpose(x, permm=p) -> x", "graph.transpose has no attribute 'permm'; it has perm", 13),
    ("leaky_relu(x, alpha=0) -> x", "'alpha' of graph.leaky_relu cannot be 0 : i64; a float", 14),
    ("transpose(x, perm=f(x)) -> x", "a function stands on the right side", 13),
    ("relu(x) -> relu(x, ...)", "what '...' leaves open", 19),
    ("relu(x) -> x if never(x, x)", "never: too many positional arguments", 16),
    ("split(x, n) -> x", "graph.split has several results: write a class", 0),
    ("relu(result) -> result", "'result' is what the left side gives", 5),
    ("relu(x) -> f(x)", "'f' is not on the left side", 11),
    ("leaky_relu(relu(x, y)) -> x", "graph.relu takes 1 operand, not 2", 11),
    ("(y := x) + x -> y", "only the result of an operator can be named", 6),
]


@pytest.mark.parametrize(("text", "message", "column"), MISTAKES)
def test_a_mistake_is_shown_in_the_text(text: str, message: str, column: int) -> None:
    with pytest.raises(PassError) as caught:
        rule("Mine", text, uses=[never] if "never" in text else [], f="abs neg")
    first, shown, caret = caught.value.message.split("\n")
    assert message in first
    assert shown == f"  {text}"
    assert caret.index("^") == 2 + column
    assert caught.value.where == "rule 'Mine'"


def test_a_rule_has_an_equation() -> None:
    with pytest.raises(PassError, match="rule 'Mine': it has no equation"):
        rule("Mine")


RELUS = """
func.func @main(%x: tensor<3xf32>) -> tensor<3xf32> {
  %0 = graph.relu(%x) : tensor<3xf32>
  %1 = graph.relu(%0) : tensor<3xf32>
  func.return %1
}"""


def test_a_refused_condition_is_told() -> None:
    refused = rule("Mine", "relu((y := relu(x))) -> y if never(x)", uses=[never])
    with explaining() as log:
        assert not rewrite(parse(RELUS, "r.nn"), [refused])
    (note,) = log.notes
    assert str(note) == (
        "r.nn:4:8: graph.relu: It must be Tuesday (relu((y := relu(x))) -> y if never(x)) [Mine]"
    )


def notes_of(text: str, *rules: Rule) -> list[str]:
    with explaining() as log:
        assert not rewrite(parse(text, "r.nn"), rules)
    return [note.reason for note in log.notes]


def test_a_near_miss_is_told() -> None:
    """All operators are there, and one thing is not as the equation has it."""
    text = """
func.func @main(%x: tensor<3x3xf32>, %y: tensor<3x3xf32>) -> tensor<3x3xf32> {
  %c = graph.constant dense<2.0> : tensor<f32>
  %0 = graph.sigmoid(%y) : tensor<3x3xf32>
  %1 = graph.mul(%x, %0) : tensor<3x3xf32>
  %2 = graph.mul(%1, %c) : tensor<3x3xf32>
  %3 = graph.softmax(%2) {axis = 0} : tensor<3x3xf32>
  %4 = graph.neg(%3) : tensor<3x3xf32>
  func.return %4
}"""
    (reason,) = notes_of(text, rule("Swish", "x * sigmoid(x) -> swish(x)"))
    assert reason.startswith("x is not the same value in all its places (x * sigmoid(x)")
    (reason,) = notes_of(text, rule("Mine", "(x * y) * 3.0 -> x"))
    assert reason.startswith("an operand is not 3.0 throughout")
    (reason,) = notes_of(text, rule("Mine", "-softmax(x) -> x"))
    assert reason.startswith("axis is 0 (")
    assert not notes_of(text, rule("Mine", "(x * y) * sigmoid(C) -> x")), "another operator"
    assert not notes_of(text, rule("Mine", "x * 7 -> x")), "nor is an operator by itself"


def test_a_right_side_that_is_none_is_told_and_leaves_nothing() -> None:
    """No operator takes it, no integer is it, its type is another one: the left side stays."""
    text = """
func.func @main(%x: tensor<2x3xui8>) -> tensor<2x3xui8> {
  %c = graph.constant dense<2> : tensor<ui8>
  %0 = graph.max(%x, %c) : tensor<2x3xui8>
  %1 = graph.abs(%0) : tensor<2x3xui8>
  func.return %1
}"""
    module = parse(text)
    before = print_module(module)
    rules = [
        rule("Neg", "max(x, C) -> -(x + C)"),
        rule("Half", "max(x, C) -> x * (1 / C)"),
        rule("Shape", "max(x, C) -> reduce_max(x + C)"),
        rule("Open", "abs(x) -> transpose(x, perm=[1, 0])"),
    ]
    with explaining() as log:
        assert not rewrite(module, rules)
    assert print_module(module) == before
    (constant, first, *_) = walk_ops(module)
    assert constant.results[0].has_one_use()
    assert [note.reason.partition(" (")[0] for note in log.notes] == [
        "it has no right side: 'x' has element type ui8, expected one of bf16, f16, f32, f64, "
        "i16, i32, i64, i8",
        "it has no right side: 0.5 is no ui8",
        "it has no right side: extent 2 differs from 1",
        "it has no right side: extent 2 differs from 3",
    ]
    assert first.name == "graph.max"


def walk_ops(module: ModuleOp) -> list[Operation]:
    return [op for op in walk(module) if op.name.startswith("graph.")]


def test_a_number_stands_for_a_tensor_of_any_shape() -> None:
    text = """
func.func @main(%x: tensor<2x3xi32>) -> tensor<2x3xi32> {
  %0 = graph.sub(%x, %x) : tensor<2x3xi32>
  func.return %0
}"""
    zero = rule("Zero", "x - x -> 0 if is_integer(x)", uses=[is_integer])
    module = parse(text)
    assert rewrite(module, [zero])["Zero"] == 1
    module.verify()
    assert [op.name for op in walk_ops(module)][-1] == "graph.expand"
    scalar = parse(text.replace("2x3x", ""))
    assert rewrite(scalar, [zero])["Zero"] == 1
    assert [op.name for op in walk_ops(scalar)] == ["graph.constant"]
    (reason,) = notes_of(text.replace("2x3x", "?x3x"), zero)
    assert "the extents of a constant result must be known" in reason


def test_matches_are_counted_and_locations_fused() -> None:
    module = parse(RELUS, "r.nn")
    counts = rewrite(module, [rule("Mine", "relu(relu(x)) -> sqrt(abs(x))")])
    assert counts["Mine"] == 1
    made = [op for op in walk(module) if op.name in ("graph.sqrt", "graph.abs")]
    assert [describe(op) for op in made] == ["r.nn:4:8, r.nn:3:8"] * 2


def composed(p: Any, q: Any) -> list[int]:
    """Of two permutations."""
    first, second = ([i.value.data for i in perm] for perm in (p, q))
    return [first[i] for i in second]


def test_attributes_are_bound_and_computed() -> None:
    module = parse("""
func.func @main(%x: tensor<2x3x4xf32>) -> tensor<4x2x3xf32> {
  %0 = graph.transpose(%x) {perm = [1, 2, 0]} : tensor<3x4x2xf32>
  %1 = graph.transpose(%0) {perm = [1, 2, 0]} : tensor<4x2x3xf32>
  func.return %1
}""")
    text = "transpose(transpose(x, perm=p), perm=q) -> transpose(x, perm=composed(p, q))"
    assert rewrite(module, [rule("Compose", text, uses=[composed])])["Compose"] == 1
    (left,) = [op for op in walk(module) if op.name == "graph.transpose"]
    assert "[2, 0, 1]" in str(left.properties["perm"]).replace(" : i64", "")
    module.verify()


def test_an_attribute_that_is_not_named_has_its_default() -> None:
    text = """
func.func @main(%x: tensor<2x3xf32>) -> tensor<3x2xf32> {
  %0 = graph.transpose(%x) {perm = [1, 0]} : tensor<3x2xf32>
  %1 = graph.neg(%0) : tensor<3x2xf32>
  func.return %1
}"""
    right = "transpose(-x, perm=[1, 0])"
    assert not rewrite(parse(text), [rule("Plain", f"-transpose(x) -> {right}")])
    assert not rewrite(parse(text), [rule("Other", f"-transpose(x, perm=[0, 1]) -> {right}")])
    assert rewrite(parse(text), [rule("Same", f"-transpose(x, perm=[1, 0]) -> {right}")])
    assert rewrite(parse(text), [rule("Any", f"-transpose(x, ...) -> {right}")])


def test_a_family_is_the_same_operator_on_both_sides() -> None:
    module = parse(RELUS.replace("%1 = graph.relu", "%1 = graph.abs"))
    assert not rewrite(module, [rule("Twice", "f(f(x)) -> f(x)", f="abs relu")])
