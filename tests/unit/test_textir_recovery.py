"""Several errors in one run: each is told once, what follows from it is not, in linear time."""

from __future__ import annotations

import gc
from pathlib import Path
from time import process_time

import pytest

from nnc.core.verifier import problems
from nnc.dialects import context
from nnc.textir import parse, print_module, read
from nnc.textir.errors import Malformed, ParseTextError
from nnc.textir.recovery import Problems
from nnc.textir.upstream import read_upstream
from nnc.tools import nn_opt

HEAD = "func.func @f{number}(%a: f32, %b: i32) -> f32 {{\n"
TAIL = "  %ok = arith.addf(%0, %a) : f32\n  func.return %ok\n}\n"
GOOD = "  %0 = arith.negf(%a) : f32\n"
KINDS = {
    "unknown op": ("  %0 = arith.negff(%a) : f32\n", "has no op 'negff'"),
    "unknown dialect": ("  %0 = arih.negf(%a) : f32\n", "no dialect 'arih'"),
    "undefined name": ("  %0 = arith.negf(%missing) : f32\n", "%missing is not defined"),
    "too early": ("  %0 = arith.negf(%ok) : f32\n", "%ok is used before its definition"),
    "redefinition": (
        "  %0 = arith.negf(%a) : f32\n  %0 = arith.negf(%a) : f32\n",
        "already defined",
    ),
    "bad type": ("  %0 = arith.negf(%a) : f3\n", "type expected"),
    "bad attribute": ("  %0 = arith.negf(%a) {x = dense<} : f32\n", "does not close"),
    "bad literal": ("  %n = arith.constant 1.5 : i32\n" + GOOD, "i32"),
    "unterminated string": ('  %0 = arith.negf(%a) {x = "y} : f32\n', "string is not terminated"),
    "missing parenthesis": ("  %0 = arith.negf(%a : f32\n", "expected ')'"),
    "missing rest": ("  %0 = arith.negf(%a\n", "expected ')'"),
    "missing brace": ("  %0 = arith.negf(%a) {x = 1 : f32\n", "never closed"),
    "missing bracket": ("  %0 = arith.negf(%a) {x = [1 : f32\n", "never closed"),
    "wrong character": ("  %0 = arith.negf(%a) £ : f32\n", "unexpected character"),
    "wrong number of operands": ("  %0 = arith.addf(%a) : f32\n", "Expected 2 operands"),
    "wrong result type": ("  %n = arith.negf(%a) : f64\n" + GOOD, "f64"),
    "wrong number of results": ("  %0, %1 = arith.negf(%a) : f32\n", "1 result, but 2 are named"),
    "wrong signature": ('  %0 = "arith.negf"(%b) : (f32) -> f32\n', "%b has type i32"),
    "wrong region": (
        '  %0 = "scf.if"(%c) ({\n    "scf.yield"(%a) : (f32) -> ()\n  }, {\n'
        "    %t = arith.negf(%a) : f32\n  }) : (i1) -> f32\n",
        "%c is not defined",
    ),
}


def text_of(names: list[str]) -> str:
    return "".join(
        HEAD.format(number=number) + KINDS[name][0] + TAIL for number, name in enumerate(names)
    )


def messages(text: str, limit: int | None = None) -> list[str]:
    reading = read(text, "t.nn", max_errors=limit)
    found = [(error.line, error.message) for error in reading.errors]
    for problem in problems(reading.module, reading.failed):
        place = problem.diagnostic().place
        assert place is not None
        found.append((place.line, problem.message))
    return [message for _, message in sorted(found)]


@pytest.mark.parametrize("name", KINDS)
def test_one_error_is_one_error(name: str) -> None:
    """The line below uses what failed: that is not told."""
    (message,) = messages(text_of([name]))
    assert KINDS[name][1] in message


def test_all_kinds_in_one_text() -> None:
    found = messages(text_of(list(KINDS)))
    assert len(found) == len(KINDS)
    for message, (_, expected) in zip(found, KINDS.values(), strict=True):
        assert expected in message


