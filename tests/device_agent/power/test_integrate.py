"""The arithmetic: known curves have known integrals, whatever the timestamps."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgepack.device_agent.power.integrate import integrate, unwrap
from edgepack.device_agent.power.source import JOULES, Traits

WATTS = Traits()
COUNTER = Traits(JOULES)
S = 1_000_000_000

powers = st.floats(0.01, 1000)
intervals = st.lists(st.integers(5_000_000, 14_000_000), min_size=10, max_size=60)


def clock(steps: list[int], start: int = 10 * S) -> list[int]:
    times = [start]
    for step in steps:
        times.append(times[-1] + step)
    return times


@settings(max_examples=50)
@given(intervals, powers)
def test_constant_power_is_exact_on_jittered_timestamps(steps: list[int], watts: float) -> None:
    times = clock(steps)
    window = (times[0] + 1_000_000, times[-1] - 1_000_000)
    result = integrate(times, [watts] * len(times), window, WATTS)
    assert result.joules == pytest.approx(watts * (window[1] - window[0]) / S, rel=1e-9)
    assert result.coverage == pytest.approx(1)
    assert result.uncertainty_j == pytest.approx(0, abs=1e-9 * watts)


@settings(max_examples=50)
@given(intervals, powers, st.floats(-50, 50))
def test_a_ramp_is_exact(steps: list[int], watts: float, slope: float) -> None:
    times = clock(steps)
    window = (times[0] + 2_000_000, times[-1] - 3_000_000)
    at = [watts + slope * (t - times[0]) / S for t in times]
    result = integrate(times, at, window, WATTS)
    middle = watts + slope * ((window[0] + window[1]) / 2 - times[0]) / S
    assert result.joules == pytest.approx(middle * (window[1] - window[0]) / S, rel=1e-9, abs=1e-9)


@settings(max_examples=50)
@given(intervals, powers, powers, st.floats(0.1, 0.9))
def test_a_step_errs_by_less_than_the_uncertainty(
    steps: list[int], low: float, high: float, where: float
) -> None:
    times = clock(steps)
    window = (times[0], times[-1])
    step_ns = times[0] + int(where * (times[-1] - times[0]))
    values = [low if t < step_ns else high for t in times]
    truth = (low * (step_ns - times[0]) + high * (times[-1] - step_ns)) / S
    result = integrate(times, values, window, WATTS)
    assert abs(result.joules - truth) <= result.uncertainty_j + 1e-9 * truth


@settings(max_examples=50)
@given(st.integers(40, 200), powers, st.floats(0.01, 0.5), st.integers(0, 2**32))
def test_noise_is_within_three_uncertainties(n: int, watts: float, spread: float, seed: int) -> None:
    """Samples that scatter around a constant power: the sum of n of them is known to s T / sqrt(n)."""
    random = Random(seed)
    times = clock([10_000_000] * n)
    values = [watts * (1 + spread * random.uniform(-1, 1)) for _ in times]
    result = integrate(times, values, (times[0], times[-1]), WATTS)
    total_s = (times[-1] - times[0]) / S
    assert abs(result.joules - watts * total_s) <= 3 * result.uncertainty_j
    expected = 2 * watts * spread / math.sqrt(3) * total_s / math.sqrt(n)
    assert 0.4 * expected < result.uncertainty_j < 2.5 * expected


def test_noise_is_covered_as_often_as_a_95_percent_interval_says() -> None:
    generator = Random(7)
    times = clock([10_000_000] * 100)
    hits = 0
    for _ in range(500):
        values = [3 + generator.gauss(0, 0.4) for _ in times]
        result = integrate(times, values, (times[0], times[-1]), WATTS)
        hits += abs(result.joules - 3.0) <= result.uncertainty_j
    assert 0.92 < hits / 500 < 0.98


def test_edges_are_held_where_there_is_no_neighbour_outside() -> None:
    times = [S + n * 10_000_000 for n in range(11)]
    result = integrate(times, [2.0] * 11, (times[0] - 10_000_000, times[-1] + 10_000_000), WATTS)
    assert result.joules == pytest.approx(2.0 * 0.12)
    assert result.coverage == pytest.approx(0.1 / 0.12)


def test_a_held_edge_costs_uncertainty_as_power_varies() -> None:
    times = [S + n * 10_000_000 for n in range(11)]
    values = [1.0, 3.0] * 5 + [1.0]
    inside = integrate(times, values, (times[0], times[-1]), WATTS)
    held = integrate(times, values, (times[0] - 30_000_000, times[-1]), WATTS)
    spread = math.sqrt(sum((v - sum(values) / 11) ** 2 for v in values) / 11)
    assert held.uncertainty_j**2 - inside.uncertainty_j**2 == pytest.approx((2 * spread * 0.03) ** 2)


def test_an_edge_between_two_samples_is_interpolated() -> None:
    times = [S, S + 10_000_000, S + 20_000_000, S + 30_000_000]
    result = integrate(times, [0.0, 10.0, 10.0, 0.0], (S + 5_000_000, S + 25_000_000), WATTS)
    assert result.joules == pytest.approx((7.5 * 5 + 10 * 10 + 7.5 * 5) / 1000)
    assert result.peak_w == 10.0


def test_a_neighbour_beyond_the_gap_limit_does_not_reach_into_the_window() -> None:
    """A sensor that rested: what it read minutes ago says nothing of the window's start."""
    times = [S, *(100 * S + n * 10_000_000 for n in range(11))]
    values = [500.0, *[1.0] * 11]
    result = integrate(times, values, (times[1] - 1_000_000, times[-1]), WATTS)
    assert result.joules == pytest.approx(0.101)


