"""outer-product: which kernels it takes, and that they compute what they did."""

import numpy as np
import pytest

import nnc
from nnc.core.testing import call
from nnc.tools import nn_opt

OUTER = """\
te.kernel @outer(%a: tensor<{n}xf32>, %b: tensor<{m}xf32>) -> tensor<{n}x{m}xf32> {{
  %y = te.compute @y [i: {n}, j: {m}] {{ %a[i] * %b[j] }} : tensor<{n}x{m}xf32>
  te.return %y
}}
"""
ADD = """\
te.kernel @add(%a: tensor<8x64xf32>, %b: tensor<64xf32>) -> tensor<8x64xf32> {
  %y = te.compute @y [i: 8, j: 64] { %a[i, j] + %b[j] } : tensor<8x64xf32>
  te.return %y
}
"""
PASSES = "convert-te-to-loop,schedule-kernels{apply-schedule=false}"


def schedule_of(text: str) -> str:
    done = call(nn_opt.main, ["-p", PASSES], text.encode())
    assert done.status == 0, done.err.decode()
    return done.out.decode().partition("sched.schedule")[2]


def test_an_outer_product_is_tiled() -> None:
    schedule = schedule_of(OUTER.format(n=8, m=64))
    assert "tile y.i, y.j, 4, 32" in schedule
    assert "unroll y.i.i" in schedule


def test_what_reads_rows_is_the_librarys() -> None:
    assert "tile" not in schedule_of(ADD)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (7, 33), (8, 64), (300, 200)])
def test_it_computes_the_same(n: int, m: int) -> None:
    text = f"""
func.func @main(%a: tensor<{n}x1xf32>, %b: tensor<1x{m}xf32>) -> tensor<{n}x{m}xf32> {{
  %y = graph.mul(%a, %b) : tensor<{n}x{m}xf32>
  func.return %y
}}"""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((n, 1), np.float32), rng.standard_normal((1, m), np.float32)
    (y,) = nnc.compile(nnc.parse(text))(a=a, b=b).values()
    np.testing.assert_array_equal(y, a * b)
