"""Ratios of latencies and their intervals."""

from __future__ import annotations

import numpy as np
import pytest
from measure.ratios import Ratio, bootstrap, mean_ratio, ratio


def test_the_fastest_by_its_median_is_compared():
    own = [1.0, 2.0, 1.0]
    others = {"slow": [4.0, 5.0, 4.5], "fast": [2.0, 3.0, 9.0]}
    found = ratio(own, others)
    assert found.fastest == "fast"
    assert found.median == 2.0  # of 2, 1.5 and 9: paired by round
    assert (found.low, found.high) == (1.5, 9.0)


def test_a_machine_that_slows_down_does_not_change_the_ratio():
    speed = np.linspace(1, 3, 15)
    found = ratio(list(2.0 * speed), {"peer": list(3.0 * speed)})
    assert (found.median, found.low, found.high) == pytest.approx((1.5, 1.5, 1.5))


def test_the_interval_covers_the_true_median_and_narrows_with_more_rounds():
    random = np.random.default_rng(7)
    hits, widths = 0, {15: 0.0, 60: 0.0}
    for rounds in (15, 60):
        for _ in range(40):
            low, high = bootstrap(random.normal(1.7, 0.1, rounds))
            hits += low <= 1.7 <= high
            widths[rounds] += (high - low) / 40
    assert hits >= 70  # 95 % of 80, less three deviations
    assert widths[60] < 0.7 * widths[15]


def test_the_mean_of_ratios_is_geometric():
    ratios = [Ratio("a", 2.0, 0, 0), Ratio("b", 0.5, 0, 0)]
    assert mean_ratio(ratios) == pytest.approx(1.0)
