"""`make run`: the example classifies files as onnxruntime would, and says what it took."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def example() -> ModuleType:
    path = REPOSITORY / "examples" / "classify_files.py"
    spec = importlib.util.spec_from_file_location("classify_files", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_labels_agree_with_onnxruntime(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short, empty, binary = (tmp_path / name for name in ("short", "empty", "binary"))
    short.write_bytes(b"  hi   ")
    empty.write_bytes(b"")
    binary.write_bytes(b"\xff\xfe")
    chosen = ["pyproject.toml", "Makefile", "core/errors.py", "textir/grammar.lark", ".gitignore"]
    files = [REPOSITORY / name for name in chosen]
    assert example.main([*map(str, [*files, short, empty, binary]), "--compare"]) == 0
    out = capsys.readouterr().out
    assert "onnxruntime agrees on 8 of 8 labels" in out
    assert "compiled in" in out
    assert "latency" in out
    for word in ("python", "toml", "makefile", "empty", "unknown", "txt"):
        assert word in out


def test_a_missing_file_is_one_message(
    example: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert example.main([str(tmp_path / "none")]) == 1
    assert "none" in capsys.readouterr().err


def test_files_of_the_repository_are_chosen_by_kind(example: ModuleType) -> None:
    files = example.repository_files()
    assert len(files) == example.FILES_SHOWN
    assert len({path.suffix or path.name for path in files[:10]}) == 10
