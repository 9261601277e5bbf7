"""How often the intervals hold the true value, on latencies whose true value is known."""

from __future__ import annotations

import time

import numpy as np
import pytest

from edgepack.toolchain.measure.bootstrap import block_length, percentile_intervals, samples_for_interval
from edgepack.toolchain.measure.statistics import middle
from tests.toolchain.measure.noise import true_percentile_ns, windows

REPEATS = 100


def intervals_of(made):
    reported = made[middle([float(np.median(each)) for each in made])]
    return percentile_intervals(made, {p: float(np.percentile(reported, p)) for p in (50, 90)})


def coverage(**noise) -> dict[int, float]:
    generator = np.random.default_rng(7)
    hits = {50: 0, 90: 0}
    for _ in range(REPEATS):
        for percentile, interval in intervals_of(windows(generator, **noise)).items():
            hits[percentile] += interval.low <= true_percentile_ns(percentile) <= interval.high
    return {percentile: count / REPEATS for percentile, count in hits.items()}


@pytest.mark.parametrize(
    "noise",
    [
        {},
        {"correlation": 0.9},
        {"between": 0.01},
        {"between": 0.05, "correlation": 0.9},
        {"samples": 10},
    ],
    ids=str,
)
def test_five_windows_hold_the_true_value(noise):
    for share in coverage(**noise).values():
        assert share >= 0.88  # 94 % less two and a half standard errors of 100 repeats


def test_one_window_holds_it_where_windows_do_not_differ():
    assert coverage(count=1, samples=1000)[50] >= 0.88


def test_one_window_cannot_show_how_windows_differ():
    assert coverage(count=1, between=0.05)[50] < 0.5


def test_correlation_makes_an_interval_wider():
    generator = np.random.default_rng(3)

    def width(correlation):
        found = [intervals_of(windows(generator, count=1, correlation=correlation))[50] for _ in range(40)]
        return np.mean([interval.high - interval.low for interval in found])

    assert width(0.9) > 2 * width(0.0)


def test_more_samples_make_it_narrower():
    generator = np.random.default_rng(4)

    def width(samples):
        interval = intervals_of(windows(generator, samples=samples))[50]
        return interval.high - interval.low

    assert width(10_000) < width(100) / 3


def test_it_is_the_same_every_time_and_holds_the_value():
    made = windows(np.random.default_rng(1), count=3)
    first = percentile_intervals(made, {50: 2e6, 90: 1.0})
    assert first == percentile_intervals(made, {50: 2e6, 90: 1.0})
    assert first[50].high == 2e6
    assert first[90].low == 1.0


def test_too_few_samples_give_no_interval():
    assert [samples_for_interval(p) for p in (50, 90, 99)] == [6, 36, 368]
    few = [np.arange(1.0, 6.0)]
    assert percentile_intervals(few, {50: 3.0}) == {}
    assert set(percentile_intervals([np.arange(1.0, 41.0)], {50: 20.0, 90: 36.0, 99: 40.0})) == {50, 90}


def test_a_clock_that_stands_still_has_an_interval_without_width():
    interval = percentile_intervals([np.full(50, 7.0)] * 5, {50: 7.0})[50]
    assert (interval.low, interval.high) == (7.0, 7.0)


@pytest.mark.parametrize("samples", [1, 2, 3, 10, 99, 100, 10_000])
def test_blocks_fit_their_window(samples):
    assert 1 <= block_length(samples) <= samples


def test_windows_of_one_sample_and_of_different_lengths():
    made = [np.array([5.0]), np.arange(1.0, 100.0), np.arange(1.0, 10.0)]
    interval = percentile_intervals(made, {50: 5.0})[50]
    assert 1 <= interval.low <= 5.0 <= interval.high <= 99


def test_it_is_fast():
    made = windows(np.random.default_rng(2), samples=10_000)
    begin = time.process_time()
    intervals_of(made)
    assert time.process_time() - begin < 0.2
