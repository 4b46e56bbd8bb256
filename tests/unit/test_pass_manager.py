"""The pass manager from Python, and pipelines that are printed and read again."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass

from nnc.core.catalog import constant
from nnc.core.errors import TextError
from nnc.core.passes import OpPass, runs_on
from nnc.dialects.graph.base import KernelOp
from nnc.textir import parse, print_module
from nnc.tools.opt.instruments import Instrument
from nnc.tools.opt.manager import PassManager
from nnc.tools.opt.pipeline import Step, build, render
from nnc.tools.opt.registry import load
from nnc.tools.opt.reproducer import Recipe, split_section, write

NETWORK = """
func.func @f(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = graph.relu(%x) : tensor<4xf32>
  %1 = graph.relu(%x) : tensor<4xf32>
  func.return %0, %1
}
func.func @g() {
  func.return
}
"""


class Record(Instrument):
    """What the manager calls, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def begin(self, step: Step, module: ModuleOp) -> None:
        self.calls.append(f"begin {step.flag}")

    def before(self, step: Step, op: Operation) -> None:
        self.calls.append(f"before {op.name}")

    def after(self, step: Step, op: Operation) -> None:
        self.calls.append(f"after {op.name}")

    def end(self, step: Step, module: ModuleOp) -> None:
        self.calls.append(f"end {step.flag}")


def test_steps_run_on_the_ops_of_their_anchors() -> None:
    registry, record, module = load(), Record(), parse(NETWORK)
    steps = build(["fuse,func.func(cse,graph.kernel(dce))"], registry)
    PassManager(steps, registry.context(), instruments=[record]).run(module)
    assert record.calls == [
        *("begin fuse", "before builtin.module", "after builtin.module", "end fuse"),
        *("begin cse", *["before func.func", "after func.func"] * 2, "end cse"),
        *("begin dce", *["before graph.kernel", "after graph.kernel"] * 2, "end dce"),
    ]


def test_a_pass_on_ops_runs_on_each_in_a_module_without_a_manager() -> None:
    seen: list[str] = []

    class SeePass(OpPass[KernelOp]):
        """Notes the kernels."""

        name = "see"

        def run(self, ctx: Context, op: KernelOp) -> None:
            seen.append(op.sym_name.data)

    assert runs_on(SeePass) is KernelOp
    module, registry = parse(NETWORK), load()
    PassManager(build(["fuse"], registry), registry.context()).run(module)
    SeePass().apply(registry.context(), module)
    assert seen == ["relu", "relu_1"]


@dataclass(frozen=True)
class OptionsPass(ModulePass):
    """Has options of all types."""

    name = "options"
    flag: bool = False
    number: int = 1
    real_number: float = 1.0
    words: tuple[str, ...] = ()
    numbers: tuple[int, ...] = ()
    text: str | None = None

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        """Does nothing."""


REGISTRY = load()
REGISTRY.passes["options"] = constant(OptionsPass)
TEXTS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=6)
OPTIONS = st.builds(
    OptionsPass,
    flag=st.booleans(),
    number=st.integers(),
    real_number=st.floats(allow_nan=False, allow_infinity=False),
    words=st.lists(TEXTS, max_size=2).map(tuple),
    numbers=st.lists(st.integers(), max_size=3).map(tuple),
    text=st.none() | TEXTS,
)
ANCHORS = st.lists(st.sampled_from(["builtin.module"]), max_size=2).map(tuple)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.builds(Step, OPTIONS, ANCHORS), max_size=3))
def test_what_is_printed_is_read_again(steps: list[Step]) -> None:
    assert build([render(steps)], REGISTRY) == steps


@settings(max_examples=30, deadline=None)
@given(st.builds(Recipe, TEXTS, st.booleans(), st.booleans(), st.booleans(), TEXTS, TEXTS))
def test_a_section_is_read_again(recipe: Recipe) -> None:
    text, found = split_section(f"{NETWORK}\n{recipe.section}", "f.nn")
    assert found == recipe
    assert print_module(parse(text)) == print_module(parse(NETWORK))


def test_a_reproducer_is_written_with_comments(tmp_path: Path) -> None:
    path = tmp_path / "again.nn"
    write(str(path), parse(NETWORK), Recipe("builtin.module(cse)"), ["why\nso"])
    assert path.read_text().startswith("// why\n// so\nfunc.func @f")
    text, recipe = split_section(path.read_text(), str(path))
    assert recipe == Recipe("builtin.module(cse)")
    assert print_module(parse(text)) == print_module(parse(NETWORK))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("external_resources: {", "unexpected end|expected '}'"),
        ("external_resources: { mlir_reproducer: { pipeline: 3 } }", "not of type str"),
        ("external_resources: { mlir_reproducer: { verify_each: true } }", "no pipeline"),
        ("external_resources: { mlir_reproducer: { pipeline: cse } }", "Expecting value"),
        ("external_resources: ?", "unexpected '\\?'"),
        ("a: 1 b: 2", "expected '#-}', got 'b'"),
    ],
)
def test_malformed_sections(section: str, message: str) -> None:
    with pytest.raises(TextError, match=message) as raised:
        split_section(f"{NETWORK}{{-# {section} #-}}\n", "f.nn")
    assert raised.value.where == f"f.nn:{NETWORK.count(chr(10)) + 1}:1"


def test_resources_of_others_mean_nothing() -> None:
    section = f"{{-# dialect_resources: {{ builtin: {{ a: {json.dumps('0x01')} }} }} #-}}"
    text, recipe = split_section(NETWORK + section, "f.nn")
    assert (text, recipe) == (NETWORK, None)
