"""Values must be defined on every way to their use."""

from __future__ import annotations

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.traits import IsTerminator

from nnc.core.dominance import immediate_dominators, undominated
from nnc.textir import parse

DIAMOND = """
func.func @f(%c: i1, %x: f32) -> f32 {
  %0 = math.exp(%x) : f32
  cf.cond_br(%c, [], [])[^left, ^right]
^left:
  %1 = math.sin(%0) : f32
  cf.br()[^join]
^right:
  %2 = math.cos(%0) : f32
  cf.br()[^join]
^join:
  %3 = arith.addf(%0, %0) : f32
  func.return %3
}
"""


def found(module: ModuleOp, name: str) -> Operation:
    return next(op for op in module.walk() if op.name == name)


def messages(module: ModuleOp) -> list[str]:
    return [problem.message for problem in undominated(module)]


def test_what_is_in_order_passes() -> None:
    assert messages(parse(DIAMOND)) == []


@pytest.mark.parametrize("side", ["math.sin", "math.cos"])
def test_a_value_of_one_branch_does_not_reach_the_join(side: str) -> None:
    module = parse(DIAMOND)
    found(module, "arith.addf").operands[1] = found(module, side).results[0]
    assert messages(module) == ["'arith.addf': operand 1 is not defined on every way to its use"]


def test_use_before_definition_and_of_oneself() -> None:
    module = parse(DIAMOND)
    exp = found(module, "math.exp")
    exp.operands[0] = exp.results[0]
    assert messages(module) == [
        "'math.exp': operand 0 is a result of the op itself or of one around it"
    ]
    (problem,) = undominated(module)
    assert str(problem.diagnostic().place) == "<text>:3:8"


def test_order_within_a_block() -> None:
    module = parse(
        "func.func @f(%x: f32) {\n  %0 = math.exp(%x) : f32\n"
        "  %1 = math.sin(%0) : f32\n  func.return\n}"
    )
    exp, sin = found(module, "math.exp"), found(module, "math.sin")
    exp.detach()
    block = sin.parent
    assert block is not None
    block.insert_op_after(exp, sin)
    assert messages(module) == ["'math.sin': operand 0 is used before its definition"]


def test_regions_and_isolation() -> None:
    module = parse(
        "func.func @f(%x: f32) {\n"
        '  "test.op"() ({\n    %0 = math.exp(%x) : f32\n  }) : () -> ()\n'
        "  %1 = math.sin(%x) : f32\n"
        "  func.func @g(%y: f32) {\n    %2 = math.cos(%y) : f32\n    func.return\n  }\n"
        "  func.return\n}"
    )
    assert messages(module) == []
    found(module, "math.sin").operands[0] = found(module, "math.exp").results[0]
    cos = found(module, "math.cos")
    cos.operands[0] = found(module, "func.func").regions[0].block.args[0]
    assert messages(module) == [
        "'math.sin': operand 0 is defined in another region",
        "'math.cos': operand 0 is defined outside of an op that is isolated from above",
    ]


def test_unreachable_blocks_are_not_checked() -> None:
    module = parse(
        "func.func @f(%x: f32) {\n  func.return\n^never:\n"
        "  %0 = math.exp(%x) : f32\n  func.return\n}"
    )
    exp = found(module, "math.exp")
    assert messages(module) == []
    region = found(module, "func.func").regions[0]
    assert list(immediate_dominators(region)) == [region.blocks[0]]
    assert exp.parent is region.blocks[1]
    assert region.blocks[1].last_op is not None
    assert region.blocks[1].last_op.has_trait(IsTerminator)


def test_deep_nesting() -> None:
    depth = 900
    text = "func.func @f(%x: f32) {\n" + '"test.op"() ({\n' * depth + "%0 = math.exp(%x) : f32\n"
    module = parse(text + "}) : () -> ()\n" * depth + "func.return\n}")
    assert messages(module) == []
