"""poly.eval: its text, its lowering, and what it computes."""

from pathlib import Path

import numpy as np
from xdsl.universe import Universe

import nnc
from nnc.core.testing import call
from nnc.tools import nn_opt

TEXT = """\
func.func @main(%x: tensor<5xf32>) -> tensor<5xf32> {
  %y = poly.eval %x at [1.0 : f32, 0.5 : f32, 2.0 : f32] : tensor<5xf32>
  func.return %y
}
"""


def opt(*flags: str) -> str:
    done = call(nn_opt.main, flags, TEXT.encode())
    assert done.status == 0, done.err.decode()
    return done.out.decode()


def test_the_syntax_is_read_and_printed() -> None:
    assert opt("--verify-roundtrip") == TEXT
    assert "coefficients = [1.0 : f32" in opt("-t", "mlir")


def test_the_verifier_names_the_line() -> None:
    wrong = TEXT.replace("[1.0 : f32, 0.5 : f32, 2.0 : f32]", "[]").encode()
    done = call(nn_opt.main, [], wrong)
    assert b"<stdin>:2:8: error: 'poly.eval': expected a coefficient" in done.err


def test_a_polynomial_is_compiled(tmp_path: Path) -> None:
    path = tmp_path / "poly.nn"
    path.write_text(opt("-p", "convert-poly-to-graph,infer-shapes"))
    x = np.linspace(-2, 2, 5, dtype=np.float32)
    (y,) = nnc.compile(path, cache=False)(x=x).values()
    np.testing.assert_allclose(y, 1 + 0.5 * x + 2 * x**2, rtol=1e-6)


def test_xdsl_knows_it() -> None:
    universe = Universe.get_multiverse()
    assert "poly" in universe.all_dialects
    assert "convert-poly-to-graph" in universe.all_passes
