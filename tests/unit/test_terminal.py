"""Colours and progress: at a terminal, and not where output is piped."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nnc.tools.nn_opt import main as nn_opt
from nnc.tools.terminal import colored_ir, is_colored

TEXT = '%0 = graph.relu(%x) {a = "b"} : tensor<1x64xf32> // %no\n'
MODULE = """func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.relu(%x) : tensor<4xf32>
  func.return %0
}
"""
ESCAPE = re.compile(r"\x1b\[[\d;]*m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_colors_add_nothing_but_colors():
    shown = colored_ir(TEXT)
    assert ESCAPE.sub("", shown) == TEXT
    parts = [part for part in re.split(r"\x1b\[0m", shown) if part.strip()]
    found = {ESCAPE.sub("", part).strip(): ESCAPE.findall(part)[-1] for part in parts}
    assert found["%0"] != found["= graph.relu"]
    long = f"%0 = graph.add({', '.join(['%value'] * 200)})\n"
    assert ESCAPE.sub("", colored_ir(long)) == long


@pytest.mark.parametrize(
    ("choice", "stream", "environment", "expected"),
    [
        ("auto", Terminal(), {}, True),
        ("auto", Terminal(), {"NO_COLOR": "1"}, False),
        ("auto", Terminal(), {"NO_COLOR": ""}, True),
        ("auto", Terminal(), {"TERM": "dumb"}, False),
        ("auto", io.StringIO(), {}, False),
        ("never", Terminal(), {}, False),
        ("always", io.StringIO(), {"NO_COLOR": "1"}, True),
    ],
)
def test_who_gets_colors(
    monkeypatch: pytest.MonkeyPatch,
    choice: str,
    stream: io.StringIO,
    environment: dict[str, str],
    expected: bool,
):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_colored(choice, stream) is expected


def test_a_piped_run_is_plain(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]):
    path = tmp_path / "m.nn"
    path.write_text(MODULE)
    assert nn_opt([str(path)]) == 0
    assert capsysbinary.readouterr().out.decode() == MODULE
    assert nn_opt([str(path), "--color=always"]) == 0
    shown = capsysbinary.readouterr().out.decode()
    assert shown != MODULE
    assert ESCAPE.sub("", shown) == MODULE


@pytest.mark.skipif(not hasattr(pty, "openpty"), reason="needs a pseudo terminal")
def test_a_terminal_gets_colors_and_progress(tmp_path: Path):
    path = tmp_path / "m.nn"
    path.write_text(MODULE)
    code = (
        "import sys, nnc.tools.terminal as t; t.PATIENCE = 0.0; from nnc.tools.nnc import main; "
        f"sys.exit(main(['compile', {str(path)!r}, '--emit', 'graph']))"
    )
    main_end, run_end = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=run_end, stderr=run_end, env=environment
    ) as process:
        os.close(run_end)
        seen = b""
        while True:
            try:
                part = os.read(main_end, 1 << 14)
            except OSError:  # Linux's end of file
                break
            if not part:
                break
            seen += part
    os.close(main_end)
    assert process.returncode == 0
    text = seen.decode()
    assert "load" in text  # the first stage, while it lasted
    assert "\x1b[35mfunc.func" in text
