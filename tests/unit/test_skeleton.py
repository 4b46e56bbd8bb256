"""`nn-opt --new-pass` and `--new-dialect`: what they write passes at once, and nothing is lost."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from nnc.core.testing import LitRunner, call, filecheck
from nnc.tools import nn_opt

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*flags: str) -> list[str]:
    done = call(nn_opt.main, flags)
    assert done.status == 0, done.err.decode()
    return done.out.decode().splitlines()


@pytest.mark.parametrize("level", ["graph", "te", "loop"])
def test_a_pass_outside_a_checkout_is_a_plugin(level: str, here: Path) -> None:
    lines = write("--new-pass", "tidy-up", "--level", level)
    assert lines == [
        "wrote tidy_up.py",
        "wrote tidy-up.nn",
        "wrote lit.cfg.py",
        "test it: lit tidy-up.nn",
    ]
    (here / "scratch").mkdir()
    LitRunner({"nn-opt": nn_opt.main, "filecheck": filecheck}).run(
        here / "tidy-up.nn", here / "scratch"
    )
    text = (here / "tidy-up.nn").read_text()
    (here / "tidy-up.nn").write_text(re.sub(" -p tidy-up", "", text))
    with pytest.raises(AssertionError, match=r"^exit status 1"):  # the test can fail
        LitRunner({"nn-opt": nn_opt.main, "filecheck": filecheck}).run(
            here / "tidy-up.nn", here / "scratch"
        )


def test_a_dialect_outside_a_checkout_passes_under_lit(here: Path) -> None:
    assert "test it: lit toy.nn" in write("--new-dialect", "toy")
    done = subprocess.run(
        [BIN / "lit", "-v", "toy.nn"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_what_is_there_stays(here: Path) -> None:
    write("--new-pass", "tidy-up")
    (here / "tidy_up.py").write_text("mine")
    (here / "tidy-up.nn").unlink()
    done = call(nn_opt.main, ["--new-pass", "tidy-up"])
    assert done.status == 1
    assert b"tidy_up.py: error: is there already" in done.err
    assert (here / "tidy_up.py").read_text() == "mine"
    assert not (here / "tidy-up.nn").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--new-pass", "cse"], "there is a pass 'cse' already"),
        (["--new-pass", "Tidy"], "'Tidy' is no name for a pass"),
        (["--new-dialect", "arith"], "there is a dialect 'arith' already"),
        (["--new-pass", "import"], "'import' is no name for a pass"),
        (["--new-pass", ""], "'' is no name for a pass"),
        (["--new-dialect", "a-b"], "'a-b' is no name for a dialect"),
        (["--new-dialect", "class"], "'class' is no name for a dialect"),
        (["--new-pass", "x", "--level", "sched"], "invalid choice: 'sched'"),
    ],
)
def test_names_are_checked(flags: list[str], message: str, here: Path) -> None:
    done = call(nn_opt.main, flags)
    assert done.status == 1
    assert message in done.err.decode()
    assert not list(here.iterdir())


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this repository's own files, without tests that are not about the catalogue."""
    folder = tmp_path_factory.mktemp("checkout")
    names = ["pyproject.toml", "src", "tests/unit/test_catalog.py", "tests/lit", "docs"]
    names += [path.name for path in (ROOT / "src" / "nnc").iterdir() if path.is_symlink()]
    for name in names:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
        else:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def run(checkout: Path, *command: str | Path, cwd: Path | None = None) -> str:
    environment = {**os.environ, "PYTHONPATH": str(checkout / "src")}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd or checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


RUN_LIT = """
import sys, tempfile
from pathlib import Path
from nnc.core.testing import LitRunner, filecheck
from nnc.tools import nn_opt
runner = LitRunner({"nn-opt": nn_opt.main, "filecheck": filecheck})
for name in sys.argv[1:]:
    runner.run(Path(name), Path(tempfile.mkdtemp()))"""


def test_in_a_checkout_the_catalogue_gets_a_line(checkout: Path) -> None:
    opt = ("-m", "nnc.tools.nn_opt")
    for level in ("graph", "te", "loop"):
        name = f"about-{level}"
        shown = run(checkout, *opt, "--new-pass", name, "--level", level, cwd=checkout / "docs")
        assert "added a line to passes/__init__.py" in shown
    run(checkout, *opt, "--new-dialect", "toy")
    lines = (checkout / "passes" / "__init__.py").read_text().splitlines()
    flags = [line.split('"')[1] for line in lines if line.startswith('        "')]
    assert flags == sorted(flags)
    assert "about-te" in flags
    names = ("passes/about-graph", "passes/about-te", "passes/about-loop", "dialects/toy/ops")
    run(checkout, "-c", RUN_LIT, *(checkout / "tests" / "lit" / f"{name}.nn" for name in names))
    run(checkout, "-m", "pytest", "-q", "tests/unit/test_catalog.py", "-k", "about or toy")
    made = [*checkout.glob("passes/*/about_*.py"), checkout / "dialects" / "toy.py"]
    assert len(made) == 4
    ruff = [BIN / "ruff", "check", "--config", ROOT / "pyproject.toml", *made]
    done = subprocess.run(ruff, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
