"""What users add: who owns it, when it is loaded, what a broken one says, what the cache does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from onnx import ModelProto, TensorProto, helper
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, ModuleOp
from xdsl.ir import Attribute
from xdsl.irdl import (
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    result_def,
)
from xdsl.passes import ModulePass

import nnc
from nnc.compiler.pipelines import GRAPH, extended
from nnc.core import extensions
from nnc.core.errors import InputError, ModelError, NncError, PassError, ScheduleError
from nnc.core.irtypes import float_attr
from nnc.core.testing import Outcome, call
from nnc.dialects.graph.base import GraphOp
from nnc.dialects.graph.checks import FLOATS, expect
from nnc.dialects.graph.elementwise import UnaryOp
from nnc.dialects.graph.types import tensor_type
from nnc.dialects.te_build import Tensor
from nnc.lowering.graph_to_te.site import Site as OpSite
from nnc.schedules.library.rules import Site
from nnc.targets import resolve
from nnc.tools import nn_opt
from nnc.tools import nnc as command

X = np.linspace(-3, 3, 200, dtype=np.float32).reshape(2, 100)
RELU = """
func.func @main(%x: tensor<2x100xf32>) -> tensor<2x100xf32> {
  %y = graph.relu(%x) : tensor<2x100xf32>
  func.return %y
}
"""
PLUGIN = """
    from xdsl.irdl import irdl_op_definition
    import nnc
    from nnc.dialects.graph.elementwise import UnaryOp

    @irdl_op_definition
    class ScaledOp(UnaryOp):
        '''FACTOR * x.'''
        name = "graph.scaled"

    def meaning(op, x):
        return x * x.dtype.type(FACTOR)

    def definition(op, at):
        return [at.pointwise(lambda x: x * FACTOR, at[op.x])]

    nnc.register_op(ScaledOp, meaning=meaning, definition=definition, onnx="com.acme::Scaled")
