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
A comment `<!-- not run: reason -->` before a block keeps it from being run;
`<!-- needs: mlir-opt -->` does where the machine lacks a feature that lit tests may require.

The first ten minutes are typed at a terminal, in a folder that holds a checkout: there every
command is a program of its own, and a block that names a file is what it holds from then on.
"""

import contextlib
import io
import json
import os
import re
import shutil
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
TERMINAL = ROOT / "docs" / "first-ten-minutes.md"
PAGES = [
    path
    for path in [
        TERMINAL,
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted({*(ROOT / "docs").glob("*.md")} - {TERMINAL}),
    ]
    if path.exists()
]
READERS = {"nn": [], "mlir": ["-f", "mlir"]}
FOR_THE_EYE = {"", "text"}
LEAKING = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "NNC_PLUGINS"}
"""What a fresh terminal does not have."""


def run_nn_reduce(args: list[str]) -> int | None:
    from nnc.tools import nn_reduce

    return nn_reduce.main(args)


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
    r"(<!-- needs: (?P<needs>\S+) -->\s*\n)?"
    r"^(?P<indent> *)```(?P<language>[\w-]*)[ ]*(?P<file>\S*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)


def blocks(page: str) -> Iterator[Block]:
    for match in FENCE.finditer(page):
        line = page.count("\n", 0, match.start("language")) + 1
        text = re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        absent = match["needs"] is not None and match["needs"] not in available_features()
        skip = absent or bool(match["skip"])
        yield Block(match["language"], match["file"], text, line, skip)


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
        commands = {
            "nn-opt": nn_opt.main,
            "nn-reduce": run_nn_reduce,
            "nnc": run_nnc,
            "filecheck": filecheck,
        }
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


class Terminal(Page):
    """A page that is followed word for word, in a shell that stays open."""

    END = "--- end of the command:"

    def __init__(self, path: Path, folder: Path, shell: subprocess.Popen[str]):
        super().__init__(path, folder)
        self.process = shell

    def run(self, block: Block) -> None:
        if block.file:
            (self.folder / block.file).write_text(block.text)
        else:
            super().run(block)

    def type(self, command: str) -> tuple[str, int]:
        """What a command says, and its exit status."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f'{command}\necho "{self.END} $?"\n')
        self.process.stdin.flush()
        said: list[str] = []
        for line in self.process.stdout:
            if line.startswith(self.END):
                return "".join(said), int(line.split()[-1])
            said.append(line)
        raise AssertionError(f"{self.name}: $ {command}: the shell has ended: {''.join(said)}")

    def console(self, block: Block, place: str) -> None:
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            got, status = self.type(command)
            assert status == 0, f"{place}: $ {command}\n{got}"
            if shown.strip() or got.strip():
                assert_shown(shown, got, f"{place}: $ {command}")


def checkout(folder: Path) -> None:
    """A copy of this checkout, without what was built in it."""
    out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, folder, symlinks=True, ignore=out)


def test_the_first_ten_minutes(tmp_path: Path) -> None:
    checkout(tmp_path / "nnc")
    env = {key: value for key, value in os.environ.items() if key not in LEAKING}
    with subprocess.Popen(
        ["bash"],
        cwd=tmp_path,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as shell:
        page = Terminal(TERMINAL, tmp_path, shell)
        for block in blocks(TERMINAL.read_text()):
            if not block.skip:
                page.run(block)
        assert shell.stdin is not None
        shell.stdin.close()


def make_targets(block: Block, place: str) -> None:
    for line in block.text.splitlines():
        words = line.partition("#")[0].split()
        assert words[:1] == ["make"], f"{place}: `{line}` cannot be checked"
        done = subprocess.run(
            ["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{place}: {done.stderr}"


@pytest.mark.parametrize("path", PAGES[1:], ids=lambda path: str(path.relative_to(ROOT)))
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
