"""Declarative rules: both sides agree, errors point into the text, reasons are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nnc.core.dtypes import element_type
from nnc.core.errors import PassError
from nnc.core.explain import explaining
from nnc.core.irtypes import float_attr
from nnc.core.locations import describe
from nnc.core.rewriting import rewrite
from nnc.core.walk import walk
from nnc.passes.graph.canonicalize.elementwise import FAST_RULES, RULES
from nnc.passes.graph.recognize import RULES as RECOGNIZED
from nnc.passes.graph.rules import Rule, rule
from nnc.passes.graph.rules.check import agreements
from nnc.passes.graph.rules.syntax import Equation
from nnc.textir import parse

TYPES = ["int8", "int32", "int64", "float16", "float32", "float64", "bool", "uint8"]


def draw_type(random: np.random.Generator) -> Any:
    return element_type(str(random.choice(TYPES)))


def draw_slope(random: np.random.Generator) -> Any:
    return float_attr(float(random.choice((1 / 6, 0.2))))


ATTRIBUTES = {"t": draw_type, "u": draw_type, "a": draw_slope}
SINGLE = {"HardSwishByHardSigmoid"}
"""An attribute of the left side is f32, whatever the operands are."""
EITHER_ZERO = {"ClipAtZero"}
"""The greater of 0.0 and -0.0 is either."""
STRICT = [(r, e) for r in RULES for e in r.equations]
ROUNDED = [(r, e) for r in (*FAST_RULES, *RECOGNIZED) for e in r.equations]


def label(value: Any) -> str:
    return value.text.strip() if isinstance(value, Equation) else value.name


@pytest.mark.parametrize(("claim", "equation"), STRICT, ids=label)
def test_both_sides_are_equal_bit_by_bit(claim: Rule, equation: Equation) -> None:
    found = agreements(claim, equation, 1, 120, ATTRIBUTES)
    assert len(found) >= 3, "it hardly ever applies to what it claims"
    for each in found:
        assert each.left.dtype == each.right.dtype
        np.testing.assert_array_equal(each.right, each.left)
        if each.left.dtype.kind == "f" and claim.name not in EITHER_ZERO:
            ordered = ~np.isnan(each.left)
            left, right = (np.signbit(side)[ordered] for side in (each.left, each.right))
            np.testing.assert_array_equal(right, left)


@pytest.mark.parametrize(("claim", "equation"), ROUNDED, ids=label)
def test_both_sides_are_equal_in_real_numbers(claim: Rule, equation: Equation) -> None:
    found = agreements(claim, equation, 1, 120, ATTRIBUTES)
    assert len(found) >= 3
    for each in found:
        eps = np.finfo(each.left.dtype).eps if each.left.dtype.kind == "f" else 0
        if claim.name in SINGLE:
            eps = max(eps, np.finfo(np.float32).eps)
        tiny = np.finfo(each.left.dtype).tiny if eps else 0
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(each.right, each.left, rtol=8 * eps, atol=tiny)


def test_a_wrong_rule_is_found_out() -> None:
    wrong = rule("Wrong", "relu(x) -> abs(x)")
    (equation,) = wrong.equations
    found = agreements(wrong, equation, 1, 40, {})
    assert any(not np.array_equal(each.left, each.right, equal_nan=True) for each in found)


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
]


@pytest.mark.parametrize(("text", "message", "column"), MISTAKES)
def test_a_mistake_is_shown_in_the_text(text: str, message: str, column: int) -> None:
    with pytest.raises(PassError) as caught:
        rule("Mine", text)
    first, shown, caret = caught.value.message.split("\n")
    assert message in first
    assert shown == f"  {text}"
    assert caret.index("^") == 2 + column
    assert caught.value.where == "rule 'Mine'"


def never(x: Any) -> bool:
    """It must be Tuesday"""
    return x is None


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
