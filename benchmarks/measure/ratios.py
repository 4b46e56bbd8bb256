"""Ratios of latencies with their uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
RESAMPLES = 10_000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Ratio:
    """How many times faster than the fastest of the others: the median over the rounds.

    Attributes:
        low, high: the ends of the 95 % bootstrap interval.
    """

    fastest: str
    median: float
    low: float
    high: float


def ratio(own: Sequence[float], others: Mapping[str, Sequence[float]]) -> Ratio:
    """The fastest of the others (by its median) against `own`, paired by round.

    Args:
        own: a latency for each round.
        others: the same for the other systems; at least one.
    """
    fastest = min(others, key=lambda name: median(others[name]))
    ratios = np.asarray(others[fastest]) / np.asarray(own)
    low, high = bootstrap(ratios)
    return Ratio(fastest, float(np.median(ratios)), low, high)


def bootstrap(samples: Array) -> tuple[float, float]:
    """The 95 % percentile interval of the median, from resampled rounds."""
    chosen = np.random.default_rng(0).integers(0, len(samples), (RESAMPLES, len(samples)))
    medians = np.median(samples[chosen], axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, [tail, 1 - tail])
    return float(low), float(high)


def mean_ratio(ratios: Sequence[Ratio]) -> float:
    """The geometric mean of the medians."""
    return geometric_mean([one.median for one in ratios])
