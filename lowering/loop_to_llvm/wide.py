"""Functions of f32 by way of f64: powers, and what no network spends its time in.

A few bits more than f32 has are enough to round nearly always correctly; short polynomials give
them, and f64's exponents leave no room for overflow on the way.
"""

from __future__ import annotations

from collections.abc import Callable

from .lanes import Function, Lanes
from .trigonometric import reduce_large

_ROUNDER = 6755399441055744.0
"""1.5 * 2^52: after adding it, the last bit of an f64 is worth 1."""
_LN2 = 0.693147180559945309
_LOG2_E = 1.44269504088896341
_PI = 3.14159265358979312
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_EXPONENT = -(1 << 52)

# (e^r - 1 - r) / r^2 for |r| <= ln(2) / 2.
_EXP = (
    *(2.488250188592889e-05, 0.00019904956155375572, 0.0013888809302586638),
    *(0.0083332889612475706, 0.041666666955180655, 0.16666666754529311, 0.49999999999736078),
)
# (atanh(s) / s - 1) / s^2 over s^2, s = (m - 1) / (m + 1), m in [sqrt(1/2), sqrt(2)].
_LOG = (
    *(0.084097146429507705, 0.090618381270844289, 0.11111685316877207),
    *(0.14285708572006586, 0.20000000026098402, 0.33333333333293658),
)
# (atan(x) / x - 1) / x^2 over x^2, x in [0, 1].
_ATAN = (
    *(-0.00028548091622932072, 0.0022867223805049441, -0.00860222472809824),
    *(0.020548484177058065, -0.035937471514259731, 0.050952431811937142),
    *(-0.063914844112681446, 0.076231760968306514, -0.090789168191922398),
    *(0.11109754673912793, -0.14285622905779127, 0.19999996879966644, -0.33333333295959033),
)
_SIN = (
    *(-2.4761370394493688e-08, 2.7555353938094561e-06),
    *(-0.00019841263805395689, 0.0083333333252403764, -0.16666666666631422),
)
_COS = (
    *(2.0647593643445588e-09, -2.7555565988130442e-07, 2.480158097243659e-05),
    *(-0.0013888888878294742, 0.041666666666602577),
)


def _log(x: Lanes) -> Lanes:
    """ln(x); of 0 it is -inf, of inf inf, of a negative number NaN."""
    bits = x.bits()
    shifted = bits - _SQRT_HALF_BITS
    m = (bits - (shifted & _EXPONENT)).as_float()
    # The exponent as a float, without a conversion of i64: the last bits of 2^52 + exponent.
    e = ((shifted + (1024 << 52)).shifted_down(52) | 0x4330000000000000).as_float()
    e = e - (2.0**52 + 1024)
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    y = (s + s) * square.polynomial(*_LOG).fma(square, 1.0)
    y = e.fma(_LN2, y)
    y = x.compare("olt", float("inf")).choose(y, x)
    y = x.compare("oeq", 0.0).choose(x.const(float("-inf")), y)
    return x.compare("olt", 0.0).choose(x.const(float("nan")), y)


def _log1p(x: Lanes) -> Lanes:
    """ln(1 + x)."""
    small = (x * x).fma(-0.5, x)
    return abs(x).compare("olt", 2.0**-26).choose(small, _log(x + 1.0))


def _expm1_and_scale(x: Lanes) -> tuple[Lanes, Lanes]:
    """(e^r - 1, 2^n) with x = n ln(2) + r; x is limited to where f64 has room."""
    limited = x.within(-200.0, 200.0)
    rounded = limited.fma(_LOG2_E, _ROUNDER)
    r = (rounded - _ROUNDER).fma(-_LN2, limited)
    scale = ((rounded.bits() << 52) + (1023 << 52)).as_float()
    return r.polynomial(*_EXP).fma(r * r, r), scale


def _exp(x: Lanes) -> Lanes:
    """e^x."""
    p, scale = _expm1_and_scale(x)
    return p.fma(scale, scale)


def _expm1(x: Lanes) -> Lanes:
    """e^x - 1."""
    p, scale = _expm1_and_scale(x)
    return p.fma(scale, scale - 1.0)


def _atan_ratio(y: Lanes, x: Lanes) -> Lanes:
    """atan(y / x) for y, x >= 0, not both 0 or infinite."""
    steep = y.compare("ogt", x)
    t = steep.choose(x, y) / steep.choose(y, x)
    square = t * t
    angle = (square.polynomial(*_ATAN) * square).fma(t, t)
    return steep.choose(_PI / 2 - angle, angle)


def powf(x: Lanes, y: Lanes) -> Lanes:
    """|x|^y by logarithm; signs and special cases are IEEE 754's."""
    base, power = x.to_double(), y.to_double()
    size = abs(base)
    result = _exp(_log(size) * power)
    half = power * 0.5
    is_whole = power.compare("oeq", power.intrinsic("trunc"))
    is_odd = half.compare("une", half.intrinsic("trunc")) & is_whole
    result = size.compare("oeq", 1.0).choose(base.const(1.0), result)  # (-1)^inf too
    is_negative = base.compare("olt", 0.0)
    is_finite = size.compare("olt", float("inf"))
    has_none = is_negative & is_finite & is_whole.compare("eq", 0)
    result = has_none.choose(base.const(float("nan")), result)
    result = is_odd.choose(result.with_sign(base), result)
    result = base.compare("uno", power).choose(base + power, result)
    is_one = base.compare("oeq", 1.0) | power.compare("oeq", 0.0)
    return is_one.choose(base.const(1.0), result).to_float()


