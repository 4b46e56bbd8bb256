"""The work that a model cannot avoid: operations by contraction, and bytes of weights to read.

Convolutions count as direct ones, multiplications by padding left out; other operators count
nothing. So the time that follows is a limit for direct algorithms: Winograd may go below it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path

from xdsl.dialects.builtin import ModuleOp

from nnc.compiler.pipelines import run_passes
from nnc.compiler.source import load
from nnc.compiler.timing import Timings
from nnc.core.dtypes import numpy_dtype
from nnc.core.irtypes import tensor_element, tensor_shape
from nnc.dialects.graph.base import ConstantOp, GraphOp
from nnc.dialects.graph.conv import ConvOp
from nnc.dialects.graph.linear import GemmOp, MatMulOp
from nnc.dialects.graph.window import Window

PASSES = ("infer-shapes", "canonicalize", "fold-constants")


@dataclass(frozen=True)
class Work:
    """One contraction: multiplications and additions, and the bytes of its weights."""

    operations: int
    weight_bytes: int

    def seconds(self, gflops: float, gigabytes: float) -> float:
        """At these rates, both at once."""
        return max(self.operations / gflops, self.weight_bytes / gigabytes) / 1e9


def model_work(path: Path) -> list[Work]:
    """Of every convolution and matrix product of a model with fixed shapes.

    Raises: NncError: the model cannot be imported.
    """
    module: ModuleOp = load(path)
    run_passes(PASSES, module, Timings())
    contractions = [op for op in module.walk() if isinstance(op, ConvOp | MatMulOp | GemmOp)]
    return [Work(operations(op), weight_bytes(op)) for op in contractions]


def operations(op: ConvOp | MatMulOp | GemmOp) -> int:
    """Two for each pair of elements that the answer needs."""
    out = tensor_shape(op.results[0].type)
    if isinstance(op, ConvOp):
        spatial = tensor_shape(op.x.type)[2:]
        assert op.window is not None, "the convolution's shapes are known"
        channels = tensor_shape(op.w.type)[1]
        return 2 * out[0] * out[1] * channels * inside_taps(op.window, spatial)
    a = tensor_shape(op.a.type)
    transposed = isinstance(op, GemmOp) and bool(op.transA.value.data)
    return 2 * prod(out) * a[0 if transposed else -1]


def inside_taps(window: Window, spatial: tuple[int, ...]) -> int:
    """Pairs of an output position and a kernel position that read inside the image."""
    taps = 1
    for i, size in enumerate(spatial):
        out, begin = window.out[i], window.begin[i]
        assert isinstance(out, int)
        assert isinstance(begin, int)
        starts = [o * window.strides[i] - begin for o in range(out)]
        offsets = [k * window.dilations[i] for k in range(window.kernel[i])]
        taps *= sum(0 <= start + offset < size for start in starts for offset in offsets)
    return taps


def weight_bytes(op: GraphOp) -> int:
    """Of the operands that are constants."""
    types = [operand.type for operand in op.operands if isinstance(operand.owner, ConstantOp)]
    return sum(prod(tensor_shape(t)) * numpy_dtype(tensor_element(t)).itemsize for t in types)
