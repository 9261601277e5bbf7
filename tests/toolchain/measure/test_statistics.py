from __future__ import annotations

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.measure.statistics import (
    percentile_ns,
    samples_needed,
    summarize,
    throughput_per_s,
)

samples = st.lists(st.integers(0, 10**15), min_size=1, max_size=300)


@given(samples)
def test_summary_agrees_with_the_standard_library(values):
    summary = summarize(values)
    assert summary.count == len(values)
    assert summary.min_ns == min(values)
    assert summary.max_ns == max(values)
    assert summary.mean_ns == pytest.approx(statistics.fmean(values), rel=1e-12)
    assert summary.p50_ns == pytest.approx(statistics.median(values), rel=1e-12)
    if len(values) > 1:
        assert summary.std_ns == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-6)
        inclusive = statistics.quantiles(values, n=100, method="inclusive")
        if summary.p90_ns is not None:
            assert summary.p90_ns == pytest.approx(inclusive[89], rel=1e-9)
        if summary.p99_ns is not None:
            assert summary.p99_ns == pytest.approx(inclusive[98], rel=1e-9)


@given(samples)
def test_order_of_the_figures(values):
    summary = summarize(values)
    present = [summary.min_ns, summary.p50_ns, summary.p90_ns, summary.p99_ns, summary.max_ns]
    found = [value for value in present if value is not None]
    assert found == sorted(found)


def test_a_percentile_needs_a_sample_beyond_it():
    assert samples_needed(90) == 10
    assert samples_needed(99) == 100
    assert percentile_ns(range(9), 90) is None
    assert percentile_ns(range(10), 90) == pytest.approx(8.1)
    assert summarize(list(range(99))).p99_ns is None
    assert summarize(list(range(100))).p99_ns == pytest.approx(98.01)
    assert summarize([5]).std_ns is None


def test_no_samples():
    with pytest.raises(ValueError, match="no samples"):
        summarize([])


def test_throughput_is_batch_over_the_median():
    assert throughput_per_s(1, 1_000_000) == 1000
    assert throughput_per_s(8, 4_000_000) == 2000
    assert throughput_per_s(1, 0.0) is None


def test_large_numbers_keep_their_digits():
    day_ns = 86_400 * 10**9
    assert summarize(np.array([day_ns, day_ns + 1])).min_ns == day_ns
