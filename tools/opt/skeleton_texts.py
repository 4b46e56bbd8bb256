"""What `nn-opt --new-pass` and `--new-dialect` write: templates that work before they are changed.

`$root` stands for where `nnc` is from there: `...` inside a level's folder, `nnc.` in a plug-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Template

LIT_CONFIG = '''\
"""Configuration of lit: tests are the files *.nn of this folder."""

# ruff: noqa: F821  (lit gives this file the name `config`)

import os
import sys

import lit.formats

config.name = os.path.basename(os.path.dirname(__file__)) or "tests"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".nn"]
config.environment["PATH"] = os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]])
'''


_PASS = '''\
"""$name: what it does and why, in a paragraph. It stands here with a rule to be replaced.

$example
"""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ${root}core.explain import why_not
from ${root}core.rewriting import Pattern, Rewriter, rewrite
from ${root}dialects.$home import $op


$pattern


@dataclass(frozen=True)
class ${cls}Pass(ModulePass):
    """Say what it does: $says"""

    name = "$name"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        rewrite(op, [$rule()])
'''


@dataclass(frozen=True)
class PassTexts:
    """A pass of one level, with one rule, and its test.

    Attributes:
        home, op: the module in `dialects/`, and the class of the op that the rule is for.
        rule, pattern: the rule's name, and its class.
        example, says: what the pass does, in IR and in words.
        test: a lit test.
    """

    home: str
    op: str
    rule: str
    pattern: str
    example: str
    says: str
    test: str

    @property
    def source(self) -> str:
        """The template of the pass's file; its fields are `name`, `cls` and `root`."""
        return Template(_PASS).safe_substitute(vars(self))


_GRAPH = PassTexts(
    home="graph.elementwise",
    op="NegOp",
    rule="NegOfNeg",
    pattern='''\
class NegOfNeg(Pattern[NegOp]):
    """neg(neg(x)) -> x"""

    def rewrite(self, op: NegOp, rw: Rewriter) -> None:
        inner = op.x.owner
        if not isinstance(inner, NegOp):
            why_not(op, "its operand is no negation")
            return
        rw.replace(op, [], [inner.x])''',
    example="""\
    %0 = graph.neg(%x) : tensor<4xf32>
    %1 = graph.neg(%0) : tensor<4xf32>
    func.return %1
->
    func.return %x""",
    says="neg(neg(x)) -> x.",
    test="""\
// RUN: nn-opt %s $flags --check-semantics | filecheck %s

// What must happen: two negations go.
// CHECK-LABEL: func.func @twice
// CHECK-NEXT: func.return %x
func.func @twice(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.neg(%x) : tensor<4xf32>
  %1 = graph.neg(%0) : tensor<4xf32>
  func.return %1
}

// What must not: one negation stays.
// CHECK-LABEL: func.func @once
// CHECK-NEXT: [[Y:%.+]] = graph.neg(%x)
// CHECK-NEXT: func.return [[Y]]
func.func @once(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.neg(%x) : tensor<4xf32>
  func.return %0
}
""",
)

_TE = PassTexts(
    home="te",
    op="ComputeOp",
    rule="UnreadCompute",
    pattern='''\
class UnreadCompute(Pattern[ComputeOp]):
    """compute -> nothing if nobody reads its results"""

    def rewrite(self, op: ComputeOp, rw: Rewriter) -> None:
        if any(result.first_use is not None for result in op.results):
            why_not(op, "a result is read")
            return
        rw.erase(op)''',
    example="""\
    %a = te.compute @a [i: 4] { %x[i] + 1.0 } : tensor<4xf32>
    %y = te.compute @y [i: 4] { %x[i] * 2.0 } : tensor<4xf32>
    te.return %y
->
    %y = te.compute @y [i: 4] { %x[i] * 2.0 } : tensor<4xf32>
    te.return %y""",
    says="a compute that nobody reads -> nothing.",
    test="""\
// RUN: nn-opt %s $flags --check-semantics | filecheck %s

// What must happen: @a goes, for nobody reads it. What must not: @b stays, for @y reads it.
// CHECK-LABEL: te.kernel @k
// CHECK-NOT: te.compute @a
// CHECK: te.compute @b
// CHECK: te.compute @y
te.kernel @k(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = te.compute @a [i: 4] { %x[i] + 1.0 } : tensor<4xf32>
  %b = te.compute @b [i: 4] { %x[i] * 3.0 } : tensor<4xf32>
  %y = te.compute @y [i: 4] { %b[i] * 2.0 } : tensor<4xf32>
  te.return %y
}
""",
)

