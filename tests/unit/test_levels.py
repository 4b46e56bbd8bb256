"""One kernel at every level: its texts, and where each line came from."""

from __future__ import annotations

import re

import pytest

import nnc
from nnc.compiler.levels import (
    ASSEMBLY,
    NAMES,
    NEST,
    NODES,
    SCHEDULE,
    SCHEDULED,
    TE,
    TILES,
    KernelLevels,
    Place,
    trace_kernel,
)
from nnc.compiler.options import Options
from nnc.compiler.trace import trace_passes
from nnc.dialects import sched, te
from nnc.textir import parse, print_module

TEXT = """
te.kernel @dense(%x: tensor<32x24xf32>, %w: tensor<24x64xf32> const, %b: tensor<64xf32>)
    -> tensor<32x64xf32> {
  %c = te.compute @c [i: 32, j: 64] sum [k: 24] { %x[i, k] * %w[k, j] } : tensor<32x64xf32>
      loc("product")
  %y = te.compute @y [i: 32, j: 64] {
    %0 = %c[i, j] + %b[j]
    te.yield %0 / (%0 + 3.0)
  } : tensor<32x64xf32> loc("ratio")
  te.return %y
}
sched.schedule @dense {
  split y.i, 8
  split y.j, 32
  reorder y.i.o, y.j.o, y.i.i, y.j.i
  compute_at c, y.j.o
  set_scope c, register
  reorder c.k, c.i, c.j
  unroll c.i
  vectorize c.j
  unroll y.i.i
  vectorize y.j.i
}
"""


@pytest.fixture(scope="module")
def dense() -> KernelLevels:
    module = parse(TEXT)
    kernel = next(op for op in module.ops if isinstance(op, te.KernelOp))
    schedule = next(op for op in module.ops if isinstance(op, sched.ScheduleOp))
    before = print_module(module, locations=True)
    found = trace_kernel(kernel, schedule, Options.of("x86-64-v4", 1))
    assert print_module(module, locations=True) == before
    return found


def ancestors(kernel: KernelLevels, place: Place) -> set[Place]:
    found = {place}
    waiting = [place]
    while waiting:
        level, line = waiting.pop()
        for origin in kernel.levels[level].origins[line - 1]:
            if origin not in found:
                found.add(origin)
                waiting.append(origin)
    return found


def texts(kernel: KernelLevels, places: set[Place], level: int) -> list[str]:
    lines = kernel.levels[level].lines
    return [lines[line - 1].strip() for at, line in sorted(places) if at == level]


def origins_of(kernel: KernelLevels, level: int, pattern: str, at: int) -> list[set[str]]:
    """For each line of a level that fits, the lines of another level that it came from."""
    return [
        set(texts(kernel, ancestors(kernel, (level, number)), at))
        for number, line in enumerate(kernel.levels[level].lines, 1)
        if re.search(pattern, line)
    ]


def test_all_levels_are_there_and_links_lead_upwards(dense: KernelLevels):
    assert sorted(dense.levels) == list(range(len(NAMES)))
    for number, level in dense.levels.items():
        assert len(level.lines) == len(level.origins)
        for origin, line in (place for places in level.origins for place in places):
            assert origin < number
            assert 1 <= line <= len(dense.levels[origin].lines)


def test_te_lines_know_the_nodes_of_the_model(dense: KernelLevels):
    assert dense.nodes == ["product", "ratio"]
    assert origins_of(dense, TE, "@c ", NODES) == [{"product"}]
    assert origins_of(dense, TE, "@y ", NODES) == [{"ratio"}]


def test_nests_come_from_their_compute(dense: KernelLevels):
    [product] = origins_of(dense, NEST, "loop.stmt @c", TE)
    assert len(product) == 1
    assert product.pop().startswith("%c = te.compute @c")
    [result] = origins_of(dense, NEST, "loop.yield", TE)
    assert result == {"te.yield %0 / (%0 + 3.0)"}


def test_loops_know_the_primitives_that_made_them(dense: KernelLevels):
    [lanes] = origins_of(dense, SCHEDULED, r'vectorize \{name = "c.j"', SCHEDULE)
    assert "vectorize c.j" in lanes
    assert "vectorize y.j.i" not in lanes
    [rows] = origins_of(dense, SCHEDULED, r'\{name = "y.i.i"', SCHEDULE)
    assert {"split y.i, 8", "unroll y.i.i"} <= rows
    assert "split y.j, 32" not in rows


def test_tiles_and_instructions_come_from_their_line(dense: KernelLevels):
    for level, pattern in ((TILES, "loop.contract"), (ASSEMBLY, "vfmadd")):
        found = origins_of(dense, level, pattern, TE)
        assert found
        assert all(any("@c " in line for line in lines) for lines in found)
        assert not any("te.yield" in line for lines in found for line in lines)
    divisions = origins_of(dense, ASSEMBLY, "vdivps", TE)
    assert len(divisions) == 16  # 8 rows of two vectors
    assert all(lines == {"te.yield %0 / (%0 + 3.0)"} for lines in divisions)


def test_line_tables_do_not_change_the_code(dense: KernelLevels):
    from nnc.compiler.kernels import lower_kernel
    from nnc.compiler.timing import Timings
    from nnc.lowering.llvm_to_object import assembly
    from nnc.lowering.loop_to_llvm import emit_kernel

    module = parse(TEXT)
    kernel = next(op for op in module.ops if isinstance(op, te.KernelOp))
    schedule = next(op for op in module.ops if isinstance(op, sched.ScheduleOp))
    options = Options.of("x86-64-v4", 1)
    tiles, _ = lower_kernel(kernel, schedule, "dense", options, Timings())
    plain = assembly(emit_kernel(tiles, options.target).llvm_text, options.target)
    words = [line.split("#")[0].split() for line in plain.splitlines()]
    expected = [each for each in words if each and not each[0].startswith(".")]
    listed = [line.split("#")[0].split() for line in dense.levels[ASSEMBLY].lines]
    assert [each for each in listed if each and not each[0].startswith(".")] == expected


def test_a_kernel_written_as_loops_has_the_levels_below():
    module = parse("""
loop.kernel @twice(%x: buffer<40xf32>, %y: out buffer<40xf32>) {
  loop.for %i = 0 to 40 {name = "y.i"} {
    loop.stmt @y [i: 40] = [%i] -> %y[i] { %x[i] * 2.0 }
  }
}
""")
    from nnc.dialects.loop import KernelOp

    kernel = next(op for op in module.ops if isinstance(op, KernelOp))
    found = trace_kernel(kernel, None, Options.of("x86-64-v4", 1))
    assert sorted(found.levels) == [NODES, NEST, SCHEDULED, TILES, ASSEMBLY]


def test_passes_are_told_apart_by_what_they_change():
    module = nnc.parse("""
func.func @main(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = graph.relu(%x) : tensor<4x8xf32>
  %1 = graph.relu(%x) : tensor<4x8xf32>
  %2 = graph.add(%0, %1) : tensor<4x8xf32>
  func.return %2
}
""")
    before = print_module(module)
    steps = {step.name: step for step in trace_passes(module, Options.of("x86-64-v4", 1))}
    assert print_module(module) == before
    assert steps["cse"].before.count("graph.relu") == 2
    assert steps["cse"].after.count("graph.relu") == 1
    assert steps["dce"].before == steps["dce"].after
    assert steps["winograd"].before == steps["winograd"].after
    assert "te.compute" in steps["convert-graph-to-te"].after
