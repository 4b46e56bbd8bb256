"""Mistakes that a person makes who writes a first plug-in: each is one error, at its line."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from extending import RELU, opt

from nnc.core.testing import call
from nnc.tools import nnc as command

PASS = """
    from dataclasses import dataclass
    from xdsl.context import Context
    from xdsl.dialects.func import FuncOp
    from nnc.core.passes import OpPass, Statistic
    from nnc.core.rewriting import Pattern, rewrite

    class Rule(Pattern[FuncOp]):
        def rewrite(self, op, rw):
            pass

    @dataclass(frozen=True)
    class MinePass(OpPass[FuncOp]):
        name = "mine"
        statistics = (Statistic("one", "of them"),)
        limit: int = 64

        def run(self, ctx: Context, op: FuncOp) -> None:
            rewrite(op, [Rule()])

    PASSES = [MinePass]
"""
OPERATOR = """
    from typing import ClassVar
    from xdsl.irdl import irdl_op_definition
    import nnc
    from nnc.dialects.graph.base import Pattern
    from nnc.dialects.graph.elementwise import UnaryOp

    @irdl_op_definition
    class MineOp(UnaryOp):
        name = "graph.mine"
        PATTERN: ClassVar = Pattern.ELEMWISE

    def meaning(op, x):
        return x + x

    def definition(op, at):
        return [at.pointwise(lambda x: x + x, at[op.x])]

    nnc.register_op(
        MineOp, meaning=meaning, definition=definition, onnx="com.acme::Mine", versions=(1, 3)
    )
"""
DIALECT = """
    from xdsl.ir import Dialect
    from xdsl.irdl import IRDLOperation, irdl_op_definition, operand_def, result_def

    @irdl_op_definition
    class ShapeOp(IRDLOperation):
        name = "toy.same"
        x = operand_def()
        res = result_def()

    def build(builder, node, place): ...
    def show(printer, op, indent): ...

    DIALECTS = [Dialect("toy", [ShapeOp], [])]
    SYNTAX = [("toy.same", 'VAL "as" VALUE TYPES', build, show)]
"""
SCHEDULE = """
    import nnc

    def rule(site):
        return (site.compute.symbol,)

    nnc.register_schedule("mine", rule)
"""
TARGET = """
    from dataclasses import replace
    import nnc
    from nnc.targets import resolve

    nnc.register_target(replace(resolve("x86-64-v3"), name="mine", l2_bytes=1000))