_LOOP = PassTexts(
    home="loop",
    op="ForOp",
    rule="LoopThatNeverRuns",
    pattern='''\
class LoopThatNeverRuns(Pattern[ForOp]):
    """for i in [a, b) -> nothing if a >= b and it carries no value"""

    def rewrite(self, op: ForOp, rw: Rewriter) -> None:
        interval = op.constant_range
        if interval is None or interval[0] < interval[1]:
            why_not(op, "it may run")
            return
        if op.results:
            why_not(op, "it carries values")
            return
        rw.erase(op)''',
    example="""\
loop.for %i = 0 to 0 {name = "y.i"} { ... }  ->  nothing""",
    says="a loop that never runs -> nothing.",
    test="""\
// RUN: nn-opt %s $flags --check-semantics | filecheck %s

// What must happen: the loop over nothing goes. What must not: the other one stays.
// CHECK-LABEL: loop.kernel @k
// CHECK-NOT: 0 to 0
// CHECK: loop.for %i = 0 to 4
// CHECK: loop.stmt @y
loop.kernel @k(%x: buffer<4xf32>, %y: out buffer<4xf32>) {
  loop.for %e = 0 to 0 {name = "e.i"} {
    loop.stmt @e [i: 4] = [%e] -> %y[i] { %x[i] * 3.0 }
  }
  loop.for %i = 0 to 4 {name = "y.i"} {
    loop.stmt @y [i: 4] = [%i] -> %y[i] { %x[i] * 2.0 }
  }
}
""",
)

PASSES = {"graph": _GRAPH, "te": _TE, "loop": _LOOP}
"""By level."""

DIALECT = '''\
"""$name: what it is for, in a paragraph. It stands here with an op to be replaced.

%y = $name.twice(%x) : tensor<4xf32>
"""

from __future__ import annotations

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Dialect
from xdsl.irdl import IRDLOperation, irdl_op_definition, operand_def, result_def, traits_def
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException


@irdl_op_definition
class TwiceOp(IRDLOperation):
    """2 * x, element by element; the result has the type of `x`."""

    name = "$name.twice"
    x = operand_def(TensorType)
    res = result_def(TensorType)
    traits = traits_def(Pure())

    def verify_(self) -> None:
        if self.res.type != self.x.type:
            raise VerifyException(f"expected a result of type {self.x.type}, got {self.res.type}")


$cls = Dialect("$name", [TwiceOp], [])
'''

DIALECT_TEST = """\
// RUN: nn-opt %s $flags --split-input-file --verify-diagnostics --verify-roundtrip | filecheck %s

// The text is read and printed, and so is the generic form.
// CHECK-LABEL: func.func @round_trip
// CHECK-NEXT: [[Y:%.+]] = $name.twice(%x) : tensor<4xf32>
// CHECK-NEXT: func.return [[Y]]
func.func @round_trip(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = $name.twice(%x) : tensor<4xf32>
  func.return %y
}

// -----

// A type that does not fit is refused.
func.func @refused(%x: tensor<4xf32>) -> tensor<5xf32> {
  // expected-error@+1 {{'$name.twice': expected a result of type tensor<4xf32>, got tensor<5xf32>}}
  %y = $name.twice(%x) : tensor<5xf32>
  func.return %y
}
"""


def fill(template: str, fields: Mapping[str, str]) -> str:
    """A template with its fields."""
    return Template(template).substitute(fields)