def test_in_every_order() -> None:
    """An error does not hide, or turn into another, what stands beside it."""
    names = list(KINDS)
    for shift in range(1, len(names), 3):
        turned = names[shift:] + names[:shift]
        assert len(messages(text_of(turned))) == len(names)


def test_all_kinds_in_one_function() -> None:
    lines = [
        line.replace("%0", f"%v{number}").replace("%1", f"%w{number}").replace("%n", f"%x{number}")
        for number, (name, (line, _)) in enumerate(KINDS.items())
        if name not in ("too early", "wrong region")
    ]
    found = messages(HEAD.format(number=0) + "".join(lines) + "  func.return %a\n}\n")
    expected = [
        kind[1] for name, kind in KINDS.items() if name not in ("too early", "wrong region")
    ]
    assert len(found) == len(lines)
    assert all(one in message for one, message in zip(expected, found, strict=True))


def test_a_text_without_lines() -> None:
    """Regions on one line fail with the op around them; the next line is read again."""
    text = "func.func @f() { func.return %q %r }\nfunc.func @g() {\n  func.return %q\n}\n"
    found = messages(text)
    assert len(found) == 2
    assert "got '%r'" in found[0]
    assert "%q is not defined" in found[1]


def test_what_a_broken_head_hides() -> None:
    """A body whose head is wrong is read; names in it may be the head's."""
    for head in ("func.func @f(%x: tensr<4xf32>) {", "func.func @f(%x tensor<4xf32>) {"):
        text = f"{head}\n  %0 = arith.foo(%x) : f32\n  %1 = math.exp(%x) : f32\n  func.return\n}}\n"
        found = messages(text + "func.func @g() {\n  func.return %y\n}\n")
        assert len(found) == 3
        assert "'foo'" in found[1]
        assert "%y is not defined" in found[2]


def test_a_missing_brace_at_the_end_of_a_line() -> None:
    """What is indented under it is read as if it stood there; what is not, is not."""
    text = """
func.func @f(%b: f32) -> f32
  %0 = arith.negf(%b) : f32
  %1 = arith.foo(%0) : f32
  func.return %0
}
func.func @g(%b: f32) -> f32
func.func @h(%b: f32) -> f32 {
  %0 = arith.bar(%b) : f32
  func.return %b
}
loop.kernel @k(%x: buffer<40xf32>, %y: out buffer<40xf32>) {
  loop.for %i = 0 to 40
    loop.stmt @y [i: 40] = [%j] -> %y[i] { %x[i] }
  }
}
func.func @last(%b: f32)
  func.return
"""
    errors = read(text, "t.nn").errors
    assert [error.line for error in errors] == [2, 4, 7, 9, 13, 14, 17, 19]
    assert "'{'" in errors[0].message
    assert "%j is not defined" in errors[5].message


def test_the_name_of_a_loop_may_stand_anywhere() -> None:
    head = "loop.kernel @k(%y: out buffer<4xf32>) {\n  loop.for %i = 0 to 4 "
    texts = [
        f"{head}{attributes} {{\n  }}\n}}\n"
        for attributes in (
            '{name = "y.i", a = 1}',
            '{a = 1, name = "y.i"}',
            '{ a = 1, name="y.i"}',
        )
    ]
    assert len({print_module(parse(text)) for text in texts}) == 1
    assert 'loop_name = "y.i"' in print_module(parse(texts[0]), generic=True)


def test_errors_beyond_the_limit_are_counted() -> None:
    lines = "".join(f"  %{n} = arith.negf(%q{n}) : f32\n" for n in range(50))
    text = f"func.func @f() {{\n{lines}  func.return\n}}\n"
    reading = read(text, "t.nn", max_errors=7)
    assert [error.line for error in reading.errors] == list(range(2, 9))
    assert reading.num_left_out == 43


def test_parse_raises_the_first_error() -> None:
    with pytest.raises(ParseTextError, match="negff") as caught:
        parse(text_of(["unknown op", "undefined name"]), "t.nn")
    assert caught.value.line == 2


