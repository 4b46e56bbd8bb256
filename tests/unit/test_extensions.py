"""What users add: who owns it, when it is loaded, what a broken one says, what the cache does."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from extending import RELU, X, custom, opt

import nnc
from nnc.core import extensions
from nnc.core.errors import NncError
from nnc.core.testing import call
from nnc.tools import nnc as command

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
PASS = """
    from dataclasses import dataclass
    from xdsl.passes import ModulePass
    import nnc
    from .b_op import ScaledOp

    @dataclass(frozen=True)
    class LookPass(ModulePass):
        '''x -> x'''
        name = "look"

        def apply(self, ctx, op):
            assert any(isinstance(inner, ScaledOp) for inner in op.walk())

    nnc.register_pass(LookPass, phase="graph")
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
        (
            "import nnc\nnnc.register_schedule('s', 3)",
            "p.py:2",
            "expected a function of (site) as the rule of 's', got 3",
        ),
        (
            "import nnc\nnnc.register_frontend('s', lambda: None)",
            "p.py:2",
            "expected a function of (source) as the front end 's', got <lambda>()",
        ),
        (
            PLUGIN.replace("def definition(op, at)", "def definition(op)"),
            "p.py:17",
            "expected a function of (op, site) as the definition of graph.scaled, got def",
        ),
        (
            PLUGIN.replace("def meaning(op, x)", "def meaning(op)"),
            "p.py:17",
            "expected a function of (op, x) as the meaning of graph.scaled, got meaning(op)",
        ),
        (
            PLUGIN.replace("UnaryOp", "GraphOp").replace("graph.elementwise", "graph.base"),
            "p.py:17",
            "ScaledOp does not define infer",
        ),
    ],
)
@pytest.mark.parametrize("tool", ["nn-opt", "nnc"])
def test_a_broken_plugin_is_one_error(
    text: str, place: str, message: str, tool: str, here: Path
) -> None:
    write(here / "p.py", text)
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


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("7", "ScaledOp.infer gives 7, expected a list of 1 tensor types"),
        ("[]", "ScaledOp.infer gives [], expected a list of 1 tensor types"),
        ("['f32']", "ScaledOp.infer gives ['f32'], expected a list of 1 tensor types"),
        ("[i32]", "graph.scaled: expected a tensor, got i32"),
        ("[TensorType(i32, [2])]", "graph.scaled: element type f32 differs from i32"),
    ],
)
def test_inference_that_says_nonsense_is_told_at_the_operator(
    said: str, message: str, here: Path
) -> None:
    name = '        name = "graph.scaled"\n'
    method = f"""
        def infer(self):
            from xdsl.dialects.builtin import TensorType, i32
            return {said}
"""
    assert name in PLUGIN
    write(here / "p.py", PLUGIN.replace(name, name + method), scaled(2))
    text = RELU.replace("relu", "scaled")
    done = opt(text, "--load-plugin", "p.py")
    assert done.err.decode().startswith("<stdin>:3:8: error: 'graph.scaled': "), done.err.decode()
    assert message in done.err.decode()
    (here / "m.nn").write_text(text)
    done = call(command.main, ["run", "m.nn", "--load-plugin", "p.py"])
    assert message in done.err.decode()
    assert "internal error" not in done.err.decode()


@pytest.mark.parametrize(
    ("gives", "message"),
    [
        ("x[0]", "its meaning gives float32[100], expected tensor<2x100xf32>"),
        ("x.astype(float)", "its meaning gives float64[2, 100], expected tensor<2x100xf32>"),
        ("[x, x]", "its meaning gives 2 results, expected 1"),
    ],
)
def test_a_meaning_of_another_type_is_told_at_the_operator(
    gives: str, message: str, here: Path
) -> None:
    plugin = PLUGIN.replace("return x * x.dtype.type(FACTOR)", f"return {gives}")
    assert gives in plugin
    write(here / "p.py", plugin, scaled(2))
    (here / "m.nn").write_text(RELU.replace("relu", "scaled"))
    done = call(command.main, ["run", "--interpret", "m.nn", "--load-plugin", "p.py"])
    assert f"m.nn:3:8: {message}" in done.err.decode()
    done = opt(
        RELU.replace("relu", "scaled"), "--load-plugin", "p.py", "-p", "fuse", "--check-semantics"
    )
    assert message in done.err.decode()
    assert "internal error" not in done.err.decode()


@pytest.mark.parametrize("names", [["a_pass", "b_op"], ["b_op", "a_pass"]])
def test_plugins_of_one_package_may_import_each_other(names: list[str], here: Path) -> None:
    """Whichever is loaded first, in each run of a tool, and after somebody imported one."""
    package = f"acme_{names[0]}"
    names = [f"{package}.{name}" for name in names]
    folder = here / package
    folder.mkdir()
    (folder / "__init__.py").touch()
    write(folder / "b_op.py", PLUGIN, scaled(2))
    write(folder / "a_pass.py", PASS)
    text = RELU.replace("relu", "scaled")
    flags = [flag for name in names for flag in ("--load-plugin", name)]
    for _ in range(2):
        done = opt(text, *flags, "-p", "look")
        assert done.status == 0, done.err.decode()
    for name in names:  # a module is imported already, in a run that asks for it alone
        done = opt(RELU if "pass" in name else text, "--load-plugin", name)
        assert done.status == 0, done.err.decode()
    with extensions.scope():
        import_module(names[0])  # as xdsl-opt does for a pass
        extensions.request(names)
        assert {plugin.key for plugin in extensions.plugins()} >= set(names)


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

    table = here / "factor.txt"

    def run(more: int, factor: int) -> bool:
        (here / "helpers.py").write_text(f"more = {more}")
        content = f"{factor:9d}" + " " * factor
        if not table.exists() or table.read_text() != content:  # its time counts
            table.write_text(content)
        sys.modules.pop("helpers", None)
        shutil.rmtree(here / "__pycache__", ignore_errors=True)
        with extensions.scope(["p.py"]):
            model = nnc.compile("m.onnx", cache=tmp_path / "cache")
            np.testing.assert_array_equal(model(x=X)["y"], X * np.float32(more + factor))
            return found(model)

    assert not run(1, 1)
    assert run(1, 1)
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


def test_what_has_no_file_is_not_cached(tmp_path: Path) -> None:
    source = scaled(2) + textwrap.dedent(PLUGIN)
    exec(compile(source, "<prompt>", "exec"), {"__name__": "prompt"})
    assert extensions.fingerprint() is None
    model = tmp_path / "m.nn"
    model.write_text(RELU)
    for _ in range(2):
        assert not found(nnc.compile(model, cache=tmp_path / "cache"))


def test_without_plugins_the_key_is_as_it_was() -> None:
    assert extensions.fingerprint() == ""
