"""The fp32 FMA rate of one core: independent chains of vector multiply-adds in registers."""

from __future__ import annotations

import ctypes
import time

from nnc.lowering.llvm_to_object import compile as to_object
from nnc.lowering.llvm_to_object import link
from nnc.targets import Target

CHAINS = 12
"""Enough to hide the latency of an FMA on every core we know."""
ROUNDS = 200_000


def _text(target: Target) -> str:
    type_ = f"<{target.lanes} x float>"
    numbers = range(CHAINS)
    phis = "\n".join(f"  %a{i} = phi {type_} [ %m, %entry ], [ %n{i}, %loop ]" for i in numbers)
    fma = f"call {type_} @llvm.fma.v{target.lanes}f32"
    steps = "\n".join(f"  %n{i} = {fma}({type_} %a{i}, {type_} %m, {type_} %c)" for i in numbers)
    sums = "\n".join(f"  %s{i} = fadd {type_} %s{i - 1}, %n{i}" for i in numbers if i)
    return f"""
declare {type_} @llvm.fma.v{target.lanes}f32({type_}, {type_}, {type_})
define void @peak(i64 %rounds, ptr %p) {{
entry:
  %m = load {type_}, ptr %p, align 4
  %c = load {type_}, ptr %p, align 4
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{phis}
{steps}
  %next = add i64 %i, 1
  %again = icmp ult i64 %next, %rounds
  br i1 %again, label %loop, label %done
done:
  %s0 = fadd {type_} %n0, %n0
{sums}
  store {type_} %s{CHAINS - 1}, ptr %p, align 4
  ret void
}}
"""


class FmaPeak:
    """Call it for one measurement, in GFLOP/s."""

    def __init__(self, target: Target):
        self.flops = ROUNDS * CHAINS * target.lanes * 2
        self._buffer = (ctypes.c_float * target.lanes)(*[0.5] * target.lanes)
        self._library = link([to_object(_text(target), target)], ["peak"])
        prototype = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)
        self._function = prototype(self._library.address("peak"))

    def __call__(self) -> float:
        start = time.perf_counter()
        self._function(ROUNDS, self._buffer)
        return self.flops / (time.perf_counter() - start) / 1e9
