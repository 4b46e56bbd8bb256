"""The rules of docs/layout.md: links, packages, relative imports, a quick start."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "nnc"
LAYERS = sorted(path.name for path in PACKAGE.iterdir() if path.is_symlink())
OUTSIDE = {"tests", "docs", "examples", "benchmarks", "src"}
HEAVY = {"numpy", "llvmlite", "lark", "onnx", "onnxruntime", "rich", "safetensors", "ml_dtypes"}
QUICK = ["core", "dialects", "passes", "schedules", "targets", "tools/opt", "tools/*.py"]
"""What nn-opt imports before it knows that it needs an array."""
MODULES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def tracked_folders() -> set[str]:
    names = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return {name.partition("/")[0] for name in names if "/" in name}


def visible(folders: set[str]) -> set[str]:
    return {name for name in folders if not name.startswith(".")}


def test_links_are_relative_and_complete() -> None:
    for name in LAYERS:
        assert (PACKAGE / name).readlink() == Path("../..") / name
    assert set(LAYERS) == visible(tracked_folders()) - OUTSIDE


def test_doors_only_import_and_are_listed() -> None:
    layout = (ROOT / "docs/layout.md").read_text()
    for path in PACKAGE.glob("*.py"):
        if path.name == "__init__.py":
            continue
        _, *code = ast.parse(path.read_text()).body
        imports_only = all(
            isinstance(s, ast.ImportFrom) or ast.unparse(s).startswith("__all__ = ") for s in code
        )
        assert imports_only, f"{path.name} is more than a door"
        assert f"`{path.name}`" in layout, f"docs/layout.md does not list {path.name}"


def test_layout_page_has_a_line_for_each_folder() -> None:
    layout = (ROOT / "docs/layout.md").read_text()
    for name in visible(tracked_folders()):
        assert f"| `{name}/` |" in layout, f"docs/layout.md has no line for {name}/"


def test_configuration_knows_each_folder() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    floors = " | ".join(config["tool"]["importlinter"]["contracts"][0]["layers"])
    assert sorted(floors.replace("nnc.", "").split(" | ")) == LAYERS
    included = set(config["tool"]["pyright"]["include"])
    assert included >= {*LAYERS, "tests", "src/nnc/__init__.py"}


@pytest.mark.parametrize("layer", LAYERS)
def test_every_folder_with_modules_is_a_package(layer: str) -> None:
    for folder in {path.parent for path in (ROOT / layer).rglob("*.py")}:
        assert (folder / "__init__.py").is_file(), f"{folder} has no __init__.py"


def test_constraints_pin_what_the_project_names_and_hold_no_addresses() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = (ROOT / "constraints.txt").read_text().split()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines}
    groups = config["dependency-groups"].values()
    named = [*config["project"]["dependencies"], *(name for group in groups for name in group)]
    names = {re.split(r"[^\w.-]", name)[0].lower().replace("_", "-") for name in named}
    assert names <= pinned


def imports(path: Path) -> list[tuple[str, int, bool]]:
    """(module, level, at the top) of each import of a file; TYPE_CHECKING blocks left out."""
    tree = ast.parse(path.read_text(), str(path))
    guarded = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found: list[tuple[str, int, bool]] = []
    for node in ast.walk(tree):
        if node in guarded:
            continue
        top = node in tree.body
        if isinstance(node, ast.Import):
            found += [(alias.name, 0, top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((node.module or "", node.level, top))
    return found


def test_inside_the_layers_imports_are_relative() -> None:
    banned = {"nnc", "tests", *LAYERS}
    wrong = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in MODULES
        for module, level, _ in imports(path)
        if level == 0 and module.partition(".")[0] in banned
    ]
    assert not wrong


@pytest.mark.parametrize("place", QUICK)
def test_heavy_modules_are_imported_where_they_are_used(place: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {module}"
        for path in sorted(ROOT.glob(place if "*" in place else f"{place}/**/*.py"))
        for module, level, top in imports(path)
        if top and level == 0 and module.partition(".")[0] in HEAVY
    ]
    assert not wrong


def loaded_by(code: str) -> set[str]:
    script = f"{code}\nimport sys; print(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in done.stderr.splitlines()}


def test_help_imports_nothing_heavy() -> None:
    code = """
from nnc.tools.nn_opt import main
try:
    main(["--help"])
except SystemExit as stop:
    assert stop.code == 0"""
    assert not loaded_by(code) & {*HEAVY, "xdsl"}


def test_help_is_quick() -> None:
    """Within 0.3 s of CPU time; the best of three, since other tests run beside this one."""
    nn_opt = Path(sys.executable).with_name("nn-opt")
    spent: list[float] = []
    for _ in range(3):
        before = os.times()
        subprocess.run([nn_opt, "--help"], capture_output=True, check=True)
        after = os.times()
        spent.append(
            after.children_user
            + after.children_system
            - before.children_user
            - before.children_system
        )
    assert min(spent) < 0.3


def test_a_run_over_an_empty_module_imports_nothing_heavy() -> None:
    code = """
import io, sys
sys.stdin = io.TextIOWrapper(io.BytesIO(b'builtin.module {}'))
from nnc.tools.nn_opt import main
assert main(["-f", "mlir"]) == 0"""
    assert not loaded_by(code) & HEAVY


def test_imports_keep_to_their_floors() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
