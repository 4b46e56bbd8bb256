"""Our generic form is MLIR's: xDSL's parser reads the same from it, mlir-opt accepts it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Block, Operation
from xdsl.parser import Parser

from nnc.dialects import context
from nnc.textir import parse, print_module
from nnc.textir.equality import equal

GRAPH = """
func.func @main(%x: tensor<[batch]x3x8x8xf32>, %w: tensor<4x3x3x3xf32>) -> tensor<[batch]x4x8x8xf32>
    attributes {nnc.input_names = ["x"]} {
  %c = graph.conv(%x, %w) {strides = [1, 1], pads = [1, 1, 1, 1]} : tensor<[batch]x4x8x8xf32>
  %i = graph.constant dense<[1, -2]> : tensor<2xi64>
  %h = graph.constant dense<[0.5, -0.0, 0x7E00]> : tensor<3xf16>
  %b = graph.constant dense<[true, false]> : tensor<2xi1>
  %k = graph.kernel @relu(%a = %c) {
    %r = graph.relu(%a) : tensor<[batch]x4x8x8xf32>
    graph.yield %r
  } : tensor<[batch]x4x8x8xf32>
  func.return %k
}
"""
TE = """
te.kernel @dense(%x: tensor<128x768xf32>, %w: tensor<768x64xf32> const, %b: tensor<64xf32> const)
    -> tensor<128x64xf32> {
  %c = te.compute @c [i: 128, j: 64] sum [k: 768] { %x[i, k] * %w[k, j] } : tensor<128x64xf32>
  %m, %p = te.compute @top [i: 128] reduce [j: 64] { %c[i, j], j }
    init [0xFF800000 : f32, 0 : index]
    combine (%a: f32, %at: index, %v: f32, %vt: index) {
      %less = %a < %v
      te.yield select(%less, %v, %a), select(%less, %vt, %at)
    } : tensor<128xf32>, tensor<128xindex>
  %h = te.scan @h [t: 4] (%s = %b) {
    %n = te.compute @n [j: 64] { tanh(%c[(%t), j] + %s[j]) } : tensor<64xf32>
    te.yield %n
  } : tensor<4x64xf32>
  %y = te.compute @y [i: 128, j: 64] { max(%c[i, j] + %b[j] else 0.5, 0.0) } : tensor<128x64xf32>
  te.return %y
}
"""
SCHED = """
sched.schedule @dense {
  split y.j, 48
  split y.i, 8, shift
  reorder y.j.o, y.i.o, y.i.i, y.j.i
  pack w, (d0, d1) -> (d1 floordiv 48, d0, d1 mod 48)
  partition y.w, [1, 55]
}
"""
LOOP = """
loop.kernel @scale(%x: buffer<100xf32>, %w: buffer<8x48xf32, (d0, d1) -> (d1, d0)> const,
                   %y: out buffer<100xf32>) {
  %r = loop.alloc : buffer<4xf32, register>
  loop.for %o = 0 to 7 parallel {name = "y.i.o"} {
    loop.for %l = 0 to min(16, 100 - 16 * %o) {name = "y.i.i"} {
      loop.stmt @y [i: 100] = [16 * %o + %l] -> %y[i] { %x[i] * 2.0 }
    }
    %m = loop.mask (99 - 16 * %o - l >= 0) : tile<l: 16 lanes, i1>
    %t = loop.load %x[16 * %o + l] mask %m else 0.0 : tile<l: 16 lanes, f32>
    %z = loop.constant 0.0 : tile<l: 16 lanes, f32>
    %c = loop.for %k = 0 to 8 carry (%a = %z) {name = "c.k"} {
      %n = loop.contract %t, %t, %a : tile<l: 16 lanes, f32>
      loop.yield %n
    }
    loop.if (5 - %o >= 0) {
      loop.store %c, %y[16 * %o + l] mask %m
    } else {
    }
  }
}
"""
CFG = """
func.func @f(%c: i1, %x: f32) -> f32 {
  %0 = arith.constant 2.5 : f32
  "cf.cond_br"(%c, %0)[^a, ^b] <{operandSegmentSizes = array<i32: 1, 0, 1>}> : (i1, f32) -> ()
^a:
  func.return %x
^b(%y: f32):
  %1 = arith.addf(%y, %x) : f32
  func.return %1
}
"""
LEVELS = {"graph": GRAPH, "te": TE, "sched": SCHED, "loop": LOOP, "cfg": CFG}


@pytest.mark.parametrize("level", LEVELS)
def test_pretty_generic_and_located_texts_say_the_same(level: str) -> None:
    module = parse(LEVELS[level])
    for text in (print_module(module), print_module(module, generic=True)):
        assert equal(module, parse(text), names=True) is None, text
    text = print_module(module, locations=True)
    assert equal(module, parse(text), names=True, locations=True) is None, text


@pytest.mark.parametrize("level", LEVELS)
def test_structured_forms_are_used(level: str) -> None:
    """The pretty text falls to the generic form nowhere but for upstream's branches."""
    lines = print_module(parse(LEVELS[level])).splitlines()
    assert [line for line in lines if '"(' in line and "cf.cond_br" not in line] == []