"""


@pytest.fixture(autouse=True)
def scope() -> Iterator[None]:
    with extensions.scope():
        yield


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def write(path: Path, text: str, before: str = "") -> Path:
    path.write_text(before + textwrap.dedent(text))
    return path


def scaled(factor: float) -> str:
    return f"FACTOR = {factor}\n"


def custom(op_type: str = "Scaled", version: int = 1, **attributes: float) -> ModelProto:
    value = helper.make_tensor_value_info
    node = helper.make_node(op_type, ["x"], ["y"], "own", domain="com.acme")
    node.attribute.extend(helper.make_attribute(*each) for each in attributes.items())
    x, y = (value(name, TensorProto.FLOAT, (2, 100)) for name in "xy")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", version)]
    graph = helper.make_graph([node], "net", [x], [y])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def opt(text: str, *flags: str) -> Outcome:
    return call(nn_opt.main, flags, text.encode())


@irdl_op_definition
class BoundedOp(GraphOp):
    """x * scale, at least `low`, at most the operand `high` if that is there."""

    name = "graph.bounded"
    x = operand_def()
    high = opt_operand_def()
    low = prop_def(FloatAttr)
    scale = opt_prop_def(FloatAttr, float_attr(1.0))
    res = result_def()

    def infer(self) -> Sequence[Attribute]:
        return [expect("x", self.x, FLOATS).type]


def bounded(op: BoundedOp, x: np.ndarray, high: np.ndarray | None) -> np.ndarray:
    raised = np.maximum(x * x.dtype.type(op.scale.value.data), x.dtype.type(op.low.value.data))
    return raised if high is None else np.minimum(raised, high)


def register_bounded() -> None:
    nnc.register_op(BoundedOp, meaning=bounded, onnx="com.acme::Bounded", versions=(2, 3))


# --- operators


def test_an_operator_without_a_definition_runs_on_the_host() -> None:
    register_bounded()
    model = nnc.compile(custom("Bounded", 2, low=-1.0), cache=False)
    np.testing.assert_array_equal(model(x=X)["y"], np.maximum(X, -1))
    done = call(command.main, ["ops"]).out.decode()
    (line,) = (line for line in done.splitlines() if " bounded " in line)
    assert "on the host" in line


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (custom("Bounded", 1, low=0.0), "com.acme::Bounded of version 1 of its domain"),
        (custom("Bounded", 4, low=0.0), "com.acme::Bounded of version 4 of its domain"),
        (custom("Bounded", 2), "com.acme::Bounded needs the attribute 'low'"),
        (custom("Bounded", 2, low=0.0, up=1.0), "with the attribute 'up' is not supported"),
        (
            custom("Bounded", 2, low=1),
            "com.acme::Bounded: 1 : i64 should be of base attribute float",
        ),
        (custom("Unknown", 2), "1 operator is not supported: com.acme::Unknown"),
    ],
)
def test_a_node_that_does_not_fit_is_named(model: ModelProto, message: str) -> None:
    register_bounded()
    with pytest.raises(NncError, match=message) as error:
        nnc.compile(model, cache=False)
    assert error.value.where == "node 'own'"


def test_a_model_must_say_the_version_of_a_domain() -> None:
    register_bounded()
    model = custom("Bounded", 2, low=0.0)
    del model.opset_import[1]
    with pytest.raises(ModelError, match=r"says no version of the domain 'com.acme'"):
        nnc.compile(model, cache=False)


def test_a_registered_operator_goes_before_the_models_own_function() -> None:
    register_bounded()
    model = custom("Bounded", 2, low=0.5)
    body = [helper.make_node("Neg", ["a"], ["b"])]
    opsets = list(model.opset_import)
    function = helper.make_function("com.acme", "Bounded", ["a"], ["b"], body, opsets, ["low"])
    model.functions.append(function)
    y = nnc.compile(model, cache=False)(x=X)["y"]
    np.testing.assert_array_equal(y, np.maximum(X, 0.5))


def test_two_forms_of_one_onnx_operator_by_version() -> None:
    register_bounded()

    @irdl_op_definition
    class OldOp(UnaryOp):
        """-x."""

        name = "graph.bounded_old"

    def negative(op: OldOp, x: np.ndarray) -> np.ndarray:
        return -x

    with pytest.raises(NncError, match=r"is both 'graph.bounded' of .* and 'graph.bounded_old' of"):
        nnc.register_op(OldOp, meaning=negative, onnx="com.acme::Bounded", versions=(1, 2))
    nnc.register_op(OldOp, meaning=negative, onnx="com.acme::Bounded", versions=(1, 1))
    y = nnc.compile(custom("Bounded", 1), cache=False)(x=X)["y"]
    np.testing.assert_array_equal(y, -X)
    y = nnc.compile(custom("Bounded", 3, low=0.0), cache=False)(x=X)["y"]
    np.testing.assert_array_equal(y, np.maximum(X, 0))


def test_an_operator_of_onnx_itself_that_nnc_lacks() -> None:
    @irdl_op_definition
    class DetOp(GraphOp):
        """The determinant of each matrix."""

        name = "graph.det"
        ONNX_NAME: ClassVar = "Det"
        x = operand_def()
        res = result_def()

        def infer(self) -> Sequence[Attribute]:
            x = expect("x", self.x, FLOATS)
            return [tensor_type(None if x.dims is None else x.dims[:-2], x.element)]

    def det(op: DetOp, x: np.ndarray) -> np.ndarray:
        return np.linalg.det(x)

    value = helper.make_tensor_value_info
    node = helper.make_node("Det", ["x"], ["y"])
    x, y = value("x", TensorProto.FLOAT, (3, 2, 2)), value("y", TensorProto.FLOAT, (3,))
    opsets = [helper.make_opsetid("", 22)]
    model = helper.make_model(helper.make_graph([node], "net", [x], [y]), opset_imports=opsets)
    model.ir_version = 9
    with pytest.raises(NncError, match="not supported: Det"):
        nnc.compile(model, cache=False)
    nnc.register_op(DetOp, meaning=det)
    arrays = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    np.testing.assert_allclose(nnc.compile(model, cache=False)(x=arrays)["y"], -2, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bounded", "expected an ONNX name 'domain::OpType'"),
        ("ai.onnx::Relu", "of a domain of your own"),
        ("com.acme::", "expected an ONNX name"),
    ],
)
def test_names_in_onnx_are_checked(name: str, message: str) -> None:
    with pytest.raises(NncError, match=message) as error:
        nnc.register_op(BoundedOp, meaning=bounded, onnx=name)
    assert error.value.where is not None
    assert error.value.where.startswith(f"{__file__}:")


# --- owners and loading


def test_a_plugin_counts_for_one_run_of_a_tool(here: Path) -> None:
    write(here / "p.py", PLUGIN, scaled(2))
    text = RELU.replace("relu", "scaled")
    assert opt(text, "--load-plugin", "p.py", "--verify-roundtrip").status == 0
    after = opt(text)
    assert b"error: dialect 'graph' has no op 'scaled'" in after.err


@pytest.mark.parametrize("name", ["p.py", "p"])
def test_the_environment_names_files_and_modules(
    name: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(here / "p.py", PLUGIN, scaled(2))
    monkeypatch.setenv(extensions.VARIABLE, name)
    (here / "m.nn").write_text(RELU.replace("relu", "scaled"))
    for _ in range(2):  # a module is imported once, and counts in each run
        done = call(command.main, ["compile", "m.nn", "--emit", "te"])
        assert b"%x[i, j] * 2.0" in done.out or b"* 2.0" in done.out, done.err.decode()


def test_a_clash_names_both_owners_and_the_line(here: Path) -> None:
    write(here / "p.py", PLUGIN, scaled(2))
    write(here / "q.py", PLUGIN, scaled(3))
    done = opt(RELU, "--load-plugin", "p.py", "--load-plugin", "q.py")
    assert done.err.decode().splitlines()[0] == (
        f"{here}/q.py:18: error: operator 'graph.scaled' is defined by both plug-in p.py and "
        "plug-in q.py"
    )
    write(here / "r.py", PLUGIN.replace("graph.scaled", "graph.relu"), scaled(3))
    assert (
        "'graph.relu' is defined by both nnc and plug-in r.py"
        in opt(RELU, "--load-plugin", "r.py").err.decode()
    )


def test_the_same_plugin_twice_is_one(here: Path) -> None:
    write(here / "p.py", PLUGIN, scaled(2))
    path = str(here / "p.py")
    assert opt(RELU, "--load-plugin", "p.py", "--load-plugin", path).status == 0


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("x = (", "p.py:1:5", "plug-in p.py cannot be imported: SyntaxError: "),
        ("\nimport no_such", "p.py:2", "plug-in p.py cannot be imported: ModuleNotFoundError: "),
        ("import nnc\nnnc.register_op(3, meaning=None)", "p.py:2", "a subclass of GraphOp, got 3"),
        ("PASSES = 3", "p.py:1", "PASSES of plug-in p.py is not a list"),
        (
            "a = 1\nDIALECTS = [3]",
            "p.py:2",
            "DIALECTS of plug-in p.py holds 3, which is no Dialect",
        ),
        ("PASES = []", "p.py", "plug-in p.py adds nothing"),
    ],
)
@pytest.mark.parametrize("tool", ["nn-opt", "nnc"])
def test_a_broken_plugin_is_one_error(
    text: str, place: str, message: str, tool: str, here: Path
) -> None:
    (here / "p.py").write_text(text)
    (here / "m.nn").write_text(RELU)
    if tool == "nn-opt":
        done = opt(RELU, "--load-plugin", "p.py")
    else:
        done = call(command.main, ["inspect", "m.nn", "--load-plugin", "p.py"])
    shown = done.err.decode()
    assert done.status == 1
    assert shown.count("error:") == 1
    assert f"{place}: " in shown
    assert message in shown
    assert "Traceback" not in shown


def test_an_exception_in_a_plugins_code_names_it(here: Path) -> None:
    broken = PLUGIN.replace("lambda x: x * FACTOR", "lambda x: x.no_such")
    write(here / "p.py", broken, scaled(2))
    text = RELU.replace("relu", "scaled")
    done = opt(text, "--load-plugin", "p.py", "-p", "convert-graph-to-te")
    expected = f"{here}/p.py:16: error: internal error in pass 'convert-graph-to-te': Attr"
    assert done.err.decode().startswith(expected)
    (here / "m.nn").write_text(text)
    done = call(command.main, ["run", "m.nn", "--load-plugin", "p.py"])
    first, second = done.err.decode().splitlines()[-2:]
    assert first.startswith(f"nnc: internal error: {here}/p.py:16: AttributeError: ")
    assert second == "  help: it came up in plug-in p.py; --debug shows the traceback"


def test_a_missing_plugin_is_an_error_of_every_command() -> None:
    done = call(command.main, ["ops", "--load-plugin", "none.py"])
    assert done.err == b"nnc: error: cannot load plug-in none.py: no such file\n"


# --- installed packages


def install(folder: Path, name: str, entries: str, **modules: str) -> None:
    """What an installer leaves: metadata and modules."""
    metadata = folder / f"{name}-1.2.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
    (metadata / "entry_points.txt").write_text(textwrap.dedent(entries))
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(text))


def test_an_installed_plugin_that_is_broken_names_its_package(here: Path) -> None:
    install(here, "acme", "[nnc.plugins]\nown = acme_one", acme_one="\nx = undefined_name")
    done = opt(RELU)
    assert done.err.decode().splitlines()[0] == (
        f"{here}/acme_one.py:2: error: package acme 1.2 cannot be imported: "
        "NameError: name 'undefined_name' is not defined"
    )


def test_a_universe_that_is_none_names_its_package(here: Path) -> None:
    install(here, "acme", "[xdsl.universe]\nown = acme_two:X", acme_two="X = 1")
    assert "package acme 1.2: error: entry point 'own' (acme_two:X)" in opt(RELU).err.decode()


def test_two_packages_with_one_format_are_named(here: Path, tmp_path: Path) -> None:
    for name in ("acme", "bcme"):
        install(here, name, f"[nnc.frontends]\nlayers = {name}_three:read")
    (tmp_path / "m.layers").write_text("")
    with pytest.raises(NncError, match=r"by both package acme 1\.2 and package bcme 1\.2"):
        nnc.compile(tmp_path / "m.layers")


def test_the_cache_knows_installed_plugins_by_content(here: Path, tmp_path: Path) -> None:
    plugin = scaled(2) + textwrap.dedent(PLUGIN)
    install(here, "acme", "[nnc.plugins]\nown = acme_four", acme_four=plugin)
    installed = extensions.fingerprint()
    (here / "acme_four.py").write_text(plugin.replace("FACTOR = 2", "FACTOR = 3"))
    changed = extensions.fingerprint()
    assert len({"", installed, changed}) == 3
    assert "acme_four" not in sys.modules
    y = nnc.compile(custom(), cache=tmp_path / "cache")(x=X)["y"]
    np.testing.assert_array_equal(y, X * 3)


# --- the disk cache


def found(model: nnc.Model) -> bool:
    return "emit" not in model.timings.seconds


def test_the_cache_knows_the_content_of_plugins(here: Path, tmp_path: Path) -> None:
    path, store = write(here / "p.py", PLUGIN, scaled(2)), tmp_path / "cache"
    (here / "m.onnx").write_bytes(custom().SerializeToString())

    def run(factor: float) -> bool:
        with extensions.scope(["p.py"]):
            model = nnc.compile("m.onnx", cache=store)
            np.testing.assert_array_equal(model(x=X)["y"], X * np.float32(factor))
            return found(model)

    assert not run(2)
    assert run(2)
    write(path, PLUGIN, scaled(3))
    assert not run(3)
    write(path, PLUGIN, scaled(2))
    assert run(2)


def test_the_cache_knows_what_a_plugin_imports_and_reads(here: Path, tmp_path: Path) -> None:
    first = """
        from pathlib import Path

        FILES = ["factor.txt"]

        def value():
            from helpers import more
            return more

        FACTOR = value() + float(Path("factor.txt").read_text())
    """
    write(here / "p.py", PLUGIN, textwrap.dedent(first))
    (here / "m.onnx").write_bytes(custom().SerializeToString())

    def run(more: int, factor: int) -> bool:
        (here / "helpers.py").write_text(f"more = {more}")
        (here / "factor.txt").write_text(f"{factor:9d}" + " " * factor)
        sys.modules.pop("helpers", None)
        shutil.rmtree(here / "__pycache__", ignore_errors=True)
        with extensions.scope(["p.py"]):
            model = nnc.compile("m.onnx", cache=tmp_path / "cache")
            np.testing.assert_array_equal(model(x=X)["y"], X * np.float32(more + factor))
            return found(model)

    assert not run(1, 1)
    assert not run(2, 1)
    assert not run(2, 2)


def test_the_cache_is_asked_without_importing_a_plugin(here: Path, tmp_path: Path) -> None:
    write(here / "p.py", PLUGIN + "\n    print('imported')\n", scaled(2))
    (here / "m.onnx").write_bytes(custom().SerializeToString())
    code = f"import nnc; nnc.compile('m.onnx', cache={str(tmp_path / 'cache')!r})"
    environment = {"NNC_PLUGINS": "p.py", "PATH": ""}
    shown = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert shown == ["imported\n", ""]


def test_a_host_operator_is_found_again(here: Path, tmp_path: Path) -> None:
    write(here / "p.py", PLUGIN.replace("definition=definition, ", ""), scaled(2))
    (here / "m.onnx").write_bytes(custom().SerializeToString())
    for number in range(2):
        with extensions.scope(["p.py"]):
            model = nnc.compile("m.onnx", cache=tmp_path / "cache")
            assert ("load" in model.timings.seconds) == (number == 0)
            np.testing.assert_array_equal(model(x=X)["y"], X * 2)


def test_names_may_have_dots() -> None:
    @irdl_op_definition
    class DottedOp(UnaryOp):
        """2 x."""

        name = "graph.acme.twice"

    def meaning(op: DottedOp, x: np.ndarray) -> np.ndarray:
        return x + x

    def definition(op: DottedOp, at: OpSite) -> Sequence[Tensor]:
        return [at.pointwise(lambda x: x + x, at[op.x])]

    nnc.register_op(DottedOp, meaning=meaning, definition=definition)
    text = RELU.replace(
        "func.return %y", "%z = graph.acme.twice(%y) : tensor<2x100xf32>\n  func.return %z"
    )
    assert opt(text, "--verify-roundtrip").status == 0
    (y,) = nnc.compile(nnc.parse(text))(x=X).values()
    np.testing.assert_array_equal(y, 2 * np.maximum(X, 0))


def test_what_has_no_file_is_not_cached(tmp_path: Path) -> None:
    source = "import nnc; nnc.register_op(Op, meaning=meaning)"
    exec(compile(source, "<prompt>", "exec"), {"Op": BoundedOp, "meaning": bounded})
    assert extensions.fingerprint() is None
    model = tmp_path / "m.nn"
    model.write_text(RELU)
    for _ in range(2):
        assert not found(nnc.compile(model, cache=tmp_path / "cache"))


def test_without_plugins_the_key_is_as_it_was() -> None:
    assert extensions.fingerprint() == ""


# --- passes


@dataclass(frozen=True)
class SpoilPass(ModulePass):
    """Leaves the module as it is, or broken."""

    name = "spoil"
    how: str = "not"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        op.attributes["test.seen"] = float_attr(1.0)


def test_a_pass_goes_where_it_was_placed() -> None:
    nnc.register_pass(SpoilPass, after="canonicalize")
    names = extended(GRAPH)
    assert names.count("spoil") == 1
    assert names.index("spoil") == len(names) - 1 - names[::-1].index("canonicalize") + 1
    assert extended(["fuse"]) == ["fuse"]
    model = nnc.compile(nnc.parse(RELU))
    np.testing.assert_array_equal(model(x=X)["y"], np.maximum(X, 0))
    assert model.compiled is not None
    assert "test.seen" in model.compiled.module.attributes


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({"phase": "graph"}, [*GRAPH, "spoil"]),
        ({"before": "infer-shapes"}, ["spoil", *GRAPH]),
        ({"phase": "fuse"}, [*GRAPH]),
    ],
)
def test_places(place: dict[str, str], expected: list[str]) -> None:
    nnc.register_pass(SpoilPass, **place)
    assert extended(GRAPH) == expected


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"after": "cannonicalize"}, "the pipeline has no pass 'cannonicalize'"),
        ({"phase": "graf"}, "the pipeline has no phase 'graf'"),
        ({}, "takes one of phase, after and before"),
        ({"after": "cse", "phase": "graph"}, "takes one of phase, after and before"),
    ],
)
def test_places_that_are_not(place: dict[str, str], message: str) -> None:
    with pytest.raises(NncError, match=message) as error:
        nnc.register_pass(SpoilPass, **place)
    assert (error.value.where or "").startswith(f"{__file__}:")


def test_a_pass_that_breaks_the_module_is_named() -> None:
    @dataclass(frozen=True)
    class BreakPass(ModulePass):
        """Gives an op a type that it cannot have."""

        name = "break"

        def apply(self, ctx: Context, op: ModuleOp) -> None:
            for inner in op.walk():
                if inner.name == "graph.relu":
                    inner.properties["unknown"] = float_attr(1.0)

    nnc.register_pass(BreakPass, after="dce")
    with pytest.raises(PassError, match=r"pass 'break' of .* left the module broken"):
        nnc.compile(nnc.parse(RELU))


# --- schedules, targets, formats


def test_a_rule_that_begins_and_declines_is_refused() -> None:
    def rule(site: Site) -> Collection[str]:
        site.schedule.split(site.compute.loop(site.compute.parallel[0]), 2)
        return ()

    nnc.register_schedule("half", rule)
    with pytest.raises(ScheduleError, match=r"'half' of .* declined a compute that it had changed"):
        nnc.compile(nnc.parse(RELU))


def test_a_rule_that_is_refused_is_named() -> None:
    def rule(site: Site) -> Collection[str]:
        site.schedule.split("no_such", 2)
        return (site.compute.symbol,)

    nnc.register_schedule("half", rule)
    with pytest.raises(ScheduleError, match=r"schedule 'half' of .*: "):
        nnc.compile(nnc.parse(RELU))


def test_the_librarys_classes_are_taken() -> None:
    with pytest.raises(NncError, match="schedule 'rows' is defined by both nnc and "):
        nnc.register_schedule("rows", lambda site: ())


def test_targets_of_users() -> None:
    made = replace(resolve("x86-64-v3"), name="mine", l2_bytes=1 << 19)
    nnc.register_target(made)
    assert resolve("mine") is made
    with pytest.raises(NncError, match="target 'cpu' is defined by both nnc and "):
        nnc.register_target(replace(made, name="cpu"))
    with pytest.raises(NncError, match="expected a Target, got 'mine'"):
        nnc.register_target("mine")  # pyright: ignore[reportArgumentType]


def test_a_format_of_users(tmp_path: Path) -> None:
    def read(source: object) -> ModuleOp:
        return nnc.parse(Path(str(source)).read_text().replace("RELU", "graph.relu"))

    nnc.register_frontend("short", read)
    path = tmp_path / "m.short"
    path.write_text(RELU.replace("graph.relu", "RELU"))
    np.testing.assert_array_equal(nnc.compile(path)(x=X)["y"], np.maximum(X, 0))
    assert b"graph.relu" in call(nn_opt.main, ["-f", "short", str(path)]).out
    with pytest.raises(NncError, match="format 'onnx' is defined by both nnc and "):
        nnc.register_frontend("onnx", read)


def test_a_front_end_that_makes_no_module(tmp_path: Path) -> None:
    nnc.register_frontend("none", lambda source: None)  # pyright: ignore[reportArgumentType]
    path = tmp_path / "m.none"
    path.write_text("")
    with pytest.raises(InputError, match="its front end made no module but NoneType"):
        nnc.compile(path)
