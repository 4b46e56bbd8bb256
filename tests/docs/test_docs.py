"""Every fenced block of the documentation does what the page says.

A page is read from top to bottom in one scratch folder. What a block's first line says decides:

    ```python            run, one namespace for the page
    ```python poly.py    appended to that file of the folder; any language and name
    ```console           lines after `$ ` are run, the lines under each are its output, stdout and
                         stderr together; the exit status is 0 unless the output has `error:`
    ```output            what the python block before printed
    ```nn, ```mlir       read by nn-opt, as our text or as upstream's
    ```json, ```toml     parsed
    ```sh                `make TARGET` lines: the target exists
    ```text, ```         for the eye

In output a line `...` stands for any lines, and `...` inside a line for anything.
A comment `<!-- not run: reason -->` before a block keeps it from being run.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nnc.core import extensions
from nnc.core.testing import LitRunner, available_features, call, filecheck
from nnc.tools import nn_opt

ROOT = Path(__file__).parents[2]
PAGES = [
    path
    for path in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "passes" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ]
    if path.exists()
]
READERS = {"nn": [], "mlir": ["-f", "mlir"]}
FOR_THE_EYE = {"", "text"}


def run_nnc(args: list[str]) -> int | None:
    from nnc.tools.nnc import main

    return main(args)


@dataclass(frozen=True)
class Block:
    language: str
    file: str
    text: str
    line: int
    skip: bool


FENCE = re.compile(
    r"(?P<skip><!-- not run: \S[^>]*-->\s*\n)?"
    r"^(?P<indent> *)```(?P<language>[\w-]*)[ ]*(?P<file>\S*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


def blocks(page: str) -> Iterator[Block]:
    for match in FENCE.finditer(page):
        line = page.count("\n", 0, match.start("language")) + 1
        text = re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        yield Block(match["language"], match["file"], text, line, bool(match["skip"]))


def assert_shown(shown: str, got: str, place: str) -> None:
    """`got` is what the page shows, where `...` stands for anything."""
    lines = [line.rstrip() for line in shown.strip("\n").split("\n")]
    pattern = ""
    for line in lines:
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            parts = (re.escape(part) for part in line.split("..."))
            pattern += ".*?".join(parts) + r"[ \t]*\n"
    text = "\n".join(line.rstrip() for line in got.strip("\n").split("\n")) + "\n"
    assert re.fullmatch(pattern, text), f"{place}: the page shows\n{shown}\nbut got\n{got}"


class Page:
    """One page at work."""

    def __init__(self, path: Path, folder: Path):
        self.name = str(path.relative_to(ROOT))
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "page"}
        self.printed = ""
        commands = {"nn-opt": nn_opt.main, "nnc": run_nnc, "filecheck": filecheck}
        self.shell = LitRunner(commands, available_features())

    def run(self, block: Block) -> None:
        place = f"{self.name}:{block.line}"
        if block.file:
            path = self.folder / block.file
            before = f"{path.read_text()}\n\n" if path.exists() else ""
            path.write_text(before + block.text)
            return
        match block.language:
            case "python":
                self.python(block, place)
            case "output":
                assert_shown(block.text, self.printed, place)
            case "console":
                self.console(block, place)
            case "nn" | "mlir":
                outcome = call(nn_opt.main, READERS[block.language], block.text.encode())
                assert outcome.status == 0, f"{place}: {outcome.err.decode()}"
            case "json":
                json.loads(block.text)
            case "toml":
                tomllib.loads(block.text)
            case "sh":
                make_targets(block, place)
            case language:
                assert language in FOR_THE_EYE, f"{place}: no rule for ```{language}"

    def python(self, block: Block, place: str) -> None:
        code = compile("\n" * block.line + block.text, self.name, "exec")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, self.names)
        self.printed = out.getvalue()

    def console(self, block: Block, place: str) -> None:
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, shown = part, ""
            lines = part.split("\n")
            count = 1 + next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            command = " ".join(line.rstrip("\\").strip() for line in lines[:count])
            shown = "\n".join(lines[count:])
            outcome = self.shell.shell(f"{command} 2>&1", self.folder)
            got = outcome.out.decode()
            assert (outcome.status != 0) == ("error:" in shown), f"{place}: $ {command}\n{got}"
            if shown.strip() or got.strip():
                assert_shown(shown, got, f"{place}: $ {command}")


def make_targets(block: Block, place: str) -> None:
    for line in block.text.splitlines():
        words = line.partition("#")[0].split()
        assert words[:1] == ["make"], f"{place}: `{line}` cannot be checked"
        done = subprocess.run(
            ["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{place}: {done.stderr}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])  # as of a program beside it
    page = Page(path, tmp_path)
    with extensions.scope():
        for block in blocks(path.read_text()):
            if not block.skip:
                page.run(block)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text()):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (path.parent / target).exists(), f"{path.name}: no {target}"
