"""multiply-by-reciprocals: by hand, and in the compiler's pipeline."""

import numpy as np
from xdsl.universe import Universe

import nnc
from nnc.core.testing import call
from nnc.tools import nn_opt
from nnc.tools import nnc as command

TEXT = """\
func.func @eighths(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant dense<8.0> : tensor<f32>
  %y = graph.div(%x, %c) : tensor<4xf32>
  func.return %y
}
func.func @thirds(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant dense<3.0> : tensor<f32>
  %y = graph.div(%x, %c) : tensor<4xf32>
  func.return %y
}
"""


def test_it_fires_where_it_is_exact() -> None:
    flags = ["-p", "multiply-by-reciprocals,dce", "--check-semantics", "--explain"]
    done = call(nn_opt.main, flags, TEXT.encode())
    assert done.status == 0, done.err.decode()
    eighths, thirds = done.out.decode().split("@thirds")
    assert "dense<0.125>" in eighths
    assert "graph.mul" in eighths
    assert "graph.div" in thirds
    assert b"a divisor is no power of two" in done.err


def test_it_has_its_place_in_the_pipeline() -> None:
    module = nnc.parse(TEXT.partition("func.func @thirds")[0].replace("@eighths", "@main"))
    x = np.linspace(-1, 1, 4, dtype=np.float32)
    model = nnc.compile(module)
    (y,) = model({"x": x}).values()
    np.testing.assert_array_equal(y, x / 8)
    assert "multiply-by-reciprocals" in model.timings.seconds
    assert model.compiled is not None
    assert "graph.div" not in str(model.compiled.module)


def test_both_tools_and_xdsl_know_its_name() -> None:
    assert "multiply-by-reciprocals" in Universe.get_multiverse().all_passes
    done = call(nn_opt.main, ["--list-passes"])
    assert b"multiply-by-reciprocals  Multiply where a divisor is a power of two" in done.out
    assert call(command.main, ["ops"]).status == 0
