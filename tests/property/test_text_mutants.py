"""Mutants of the lit files: nn-opt refuses them, at a place of the text, or takes them."""

from __future__ import annotations

import re
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

from hypothesis import given, settings
from hypothesis import strategies as st

from nnc.textir import parse, read
from nnc.textir.equality import equal
from nnc.textir.errors import ParseTextError
from nnc.tools import nn_opt

LIT = Path(__file__).parents[1] / "lit"
TEXTS = [
    path.read_text()
    for path in sorted(LIT.rglob("*.nn"))
    if "Inputs" not in path.parts and path.stat().st_size < 8_000
]
PIECES = [
    *'(){}[]<>"%@^#!:,=-+*/.0a\n\\',
    " loc(",
    "dense<",
    "tensor<4xf32>",
    "affine_map<(d0) -> (d0)>",
    "%0 = ",
    "^bb0:",
    "func.func @f() {",
    "}) : () -> ()",
    "graph.relu",
    "// -----",
    "0x7FC0",
    "99999999999999999999",
    "\x00",
    "é",
    "array<i32: 1>",
]
ERROR = re.compile(r"^\S*mutant\.nn:\d+:\d+: error: .", re.MULTILINE)


@st.composite
def mutants(draw: st.DrawFn) -> str:
    """A text of the lit files, comments left out, after a few edits."""
    text = re.sub(r"^ *//.*\n", "", draw(st.sampled_from(TEXTS)), flags=re.MULTILINE)
    for _ in range(draw(st.integers(1, 4))):
        text = edit(draw, text)
    return text


def edit(draw: st.DrawFn, text: str) -> str:
    at = draw(st.integers(0, len(text)))
    end = min(len(text), at + draw(st.integers(1, 30)))
    match draw(st.integers(0, 6)):
        case 0:
            return text[:at] + text[end:]
        case 1:
            return text[:at] + draw(st.sampled_from(PIECES)) + text[at:]
        case 2:
            return text[:at] + draw(st.sampled_from(PIECES)) + text[end:]
        case 3:
            there = draw(st.integers(0, len(text)))
            return text[:there] + text[at:end] + text[there:]
        case 4:
            return text[:at]
        case 5:
            lines = text.split("\n")
            number = draw(st.integers(0, len(lines) - 1))
            return "\n".join(lines[:number] + lines[number + 1 :])
        case _:
            lines = text.split("\n")
            first, second = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
            lines[first], lines[second] = lines[second], lines[first]
            return "\n".join(lines)


def run(text: str) -> tuple[int, str]:
    """The exit status of nn-opt on a text, and what it says."""
    said = StringIO()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mutant.nn"
        path.write_text(text)
        with redirect_stderr(said), redirect_stdout(TextIOWrapper(BytesIO())):
            status = nn_opt.main([str(path), "--allow-unregistered-dialect"])
    return status, said.getvalue()


@settings(max_examples=150, deadline=None)
@given(mutants())
def test_mutants(text: str) -> None:
    start = process_time()
    status, said = run(text)
    assert process_time() - start < 2, "a second for a kilobyte is a hang"
    assert "Traceback" not in said
    assert "internal error" not in said
    if status != 0:
        assert status == 1
        assert ERROR.search(said), said


@settings(max_examples=100, deadline=None)
@given(mutants())
def test_reading_on_finds_what_parsing_finds(text: str) -> None:
    """A text that is refused is refused both ways; what is not, is the same module."""
    reading = read(text)
    try:
        module, error = parse(text), None
    except ParseTextError as raised:
        module, error = None, raised
    if module is not None:
        assert not reading.errors
        assert equal(module, reading.module, locations=True) is None
    if error is not None:
        first = reading.errors[0]
        assert (error.line, error.col) >= (first.line, first.col)


def test_the_texts_are_right_before() -> None:
    """Else this would be about something else."""
    others = ("expected-error", "RUN: not", "--load-plugin")
    right = [text for text in TEXTS if not any(word in text for word in others)]
    assert len(right) > 30
    for text in right[::10]:
        assert run(re.sub(r"^ *//.*\n", "", text, flags=re.MULTILINE))[0] == 0