def test_a_gap_is_not_covered() -> None:
    times = [S + n * 10_000_000 for n in range(101) if not 40 <= n < 60]
    result = integrate(times, [1.0] * len(times), (times[0], times[-1]), WATTS)
    assert result.coverage == pytest.approx(0.79)
    assert result.joules == pytest.approx(1.0)


def test_resolution_does_not_average_out() -> None:
    times = clock([10_000_000] * 100)
    result = integrate(times, [2.0] * 101, (times[0], times[-1]), Traits(resolution_w=0.025))
    assert result.uncertainty_j == pytest.approx(2 * 0.025 / math.sqrt(12))


def test_lag_and_accuracy_enter() -> None:
    times = clock([10_000_000] * 100)
    values = [1.0] * 50 + [2.0] * 51
    plain = integrate(times, values, (times[0], times[-1]), WATTS)
    lagging = integrate(times, values, (times[0], times[-1]), Traits(lag_ns=20_000_000))
    coarse = integrate(times, values, (times[0], times[-1]), Traits(accuracy=0.01))
    assert lagging.uncertainty_j**2 - plain.uncertainty_j**2 == pytest.approx((2 * 0.02) ** 2)
    assert coarse.uncertainty_j**2 - plain.uncertainty_j**2 == pytest.approx(
        (2 * 0.01 * coarse.joules) ** 2 / 3
    )


@settings(max_examples=50)
@given(intervals, powers)
def test_a_counter_of_constant_power(steps: list[int], watts: float) -> None:
    times = clock(steps)
    counted = [watts * (t - times[0]) / S for t in times]
    window = (times[0] + 1_000_000, times[-1] - 1_000_000)
    result = integrate(times, counted, window, COUNTER)
    assert result.joules == pytest.approx(watts * (window[1] - window[0]) / S, rel=1e-6)
    assert result.peak_w == pytest.approx(watts, rel=1e-6)
    assert result.coverage == pytest.approx(1)


@settings(max_examples=50)
@given(intervals, st.lists(powers, min_size=60, max_size=60))
def test_a_counter_keeps_what_happened_between_readings(steps: list[int], at: list[float]) -> None:
    """Between edges that are readings, the difference is exact however power moved."""
    times = clock(steps)
    counted = [0.0]
    for watts, step in zip(at, steps, strict=False):
        counted.append(counted[-1] + watts * step / S)
    result = integrate(times, counted, (times[0], times[-1]), COUNTER)
    assert result.joules == pytest.approx(counted[-1], rel=1e-9)
    assert result.uncertainty_j == pytest.approx(0, abs=1e-12)


def test_a_counter_s_edge_off_its_readings_costs_uncertainty() -> None:
    times = [S + n * 100_000_000 for n in range(12)]
    counted = [0.0]
    for n in range(11):
        counted.append(counted[-1] + (1.0 if n % 2 else 3.0) * 0.1)
    truth = sum((1.0 if n % 2 else 3.0) * 0.1 for n in range(1, 10)) + 3.0 * 0.02 + 1.0 * 0.05
    result = integrate(times, counted, (times[1] - 20_000_000, times[10] + 50_000_000), COUNTER)
    assert abs(result.joules - truth) <= 1.5 * result.uncertainty_j
    assert result.uncertainty_j > 0.01


@settings(max_examples=50)
@given(st.lists(st.integers(0, 999), min_size=2, max_size=50), st.integers(0, 999))
def test_unwrap_follows_a_counter_that_wraps(steps: list[int], start: int) -> None:
    wraps_at = 1000
    total, raw, truth = 0, start, 0
    for step in steps:
        now = (raw + step) % wraps_at
        total = unwrap(raw, now, total, wraps_at)
        truth += step
        raw = now
    assert total == truth


@settings(max_examples=50)
@given(intervals)
def test_the_trace_s_points_lie_within_the_window(steps: list[int]) -> None:
    times = clock(steps)
    window = (times[1], times[-2])
    assume(window[1] > window[0])
    result = integrate(times, [1.0] * len(times), window, WATTS)
    assert all(window[0] <= t <= window[1] for t in result.clock_ns)
    assert len(result.clock_ns) == len(times) - 2


@pytest.mark.parametrize(("times", "window"), [([S], (0, 2 * S)), ([S, 2 * S], (S, S))])
def test_what_cannot_be_integrated(times: list[int], window: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot be integrated"):
        integrate(times, [1.0] * len(times), window, WATTS)
