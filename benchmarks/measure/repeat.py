"""Compiled functions called again and again from compiled code, without Python in between."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

from nnc.lowering.llvm_to_object import compile as to_object
from nnc.lowering.llvm_to_object import link
from nnc.runtime.profile import NativeCall
from nnc.targets import host

_REPEAT = """
define void @repeat(i64 %count) {{
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %loop ]
{calls}
  %next = add i64 %i, 1
  %again = icmp ult i64 %next, %count
  br i1 %again, label %loop, label %done
done:
  ret void
}}
"""


def repeated(calls: Sequence[NativeCall], times: int) -> Callable[[], None]:
    """Runs these calls one after the other, `times` times.

    Their functions and the memory they work on outlive it.
    """
    lines = "\n".join(map(_call, calls))
    library = link([to_object(_REPEAT.format(calls=lines), host())], ["repeat"])
    repeat = ctypes.CFUNCTYPE(None, ctypes.c_int64)(library.address("repeat"))

    def run() -> None:
        assert library  # holds the code
        repeat(times)

    return run


def _call(call: NativeCall) -> str:
    arguments = [f"ptr {_pointer(each)}" for each in call.pointers]
    return (
        f"  call void {_pointer(call.function)}({', '.join(arguments)}, i64 0, i64 {call.extent})"
    )


def _pointer(address: int) -> str:
    return f"inttoptr (i64 {address} to ptr)"
