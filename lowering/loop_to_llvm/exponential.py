"""exp, log, log1p, tanh and erf in f32: about one unit in the last place, over the whole range."""

from __future__ import annotations

from .lanes import Lanes

_LOG2_E = 1.44269504088896341
_LN2 = 0.693147180559945309
# ln(2) in two parts; products of the first with whole numbers to 2^15 are exact.
_LN2_HIGH, _LN2_LOW = 0.693145752, 1.42860677e-6
_ROUNDER = 12582912.0
"""1.5 * 2^23: after adding it, the last bit of an f32 is worth 1."""
_ROUNDER_BITS = 23
_EXPONENT = -0x800000
"""Mask of the sign and the exponent."""

# e^r for |r| <= ln(2) / 2, the highest power first.
_EXP = (
    *(1.37805939e-3, 8.37312452e-3, 4.16695364e-2, 1.66664720e-1, 4.99999851e-1),
    *(1.0, 1.0),
)


def _reduced_exp(x: Lanes) -> tuple[Lanes, Lanes, Lanes]:
    """(e^r, n, n * 2^23 as an integer) with x = n ln(2) + r, |r| <= ln(2) / 2."""
    rounded = x.fma(_LOG2_E, _ROUNDER)
    n = rounded - _ROUNDER
    r = n.fma(-_LN2_HIGH, x)
    r = n.fma(-_LN2_LOW, r)
    return r.polynomial(*_EXP), n, rounded.bits() << _ROUNDER_BITS


def _power_of_two(scaled: Lanes) -> Lanes:
    """2^n of n * 2^23, n in [-126, 127]."""
    return (scaled + (127 << 23)).as_float()


def exp(x: Lanes) -> Lanes:
    """e^x = 2^n e^r; 2^n in two factors, so that subnormals come right."""
    y, n, bits = _reduced_exp(x.within(-105.0, 89.0))
    if y.has_scale:
        return y.scale(n)
    half = (bits >> 1) & _EXPONENT
    return y * _power_of_two(half) * _power_of_two(bits - half)


def _exp_within(x: Lanes) -> Lanes:
    """e^x for |x| <= 87."""
    y, n, bits = _reduced_exp(x)
    return y.scale(n) if y.has_scale else y * _power_of_two(bits)


def tanh(x: Lanes) -> Lanes:
    """1 - 2 / (e^2x + 1), near 0 an odd polynomial."""
    size = abs(x)
    square = x * x
    p = square.polynomial(
        -0.0062824667293789873,
        0.021077753395148426,
        -0.053853856642285064,
        0.13332601672055491,
        -0.33333318045245836,
    )
    small = (p * square).fma(x, x)
    limited = size.at_most(9.5)
    large = 1.0 - 2.0 / (_exp_within(limited + limited) + 1.0)
    return size.compare("ult", 0.55).choose(small, large).with_sign(x)


def erf(x: Lanes) -> Lanes:
    """1 - e^(a polynomial), near 0 an odd polynomial."""
    size = abs(x)
    square = x * x
    small = square.polynomial(
        -5.96761703e-4,
        4.99119423e-3,
        -2.67681349e-2,
        1.12819925e-1,
        -3.76125336e-1,
        1.28379166e-1,
    ).fma(x, x)
    t = size.at_most(4.0)
    power = t.polynomial(
        -1.72853470e-5,
        3.83197126e-4,
        -3.88396438e-3,
        2.42546219e-2,
        -1.06777877e-1,
        -6.34846687e-1,
        -1.28717512e-1,
    ).fma(t, -t)
    large = 1.0 - _exp_within(power)
    return size.compare("ult", 0.927734375).choose(small, large.with_sign(x))


def log(x: Lanes) -> Lanes:
    """ln(x) = e ln(2) + ln(m), m in [2/3, 4/3]; subnormals are scaled first."""
    tiny = x.compare("olt", 1.17549435e-38)
    bits = tiny.choose(x * 8388608.0, x).bits()
    high = (bits - 0x3F2AAAAB) & _EXPONENT
    f = (bits - high).as_float() - 1.0
    e = high.integer_to_float().fma(2.0**-23, tiny.choose(x.const(-23.0), x.const(0.0)))
    square = f * f
    even = square.polynomial(-0.130310059, -0.121483624, -0.166846126, -0.249996200)
    odd = square.polynomial(0.140869141, 0.139814854, 0.200120345)
    y = odd.fma(f, even).fma(f, 0.333331972).fma(f, -0.5).fma(square, f)
    y = e.fma(_LN2, y)
    # log(inf) = inf, log(NaN) = NaN, log(0) = -inf, log of a negative number = NaN.
    y = x.compare("olt", float("inf")).choose(y, x)
    y = x.compare("oeq", 0.0).choose(x.const(float("-inf")), y)
    return x.compare("olt", 0.0).choose(x.const(float("nan")), y)


def log1p(x: Lanes) -> Lanes:
    """ln(1 + x) = e ln(2) + ln(1 + m), m = x / 2^e + (1 / 2^e - 1) in [-1/4, 1/2]."""
    high = ((x + 1.0).bits() - 0x3F400000) & _EXPONENT
    quarter = (0x40800000 - high).as_float()  # 4 / 2^e: no overflow, no subnormal
    m = (x.bits() - high).as_float() + quarter.fma(0.25, -1.0)
    e = high.integer_to_float() * 2.0**-23
    square = m * m
    even = square.polynomial(-4.54559326e-2, -1.32279143e-1, -1.66416913e-1, -2.50001878e-1)
    odd = square.polynomial(1.05529785e-1, 1.44911006e-1, 1.99886635e-1)
    y = odd.fma(m, even).fma(m, 3.33335280e-1).fma(m, -0.5).fma(square, m)
    y = e.fma(_LN2, y)
    y = x.compare("olt", float("inf")).choose(y, x)
    y = x.compare("oeq", -1.0).choose(x.const(float("-inf")), y)
    y = x.compare("olt", -1.0).choose(x.const(float("nan")), y)
    return abs(x).compare("olt", 2.0**-24).choose(x, y)
