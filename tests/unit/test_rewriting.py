"""The rewrite driver, effects, locations and notes, on arith, func and scf."""

from __future__ import annotations

import pytest
from xdsl.dialects import arith, func, scf
from xdsl.dialects.builtin import (
    UNKNOWN_LOC,
    FileLineColLoc,
    FloatAttr,
    IntAttr,
    IntegerAttr,
    ModuleOp,
    NameLoc,
    NoneAttr,
    StringAttr,
    f32,
    i32,
)
from xdsl.dialects.test import TestOp
from xdsl.ir import Block, Operation, Region, SSAValue

from nnc.core.effects import Effect, effect, is_dead
from nnc.core.errors import PassError
from nnc.core.explain import explaining, why_not
from nnc.core.locations import MAX_FUSED, describe, describe_location, fuse, parts
from nnc.core.rewriting import Pattern, PatternSet, Rewriter, rewrite
from nnc.core.walk import erase, walk
from nnc.dialects import context
from nnc.passes import PASSES


def place(line: int) -> FileLineColLoc:
    return FileLineColLoc(StringAttr("net.nn"), IntAttr(line), IntAttr(1))


def node(name: str) -> NameLoc:
    return NameLoc(StringAttr(name), NoneAttr())


def function(*ops: Operation, results: list[SSAValue] | None = None) -> ModuleOp:
    values = list(ops[-1].results) if results is None else results
    block = Block([*ops, func.ReturnOp(*values)])
    types = [value.type for value in values]
    return ModuleOp([func.FuncOp("main", ((), types), Region(block))])


def body(module: ModuleOp) -> list[str]:
    return [op.name for op in module.walk()][2:]


class NegateTwice(Pattern[arith.NegfOp]):
    """-(-x) -> x"""

    def rewrite(self, op: arith.NegfOp, rw: Rewriter) -> None:
        if isinstance(inner := op.operand.owner, arith.NegfOp):
            rw.replace(op, [], [inner.operand])
        else:
            why_not(op, "its operand is not a negation")


class AddOfSelf(Pattern[arith.AddfOp]):
    """x + x -> x * 2"""

    def rewrite(self, op: arith.AddfOp, rw: Rewriter) -> None:
        if op.lhs is op.rhs:
            factor = constant(2.0)
            rw.replace(op, [factor, arith.MulfOp(op.lhs, factor.result)])


class MulCommuted(Pattern[arith.MulfOp]):
    """x * y -> y * x, forever: a planted ping-pong"""

    def rewrite(self, op: arith.MulfOp, rw: Rewriter) -> None:
        rw.replace(op, arith.MulfOp(op.rhs, op.lhs))


class AddSubIntoConstant(Pattern[arith.AddfOp | arith.SubfOp]):
    """x + y, x - y -> 1.0"""

    def rewrite(self, op: arith.AddfOp | arith.SubfOp, rw: Rewriter) -> None:
        origin = op.lhs.owner
        assert isinstance(origin, Operation)
        rw.replace(op, constant(1.0), origins=[origin])


def constant(value: float) -> arith.ConstantOp:
    return arith.ConstantOp(FloatAttr(value, f32))


def test_pattern_classes_are_found_from_the_type_argument():
    assert NegateTwice.ops == (arith.NegfOp,)
    assert AddSubIntoConstant.ops == (arith.AddfOp, arith.SubfOp)
    patterns = PatternSet([NegateTwice(), AddSubIntoConstant()])
    assert [p.name for p in patterns.of(arith.SubfOp)] == ["AddSubIntoConstant"]
    assert patterns.of(arith.MulfOp) == []


def test_chain_collapses_and_dead_ops_go():
    x = TestOp(result_types=[f32])
    ops: list[Operation] = [x]
    for _ in range(10):
        ops.append(arith.NegfOp(ops[-1].results[0]))
    module = function(*ops)
    counts = rewrite(module, [NegateTwice()])
    assert body(module) == ["test.op", "func.return"]
    assert counts["NegateTwice"] + counts["dead op"] == 10
    assert counts["NegateTwice"] >= 5


def test_new_ops_take_the_location_of_the_replaced_one():
    x = TestOp(result_types=[f32])
    add = arith.AddfOp(x.results[0], x.results[0])
    add.location = place(7)
    add.result.name_hint = "sum"
    module = function(x, add)
    rewrite(module, [AddOfSelf()])
    made = [op for op in module.walk() if isinstance(op, arith.ConstantOp | arith.MulfOp)]
    assert [op.location for op in made] == [place(7)] * 2
    assert made[-1].results[0].name_hint == "sum"


def test_location_is_fused_from_all_origins():
    left = TestOp(result_types=[f32])
    left.location = node("Conv_1")
    add = arith.AddfOp(left.results[0], left.results[0])
    add.location = node("Add_2")
    module = function(left, add)
    rewrite(module, [AddSubIntoConstant()])
    made = next(op for op in module.walk() if isinstance(op, arith.ConstantOp))
    assert describe(made) == "node 'Add_2', node 'Conv_1'"


def test_a_ping_pong_is_named():
    x = TestOp(result_types=[f32])
    module = function(x, arith.MulfOp(x.results[0], x.results[0]))
    with pytest.raises(PassError, match=r"no fixpoint after .*MulCommuted"):
        rewrite(module, [MulCommuted()])


class Refusing(Pattern[arith.MulfOp]):
    """Nothing is made of a product."""

    def rewrite(self, op: arith.MulfOp, rw: Rewriter) -> None:
        raise PassError("no products here")


