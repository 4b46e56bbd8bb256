"""--check-semantics: wrong rewrites of many kinds are caught and named, right ones pass."""

from pathlib import Path

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import TensorType, f32

from nnc.dialects.te_build import KernelBuilder
from nnc.lowering.graph_to_te.convert_graph_to_te import ConvertGraphToTePass
from nnc.reference.semantics import CLOSE, EQUAL, NOT_CHECKED, UNCHANGED, Report, check
from nnc.reference.te import run_kernel_with_errors
from nnc.textir import parse
from nnc.tools.nn_opt import main

PLUGIN = Path(__file__).parents[1] / "lit" / "tools" / "Inputs" / "wrong_rewrites.py"

GRAPH = """
func.func @main(%x: tensor<2x3xf32>, %y: tensor<3xf32>) -> tensor<2x3xf32> {
  %0 = graph.add(%x, %y) : tensor<2x3xf32>
  %1 = graph.sub(%0, %y) : tensor<2x3xf32>
  %2 = graph.relu(%1) : tensor<2x3xf32>
  func.return %2 : tensor<2x3xf32>
}
"""
DENSE = """
te.kernel @dense(%x: tensor<5x7xf32>, %w: tensor<7x6xf32> const) -> tensor<5x6xf32> {
  %c = te.compute @c [i: 5, j: 6] sum [k: 7] { %x[i, k] * %w[k, j] } : tensor<5x6xf32>
  te.return %c
}
"""
PADDED = """
te.kernel @padded(%x: tensor<6xf32>) -> tensor<6xf32> {
  %y = te.compute @y [i: 6] { (%x[i - 1] else 0.0) + %x[i] } : tensor<6xf32>
  te.return %y
}
"""
TOP = """
te.kernel @top(%x: tensor<4x9xf32>) -> tensor<4xf32> {
  %y = te.compute @y [i: 4] max [k: 9] { %x[i, k] - 9.0 } : tensor<4xf32>
  te.return %y
}
"""
TO_LOOP = "convert-te-to-loop"
PLANTED = [
    ("wrong-fold", GRAPH, "", "main"),
    ("drop-relu", GRAPH, "", "main"),
    ("wrong-commute", GRAPH, "", "main"),
    ("wrong-cse", PADDED, "", "padded"),
    ("wrong-index-map", PADDED, "", "padded"),
    ("wrong-type", DENSE, "", "dense"),
    ("wrong-combiner", DENSE, "", "dense"),
    ("wrong-store", DENSE, TO_LOOP, "dense"),
    ("wrong-tail", DENSE, TO_LOOP, "dense"),
    ("wrong-tail", DENSE, f"{TO_LOOP},form-tiles", "dense"),
    ("wrong-reduction-init", TOP, f"{TO_LOOP},form-tiles", "top"),
]


def run(tmp_path: Path, text: str, pipeline: str) -> int:
    source = tmp_path / "input.nn"
    source.write_text(text)
    flags = ["--load-plugin", str(PLUGIN), "--check-semantics", "-p", pipeline]
    return main([str(source), *flags])


@pytest.mark.parametrize(("name", "text", "before", "function"), PLANTED)
def test_wrong_rewrite_is_caught_and_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    before: str,
    function: str,
) -> None:
    pipeline = f"{before},{name}" if before else name
    assert run(tmp_path, text, pipeline) == 1
    errors = capsys.readouterr().err
    assert f"pass '{name}' changed the meaning of @{function}: " in errors
    for earlier in filter(None, before.split(",")):
        assert f"check-semantics: {earlier}: @{function}: equal" in errors


@pytest.mark.parametrize("text", [GRAPH, DENSE, PADDED, TOP])
def test_right_lowerings_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    steps = ["harmless", "convert-graph-to-te", TO_LOOP, "form-tiles"]
    assert run(tmp_path, text, ",".join(steps)) == 0
    errors = capsys.readouterr().err
    assert all(f"check-semantics: {step}: @" in errors for step in steps)
    assert "not checked" not in errors


def outcome(report: Report) -> str:
    [only] = report.outcomes
    return only.status


def test_another_order_of_a_sum_is_close_a_missing_term_is_not() -> None:
    before = parse(DENSE)
    turned = DENSE.replace("%x[i, k] * %w[k, j]", "%x[i, 6 - k] * %w[6 - k, j]")
    assert outcome(check(before, parse(turned))) == CLOSE
    fewer = DENSE.replace("[k: 7]", "[k: 6]")
    [wrong] = check(before, parse(fewer)).mismatches
    assert "result 0 at [" in wrong.detail
    assert "is allowed" in wrong.detail


