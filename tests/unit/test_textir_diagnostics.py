"""Every way to break a text: one diagnostic, at its place, soon."""

from __future__ import annotations

from pathlib import Path
from time import process_time

import pytest
from xdsl.ir import Operation

from nnc.core.errors import NncError, TextError
from nnc.textir import parse, parse_bytes, parse_file, print_module
from nnc.textir.builder import Builder, Place
from nnc.textir.errors import ParseTextError
from nnc.textir.printer import TextPrinter
from nnc.textir.syntax import register_syntax
from nnc.textir.tables import Node

HEAD = "func.func @f(%a: f32, %b: i32) -> f32 {\n"


def failure(text: str) -> ParseTextError:
    with pytest.raises(ParseTextError) as caught:
        parse(text, "t.nn")
    return caught.value


@pytest.mark.parametrize(
    ("body", "line", "col", "message"),
    [
        ("  func.return %c\n}", 2, 15, "value %c is not defined"),
        ("  func.return %d\n  %d = arith.negf(%a) : f32\n}", 2, 15, "used before its definition"),
        ("  %a = arith.negf(%a) : f32\n}", 2, 3, "%a is already defined, at line 1"),
        ("  %0 = arith.addf(%a, %q) : f32\n}", 2, 23, "value %q is not defined"),
        ('  %0 = "arith.addf"(%a, %b) : (f32, f32) -> f32\n}', 2, 20, "%b has type i32"),
        ('  %0 = "arith.addf"(%a) : (f32, f32) -> f32\n}', 2, 27, "1 operand and 2 types"),
        ("  %0, %1 = arith.negf(%a) : f32\n}", 2, 3, "the op has 1 result, but 2 are named"),
        ("  %0 = arith.adf(%a) : f32\n}", 2, 8, "dialect 'arith' has no op 'adf'"),
        ("  %0 = arth.addf(%a) : f32\n}", 2, 8, "there is no dialect 'arth'"),
        ("  %0 = arith.negf(%a) : tensr<4xf32>\n}", 2, 25, "type expected"),
        ("  %0 = arith.negf(%a) {x = } : f32\n}", 2, 28, "expected 'x = value'"),
        ("  %0 = arith.negf(%a) {x = 1, x = 2} : f32\n}", 2, 31, "attribute 'x' is given twice"),
        ('  %0 = arith.negf(%a) {x = "y} : f32\n}', 2, 28, "the string is not terminated"),
        ("  %0 = arith.negf(%a) {x = [1, 2} : f32\n}", 2, 33, "'}' does not close '['"),
        ("  %0 = arith.negf(%a : f32\n}", 2, 22, "expected ')'"),
        ('  "cf.br"()[^gone] : () -> ()\n}', 2, 13, "block ^gone is not defined"),
        ("  %0 = arith.negf(%a) : f32 £\n}", 2, 29, "unexpected character '£'"),
        ("  func.return %a\n", 3, 1, "expected"),
        ('  %0 = "arith.constant"() {value = 300 : i8} : () -> i8\n}', 2, 36, "300"),
    ],
)
def test_place_and_message(body: str, line: int, col: int, message: str) -> None:
    error = failure(HEAD + body)
    assert message in error.message
    assert (error.line, error.col) == (line, col), str(error)
    assert error.where == f"t.nn:{line}:{col}"


def test_rendered_with_line_and_caret() -> None:
    error = failure(HEAD + "  %0 = arith.negff(%a) : f32\n}")
    assert str(error).splitlines() == [
        "t.nn:2:8: error: dialect 'arith' has no op 'negff'",
        "  %0 = arith.negff(%a) : f32",
        "       ^",
        "  help: did you mean 'arith.negf'?",
    ]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("%0 = grpah.relu(%x) : f32", "did you mean 'graph'"),
        ("%0 = graph.rellu(%x) : f32", "'graph.relu'"),
        ("func.func @f(%value: f32) {\n  func.return %vaule\n}", "'%value'"),
        ("func.func @f(%x: !graph.unkown) {\n}", "'graph.unknown'"),
        (
            "te.kernel @k(%x: tensor<4xf32>) -> tensor<4xf32> {\n"
            "  %y = te.compute @y [i: 4] { tahn(%x[i]) } : tensor<4xf32>\n  te.return %y\n}",
            "'tanh'",
        ),
    ],
)
def test_did_you_mean(text: str, hint: str) -> None:
    assert hint in str(failure(text))


