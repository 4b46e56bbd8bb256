"""How much a kernel has to do, and how fast this machine could do it.

    limit = max(operations / FMA rate, weights / rate of their memory + tensors / rate of theirs)

A model's weights together are larger than the caches or not: that decides where they come from. A
kernel's inputs and outputs were just written or will be read soon: their size decides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from math import prod

from xdsl.dialects.builtin import AffineMapAttr
from xdsl.ir import Operation

from ...core.affine import used
from ...core.irtypes import tensor_shape
from ...core.walk import ancestors
from ...dialects import te
from ...dialects.index_space import AxisAttr
from ...lowering.program import KernelCode
from ...lowering.program.plan import value_bytes
from ...targets import Target
from .rates import FmaPeak, ReadRate

ARITHMETIC = frozenset(
    f"arith.{name}f" for name in ("add", "sub", "mul", "div", "rem", "neg", "maximum", "minimum")
) | {"arith.maxnumf", "arith.minnumf"}
MAX_POINTS = 1 << 20
"""A read's index expressions are tried out on no more points than this."""
SMALLEST_READ = 1 << 18
"""Bytes; what is smaller is taken for read at the rate of this size."""


@dataclass(frozen=True)
class Work:
    """Floating-point operations, bytes of weights, and bytes of other inputs and of outputs."""

    operations: int
    weight_bytes: int
    tensor_bytes: int

    @property
    def num_bytes(self) -> int:
        """All that is read and written, once."""
        return self.weight_bytes + self.tensor_bytes


def kernel_work(kernel: te.KernelOp, code: KernelCode) -> Work:
    """Of one run of a kernel."""
    sizes = [value_bytes(argument) for argument in code.args]
    weights = sum(sizes[position] for position in kernel.const_positions)
    return Work(kernel_operations(kernel), weights, sum(sizes) - weights)


def kernel_operations(kernel: te.KernelOp) -> int:
    """Floating-point operations of all computes; not those on padding, nor by structural zeros.

    A multiply-add is two, any other operation one, a transcendental function too.
    """
    total = 0
    for compute in (op for op in kernel.walk() if isinstance(op, te.ComputeOp)):
        steps = [p.axis.size for p in ancestors(compute) if isinstance(p, te.ScanOp)]
        total += prod(steps) * _compute_operations(compute)
    return total


def _compute_operations(compute: te.ComputeOp) -> int:
    points = prod(axis.size for axis in compute.axes)
    each = _arithmetic(compute.body.block.ops)
    if compute.combine is not None:
        each += _arithmetic(compute.combine.block.ops)
    elif compute.combiner is not None:
        each += len(compute.combiner)
    if not compute.reduce_axes:
        return points * each
    axes = list(compute.axes)
    parts = [1.0]
    for op in compute.body.walk():
        if isinstance(op, te.ReadOp) and op.fill is not None:
            parts.append(inside(op, axes))
        elif isinstance(op, te.CoeffOp):
            parts.append(non_zero(op))
    return round(points * each * min(parts))


def _arithmetic(ops: Iterable[Operation]) -> int:
    names = [op.name for op in ops]
    plain = sum(name in ARITHMETIC or name.startswith("math.") for name in names)
    return plain + names.count("math.fma")


def inside(read: te.ReadOp, axes: list[AxisAttr]) -> float:
    """The part of the index space whose reads are inside the tensor.

    Indices that share no axis are independent; where two share one, the read counts as inside.
    """
    map_: AffineMapAttr = read.map
    seen: set[int] = set()
    part = 1.0
    for expr, size in zip(map_.data.results, tensor_shape(read.source.type), strict=True):
        dims, symbols = used(expr)
        if symbols or seen & dims or prod(axes[d].size for d in dims) > MAX_POINTS:
            return 1.0
        seen |= dims
        ordered = sorted(dims)
        found = [
            0 <= expr.eval(_place(point, ordered, len(axes)), ()) < size
            for point in product(*(range(axes[d].size) for d in ordered))
        ]
        part *= sum(found) / max(1, len(found))
    return part


def non_zero(op: te.CoeffOp) -> float:
    """The part of a literal matrix whose terms are there at all."""
    values = list(op.values.get_values())
    return sum(value != 0 for value in values) / max(1, len(values))


def _place(point: tuple[int, ...], dims: list[int], count: int) -> list[int]:
    whole = [0] * count
    for d, value in zip(dims, point, strict=True):
        whole[d] = value
    return whole


class Machine:
    """Rates of one core, measured when first asked for."""

    def __init__(self, target: Target, rounds: int = 5):
        self._target, self._rounds = target, rounds
        self._reads: dict[int, float] = {}
        peak = FmaPeak(target)
        self.gflops = max(peak() for _ in range(rounds))

    def read_gigabytes(self, size: int) -> float:
        """GB/s from memory of which `size` bytes are in use."""
        rounded = 1 << max(SMALLEST_READ, size - 1).bit_length()
        if rounded not in self._reads:
            rate = ReadRate(self._target, rounded)
            self._reads[rounded] = max(rate() for _ in range(self._rounds))
        return self._reads[rounded]

    def limit(self, work: Work, all_weights: int) -> float:
        """Seconds that this work takes at least, in a model with so many bytes of weights."""
        weights = work.weight_bytes / self.read_gigabytes(all_weights)
        tensors = work.tensor_bytes / self.read_gigabytes(work.tensor_bytes)
        return max(work.operations / self.gflops, weights + tensors) / 1e9
