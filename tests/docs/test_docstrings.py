"""Examples in docstrings are run."""

from __future__ import annotations

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import nnc

ROOT = Path(nnc.__file__).parent
FOLDERS = sorted(path for path in ROOT.iterdir() if path.is_dir())  # links, which rglob leaves out
MODULES = sorted(
    ".".join(("nnc", folder.name, *path.relative_to(folder).with_suffix("").parts))
    for folder in FOLDERS
    for path in folder.rglob("*.py")
    if ">>> " in path.read_text("utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name: str) -> None:
    module = import_module(name.removesuffix(".__init__"))
    outcome = doctest.testmod(module)
    assert outcome.attempted
    assert not outcome.failed
