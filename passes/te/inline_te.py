"""Inline computes whose elements would only be written to be read again.

What a compute costs when it is inlined is known beforehand: every point of a reader evaluates it
once for each read. Moving data costs nothing, so it is always inlined; cheap arithmetic may run
twice for each element, anything else once. Reductions, results of the kernel, and what is read
with a fill value stay.

    %a = te.compute @a [i: 8, j: 4] { %x[i, j] + %b[j] } : tensor<8x4xf32>
    %t = te.compute @t [j: 4, i: 8] { %a[i, j] } : tensor<4x8xf32>
    %y = te.compute @y [j: 4, i: 8] { max(%t[j, i], 0.0) } : tensor<4x8xf32>
    te.return %y
->
    %y = te.compute @y [j: 4, i: 8] { max(%x[i, j] + %b[j], 0.0) } : tensor<4x8xf32>
    te.return %y
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from xdsl.context import Context
from xdsl.ir import Block, Operation

from ...core.counters import may
from ...core.explain import why_not
from ...core.passes import OpPass, Statistic
from ...dialects import te
from .inlining import inlinable_uses, inline_computes

INLINED = Statistic("inlined", "computes inlined into their readers")

CHEAP_REPEATS = 2
"""How often cheap arithmetic may run for each element."""
CHEAP = frozenset(
    f"arith.{name}"
    for name in (
        *("constant", "addf", "subf", "mulf", "negf", "maximumf", "minimumf", "cmpf", "cmpi"),
        *("select", "addi", "subi", "muli", "andi", "ori", "xori", "extf", "truncf", "extsi"),
        *("extui", "trunci", "index_cast", "sitofp", "uitofp", "maxsi", "minsi"),
    )
)


def inline_kernel(kernel: te.KernelOp) -> None:
    """Inline what profits, in the kernel's block and in its scans."""
    blocks = [kernel.body.block]
    blocks += [op.body.block for op in kernel.body.block.ops if isinstance(op, te.ScanOp)]
    for block in blocks:
        inline_computes(block, choose(block))


def choose(block: Block) -> list[te.ComputeOp]:
    """The computes of a block that are worth inlining, readers decided before what they read."""
    evaluations: dict[Operation, int] = {}
    chosen: list[te.ComputeOp] = []
    for op in reversed([op for op in block.ops if isinstance(op, te.ComputeOp)]):
        evaluations[op] = prod(axis.size for axis in op.axes)
        uses = inlinable_uses(op)
        if not uses:
            if any(_is_guarded(use.operation) for use in op.results[0].uses):
                why_not(op, "it is read with a guard, as for padding")
            continue
        readers = [read.parent_op() for read in uses]
        total = sum(evaluations[reader] for reader in readers if reader is not None)
        size = prod(axis.size for axis in op.parallel_axes)
        if total > size * _allowed_repeats(op, total):
            why_not(op, f"its {size} elements would be computed {total} times")
            continue
        if not may(INLINED.name, op):
            continue
        evaluations[op] = total
        chosen.append(op)
        INLINED.add()
    return chosen


def _is_guarded(op: Operation) -> bool:
    return isinstance(op, te.ReadOp) and op.fill is not None


def _allowed_repeats(op: te.ComputeOp, total: int) -> int:
    """How often an element may be computed."""
    work = [o for o in op.body.block.ops if not isinstance(o, te.ReadOp | te.YieldOp | te.IndexOp)]
    if not work:
        return max(total, 1)
    return CHEAP_REPEATS if all(o.name in CHEAP for o in work) else 1


@dataclass(frozen=True)
class InlineTePass(OpPass[te.KernelOp]):
    """Inline te computes into their readers where no work is repeated badly."""

    name = "inline-te"
    statistics = (INLINED,)

    def run(self, ctx: Context, op: te.KernelOp) -> None:
        inline_kernel(op)
