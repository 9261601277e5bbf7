"""Known joules in, known figures out; and the interval holds what was put in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepack.toolchain.measure.energy import (
    Figure,
    Reading,
    Unknown,
    average_power,
    energy_delay_product,
    energy_over_idle,
    energy_per_inference,
    idle_power,
)
from edgepack.toolchain.measure.student import t_quantile

RUN = Reading(joules=40.0, uncertainty_j=0.4, duration_s=10.0, inferences=8000)
IDLE = Reading(joules=20.0, uncertainty_j=0.2, duration_s=10.0)


def same(reading, count=5):
    return [reading] * count


def test_gross_energy_is_all_joules_over_all_inferences():
    figure = energy_per_inference(RUN, same(RUN))
    assert figure.value == pytest.approx(5e-3)
    assert figure.uncertainty == pytest.approx(5e-5)  # the sensor's alone: the windows do not scatter


def test_energy_over_idle_takes_idle_power_for_the_length_of_the_window():
    figure = energy_over_idle(RUN, same(RUN), IDLE, IDLE)
    assert figure.value == pytest.approx((40 - 2 * 10) / 8000)
    assert figure.uncertainty == pytest.approx(math.hypot(0.4, 0.2) / 8000)


def test_power():
    assert average_power(RUN, same(RUN)).value == 4
    assert average_power(RUN, same(RUN)).uncertainty == pytest.approx(0.04)
    moved = Reading(21.0, 0.2, 10.0)
    idle = idle_power(IDLE, moved)
    assert idle.value == pytest.approx(2.05)
    assert idle.uncertainty == pytest.approx(math.hypot(0.02, 0.05))


def test_the_spread_over_windows_is_part_of_the_uncertainty():
    joules = [39.0, 40.0, 41.0]
    windows = [Reading(each, 0.0, 10.0, 8000) for each in joules]
    figure = energy_per_inference(windows[1], windows)
    assert figure.uncertainty == pytest.approx(t_quantile(2) * 1.0 / 8000)
    assert energy_per_inference(windows[1], windows[1:2]).uncertainty == 0


def test_the_interval_holds_the_true_energy():
    generator = np.random.default_rng(13)
    hits = 0
    for _ in range(500):
        gain = (
            1 + 0.01 / 1.96 * generator.standard_normal()
        )  # the sensor's own error, the same in all windows
        joules = 40 * gain * (1 + 0.01 * generator.standard_normal(5))
        windows = [Reading(each, 0.4, 10.0, 1) for each in joules]
        figure = energy_per_inference(windows[2], windows)
        hits += figure.low <= 40 <= figure.high
    assert hits / 500 >= 0.93


def test_idle_power_that_moved_too_far_is_said():
    found = energy_over_idle(RUN, same(RUN), IDLE, Reading(26.0, 0.2, 10.0))
    assert isinstance(found, Unknown)
    assert "2 W before and 2.6 W after" in found.reason
    assert isinstance(energy_over_idle(RUN, same(RUN), IDLE, Reading(21.0, 0.2, 10.0)), Figure)


@pytest.mark.parametrize("idle_j", [39.9, 40.0, 45.0])
def test_what_cannot_be_told_from_nothing_is_no_number(idle_j):
    idle = Reading(idle_j, 0.2, 10.0)
    found = energy_over_idle(RUN, same(RUN), idle, idle)
    assert isinstance(found, Unknown)
    assert "below the noise" in found.reason


@given(st.floats(0.1, 100), st.floats(0.1, 100), st.floats(0, 0.2))
def test_over_idle_is_never_more_than_gross_and_never_negative(run_w, idle_w, error):
    run = Reading(run_w * 10, error * run_w * 10, 10.0, 100)
    idle = Reading(idle_w * 10, error * idle_w * 10, 10.0)
    found = energy_over_idle(run, same(run), idle, idle)
    if isinstance(found, Figure):
        assert 0 < found.low <= found.value < energy_per_inference(run, same(run)).value


def test_energy_delay_product():
    product = energy_delay_product(Figure(5e-3, 5e-5), 2e6, 4e4)
    assert product.value == pytest.approx(1e-5)
    assert product.uncertainty == pytest.approx(1e-5 * math.hypot(0.01, 0.02))
    assert energy_delay_product(Figure(0.0, 1.0), 2e6, 0.0) == Figure(0.0, 0.0)