@pytest.mark.parametrize("level", LEVELS)
def test_xdsl_reads_the_same_from_the_generic_form(level: str) -> None:
    ours = parse(LEVELS[level])
    text = print_module(ours, generic=True)
    if level == "graph":  # xDSL reads a NaN in a dense literal, and booleans, in its own way
        text = "\n".join(line for line in text.splitlines() if "xf16>" not in line)
        text = "\n".join(line for line in text.splitlines() if "xi1>" not in line)
        ours = parse(text)
    theirs = Parser(context(), text).parse_module()
    assert equal(ours, theirs, names=True) is None


def mlir_opt() -> str | None:
    for name in ("mlir-opt-22", "/usr/lib/llvm-22/bin/mlir-opt", "mlir-opt"):
        if found := shutil.which(name):
            return found
    return None


@pytest.mark.parametrize("level", LEVELS)
def test_mlir_opt_accepts_the_generic_form(level: str) -> None:
    program = mlir_opt()
    if program is None:
        pytest.skip("mlir-opt is not installed")
    for locations in (False, True):
        text = print_module(parse(LEVELS[level]), generic=True, locations=locations)
        done = subprocess.run(
            [program, "--allow-unregistered-dialect"],
            input=text,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{done.stderr}\n{text}"


def test_forms_mix_freely() -> None:
    pretty = "func.func @f(%x: f32) -> f32 {\n  %0 = math.exp(%x) : f32\n  func.return %0\n}"
    mixed = (
        '"func.func"() ({\n^bb0(%x: f32):\n  %0 = math.exp(%x) : f32\n  func.return %0\n}) '
        '{sym_name = "f", function_type = (f32) -> f32} : () -> ()'
    )
    assert equal(parse(pretty), parse(mixed), names=True) is None


def changed(change: Callable[[Operation, Block], None]) -> str | None:
    module, other = parse(CFG), parse(CFG)
    func = next(iter(other.ops))
    change(func, func.regions[0].block if len(func.regions[0].blocks) == 1 else Block())
    return equal(module, other, names=True, locations=True)


def test_equality_sees_every_kind_of_difference() -> None:
    def body(op: Operation) -> list[Operation]:
        return list(op.regions[0].blocks[0].ops)

    def swap_operands(op: Operation, _: Block) -> None:
        add = next(iter(op.regions[0].blocks[2].ops))
        add.operands = list(reversed(add.operands))

    assert changed(lambda op, _: op.attributes.update(op.properties)) is not None
    assert changed(lambda op, _: op.properties.pop("sym_name") and None) is not None
    assert changed(lambda op, _: setattr(body(op)[0].results[0], "name_hint", "n")) is not None
    assert changed(lambda op, _: setattr(op, "location", ModuleOp([]).location)) is not None
    assert changed(swap_operands) is not None
    assert changed(lambda op, _: None) is None


def test_values_know_their_uses() -> None:
    """Ops are made without xDSL's constructors: its lists of uses must be right all the same."""
    for level in LEVELS.values():
        for op in parse(level).walk():
            for number, operand in enumerate(op.operands):
                uses = [(use.operation, use.index) for use in operand.uses]
                assert uses.count((op, number)) == 1
            if op.parent is not None:
                assert op in list(op.parent.ops)
                assert op.next_op is None or op.next_op.prev_op is op
