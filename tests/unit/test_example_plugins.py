"""examples/plugins as a user has them: installed into a fresh environment, and tested there."""

import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[2] / "examples" / "plugins"
NAMES = sorted(path.parent.name for path in PLUGINS.glob("*/pyproject.toml"))


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that sees this one's packages, and has the plug-ins."""
    folder = tmp_path_factory.mktemp("plugins")
    shutil.copytree(PLUGINS, folder / "src")  # building leaves folders beside the sources
    venv.EnvBuilder(symlinks=True).create(folder / "venv")
    found = folder / "venv" / "bin" / "python"
    own = run(found, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    here = sysconfig.get_path("purelib")
    Path(own.strip(), "outer.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    pip = [found, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    packages = [folder / "src" / name for name in NAMES]
    run(*pip, "--no-deps", "--no-build-isolation", *packages, cwd=folder)
    return found


def test_there_is_one_of_each_kind() -> None:
    assert NAMES == ["dialect", "frontend", "op", "pass", "schedule", "target"]
    for name in NAMES:
        readme = (PLUGINS / name / "README.md").read_text()
        assert "docs/extending.md" in readme


def test_installed_plugins_do_what_they_say(python: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "-W", "error", "--import-mode=importlib"]
    run(python, "-m", "pytest", *options, ".", cwd=python.parents[2] / "src")


def test_xdsl_opt_knows_our_passes_and_theirs(python: Path) -> None:
    code = "from xdsl.tools.xdsl_opt import main; main()"
    text = "builtin.module {}"
    for flag in ("multiply-by-reciprocals", "convert-poly-to-graph", "fuse", "cse"):
        command = [python, "-c", code, "-p", flag]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_start_up_imports_no_plugin(python: Path) -> None:
    code = """
import sys, nnc
from nnc.tools.nnc import main
try:
    main(["--help"])
except SystemExit:
    pass
print([name for name in sys.modules if name.startswith("nnc_example")], file=sys.stderr)"""
    command = [python, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
