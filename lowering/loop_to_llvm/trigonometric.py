"""sin and cos in f32 over the whole range, and the reduction of an angle that tan shares."""

from __future__ import annotations

from .lanes import Lanes, unless_rare

_TWO_OVER_PI = 0.636619772367581343
_ROUNDER = 12582912.0  # 1.5 * 2^23: after adding it, the last bit of an f32 is worth 1
# pi/2 in three parts of 24 bits.
_HALF_PI = (1.57079637050628662109375, -4.37113882867379e-08, -1.7151245100058819e-15)
_LARGE = 32768.0
"""From here on, the product of the quotient and the parts of pi/2 lacks bits."""

# 2/pi in parts of 28 bits, each times an f32 is exact in f64; enough for 2^128.
_TWO_OVER_PI_BITS = 0xA2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE
_PARTS = 7
_PART_BITS = 28


def _parts_of_two_over_pi() -> list[float]:
    total = 200
    parts: list[float] = []
    for k in range(1, _PARTS + 1):
        chunk = (_TWO_OVER_PI_BITS >> (total - k * _PART_BITS)) & ((1 << _PART_BITS) - 1)
        parts.append(chunk * 2.0 ** (-k * _PART_BITS))
    return parts


def reduce_large(x: Lanes) -> tuple[Lanes, Lanes]:
    """(x - q pi/2 as f64, q modulo 4 as a whole f64), for any |x| (Payne and Hanek's idea).

    Each product with a part of 2/pi is exact, so its multiples of 4 fall away exactly.
    """
    wide = x.to_double()
    rest, quadrant = wide.const(0.0), wide.const(0.0)
    for part in _parts_of_two_over_pi():
        product = wide * part
        product = (product * 0.25).intrinsic("roundeven").fma(-4.0, product)
        total = rest + product
        whole = total.intrinsic("roundeven")
        rest, quadrant = total - whole, quadrant + whole
    return rest * 1.57079632679489662, quadrant


def _reduce(size: Lanes) -> tuple[Lanes, Lanes]:
    """(r, bits whose last two are q) with |x| = q pi/2 + r, |r| <= pi/4."""
    rounded = size.fma(_TWO_OVER_PI, _ROUNDER)
    n = rounded - _ROUNDER
    r = size
    for part in _HALF_PI:
        r = n.fma(-part, r)

    def large() -> tuple[Lanes, Lanes]:
        wide, quadrant = reduce_large(size)
        return wide.to_float(), quadrant.to_float() + _ROUNDER

    r, rounded = unless_rare(size.compare("ugt", _LARGE), (r, rounded), large)
    return r, rounded.bits()


def _sine(r: Lanes, square: Lanes) -> Lanes:
    p = square.polynomial(2.86567956e-6, -1.98559923e-4, 8.33338592e-3, -1.66666672e-1)
    return (p * square).fma(r, r)


def _cosine(square: Lanes) -> Lanes:
    return square.polynomial(2.44677067e-5, -1.38877297e-3, 4.16666567e-2, -0.5, 1.0)


def _of_quadrant(r: Lanes, quadrant: Lanes) -> Lanes:
    """The sine of r + quadrant * pi/2."""
    square = r * r
    even = (quadrant & 1).compare("eq", 0)
    y = even.choose(_sine(r, square), _cosine(square))
    return (y.bits() ^ ((quadrant & 2) << 30)).as_float()


def sin(x: Lanes) -> Lanes:
    """Of |x|, with the sign of x."""
    size = abs(x)
    y = _of_quadrant(*_reduce(size))
    sign = x.bits() ^ size.bits()
    return (y.bits() ^ sign).as_float()


def cos(x: Lanes) -> Lanes:
    """The sine a quarter further."""
    r, quadrant = _reduce(abs(x))
    return _of_quadrant(r, quadrant + 1)
