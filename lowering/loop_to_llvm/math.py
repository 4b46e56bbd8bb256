"""Transcendental functions: vector polynomials for f32, the C library lane by lane for the rest.

LLVM's own vector intrinsics for these become one library call a lane on a CPU without a vector
library. Errors are in units in the last place over the whole range (tests measure them).
"""

from __future__ import annotations

from xdsl.dialects.builtin import BFloat16Type, Float16Type, Float32Type, Float64Type
from xdsl.ir import Attribute

from . import float_casts
from .arithmetic import Expand, Operation
from .text import scalar_type, vector_type

# Coefficients, highest power first.
_EXP = (
    *(1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3),
    *(4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
)
_TANH_ODD = (
    *(-2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-08),
    *(1.48572235717979e-05, 6.37261928875436e-04, 4.89352455891786e-03),
)
_TANH_EVEN = (
    1.19825839466702e-06,
    1.18534705686654e-04,
    2.26843463243900e-03,
    4.89352518554385e-03,
)
_ERF_ODD = (
    *(-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05),
    *(-7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
)
_ERF_EVEN = (
    *(-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03),
    *(-7.37332916720468e-03, -1.42647390514189e-02),
)
_LOG = (
    *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
    *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
)


def _fma(op: Operation, a: str, b: str, c: str) -> str:
    return op.intrinsic("fma", a, b, c)


def _polynomial(op: Operation, x: str, coefficients: tuple[float, ...]) -> str:
    """Horner's rule, highest power first."""
    result = op.const(coefficients[0])
    for coefficient in coefficients[1:]:
        result = _fma(op, result, x, op.const(coefficient))
    return result


def _clamp(op: Operation, x: str, low: float, high: float) -> str:
    """Into [low, high]; NaN stays."""
    x = op.select(op.compare("ogt", x, op.const(high)), op.const(high), x)
    return op.select(op.compare("olt", x, op.const(low)), op.const(low), x)


def _power_of_two(op: Operation, exponent: str, ints: str) -> str:
    """2^n as a float, n in [-126, 127], by its exponent bits."""
    bias = "splat (i32 127)" if op.width > 1 else "127"
    shift = "splat (i32 23)" if op.width > 1 else "23"
    biased = op.writer.define(f"add {ints} {exponent}, {bias}")
    bits = op.writer.define(f"shl {ints} {biased}, {shift}")
    return op.writer.define(f"bitcast {ints} {bits} to {op.source_type}")


def _exp(op: Operation) -> str:
    """e^x = 2^n e^r with |r| <= ln(2)/2 (Cephes); 2^n in two factors, so subnormals come right."""
    x = _clamp(op, op.args[0], -105.0, 89.0)
    scaled = op.writer.define(f"fmul {op.source_type} {x}, {op.const(1.44269504088896341)}")
    n = op.intrinsic("roundeven", scaled)
    r = _fma(op, n, op.const(-0.693359375), x)
    r = _fma(op, n, op.const(2.12194440e-4), r)
    p = _polynomial(
        op,
        r,
        _EXP,
    )
    square = op.writer.define(f"fmul {op.source_type} {r}, {r}")
    y = _fma(op, p, square, r)
    y = op.writer.define(f"fadd {op.source_type} {y}, {op.const(1.0)}")
    ints = vector_type("i32", op.width)
    whole = op.writer.define(f"fptosi {op.source_type} {n} to {ints}")
    one = "splat (i32 1)" if op.width > 1 else "1"
    half = op.writer.define(f"ashr {ints} {whole}, {one}")
    rest = op.writer.define(f"sub {ints} {whole}, {half}")
    y = op.writer.define(f"fmul {op.source_type} {y}, {_power_of_two(op, half, ints)}")
    return op.writer.define(f"fmul {op.source_type} {y}, {_power_of_two(op, rest, ints)}")


def _rational(op: Operation, x: str, odd: tuple[float, ...], even: tuple[float, ...]) -> str:
    """X * P(x^2) / Q(x^2)."""
    square = op.writer.define(f"fmul {op.source_type} {x}, {x}")
    p = _polynomial(op, square, odd)
    numerator = op.writer.define(f"fmul {op.source_type} {x}, {p}")
    q = _polynomial(op, square, even)
    return op.writer.define(f"fdiv {op.source_type} {numerator}, {q}")


def _tanh(op: Operation) -> str:
    """An odd rational approximation on [-7.9, 7.9] (the one of Eigen and XLA)."""
    x = _clamp(op, op.args[0], -7.90531110763549805, 7.90531110763549805)
    y = _rational(
        op,
        x,
        _TANH_ODD,
        _TANH_EVEN,
    )
    # Where x is tiny, tanh(x) = x to the last bit.
    small = op.compare("olt", op.intrinsic("fabs", op.args[0]), op.const(0.0004))
    return op.select(small, op.args[0], y)


def _erf(op: Operation) -> str:
    """An odd rational approximation on [-4, 4] (the one of Eigen and XLA)."""
    x = _clamp(op, op.args[0], -4.0, 4.0)
    return _rational(
        op,
        x,
        _ERF_ODD,
        _ERF_EVEN,
    )


def _log(op: Operation) -> str:
    """ln(x) = e ln(2) + ln(m), m in [sqrt(1/2), sqrt(2)) (Cephes); subnormals are scaled first."""
    x = op.args[0]
    ints = vector_type("i32", op.width)

    def int_const(value: int) -> str:
        return f"splat (i32 {value})" if op.width > 1 else str(value)

    tiny = op.compare("olt", x, op.const(1.17549435e-38))
    scaled = op.writer.define(f"fmul {op.source_type} {x}, {op.const(8388608.0)}")
    normal = op.select(tiny, scaled, x)
    bits = op.writer.define(f"bitcast {op.source_type} {normal} to {ints}")
    # Subtracting sqrt(1/2)'s bits makes the exponent field count from there.
    shifted = op.writer.define(f"sub {ints} {bits}, {int_const(0x3F3504F3)}")
    exponent = op.writer.define(f"ashr {ints} {shifted}, {int_const(23)}")
    high = op.writer.define(f"shl {ints} {exponent}, {int_const(23)}")
    mantissa_bits = op.writer.define(f"sub {ints} {bits}, {high}")
    mantissa = op.writer.define(f"bitcast {ints} {mantissa_bits} to {op.source_type}")
    e = op.writer.define(f"sitofp {ints} {exponent} to {op.source_type}")
    lowered = op.writer.define(f"fsub {op.source_type} {e}, {op.const(23.0)}")
    e = op.select(tiny, lowered, e)
    f = op.writer.define(f"fsub {op.source_type} {mantissa}, {op.const(1.0)}")
    p = _polynomial(
        op,
        f,
        _LOG,
    )
    square = op.writer.define(f"fmul {op.source_type} {f}, {f}")
    cube = op.writer.define(f"fmul {op.source_type} {square}, {f}")
    y = op.writer.define(f"fmul {op.source_type} {cube}, {p}")
    y = _fma(op, e, op.const(-2.12194440e-4), y)
    y = _fma(op, square, op.const(-0.5), y)
    y = op.writer.define(f"fadd {op.source_type} {f}, {y}")
    y = _fma(op, e, op.const(0.693359375), y)
    return _log_edges(op, x, y)


def _log_edges(op: Operation, x: str, y: str) -> str:
    """log(0) = -inf, log(inf) = inf, log of a negative number or NaN = NaN."""
    infinity = op.const(float("inf"))
    y = op.select(op.compare("oeq", x, infinity), infinity, y)
    y = op.select(op.compare("oeq", x, op.const(0.0)), op.const(float("-inf")), y)
    return op.select(op.compare("uge", x, op.const(0.0)), y, op.const(float("nan")))


_VECTOR: dict[str, Expand] = {"exp": _exp, "tanh": _tanh, "erf": _erf, "log": _log}
_LIBRARY = (
    *("exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "cbrt", "erf", "sin", "cos", "tan"),
    *("sinh", "cosh", "tanh", "asin", "acos", "atan", "asinh", "acosh", "atanh"),
)
_LIBRARY_NAMES = {**{name: name for name in _LIBRARY}, "powf": "pow", "atan2": "atan2"}


def _library_call(function: str) -> Expand:
    """The C library's function, lane by lane."""

    def expand(op: Operation) -> str:
        if not isinstance(op.source, Float32Type | Float64Type):
            return _in_single(function, op)
        scalar = scalar_type(op.source)
        name = function + ("f" if isinstance(op.source, Float32Type) else "")
        if op.width == 1:
            return op.writer.call(scalar, name, [(scalar, arg) for arg in op.args])
        result = "poison"
        for lane in range(op.width):
            lanes = [
                op.writer.define(f"extractelement {op.source_type} {arg}, i32 {lane}")
                for arg in op.args
            ]
            value = op.writer.call(scalar, name, [(scalar, arg) for arg in lanes])
            result = op.writer.define(
                f"insertelement {op.source_type} {result}, {scalar} {value}, i32 {lane}"
            )
        return result

    return expand


def _in_single(function: str, op: Operation) -> str:
    """Half precision: computed in f32, rounded once."""
    single = Float32Type()
    args = [float_casts.convert(op.writer, arg, "half", "float", op.width) for arg in op.args]
    value = _dispatch(function)(Operation(op.writer, args, single, single, op.width))
    return float_casts.convert(op.writer, value, "float", "half", op.width)


def _dispatch(function: str) -> Expand:
    vector: Expand | None = _VECTOR.get(function)
    library = _library_call(_LIBRARY_NAMES.get(function, function))

    def expand(op: Operation) -> str:
        source: Attribute = op.source
        if isinstance(source, Float16Type | BFloat16Type):
            return _in_single(function, op)
        return vector(op) if vector is not None and isinstance(source, Float32Type) else library(op)

    return expand


MATH: dict[str, Expand] = {f"math.{name}": _dispatch(name) for name in _LIBRARY_NAMES}
"""How each transcendental function is written, by its scalar op's name."""
