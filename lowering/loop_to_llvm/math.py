"""Transcendental functions: vector formulas for f32, the C library lane by lane for f64.

LLVM's own vector intrinsics for these become one library call a lane on a CPU without a vector
library. 16-bit floats are computed in f32 and rounded once. Errors are in units in the last place
over the whole range: at most 1 for what networks use most, 2 elsewhere (tests measure them).
"""

from __future__ import annotations

from xdsl.dialects.builtin import BFloat16Type, Float16Type, Float32Type, Float64Type

from ...core.errors import PassError
from . import exponential, float_casts, trigonometric
from .arithmetic import Expand, Operation
from .lanes import Function, Lanes
from .text import scalar_type
from .wide import WIDE

_SINGLE: dict[str, Function] = {
    "exp": exponential.exp,
    "log": exponential.log,
    "log1p": exponential.log1p,
    "tanh": exponential.tanh,
    "erf": exponential.erf,
    "sin": trigonometric.sin,
    "cos": trigonometric.cos,
    **WIDE,
}
_LIBRARY_NAMES = {"powf": "pow"}


def _expand(name: str) -> Expand:
    def expand(op: Operation) -> str:
        if isinstance(op.source, Float16Type | BFloat16Type):
            return _in_single(expand, op)
        if isinstance(op.source, Float32Type):
            args = [Lanes(op.writer, arg, "float", op.width) for arg in op.args]
            return _SINGLE[name](*args).name
        if isinstance(op.source, Float64Type):
            return _library_call(_LIBRARY_NAMES.get(name, name), op)
        raise PassError(f"'math.{name}' of {op.source} has no LLVM form")

    return expand


def _library_call(function: str, op: Operation) -> str:
    """The C library's function, lane by lane."""
    scalar = scalar_type(op.source)
    if op.width == 1:
        return op.writer.call(scalar, function, [(scalar, arg) for arg in op.args])
    result = "poison"
    for lane in range(op.width):
        lanes = [
            op.writer.define(f"extractelement {op.source_type} {arg}, i32 {lane}")
            for arg in op.args
        ]
        value = op.writer.call(scalar, function, [(scalar, arg) for arg in lanes])
        result = op.writer.define(
            f"insertelement {op.source_type} {result}, {scalar} {value}, i32 {lane}"
        )
    return result


def _in_single(expand: Expand, op: Operation) -> str:
    """Half precision: computed in f32, rounded once."""
    single, name = Float32Type(), "half"
    args = [float_casts.convert(op.writer, arg, name, "float", op.width) for arg in op.args]
    value = expand(Operation(op.writer, args, single, single, op.width))
    return float_casts.convert(op.writer, value, "float", name, op.width)


MATH: dict[str, Expand] = {f"math.{name}": _expand(name) for name in _SINGLE}
"""How each transcendental function is written, by its scalar op's name."""
