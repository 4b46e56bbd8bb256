"""`nnc bisect` where every kernel is right: memory that two share, promises, the entry function.

Each reproducer has at most ten operations, and nn-opt shows the failure on it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from xdsl.ir import SSAValue

from nnc.compiler.native import NativeKernel
from nnc.core.errors import NncError
from nnc.core.testing import call
from nnc.dialects.loop import KernelOp, StoreOp
from nnc.lowering.program import plan
from nnc.lowering.program.entry import emit_entry
from nnc.lowering.program.launch import Launch
from nnc.passes.loop import declare_inout
from nnc.reference.semantics import DIFFERS, check
from nnc.textir import parse
from nnc.tools import nn_opt, nnc

CHAIN = """
func.func @main(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %0 = graph.matmul(%x, %w) : tensor<64x64xf32>
  %1 = graph.matmul(%0, %w) : tensor<64x64xf32>
  %2 = graph.matmul(%1, %w) : tensor<64x64xf32>
  func.return %2
}
"""
RESIDUAL = """
func.func @main(%x: tensor<64x64xf32>, %w: tensor<64x64xf32>) -> tensor<64x64xf32> {
  %0 = graph.matmul(%x, %w) : tensor<64x64xf32>
  %1 = graph.matmul(%w, %x) : tensor<64x64xf32>
  %2 = graph.add(%1, %0) : tensor<64x64xf32>
  %3 = graph.matmul(%2, %w) : tensor<64x64xf32>
  %4 = graph.matmul(%0, %3) : tensor<64x64xf32>
  func.return %4
}
"""


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def bisected(text: str) -> str:
    """What the command says of a network; its reproducer is small, and fails in nn-opt."""
    Path("net.nn").write_text(text)
    outcome = call(nnc.main, ["bisect", "net.nn", "--threads", "1"])
    said = outcome.out.decode()
    assert outcome.status == 1, outcome.err.decode()
    found = re.search(r"reproducer \((\d+) operations\): nn-opt (.*)", said)
    assert found is not None, said
    assert int(found[1]) <= 10
    assert call(nn_opt.main, shlex.split(found[2])).status == 1
    return said


def read_anyhow(operand: SSAValue, stores: Sequence[StoreOp]) -> bool:
    del operand, stores
    return True


def test_a_wrong_promise_of_a_kernel_is_the_fault_of_who_made_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(declare_inout, "_is_read_in_place", read_anyhow)
    said = bisected(CHAIN)
    assert "first wrong after: pass 'declare-inout'" in said
    assert "at: net.nn:4:8" in said
    assert "says that result 0 may lie in the memory of operand 0" in said
    assert "pass 'declare-inout' changed the meaning of @matmul" in said


def overwrite(self: object, call: object, position: int, value: SSAValue, made: SSAValue) -> None:
    """A result takes over an operand's memory, whoever else still needs it."""
    planner = self
    assert isinstance(planner, plan._Planner)  # pyright: ignore[reportPrivateUsage]
    old, new = planner._storage(value), planner._storage(made)  # pyright: ignore[reportPrivateUsage]
    if old.slot is None and new.slot is None and old.size == new.size and old is not new:
        planner.storages[planner.places.root(made)[0]] = old
        old.last = max(old.last, new.last)


def test_memory_that_is_still_needed_names_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan._Planner, "_overwrite", overwrite)  # pyright: ignore[reportPrivateUsage]
    said = bisected(RESIDUAL)
    assert "first wrong after: stage 'memory plan'" in said
    assert "at: net.nn:3:8" in said
    assert re.search(r"its memory is written by .* before net.nn:7:8 reads it", said)


def without_the_last(symbol: str, launches: Sequence[Launch], scratch_stride: int) -> str:
    return emit_entry(symbol, launches[:-1], scratch_stride)


def test_a_wrong_entry_function_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "emit_entry", without_the_last)
    said = bisected(CHAIN)
    assert "first wrong after: stage 'entry function'" in said
    assert "the machine code of @main is wrong" in said


KERNEL = """
loop.kernel @next(%x: buffer<17xf32>, %b: buffer<16xf32>, %y: out buffer<16xf32>) {
  loop.for %i = 0 to 16 {name = "y.i"} {
    %0 = loop.load %b[15 - %i] : tile<f32>
    loop.store %0, %y[%i]
  }
}
"""


@pytest.mark.parametrize(("operand", "differs"), [("[%i]", False), ("[15 - %i]", True)])
def test_checking_a_pass_takes_a_kernel_by_its_word(operand: str, differs: bool) -> None:
    text = KERNEL.replace("[15 - %i]", operand)
    promise = ") attributes {inout = [[1, 2]]} {\n  loop.for"
    before, after = parse(text), parse(text.replace(") {\n  loop.for", promise))
    report = check(before, after)
    assert bool(report.mismatches) == differs
    if differs:
        [found] = report.outcomes
        assert found.status == DIFFERS
        assert "with operand 1 and result 0 in one buffer, as inout allows" in found.detail


LONG = """
loop.kernel @copy(%x: buffer<16xf32>, %y: out buffer<16xf32>) {
  loop.for %i = 0 to 16 {name = "y.i"} {
    %0 = loop.load %x[%i mod 16] : tile<f32>
    loop.store %0, %y[%i]
  }
}
"""


def test_code_that_writes_outside_of_its_results_is_wrong() -> None:
    """All that it should give is right: what it damages is another's."""
    x = np.arange(16, dtype=np.float32)
    [kernel], [longer] = (parse(t).ops for t in (LONG, LONG.replace("to 16", "to 20")))
    assert isinstance(kernel, KernelOp)
    assert isinstance(longer, KernelOp)
    np.testing.assert_array_equal(NativeKernel(kernel).guarded(x)[0], x)
    with pytest.raises(NncError, match="writes 16 bytes outside of its results"):
        NativeKernel(longer).guarded(x)