KERNEL = "te.kernel @k(%x: tensor<4xf32>, %n: tensor<4xi32>) -> tensor<4xf32> {{\n  {}\n}}"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("%y = te.compute @y [i: 4] { %x[q] } : tensor<4xf32>", "there is no axis 'q' here"),
        ("%y = te.compute @y [i: 4] { %x[i * i] } : tensor<4xf32>", "product in an index is by"),
        ("%y = te.compute @y [i: 4] { %x[i / 2] } : tensor<4xf32>", "'/' is not affine"),
        ("%y = te.compute @y [i: 4] { %x[i] + %n[i] } : tensor<4xf32>", "types f32 and i32"),
        ("%y = te.compute @y [i: 4] { max(%x[i]) } : tensor<4xf32>", "'max' takes 2 arguments"),
        ("%0 = %x[0]", "only in a body over named axes"),
        (
            "%y = te.compute @y [i: 4] {\n %0 = exp(1.0)\n te.yield %0\n} : tensor<4xf32>",
            "not clear",
        ),
        ("%y = te.compute @y [i: 4] { 0.5 } : tensor<4xi32>", "0.5 is no literal of type i32"),
        ("%y = te.compute @y [i: 4] { %x[(%x)] } : tensor<4xf32>", "an index is of type index"),
        ("%y = te.scan @y [i: 4, j: 3] () { } : tensor<4xf32>", "a scan has one axis, got 2"),
    ],
)
def test_bodies(line: str, message: str) -> None:
    assert message in failure(KERNEL.format(line)).message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sched.schedule @k {\n  splt y.j, 4\n}", "no op 'splt'"),
        ("sched.schedule @k {\n  split y.j\n}", "'split' needs its argument 'factor'"),
        ("sched.schedule @k {\n  fuse a, b, c\n}", "'fuse' takes 2 arguments"),
        ("loop.kernel @k(%y: out buffer<4xf32>, %x: buffer<4xf32>) {\n}", "outputs come after"),
        ("graph.kernel @k(%a = %b) {\n} : f32", "value %b is not defined"),
    ],
)
def test_structured_forms(text: str, message: str) -> None:
    assert message in failure(text).message


def test_values_outside_of_an_isolated_op_are_not_visible() -> None:
    text = "func.func @f(%a: f32) {\n  func.func @g() {\n    func.return %a\n  }\n}"
    assert "isolated from above" in failure(text).message


BAD: dict[str, str] = {
    "unterminated string": '"builtin.module"() ({\n' + "// pad\n" * 100_000 + '  "abc\n',
    "20,000 open brackets": "(" * 20_000,
    "20,000 open brackets in an attribute": "x.y() {a = " + "[" * 20_000,
    "20,000 open brackets in an expression": KERNEL.format(
        "%y = te.compute @y [i: 4] { " + "(" * 20_000 + " } : tensor<4xf32>"
    ),
    "binary garbage": "".join(chr(7 * n % 256) for n in range(1_000_000)),
    "5,000 nested regions": '"test.op"() ({\n' * 5_000 + "}) : () -> ()\n" * 5_000,
    "a wrong line after a megabyte": HEAD
    + "".join(f"  %{n} = arith.negf(%a) : f32\n" for n in range(30_000))
    + "  func.return %missing\n}",
}


@pytest.mark.parametrize("name", BAD)
def test_malformed_texts_are_refused_soon(name: str) -> None:
    text = BAD[name]
    parse("")
    start = process_time()
    error = failure(text)
    limit = 1 + 1.5 * len(text) / 1e6
    assert process_time() - start < 2 * limit  # the machine may be busy; the bound is `limit`
    assert error.message


def test_nesting_up_to_the_limit() -> None:
    for depth in (500, 990):
        text = '"test.op"() ({\n' * depth + "}) : () -> ()\n" * depth
        module = parse(text)
        assert print_module(parse(print_module(module, generic=True))) == print_module(module)
    assert "regions nest deeper than 1000" in failure(BAD["5,000 nested regions"]).message


def test_bytes_and_files(tmp_path: Path) -> None:
    with pytest.raises(ParseTextError, match=r"b\.nn:2:3: error: invalid UTF-8: byte 0xff"):
        parse_bytes(b"// x\nab\xff", "b.nn")
    with pytest.raises(TextError, match="No such file"):
        parse_file(tmp_path / "missing.nn")
    with pytest.raises(NncError, match="Is a directory"):
        parse_file(tmp_path)
    path = tmp_path / "ok.nn"
    path.write_text("func.func @f() {\n  func.return\n}\n")
    assert "func.func @f()" in print_module(parse_file(path))


def no_build(builder: Builder, node: Node, place: Place) -> None:
    raise AssertionError("never built")


def no_show(printer: TextPrinter, op: Operation, indent: str) -> None:
    raise AssertionError("never shown")


def test_syntax_that_does_not_fit() -> None:
    with pytest.raises(TextError, match="has a syntax already"):
        register_syntax("te.compute", "VAL", no_build, no_show)
    with pytest.raises(TextError, match="lower-case"):
        register_syntax("Toy.Op", "VAL", no_build, no_show)
    with pytest.raises(TextError, match="does not fit the grammar"):
        register_syntax("toy.bad", "NO_SUCH_TERMINAL", no_build, no_show)
    assert print_module(parse("")) == ""
