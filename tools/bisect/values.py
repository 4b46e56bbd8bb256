"""What a value should be, how far it may be off, and how far it is.

How far rounding brings a value is measured, not guessed: the network is run in float64 too, and
the largest distance between both runs is the scale. Another order of sums, Winograd's tiles or a
folded batch norm stay within a few times that distance; a wrong pass is far outside. Elements that
dwarf the others, such as the -3.4e38 of a mask, are not part of the scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...reference.reduction import machine_epsilon
from ...runtime.arrays import Array

SPREADS = {"fast": 32.0, "strict": 16.0}
"""How many times the distance between float32 and float64 a value may be off. Right models on our
tests' machines reach 6."""
FLOOR_EPSILONS = 16.0
"""Of the largest element: where the distance happens to be small."""
GAP = 13
"""Powers of two without any element: what is above them dwarfs what is below."""


@dataclass(frozen=True)
class Tolerance:
    """How much is allowed: multiples of the measured spread, or a share of the largest element."""

    spreads: float = SPREADS["fast"]
    relative: float | None = None


@dataclass(frozen=True)
class Wanted:
    """The right content of a value: as the reference computes it, and in float64."""

    array: Array
    wide: Array

    def allowed(self, tolerance: Tolerance) -> Array:
        """How far each element may be off; 0 for integers."""
        eps = machine_epsilon(self.array.dtype)
        if not eps or not self.array.size:
            return np.zeros(self.array.shape)
        sizes = _sizes(self.array)
        usual, largest = _usual(sizes), _scale(sizes)
        if tolerance.relative is not None:
            return tolerance.relative * largest
        with np.errstate(all="ignore"):
            distances = np.nan_to_num(np.abs(self.array.astype(np.float64) - self.wide), posinf=0.0)
        spread = np.maximum(distances, _largest(distances, usual))
        return tolerance.spreads * spread + FLOOR_EPSILONS * eps * largest


def _sizes(array: Array) -> Array:
    """Absolute values; 0 for those that are not finite."""
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.abs(array.astype(np.float64)), posinf=0.0)


def _usual(sizes: Array) -> Array:
    """Which elements do not dwarf the others: at least a quarter, and no gap is among them."""
    exponents = np.frexp(sizes)[1]
    some = exponents[sizes > 0]
    if not some.size:
        return np.ones(sizes.shape, bool)
    found, counts = np.unique(some, return_counts=True)
    for number in range(1, len(found)):
        is_quarter = 4 * int(counts[:number].sum()) >= some.size
        if is_quarter and found[number] - found[number - 1] > GAP:
            return exponents < found[number]
    return np.ones(sizes.shape, bool)


def _scale(sizes: Array) -> Array:
    """The largest element, or a larger one itself."""
    return np.maximum(sizes, _largest(sizes, _usual(sizes)))


def _largest(sizes: Array, where: Array) -> float:
    return float(np.max(sizes, initial=0.0, where=where))


@dataclass(frozen=True)
class Difference:
    """How far a value is off.

    Attributes:
        reason: a sentence where shapes or types differ, else empty.
        index, wanted, got: the worst element: of those that are wrong the one that is furthest off,
            else the one that takes most of what is allowed.
        absolute: of the worst element; infinite where one is NaN or infinite and the other not.
        relative: the same, over the largest element that does not dwarf the others.
        allowed: as an absolute error.
        wrong, size: how many elements are too far off, of how many.
    """

    reason: str = ""
    index: tuple[int, ...] = ()
    wanted: float = 0.0
    got: float = 0.0
    absolute: float = 0.0
    relative: float = 0.0
    allowed: float = 0.0
    wrong: int = 0
    size: int = 0

    @property
    def is_wrong(self) -> bool:
        """Whether it is more than is allowed."""
        return bool(self.reason) or self.wrong > 0

    @property
    def margin(self) -> float:
        """How many times the error would fit into what is allowed."""
        return self.allowed / self.absolute if self.absolute else np.inf

    def __str__(self) -> str:
        if self.reason:
            return self.reason
        place = f"element {list(self.index)} is {self.got:.8g}, should be {self.wanted:.8g}"
        nan = " (NaN)" if np.isnan(self.got) and not np.isnan(self.wanted) else ""
        return (
            f"{place}{nan}; max abs error {self.absolute:.3g}, relative {self.relative:.3g}, "
            f"{self.allowed:.3g} is allowed; {self.wrong} of {self.size} elements are wrong"
        )


def compare(wanted: Wanted, got: Array, tolerance: Tolerance) -> Difference:
    """How far `got` is from what is wanted."""
    want = wanted.array
    if got.shape != want.shape:
        return Difference(reason=f"has shape {got.shape}, should have {want.shape}")
    if got.dtype != want.dtype:
        if got.dtype.kind not in "iu" or got.dtype.itemsize != want.dtype.itemsize:
            return Difference(reason=f"has type {got.dtype}, should have {want.dtype}")
        got = got.view(want.dtype)  # te and loop are signless
    if not want.size:
        return Difference()
    errors = _errors(wanted, got)
    allowed = wanted.allowed(tolerance)
    wrong = errors > allowed
    order = np.where(wrong, errors, -1.0) if wrong.any() else _shares(errors, allowed)
    index = tuple(int(i) for i in np.unravel_index(int(np.argmax(order)), want.shape))
    absolute, largest = float(errors[index]), float(_scale(_sizes(want))[index])
    return Difference(
        index=index,
        wanted=float(want[index]),
        got=float(got[index]),
        absolute=absolute,
        relative=absolute / largest if largest else absolute,
        allowed=float(allowed[index]),
        wrong=int(wrong.sum()),
        size=want.size,
    )


def _shares(errors: Array, allowed: Array) -> Array:
    """How much of what is allowed the errors take."""
    return np.divide(errors, allowed, out=np.zeros(errors.shape), where=allowed > 0)


def _errors(wanted: Wanted, got: Array) -> Array:
    """|got - wanted| elementwise; 0 where float64 does not agree on an integer or on finiteness."""
    want, wide = wanted.array, wanted.wide
    with np.errstate(all="ignore"):
        errors = np.abs(got.astype(np.float64) - want.astype(np.float64))
        same = (got == want) | ((got != got) & (want != want))
        errors = np.where(same, 0.0, np.where(np.isnan(errors), np.inf, errors))
        if want.dtype.kind in "iub":
            return np.where(want == wide, errors, 0.0)
        return np.where(np.isfinite(want) == np.isfinite(wide), errors, 0.0)
