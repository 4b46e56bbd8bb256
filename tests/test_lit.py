"""Every lit test, run in this process; a few of them once more by lit itself."""

import subprocess
import sys
from pathlib import Path

import pytest

from nnc.core.testing import (
    LitRunner,
    LitSkipped,
    available_features,
    filecheck,
    lit_files,
    mlir_opt,
)
from nnc.tools import nn_opt

LIT = Path(__file__).parent / "lit"


def run_nn_reduce(args: list[str]) -> int | None:
    from nnc.tools import nn_reduce

    return nn_reduce.main(args)


def run_nnc(args: list[str]) -> int | None:
    from nnc.tools import nnc

    return nnc.main(args)


@pytest.fixture(scope="module")
def runner() -> LitRunner:
    commands = {
        "nn-opt": nn_opt.main,
        "nn-reduce": run_nn_reduce,
        "nnc": run_nnc,
        "filecheck": filecheck,
    }
    programs = {"%python": sys.executable, "%mlir-opt": mlir_opt() or "mlir-opt"}
    return LitRunner(commands, available_features(), programs)


@pytest.mark.parametrize("path", lit_files(LIT), ids=lambda path: str(path.relative_to(LIT)))
def test_lit(path: Path, runner: LitRunner, tmp_path: Path) -> None:
    try:
        runner.run(path, tmp_path)
    except LitSkipped as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", ["tools/pipeline.nn", "tools/verify-diagnostics.nn"])
def test_under_lit_itself(name: str) -> None:
    """The configuration works and the programs start as programs."""
    lit = Path(sys.executable).with_name("lit")
    done = subprocess.run([lit, "-v", LIT / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
