from __future__ import annotations

import numpy as np
import pytest

from edgepack.toolchain.results.energy_metrics import UNITS
from edgepack.toolchain.results.job_record import Configuration
from edgepack.toolchain.results.schema import Metric, UnavailableMetric
from tests.toolchain.records import make_configuration, make_power, make_record

SENSOR = {"name": "hwmon:ina226", "driver": "hwmon", "covers": "the whole board"}
B1 = Configuration(batch=1, threads=1)


def record_of(configuration):
    return make_record(configurations=[configuration], power_sensor=SENSOR)


def test_known_watts_give_known_joules():
    record = record_of(make_configuration(2, 1, watts=4.0, idle_watts=1.5))
    place = Configuration(batch=2, threads=1)
    figures = {name: record.find(name, configuration=place) for name in UNITS}
    assert {name: figure.unit for name, figure in figures.items()} == UNITS
    windows = sorted(record.configurations[0].windows, key=lambda w: np.median(w.samples_ns))
    reported = windows[2]
    gross = 4.0 * reported.window_ns / 1e9 / (reported.runs * 2)
    assert figures["energy_per_inference"].value == pytest.approx(gross)
    assert figures["energy_over_idle_per_inference"].value == pytest.approx(gross * 2.5 / 4)
    assert figures["average_power"].value == pytest.approx(4)
    assert figures["peak_power"].value == pytest.approx(4.4)
    assert figures["idle_power"].value == pytest.approx(1.5)
    p50 = record.value("latency", "p50", place)
    assert figures["energy_delay_product"].value == pytest.approx(gross * p50 / 1e9)
    assert figures["inferences_per_joule"].value == pytest.approx(1 / gross)
    for name, figure in figures.items():
        if name != "peak_power":
            assert figure.low < figure.value < figure.high


def test_power_and_latency_come_from_the_same_window():
    configuration = make_configuration(1, 1, watts=4.0)
    windows = configuration["windows"]
    order = sorted(range(5), key=lambda i: np.median(windows[i]["samples_ns"]))
    for index, window in enumerate(windows):
        watts = 3.0 if index == order[2] else 9.0
        window["power"] = make_power(watts * window["window_ns"] / 1e9, window["window_ns"])
    assert record_of(configuration).value("average_power") == pytest.approx(3.0)


def test_a_median_window_without_power_is_not_replaced_by_another():
    configuration = make_configuration(1, 1, watts=4.0)
    windows = configuration["windows"]
    median = sorted(range(5), key=lambda i: np.median(windows[i]["samples_ns"]))[2]
    windows[median]["power"] = {"unavailable": "the sensor disappeared"}
    record = record_of(configuration)
    for name in UNITS:
        metric = record.find(name, configuration=B1)
        assert isinstance(metric, UnavailableMetric)
        assert metric.reason == "the sensor disappeared"


@pytest.mark.parametrize(
    ("changes", "reason"), [({"coverage": 0.4}, "only 40 % of the window"), ({"duration_ns": 0}, "over 0 ns")]
)
def test_readings_that_cannot_be_used(changes, reason):
    configuration = make_configuration(1, 1, watts=4.0)
    for window in configuration["windows"]:
        window["power"].update(changes)
    assert reason in record_of(configuration).find("energy_per_inference").reason


@pytest.mark.parametrize(
    ("idle", "reason"),
    [
        (None, "was not measured"),
        (
            {"before": make_power(1.0, 10**9), "after": {"unavailable": "stalled"}},
            "after the windows: stalled",
        ),
        ({"before": make_power(2.0, 10**9), "after": make_power(3.0, 10**9)}, "2 W before and 3 W after"),
        ({"before": make_power(4.1, 10**9), "after": make_power(4.1, 10**9)}, "below the noise"),
    ],
)
def test_without_a_steady_idle_power_there_is_gross_energy_only(idle, reason):
    record = record_of({**make_configuration(1, 1, watts=4.0), "idle": idle})
    metric = record.find("energy_over_idle_per_inference")
    assert isinstance(metric, UnavailableMetric)
    assert reason in metric.reason
    assert isinstance(record.find("energy_per_inference"), Metric)


def test_no_sensor_is_said_once_with_what_to_do():
    found = [metric for metric in make_record().metrics if metric.name in UNITS]
    assert len(found) == 1
    assert found[0].reason.startswith("no power sensor; cable a meter")
    asked = make_record(power_sensor={"unavailable": "not asked for (--power none)"})
    assert asked.find("energy_per_inference").reason == "not asked for (--power none)"


def test_energy_that_cannot_be_told_from_nothing_has_no_reciprocal():
    configuration = make_configuration(1, 1, watts=4.0)
    for window in configuration["windows"]:
        window["power"]["uncertainty_j"] = 2 * window["power"]["joules"]
    record = record_of(configuration)
    assert record.value("energy_per_inference") is not None
    assert "below the noise" in record.find("inferences_per_joule").reason
