from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.measure.sweep import KNEE_SHARE, SweepPoint, find_knee


def point(batch, throughput, threads=1):
    return SweepPoint(batch, threads, latency_ns=1e9 * batch / throughput, throughput_per_s=throughput)


def test_the_knee_is_the_smallest_batch_that_is_good_enough():
    knee = find_knee([point(1, 100), point(2, 180), point(4, 190), point(8, 195)])
    assert (knee.single.batch, knee.knee.batch, knee.best.batch) == (1, 2, 8)
    assert knee.gain == pytest.approx(1.8)
    assert knee.cost == pytest.approx(2 / 1.8)


def test_each_batch_is_taken_with_its_best_threads():
    knee = find_knee(
        [point(1, 100), point(1, 150, threads=4), point(2, 160, threads=4), point(2, 300, threads=2)]
    )
    assert knee.single.threads == 4
    assert (knee.knee.batch, knee.knee.threads) == (2, 2)


def test_batching_that_does_not_pay():
    knee = find_knee([point(1, 100), point(2, 95)])
    assert knee.knee == knee.single == knee.best


def test_one_batch_is_no_sweep():
    assert find_knee([]) is None
    assert find_knee([point(1, 100), point(1, 200, threads=2)]) is None


@given(st.dictionaries(st.integers(1, 64), st.floats(1, 1e6), min_size=2, max_size=8))
def test_the_knee_lies_between_the_smallest_and_the_best(rates):
    knee = find_knee([point(batch, rate) for batch, rate in rates.items()])
    assert knee.single.batch == min(rates)
    assert min(rates) <= knee.knee.batch <= knee.best.batch
    assert knee.knee.throughput_per_s >= KNEE_SHARE * max(rates.values())
