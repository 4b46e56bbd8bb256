"""zen2: both tools compile for it, and name it where another is not known."""

from pathlib import Path

from nnc.core.testing import call
from nnc.tools import nn_opt
from nnc.tools import nnc as command

TEXT = """\
func.func @main(%x: tensor<4x100xf32>) -> tensor<4x100xf32> {
  %y = graph.relu(%x) : tensor<4x100xf32>
  func.return %y
}
"""


def test_nn_opt_compiles_for_it() -> None:
    passes = "fuse,convert-graph-to-te,convert-te-to-loop,schedule-kernels,form-tiles"
    done = call(nn_opt.main, ["--target=zen2", "-p", passes], TEXT.encode())
    assert done.status == 0, done.err.decode()
    assert b'nnc.target = "zen2"' in done.out
    assert b"32 lanes" in done.out


def test_nnc_compiles_for_it(tmp_path: Path) -> None:
    path = tmp_path / "relu.nn"
    path.write_text(TEXT)
    done = call(command.main, ["compile", str(path), "--target=zen2", "--emit=asm"])
    assert done.status == 0, done.err.decode()
    assert b"ymm" in done.out
    assert b"zmm" not in done.out


def test_a_name_that_is_near() -> None:
    done = call(nn_opt.main, ["--target=zen1"], TEXT.encode())
    assert b"did you mean 'zen2'?" in done.err
