"""Verification of whole modules: all errors, in order, at any depth."""

from xdsl.dialects.builtin import ModuleOp, i32, i64
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.dialects.scf import IfOp, YieldOp
from xdsl.dialects.test import TestOp
from xdsl.ir import Block, Operation, Region

from nnc.core.verifier import problems


def names(module: ModuleOp) -> list[str]:
    return [problem.op.name for problem in problems(module)]


def function(name: str, *ops: Operation) -> FuncOp:
    return FuncOp(name, ((), ()), Region(Block(ops)))


def test_a_valid_module_has_no_problems() -> None:
    assert problems(ModuleOp([function("f", ReturnOp())])) == []


def test_every_broken_op_is_found_in_order() -> None:
    wrong = TestOp(result_types=[i32])
    first = function("f", wrong, ReturnOp(wrong.res[0]))
    second = function("g", TestOp())
    found = problems(ModuleOp([first, second]))
    assert [(p.op.name, p.op.parent_op()) for p in found] == [
        ("func.return", first),
        ("test.op", second),
    ]
    assert "not a terminator" in found[1].message


def test_an_op_around_a_broken_one_is_left_alone() -> None:
    condition = TestOp(result_types=[i64])
    inner = IfOp(condition.res[0], [], Region(Block([YieldOp()])), Region(Block([YieldOp()])))
    assert names(ModuleOp([function("f", condition, inner, ReturnOp())])) == ["scf.if"]


def test_a_block_without_its_terminator() -> None:
    condition = TestOp(result_types=[i32])
    module = ModuleOp([function("f", condition)])
    assert names(module) == ["test.op"]


def test_nesting_deeper_than_pythons_stack() -> None:
    module = ModuleOp([])
    for _ in range(3000):
        module = ModuleOp([module])
    assert problems(module) == []