"""
MISTAKES = {
    "no name": (PASS, 'name = "mine"', "", "p.py:11: error: MinePass of plug-in p.py: its name"),
    "a name of two words": (
        PASS,
        '"mine"',
        '"my pass"',
        "its name is 'my pass', expected",
    ),
    "no method": (
        PASS,
        "def run",
        "def runs",
        "p.py:11: error: MinePass of plug-in p.py: it does",
    ),
    "no context": (PASS, "self, ctx: Context, ", "self, ", "expected run(self, ctx, op), got run("),
    "no op": (PASS, "OpPass[FuncOp]", "OpPass", "it does not say which op it runs on"),
    "one statistic": (PASS, '"of them"),)', '"of them"))', "expected a tuple of Statistic"),
    "no field": (PASS, "limit: int = 64", "limit = 64", "MinePass.limit is no field"),
    "no dataclass": (PASS, "@dataclass(frozen=True)", "", "help: limit: int = 64, in a @dataclass"),
    "no rewrite": (PASS, "def rewrite(", "def apply(", "pattern Rule does not define rewrite("),
    "no such option": (PASS, "limit:", "limits:", "help: did you mean 'limits'?"),
    "no operator": (OPERATOR, "@irdl_op_definition", "", "p.py:18: error: MineOp is no op yet"),
    "no pattern": (
        OPERATOR,
        "Pattern.ELEMWISE",
        '"elemwise"',
        "is 'elemwise', expected one of",
    ),
    "one version": (OPERATOR, "(1, 3)", "1", "versions are (first, last) from 1 on, got 1"),
    "no list": (
        OPERATOR,
        "return [at.pointwise(lambda x: x + x, at[op.x])]",
        "return at.pointwise(lambda x: x + x, at[op.x])",
        "<stdin>:3:8: error: the definition of graph.mine gives a Stored",
    ),
    "no result": (
        OPERATOR,
        "return [at.pointwise(lambda x: x + x, at[op.x])]",
        "return []",
        "<stdin>:3:8: error: the definition of graph.mine gives nothing, expected tensor",
    ),
    "another shape": (
        OPERATOR,
        "at.pointwise(lambda x: x + x, at[op.x])",
        "at.k.compute('mine', {'z': 2}, lambda z: at[op.x][z, 0])",
        "the definition of graph.mine gives tensor<2xf32>, expected tensor<2x100xf32>",
    ),
    "another meaning": (
        OPERATOR,
        "return x + x",
        "return x[0]",
        "error: graph.mine: its meaning gives float32[100], expected tensor<2x100xf32>",
    ),
    "no op of a dialect": (DIALECT, "@irdl_op_definition", "", "p.py:5: error: ShapeOp of plug-in"),
    "another dialect": (DIALECT, 'Dialect("toy"', 'Dialect("tog"', "but its name is 'toy.same'"),
    "no printer": (DIALECT, ", build, show)", ", build)", "p.py:14: error: SYNTAX of plug-in p.py"),
    "a symbol": (SCHEDULE, "(site.compute.symbol,)", "site.compute.symbol", "gives 'y', expected"),
    "a compute": (SCHEDULE, "site.compute.symbol", "site.compute", "gives ['a Compute'], expected"),
    "a cache": (TARGET, "1000", "-1", "p.py:5: error: l2_bytes of 'mine' is -1, expected a posit"),
}
FLAGS = {
    PASS: ["-p", "mine{limit=4}"],
    OPERATOR: ["-p", "fuse,convert-graph-to-te", "--check-semantics"],
    DIALECT: [],
    SCHEDULE: ["-p", "convert-te-to-loop,schedule-kernels"],
    TARGET: ["--target", "mine"],
}
KERNEL = """
te.kernel @k(%x: tensor<8xf32>) -> tensor<8xf32> {
  %y = te.compute @y [i: 8] { %x[i] + 1.0 } : tensor<8xf32>
  te.return %y
}
"""


def run(plugin: str, flags: list[str], here: Path) -> tuple[int, str]:
    (here / "p.py").write_text(textwrap.dedent(plugin).lstrip("\n"))
    text = KERNEL if "register_schedule" in plugin else RELU
    if "register_op" in plugin:
        text = text.replace("relu", "mine")
    done = opt(text, "--load-plugin", "p.py", *flags)
    return done.status, done.err.decode()


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plugin, right, wrong, message = MISTAKES[name]
    assert right in plugin
    status, err = run(plugin.replace(right, wrong), FLAGS[plugin], tmp_path)
    assert message in err
    assert status == 1
    assert err.count("error:") == 1
    assert "internal error" not in err


@pytest.mark.parametrize("plugin", FLAGS, ids=["pass", "operator", "dialect", "schedule", "target"])
def test_without_it_there_is_nothing_to_tell(
    plugin: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, err = run(plugin, FLAGS[plugin], tmp_path)
    assert status == 0, err
    assert "error" not in err


def test_a_front_end_that_gives_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.py").write_text(
        "import nnc\nnnc.register_frontend('short', lambda source: 'func.func')\n"
    )
    (tmp_path / "m.short").write_text("")
    for done in (
        opt("", "--load-plugin", "p.py", "-f", "short", "m.short"),
        call(command.main, ["inspect", "m.short", "--load-plugin", "p.py"]),
    ):
        assert done.status == 1
        assert b"its front end made no module but str" in done.err
        assert b"internal error" not in done.err