def test_what_takes_too_long_is_reported_with_its_steps() -> None:
    text = DENSE.replace("[k: 7]", "[k: 6]")
    report = check(parse(DENSE), parse(text), limit=10)
    [only] = report.outcomes
    assert only.status == NOT_CHECKED
    assert only.steps > 10
    assert report.checked == []


def test_unchanged_functions_are_not_run() -> None:
    assert outcome(check(parse(DENSE), parse(DENSE), limit=10)) == UNCHANGED


def test_the_sign_of_an_integer_type_does_not_matter_across_levels() -> None:
    text = """
    func.func @main(%x: tensor<4xui8>, %y: tensor<4xui8>) -> tensor<4xui8> {
      %0 = graph.div(%x, %y) : tensor<4xui8>
      func.return %0 : tensor<4xui8>
    }
    """

    after = parse(text)
    ConvertGraphToTePass().apply(Context(), after)
    assert outcome(check(parse(text), after)) == EQUAL


def test_named_dims_get_the_same_size_everywhere() -> None:
    text = """
    func.func @main(%x: tensor<[n]x3xf32>,
                    %y: tensor<[n]x3xf32>)
        -> tensor<[n]x3xf32> {
      %0 = graph.add(%x, %y) : tensor<[n]x3xf32>
      func.return %0 : tensor<[n]x3xf32>
    }
    """
    other = text.replace("graph.add(%x, %y)", "graph.add(%y, %x)")
    assert outcome(check(parse(text), parse(other))) == EQUAL


def test_a_gather_gets_indices_in_range() -> None:
    text = """
    te.kernel @pick(%t: tensor<3x4xf32>, %i: tensor<5xi64>) -> tensor<5x4xf32> {
      %y = te.compute @y [n: 5, j: 4] { %t[(index_cast(%i[n], index)), j] } : tensor<5x4xf32>
      te.return %y
    }
    """
    other = text.replace(
        "{ %t[(index_cast(%i[n], index)), j] }", "{ %t[(index_cast(%i[n], index)), j] + -0.0 }"
    )
    assert outcome(check(parse(text), parse(other))) == EQUAL


def test_what_nobody_has_written_may_be_anything() -> None:
    """Of six elements the first two are written; the pass sets the third, or changes the second."""
    text = """
    loop.kernel @k(%x: buffer<6xf32>, %y: out buffer<6xf32>) {{
      loop.for %i = 0 to {high} {{name = "y.i"}} {{
        loop.stmt @y [i: 6] = [%i] -> %y[i] {{ %x[i] * {factor} }}
      }}
    }}
    """
    old, more, other = (
        parse(text.format(high=high, factor=factor))
        for high, factor in ((2, "2.0"), (3, "2.0"), (2, "3.0"))
    )
    assert not check(old, more).mismatches
    assert "result 0 at [0]" in check(old, other).mismatches[0].detail
    assert "is nan (1 of 6" in check(more, old).mismatches[0].detail


def test_nan_does_not_hide_a_difference() -> None:
    """All results of a logarithm of negative numbers are NaN: positive inputs are tried too."""
    text = """
    te.kernel @f(%x: tensor<1xf32>) -> tensor<1xf32> {
      %y = te.compute @y [i: 1] { log(%x[i] - 9.0) } : tensor<1xf32>
      te.return %y
    }
    """
    before = parse(text.replace("- 9.0", "* 1.0"))
    after = parse(text.replace("- 9.0", "* 1.5"))
    for seed in range(4):
        assert check(before, after, seed=seed).mismatches


def test_errors_of_a_sum_bound_what_reordering_does() -> None:

    k = KernelBuilder("sum", {"x": TensorType(f32, [50, 40])})
    [x] = k.args
    kernel = k.finish(k.compute("s", {"i": 50}, lambda i: k.sum({"k": 40}, lambda r: x[i, r])))
    values = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)
    [total], [error] = run_kernel_with_errors(kernel, [values])
    [turned], _ = run_kernel_with_errors(kernel, [values[:, ::-1].copy()])
    assert (np.abs(total - turned) <= error).all()
    terms = np.abs(values.astype(np.float64)).sum(axis=1)
    np.testing.assert_allclose(error, 2 * 40 * 2.0**-23 * terms)
