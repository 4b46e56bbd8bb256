"""apply-pdl: realistic patterns, what they make, and what is refused with its place."""

from __future__ import annotations

from collections import Counter

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from nnc.core.counters import counting, parse_spans
from nnc.core.errors import PassError
from nnc.core.explain import explaining
from nnc.core.rewriting import rewrite
from nnc.core.walk import walk
from nnc.dialects import context
from nnc.passes.graph.apply_pdl import rules_of
from nnc.reference.semantics import check
from nnc.textir import parse, print_module
from nnc.textir.upstream import parse_upstream

NET = """
func.func @main(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>) -> (tensor<2x4xf32>, tensor<4x4xf32>) {
  %0 = graph.matmul(%x, %w) : tensor<2x4xf32>
  %1 = graph.add(%0, %b) : tensor<2x4xf32>
  %2 = graph.relu(%1) : tensor<2x4xf32>
  %3 = graph.sigmoid(%1) : tensor<2x4xf32>
  %4 = graph.mul(%1, %3) : tensor<2x4xf32>
  %5 = graph.softmax(%4) : tensor<2x4xf32>
  %6 = graph.softmax(%2) {axis = 0} : tensor<2x4xf32>
  %7 = graph.concat(%6, %2) {axis = 0} : tensor<4x4xf32>
  %8 = graph.relu(%7) : tensor<4x4xf32>
  func.return %5, %8
}
"""  # noqa: E501


def pattern(matched: str, rewritten: str) -> str:
    """Upstream's text with what every operand and type needs left out."""
    text = f"pdl.pattern @mine : benefit(1) {{\n{matched}\npdl.rewrite %m {{\n{rewritten}\n}}\n}}"
    text = text.replace("|V", ": !pdl.value").replace("|2V", ": !pdl.value, !pdl.value")
    text = text.replace("|R", ": !pdl.range<value>")
    return text.replace("-> T", "-> (%t : !pdl.type)")


MATCH_RELU = """%t = pdl.type
%x = pdl.operand : %t
%m = pdl.operation "graph.relu"(%x |V) -> T"""

FIRES = {
    "one value used twice": (
        pattern(
            """%t = pdl.type
%x = pdl.operand
%s = pdl.operation "graph.sigmoid"(%x |V) -> T
%sr = pdl.result 0 of %s
%m = pdl.operation "graph.mul"(%x, %sr |2V) -> T""",
            """%n = pdl.operation "graph.swish"(%x |V) -> T
pdl.replace %m with %n""",
        ),
        "graph.swish(%1) : tensor<2x4xf32>",
        1,
    ),
    "a result type that is that of what is replaced": (
        pattern(
            """%t = pdl.type
%a = pdl.operand
%b = pdl.operand
%c = pdl.operand
%p = pdl.operation "graph.matmul"(%a, %b |2V) -> T
%pr = pdl.result 0 of %p
%m = pdl.operation "graph.add"(%pr, %c |2V) -> T""",
            """%n = pdl.operation "graph.gemm"(%a, %b, %c : !pdl.value, !pdl.value, !pdl.value)
pdl.replace %m with %n""",
        ),
        "graph.gemm(%x, %w, %b) : tensor<2x4xf32>",
        1,
    ),
    "inferred types, a constant, an optional operand": (
        pattern(
            MATCH_RELU,
            """%v = pdl.attribute = dense<0.0> : tensor<f32>
%st = pdl.type : tensor<f32>
%c = pdl.operation "graph.constant" {"value" = %v} -> (%st : !pdl.type)
%cr = pdl.result 0 of %c
%i = pdl.operation "graph.identity"(%x |V)
%ir = pdl.result 0 of %i
%n = pdl.operation "graph.clip"(%ir, %cr |2V)
%nr = pdl.results of %n
pdl.replace %m with (%nr : !pdl.range<value>)""",
        ),
        "= graph.clip(",
        2,
    ),
    "the default of an attribute": (
        pattern(
            """%t = pdl.type
%x = pdl.operand
%axis = pdl.attribute = -1 : i64
%m = pdl.operation "graph.softmax"(%x |V) {"axis" = %axis} -> T""",
            """%new = pdl.attribute = 1 : i64
%n = pdl.operation "graph.softmax"(%x |V) {"axis" = %new}
pdl.replace %m with %n""",
        ),
        "graph.softmax(%4) {axis = 1}",
        1,
    ),
    "any number of operands": (
        pattern(
            """%ts = pdl.types
%xs = pdl.operands : %ts
%axis = pdl.attribute = 0 : i64
%us = pdl.types
%m = pdl.operation "graph.concat"(%xs |R) {"axis" = %axis} -> (%us : !pdl.range<type>)""",
            """%last = pdl.attribute = -2 : i64
%n = pdl.operation "graph.concat"(%xs : !pdl.range<value>) {"axis" = %last}
pdl.replace %m with %n""",
        ),
        "graph.concat(%6, %2) {axis = -2} : tensor<4x4xf32>",
        1,
    ),
}


def applied(text: str, net: str = NET) -> tuple[ModuleOp, Counter[str]]:
    ctx: Context = context()
    module = parse(net, "net.nn")
    patterns = parse_upstream(text, "p.mlir", ctx)
    return module, rewrite(module, rules_of(patterns, ctx), limit=8)