def test_what_a_pattern_refuses_has_the_place_of_the_op():
    x = TestOp(result_types=[f32])
    product = arith.MulfOp(x.results[0], x.results[0])
    product.location = place(7)
    module = function(x, product)
    with pytest.raises(PassError) as caught:
        rewrite(module, [Refusing()])
    assert caught.value.where == describe(product)


def test_folding_keeps_locations_and_terminates_on_constants():
    one = arith.ConstantOp.from_int_and_width(1, i32)
    two = arith.ConstantOp.from_int_and_width(2, i32)
    add = arith.AddiOp(one, two)
    add.location = place(3)
    module = function(one, two, add)
    counts = rewrite(module, [], context=context())
    (only,) = [op for op in module.walk() if isinstance(op, arith.ConstantOp)]
    assert only.location == place(3)
    assert only.value == IntegerAttr(3, i32)
    assert counts["fold"] == 1


def test_xdsl_patterns_of_op_classes_run_as_hooks():
    x = TestOp(result_types=[i32])
    zero = arith.ConstantOp.from_int_and_width(0, i32)
    module = function(x, zero, arith.AddiOp(x.results[0], zero.result))
    rewrite(module, PatternSet([], hooks=True), context=context())
    assert body(module) == ["test.op", "func.return"]


def test_rewriting_stays_inside_the_root():
    outer = TestOp(result_types=[f32])
    twice = arith.NegfOp(arith.NegfOp(outer.results[0]).results[0])
    once = twice.operand.owner
    assert isinstance(once, Operation)
    inner = arith.NegfOp(twice.results[0])
    condition = arith.ConstantOp.from_int_and_width(1, 1)
    branch = scf.IfOp(
        condition, [f32], [inner, scf.YieldOp(inner.result)], [scf.YieldOp(outer.results[0])]
    )
    module = function(outer, once, twice, condition, branch)
    rewrite(branch, [NegateTwice()])
    assert once.parent is not None
    assert twice.parent is not None
    assert inner.parent is None, "the negation inside the branch was rewritten"
    assert body(module).count("arith.negf") == 2


def test_a_pattern_is_tried_again_when_a_user_of_its_operand_goes():
    class NegOfLastUse(Pattern[arith.NegfOp]):
        """-x -> x if it is the only user of x"""

        def rewrite(self, op: arith.NegfOp, rw: Rewriter) -> None:
            if op.operand.has_one_use():
                rw.replace(op, [], [op.operand])

    x = TestOp(result_types=[f32])
    neg = arith.NegfOp(x.results[0])
    dead = arith.AddfOp(x.results[0], neg.result)
    module = function(x, neg, dead, results=[neg.result])
    rewrite(module, [NegOfLastUse()])
    assert body(module) == ["test.op", "func.return"]


def test_notes_name_op_place_rule_and_reason_once():
    x = TestOp(result_types=[f32])
    neg = arith.NegfOp(x.results[0])
    neg.location = node("Neg_3")
    module = function(x, neg)
    with explaining() as log:
        rewrite(module, [NegateTwice()])
        rewrite(module, [NegateTwice()])
    assert [str(note) for note in log.notes] == [
        "node 'Neg_3': arith.negf: its operand is not a negation [NegateTwice]"
    ]
    why_not(neg, "nobody listens")


def test_effects_of_regions_are_those_inside():
    pure = scf.IfOp(arith.ConstantOp.from_int_and_width(1, 1), [], [scf.YieldOp()], [scf.YieldOp()])
    writing = scf.IfOp(
        arith.ConstantOp.from_int_and_width(1, 1), [], [TestOp(), scf.YieldOp()], [scf.YieldOp()]
    )
    assert effect(pure) is Effect.NONE
    assert effect(writing) is Effect.UNKNOWN
    assert not is_dead(writing)


def test_locations_fuse_flat_unique_and_bounded():
    a, b = place(1), node("b")
    assert fuse([UNKNOWN_LOC, a]) == a
    assert fuse([]) == UNKNOWN_LOC
    assert parts(fuse([fuse([a, b]), b, a])) == (a, b)
    assert len(parts(fuse([place(i) for i in range(100)]))) == MAX_FUSED
    assert describe_location(fuse([a, b])) == "net.nn:1:1, node 'b'"
    assert describe_location(UNKNOWN_LOC) is None


def test_five_hundred_nested_regions():
    depth = 500
    innermost: list[Operation] = [TestOp(result_types=[f32])]
    negations = [arith.NegfOp(innermost[0].results[0])]
    for _ in range(3):
        negations.append(arith.NegfOp(negations[-1].result))
    op: Operation = TestOp(regions=[Region(Block([*innermost, *negations]))])
    for _ in range(depth):
        op = TestOp(regions=[Region(Block([op]))])
    module = ModuleOp([op])
    rewrite(module, [NegateTwice()])
    assert sum(1 for _ in walk(module)) == depth + 3
    erase(op)
    assert module.body.block.is_empty


@pytest.mark.parametrize("name", ["canonicalize", "cse", "dce"])
def test_passes_on_any_dialect_stand_deep_nests(name: str):
    source = TestOp(result_types=[f32])
    unused = arith.NegfOp(source.results[0])
    op: Operation = TestOp(regions=[Region(Block([source, unused]))])
    for _ in range(500):
        op = TestOp(regions=[Region(Block([op]))])
    module = ModuleOp([op])
    PASSES[name]()().apply(context(), module)
    assert sum(1 for _ in walk(module)) == (504 if name == "cse" else 503)
    erase(op)
