"""Debug counters: exactly the changes that they allow are made, and each leaves a valid module."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnc.core.counters import Span, counting, may, parse_spans
from nnc.core.errors import NncError
from nnc.core.verifier import problems
from nnc.dialects import context
from nnc.dialects.graph.base import KernelOp
from nnc.passes import PASSES
from nnc.textir import parse, print_module

NETWORK = """
func.func @main(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %c = graph.constant dense<0.0> : tensor<f32>
  %0 = graph.add(%c, %x) : tensor<4xf32>
  %1 = graph.relu(%0) : tensor<4xf32>
  %2 = graph.relu(%1) : tensor<4xf32>
  %3 = graph.exp(%x) : tensor<4xf32>
  %4 = graph.exp(%x) : tensor<4xf32>
  %5 = graph.sub(%4, %c) : tensor<4xf32>
  %6 = graph.tanh(%c) : tensor<f32>
  %7 = graph.mul(%3, %6) : tensor<4xf32>
  %8 = graph.neg(%7) : tensor<4xf32>
  func.return %2, %8
}
"""
PIPELINE = ("canonicalize", "cse", "fold-constants", "dce", "fuse")


def run(spans: dict[str, Span]) -> tuple[str, int, str]:
    """The text after the pipeline, how many changes there were to be made, and the last."""
    module = parse(NETWORK)
    with counting(spans) as counters:
        for name in PIPELINE:
            if counters.may_run(name):
                PASSES[name]()().apply(context(), module)
    assert problems(module) == []
    return print_module(module), counters.seen["change"], str(counters.last)


def test_each_change_can_be_left_out() -> None:
    """Prefixes of 0, 1, 2, ... changes: each makes one more, the last one is named."""
    whole, total, _ = run({})
    assert total >= 7
    texts = [run({"change": Span(0, number)})[0] for number in range(total + 1)]
    assert len(set(texts)) == len(texts), "two prefixes made the same"
    assert texts[-1] == whole
    assert run({"change": Span(0, 0)})[0] == print_module(parse(NETWORK))
    rule = run({"change": Span(0, 1)})[2]
    assert rule == "canonicalize: ConstantOnTheRight at graph.add, <text>:4:8"


def test_counters_of_passes_and_rules() -> None:
    without_kernels, _, last = run({"fuse": Span(0, 0)})
    assert KernelOp.name not in without_kernels
    assert last.startswith(("dce: ", "fold-constants: "))
    assert KernelOp.name in run({"cse": Span(0, 0), "AppliedTwice": Span(0, 0)})[0]
    assert run({"AppliedTwice": Span(0, 0)})[0].count("graph.relu") == 2
    assert run({"pass:fuse": Span(1)})[0] == without_kernels


def test_without_counters_everything_may_be() -> None:
    op = next(iter(parse(NETWORK).ops))
    assert may("anything", op)


@given(st.integers(0, 9), st.none() | st.integers(0, 9), st.integers(0, 9), st.integers(0, 20))
def test_what_is_left_of_a_span(skip: int, count: int | None, seen: int, number: int) -> None:
    span = Span(skip, count)
    assert span.after(seen).holds(number) == span.holds(seen + number)
    assert parse_spans(f"x={span}") == {"x": span}


@pytest.mark.parametrize("text", ["x", "x=", "=1", "x=1:2:3", "x=-1", "x=a", "x-skip=1:2:3"])
def test_malformed(text: str) -> None:
    with pytest.raises(NncError, match="expected NAME=SKIP:COUNT"):
        parse_spans(text)