def atan2(y: Lanes, x: Lanes) -> Lanes:
    """The angle of (x, y), in (-pi, pi]."""
    opposite, adjacent = y.to_double(), x.to_double()
    rise, run = abs(opposite), abs(adjacent)
    # 0/0 is an angle of 0, inf/inf one of 45 degrees; -0 counts as negative.
    same = rise.compare("oeq", run) & (rise.compare("oeq", 0.0) | rise.compare("oeq", float("inf")))
    run_or_one = same.choose(rise.const(1.0), run)
    both_zero = same & rise.compare("oeq", 0.0)
    rise = both_zero.choose(rise, same.choose(rise.const(1.0), rise))
    angle = _atan_ratio(rise, run_or_one)
    is_left = adjacent.bits().compare("slt", 0)
    angle = is_left.choose(_PI - angle, angle)
    angle = opposite.compare("uno", adjacent).choose(opposite + adjacent, angle)
    return angle.with_sign(opposite).to_float()


def _cbrt(x: Lanes) -> Lanes:
    """The third root of |x|; its logarithm is of size 150 at most."""
    root = _exp(_log(abs(x)) * (1.0 / 3.0))
    root = x.compare("oeq", 0.0).choose(x, root)
    return abs(x).compare("olt", float("inf")).choose(root, abs(x))


def _sinh(x: Lanes) -> Lanes:
    """(e^x - 1 + (e^x - 1) / e^x) / 2."""
    grown = _expm1(abs(x))
    return (grown + grown / (grown + 1.0)) * 0.5


def _cosh(x: Lanes) -> Lanes:
    """(e^x + e^-x) / 2."""
    grown = _exp(abs(x))
    return (grown + 1.0 / grown) * 0.5


def _asin(x: Lanes) -> Lanes:
    """atan(x / sqrt(1 - x^2))."""
    size = abs(x)
    return _atan_ratio(size, ((1.0 - size) * (size + 1.0)).sqrt())


def _acos(x: Lanes) -> Lanes:
    """The angle of (x, sqrt(1 - x^2))."""
    size = abs(x)
    angle = _atan_ratio(((1.0 - size) * (size + 1.0)).sqrt(), size)
    return x.compare("olt", 0.0).choose(_PI - angle, angle)


def _asinh(x: Lanes) -> Lanes:
    """ln(1 + (|x| + x^2 / (1 + sqrt(1 + x^2))))."""
    size = abs(x)
    square = x * x
    more = size + square / ((square + 1.0).sqrt() + 1.0)
    return _log1p(size.compare("olt", float("inf")).choose(more, size))


def _acosh(x: Lanes) -> Lanes:
    """ln(1 + (t + sqrt(2t + t^2))), t = x - 1."""
    t = x - 1.0
    y = _log1p(t + (t * (t + 2.0)).sqrt())
    return x.compare("olt", 1.0).choose(x.const(float("nan")), y)


def _atanh(x: Lanes) -> Lanes:
    """ln(1 + 2|x| / (1 - |x|)) / 2."""
    size = abs(x)
    y = _log1p((size + size) / (1.0 - size)) * 0.5
    return size.compare("ogt", 1.0).choose(x.const(float("nan")), y)


def tan(x: Lanes) -> Lanes:
    """The sine of the reduced angle over its cosine, or minus the inverse."""
    r, quadrant = reduce_large(abs(x))
    square = r * r
    sine = (square.polynomial(*_SIN) * square).fma(r, r)
    cosine = square.polynomial(*_COS).fma(square, -0.5).fma(square, 1.0)
    odd = ((quadrant + _ROUNDER).bits() & 1).compare("eq", 1)
    y = odd.choose(-cosine, sine) / odd.choose(sine, cosine)
    sign = x.bits() ^ abs(x).bits()
    return (y.to_float().bits() ^ sign).as_float()


def _in_double(function: Callable[[Lanes], Lanes], is_odd: bool = False) -> Function:
    """An f32 function of an f64 one; odd ones are computed for |x| and keep the sign of 0."""

    def compute(x: Lanes) -> Lanes:
        y = function(x.to_double()).to_float()
        return y.with_sign(x) if is_odd else y

    return compute


WIDE: dict[str, Function] = {
    "powf": powf,
    "atan2": atan2,
    "tan": tan,
    "exp2": _in_double(lambda x: _exp(x * _LN2)),
    "expm1": _in_double(_expm1, is_odd=True),
    "log2": _in_double(lambda x: _log(x) * _LOG2_E),
    "log10": _in_double(lambda x: _log(x) * 0.434294481903251828),
    "cbrt": _in_double(_cbrt, is_odd=True),
    "sinh": _in_double(_sinh, is_odd=True),
    "cosh": _in_double(_cosh),
    "asin": _in_double(_asin, is_odd=True),
    "acos": _in_double(_acos),
    "atan": _in_double(lambda x: _atan_ratio(abs(x), x.const(1.0)), is_odd=True),
    "asinh": _in_double(_asinh, is_odd=True),
    "acosh": _in_double(_acosh),
    "atanh": _in_double(_atanh, is_odd=True),
}
"""By the scalar op's name."""
