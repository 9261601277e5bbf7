from __future__ import annotations

import numpy as np
import pytest

from edgepack.toolchain.measure.drift import drift_inside, drift_of
from tests.toolchain.measure.noise import windows

TIMES = [10**10 * index for index in range(5)]


def test_a_straight_line_is_found():
    drift = drift_of([100, 101, 102, 103, 104], TIMES)
    assert drift.change == pytest.approx(0.04)
    assert drift.p_value < 1e-6
    down = drift_of([104, 103, 102.1, 101, 100], TIMES)
    assert down.change == pytest.approx(100 / 104 - 1, rel=0.05)


def test_against_scipy():
    stats = pytest.importorskip("scipy.stats", reason="the oracle is SciPy")
    generator = np.random.default_rng(5)
    for count in (3, 4, 5, 9):
        times = np.cumsum(generator.integers(1, 10, count)) * 10**9
        values = 1e6 * (1 + 0.01 * generator.standard_normal(count))
        drift, line = drift_of(list(values), list(times)), stats.linregress(times, values)
        assert drift.p_value == pytest.approx(line.pvalue, rel=1e-6)
        ends = [line.intercept + line.slope * time for time in (times[0], times[-1])]
        assert drift.change == pytest.approx(ends[1] / ends[0] - 1)


def test_false_alarms_come_at_the_stated_rate():
    generator = np.random.default_rng(6)
    alarms = 0
    for _ in range(400):
        medians = [float(np.median(each)) for each in windows(generator, samples=20, between=0.01)]
        alarms += drift_of(medians, TIMES).p_value < 0.05
    assert 0.02 <= alarms / 400 <= 0.08


def test_a_drift_of_5_per_cent_is_found_in_noise_of_half_a_per_cent():
    generator = np.random.default_rng(8)
    found = 0
    for _ in range(100):
        levels = np.linspace(1, 1.05, 5) * (1 + 0.005 * generator.standard_normal(5))
        drift = drift_of(list(1e6 * levels), TIMES)
        found += drift.p_value < 0.05 and drift.change > 0.02
    assert found >= 90


def test_what_cannot_drift():
    assert drift_of([1, 2], TIMES[:2]) is None
    assert drift_of([0, 0, 0], TIMES[:3]) is None
    assert drift_of([5, 5, 5], TIMES[:3]).p_value == 1


def test_windows_without_times_count_as_evenly_spaced():
    assert drift_of([100, 102, 104], [0, 0, 0]).change == pytest.approx(0.04)


def test_a_saw_tooth_is_seen_inside_the_windows():
    rising = [np.linspace(1.0, 1.1, 100) for _ in range(5)]
    assert drift_of([1.05] * 5, TIMES, drift_inside(rising)).inside == pytest.approx(0.07, abs=0.01)
    assert drift_of([1.05] * 5, TIMES, drift_inside(rising)).change == 0


def test_windows_that_disagree_show_no_trend():
    up, down = np.linspace(1.0, 1.1, 100), np.linspace(1.1, 1.0, 100)
    assert drift_inside([up, up, up, up, down]) is None
    assert drift_inside([up] * 4) is None
    assert drift_inside([up[:10]] * 5) is None
    assert drift_inside([np.zeros(100)] * 5) is None