def test_a_right_text_reads_as_it_parses() -> None:
    text = "func.func @f(%a: f32) -> f32 {\n  %0 = math.exp(%a) : f32\n  func.return %0\n}\n"
    reading = read(text, "t.nn")
    assert not reading.errors
    assert not reading.failed
    assert print_module(reading.module) == print_module(parse(text))


LONG = 20_000
SLOW = {
    "a name is not defined, each time another": "".join(
        f"  %{n} = arith.negf(%q{n}) : f32\n" for n in range(LONG)
    ),
    "every line ends too soon": "".join(f"  %{n} = arith.negf(%a\n" for n in range(LONG)),
    "every bracket is open": "".join(f"  %{n} = x.y(%a) {{x = [\n" for n in range(LONG)),
    "every string is open": "".join(f'  %{n} = x.y(%a) {{x = "a\n' for n in range(LONG)),
    "every head is wrong": "".join(
        f"  func.func @f{n}(%a f32) {{\n    func.return\n  }}\n" for n in range(LONG // 3)
    ),
    "every region stays open": "".join(f"  func.func @f{n}( {{\n" for n in range(900)),
    "each op fails behind its region": '  "a.b"() ({\n' * 900
    + "    func.return\n" * LONG
    + "  }) garbage\n" * 900,
    "every op is unknown": "".join(f"  %{n} = arith.x{n}(%a) : f32\n" for n in range(LONG)),
}


@pytest.mark.parametrize("name", SLOW)
def test_wrong_texts_take_linear_time(name: str) -> None:
    text = f"func.func @f(%a: f32) {{\n{SLOW[name]}  func.return\n}}\n"
    read("")
    gc.collect()  # what earlier tests have left is not this one's work
    start = process_time()
    reading = read(text, "t.nn", max_errors=20)
    # As for a single error: 1.5 s a megabyte and a second, doubled for a busy machine.
    assert process_time() - start < 2 * (1 + 1.5 * len(text) / 1e6)
    assert reading.errors


def test_an_error_is_kept_once() -> None:
    kept = Problems(2)
    for position in (3, 3, 5, 7):
        kept.add(Malformed(position, "the same"))
    assert [error.position for error in kept.found] == [3, 5]
    assert kept.num_left_out == 1


def test_the_tool_says_how_many_were_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.nn"
    path.write_text(text_of(list(KINDS)))
    assert nn_opt.main([str(path), "--max-errors=3"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert sum(": error: " in line for line in lines) == 3
    left = len(KINDS) - 3
    assert lines[-1] == f"note: {left} more errors were left out; --max-errors={left + 3} shows all"


@pytest.mark.parametrize(
    ("line", "col", "message"),
    [
        ('  %0 = "arith\\in"(%a) : (f32) -> f32', 8, "'\\i' in a string stands for nothing"),
        ('  %0 = arith.negf(%a) {"\\FF" = 1} : f32', 8, "no UTF-8"),
        ("  %0 = te.compute @y [i: 99999999999999999999] { 1.0 } : tensor<4xf32>", 8, "range"),
        ("  %0 = arith.negf(%a) : tensor<=4xf32>", 32, "Expected shape"),
        ("  %0 = arith.negf(%a) : tensor<4xf33>", 34, "Expected shape type, got 'f33'"),
        ("  loop.for %i = 0 to 4 {name = x.y} {\n  }", 32, "attribute expected, got 'x.y'"),
    ],
)
def test_what_constructors_refuse_has_a_place(line: str, col: int, message: str) -> None:
    reading = read(f"func.func @f(%a: f32) {{\n{line}\n  func.return\n}}\n", "t.nn")
    (error,) = reading.errors
    assert (error.line, error.col) == (2, col), str(error)
    assert message in error.message


def test_upstream_syntax_closes_what_an_error_left_open() -> None:
    text = (
        "builtin.module {\n  func.func @f(%a: i32) -> i32 {\n"
        '    %0 = "arith.addi"(%a, %a) <{overflowFlags = }> : (i32, i32) -> i32\n'
        "    func.return %0 : i32\n  }\n}\n"
    )
    reading = read_upstream(text, "t.mlir", context())
    assert [(error.line, error.col) for error in reading.errors] == [(3, 49)]