@pytest.mark.parametrize("name", FIRES)
def test_a_pattern_fires_and_keeps_the_meaning(name: str) -> None:
    text, made, times = FIRES[name]
    module, counts = applied(text)
    assert counts["mine"] == times
    module.verify()
    assert made in print_module(module)
    report = check(parse(NET), module)
    assert report.outcomes
    assert not report.mismatches


REPLACE = "pdl.replace %m with (%x |V)"
RELU = '%m = pdl.operation "graph.relu"'
REFUSED = {
    "of a dialect of ours": (
        pattern(MATCH_RELU.replace("relu", "reluu"), REPLACE),
        ("names the operation 'graph.reluu', which does not exist", "did you mean 'graph.relu'?"),
    ),
    "made of nothing": (
        pattern(MATCH_RELU, '%n = pdl.operation "my.op"(%x |V) -> T\npdl.replace %m with %n'),
        ("names the operation 'my.op', which does not exist", None),
    ),
    "without a name": (
        pattern(MATCH_RELU, "%n = pdl.operation (%x |V) -> T\npdl.replace %m with %n"),
        ("makes an operation without a name", None),
    ),
    "a native rewrite": (
        pattern(MATCH_RELU, "").replace("%m {\n\n}", '%m with "go"(%x : !pdl.value)'),
        ("calls the native function 'go'", "a rule of passes/graph/rules can call Python"),
    ),
    "an operation beside the root": (
        pattern(f'{MATCH_RELU}\n%a = pdl.operation "graph.abs"(%x |V) -> T', "pdl.erase %m"),
        ("matches an operation that its root does not depend on", None),
    ),
    "two ranges": (
        pattern(
            """%xs = pdl.operands
%ys = pdl.operands
%ts = pdl.types
%m = pdl.operation "graph.concat"(%xs, %ys |R, !pdl.range<value>) -> (%ts : !pdl.range<type>)""",
            "pdl.erase %m",
        ),
        ("has two ranges beside each other", None),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_pattern_that_means_nothing_is_refused(name: str) -> None:
    text, (message, hint) = REFUSED[name]
    with pytest.raises(PassError, match="the pattern 'mine'") as caught:
        applied(text)
    assert message in caught.value.message
    assert caught.value.hint == hint
    assert str(caught.value.where).startswith("p.mlir:")


WRONG = {
    "another type": (
        pattern(
            """%t = pdl.type
%x = pdl.operand
%w = pdl.operand
%m = pdl.operation "graph.matmul"(%x, %w |2V) -> T""",
            REPLACE,
        ),
        r"it puts \(tensor<2x3xf32>\) in the place of \(tensor<2x4xf32>\)",
    ),
    "a type that inference contradicts": (
        pattern(
            MATCH_RELU,
            """%u = pdl.type : tensor<4xf32>
%n = pdl.operation "graph.abs"(%x |V) -> (%u : !pdl.type)
pdl.replace %m with %n""",
        ),
        "it makes no graph.abs: ranks 4 and 1|it makes no graph.abs: .*",
    ),
    "too few operands": (
        pattern(MATCH_RELU, '%n = pdl.operation "graph.add"(%x |V)\npdl.replace %m with %n'),
        "it makes no graph.add: graph.add lacks 'b'",
    ),
    "no types where nobody infers": (
        pattern(
            MATCH_RELU,
            """%n = pdl.operation "arith.negf"(%x |V)
%nr = pdl.result 0 of %n
pdl.replace %m with (%nr |V)""",
        ),
        "it makes no arith.negf: the types of its results are not said",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_a_pattern_makes_must_fit(name: str) -> None:
    text, message = WRONG[name]
    with pytest.raises(PassError, match=f"the pattern 'mine': ({message})") as caught:
        applied(text)
    assert str(caught.value.where).startswith("net.nn:")


def test_why_a_pattern_does_not_fire_is_told() -> None:
    ctx = context()
    swish, _, _ = FIRES["one value used twice"]
    text = swish.replace("@mine", "@swish") + pattern(
        MATCH_RELU.replace("pdl.type\n", "pdl.type : tensor<2x4xf32>\n"), REPLACE
    )
    net = NET.replace("graph.mul(%1, %3)", "graph.mul(%0, %3)")
    module = parse(net, "net.nn")
    with explaining() as log:
        counts = rewrite(module, rules_of(parse_upstream(text, "p.mlir", ctx), ctx))
    assert counts["mine"] == 1
    assert not counts["swish"]
    assert [str(note) for note in log.notes] == [
        "net.nn:7:8: graph.mul: an operand is not the same value in all its places [swish]",
        "net.nn:11:8: graph.relu: tensor<4x4xf32> is not tensor<2x4xf32> [mine]",
    ]


def test_greater_benefit_comes_first() -> None:
    change = '%n = pdl.operation "graph.{}"(%x |V)\npdl.replace %m with %n'
    low = pattern(MATCH_RELU, change.format("abs")).replace("@mine", "@low")
    high = pattern(MATCH_RELU, change.format("neg")).replace("@mine", "@high")
    _, counts = applied(low + high.replace("benefit(1)", "benefit(5)"))
    assert counts["high"] == 2
    assert not counts["low"]


def test_a_counter_that_refuses_leaves_no_users() -> None:
    """What was made and not inserted is no user of the operands."""
    text, _, _ = FIRES["one value used twice"]
    with counting(parse_spans("mine-skip=9")):
        module, counts = applied(text)
    assert not counts
    for op in walk(module):
        for operand in op.operands:
            assert all(use.operation.parent is not None for use in operand.uses)
