"""Each reason to doubt: silent on what an idle device gives, said on what it is meant for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgepack.toolchain.measure.bootstrap import percentile_intervals
from edgepack.toolchain.measure.statistics import middle
from edgepack.toolchain.measure.verdict import Observed, judge, outlier_share
from tests.toolchain.measure.noise import right_skewed

SECOND = 10**9


def observed(samples, index=0, **changes) -> Observed:
    """A window of ten seconds on an idle machine; one follows the other."""
    window = Observed(
        samples_ns=np.asarray(samples, dtype=np.float64),
        start_ns=index * 11 * SECOND,
        window_ns=10 * SECOND,
        cpu_ns=round(9.99 * SECOND),
        others_cpu_ns=SECOND // 10,
        preemptions=20,
        busy_clocks_hz=(1.5e9, 1.5e9),
    )
    return replace(window, **changes)


def idle_windows(generator, count=5, **changes) -> list[Observed]:
    """An idle device: a tail to the right, levels that differ by half a per cent."""
    levels = 1 + 0.003 * generator.standard_normal(count)
    return [observed(right_skewed(generator) * level, i, **changes) for i, level in enumerate(levels)]


def verdict_of(windows, *, threads=1, cpus=4, settled=True):
    reported = windows[middle([float(np.median(window.samples_ns)) for window in windows])]
    p50 = float(np.median(reported.samples_ns))
    interval = percentile_intervals([window.samples_ns for window in windows], {50: p50}).get(50)
    return judge(windows, p50_ns=p50, interval=interval, threads=threads, cpus=cpus, settled=settled)


def codes(windows, **changes) -> list[str]:
    return [doubt.code for doubt in verdict_of(windows, **changes).doubts]


@pytest.fixture
def generator():
    return np.random.default_rng(12)


def scaled(windows, factors) -> list[Observed]:
    return [replace(w, samples_ns=w.samples_ns * f) for w, f in zip(windows, factors, strict=True)]


def test_an_idle_machine_is_stable(generator):
    verdicts = [verdict_of(idle_windows(generator)) for _ in range(60)]
    assert sum(bool(verdict.doubts) for verdict in verdicts) <= 1
    assert verdicts[0].others_cpus == pytest.approx(0.01)
    assert verdicts[0].outlier_share < 0.02


def test_a_heavy_tail_is_no_reason(generator):
    made = [observed(1e6 * np.exp(0.3 * generator.standard_normal(5000)), i) for i in range(5)]
    assert codes(made) == []


def test_a_drift_over_the_windows(generator):
    found = [codes(scaled(idle_windows(generator), np.linspace(1, 1.06, 5))) for _ in range(30)]
    assert sum("drifting" in each for each in found) >= 28
    verdict = verdict_of(scaled(idle_windows(generator), np.linspace(1, 1.06, 5)))
    assert verdict.drift.change == pytest.approx(0.06, abs=0.02)
    assert "+" in verdict.doubts[0].message


def test_a_drift_too_small_to_matter(generator):
    steady = [observed(np.full(400, 1e6) + generator.random(400), i) for i in range(5)]
    assert codes(scaled(steady, np.linspace(1, 1.01, 5))) == []  # p is tiny, and so is the drift


def test_every_window_heats_up(generator):
    made = [observed(right_skewed(generator) * np.linspace(1, 1.08, 400), i) for i in range(5)]
    assert "drifting" in codes(made)


def test_two_latencies(generator):
    made = [
        observed(right_skewed(generator) * (1 + 0.2 * (generator.random(400) < 0.3)), i) for i in range(5)
    ]
    doubts = verdict_of(made).doubts
    assert [doubt.code for doubt in doubts] == ["bimodal"]
    assert "1.01 ms" in doubts[0].message
    assert "1.21 ms" in doubts[0].message


def test_two_latencies_that_are_nearly_one(generator):
    made = [
        observed((1 + 0.02 * (generator.random(400) < 0.5)) * 1e6 + generator.random(400), i)
        for i in range(5)
    ]
    assert "bimodal" not in codes(made)


def test_outliers(generator):
    made = [observed(right_skewed(generator) * (1 + 4 * (generator.random(400) < 0.08)), i) for i in range(5)]
    assert codes(made) == ["outliers"]
    shares = outlier_share([window.samples_ns for window in made])
    assert shares == pytest.approx(0.08, abs=0.02)


def test_windows_that_disagree_make_a_wide_interval(generator):
    made = scaled(idle_windows(generator), [1.0, 1.06, 1.01, 1.08, 1.02])
    verdict = verdict_of(made)
    assert "wide-interval" in [doubt.code for doubt in verdict.doubts]
    assert "±" in verdict.doubts[-1].message


@pytest.mark.parametrize(
    ("changes", "cpus", "noisy"),
    [
        ({"others_cpu_ns": 10 * SECOND}, 4, True),  # a hog on one core
        ({"others_cpu_ns": 3 * SECOND}, 4, True),
        ({"others_cpu_ns": SECOND}, 4, False),
        ({"others_cpu_ns": 5 * SECOND}, 64, False),  # half a CPU of 64
        ({"others_cpu_ns": 10 * SECOND}, 16, True),
        ({"others_cpu_ns": None, "cpu_ns": 5 * SECOND, "preemptions": 1000}, 1, True),
        ({"others_cpu_ns": None, "cpu_ns": 5 * SECOND, "preemptions": 3}, 1, False),  # it waits by itself
        ({"others_cpu_ns": None, "cpu_ns": 5 * SECOND, "preemptions": None}, 1, False),
        ({"others_cpu_ns": None, "cpu_ns": None, "preemptions": None}, None, False),
    ],
)
def test_neighbours(generator, changes, cpus, noisy):
    assert codes(idle_windows(generator, **changes), cpus=cpus) == (["noisy-neighbour"] if noisy else [])


def test_threads_that_wait_for_each_other_are_no_neighbours(generator):
    made = idle_windows(generator, cpu_ns=25 * SECOND, preemptions=500)
    assert codes(made, threads=4) == []


def test_what_the_neighbour_did_is_said(generator):
    made = idle_windows(generator, others_cpu_ns=9 * SECOND, cpu_ns=6 * SECOND, preemptions=2500)
    message = verdict_of(made).doubts[0].message
    for part in ("0.90 CPUs", "60.00 % of the time", "250 times a second"):
        assert part in message


def test_clocks(generator):
    assert codes(idle_windows(generator, busy_clocks_hz=(1.5e9, 1.2e9))) == ["clock-changed"]
    assert codes(idle_windows(generator, busy_clocks_hz=(3.5e9, 3.4e9))) == []
    assert codes(idle_windows(generator, busy_clocks_hz=())) == []


def test_throttling_and_warm_up(generator):
    made = idle_windows(generator, throttling=("under-voltage",))
    assert codes(made, settled=False) == ["throttled", "not-settled"]
    assert "under-voltage" in verdict_of(made).doubts[0].message


@pytest.mark.parametrize(("count", "message"), [(1, "1 window;"), (2, "2 windows;")])
def test_too_few_windows_to_tell(generator, count, message):
    doubts = verdict_of(idle_windows(generator, count)).doubts
    assert [doubt.code for doubt in doubts] == ["few-samples"]
    assert message in doubts[0].message


def test_too_few_runs_to_tell():
    assert codes([observed([1e6], i) for i in range(5)]) == ["few-samples"]
    assert codes([observed([1e6, 1e6], i) for i in range(5)]) == []


def test_a_clock_that_stands_still_is_judged_without_an_error():
    assert codes([observed(np.zeros(50), i, window_ns=0) for i in range(5)]) == []
