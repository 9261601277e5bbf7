from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgepack.toolchain.results.headline import headline_configuration
from edgepack.toolchain.results.job_record import Configuration
from edgepack.toolchain.results.judged import rejudge
from edgepack.toolchain.results.schema import parse_run_record
from tests.toolchain.records import latencies, make_configuration, make_power, make_record, make_window

OLD = Path(__file__).parent / "records" / "run-record-v1.json"


def test_every_configuration_that_ran_is_judged_and_the_run_by_its_headline():
    record = make_record()
    assert headline_configuration(record) == Configuration(batch=1, threads=4)
    assert len(record.verdicts) == 9
    assert record.verdict.status == "stable"
    assert record.verdict.reasons == []


def test_the_headline_is_judged_not_the_others():
    noisy = make_configuration(2, 1)
    for window in noisy["windows"]:
        window["others_cpu_ns"] = window["window_ns"]
    record = make_record(configurations=[make_configuration(1, 1), noisy])
    assert record.verdict.status == "stable"
    assert [verdict.status for verdict in record.verdicts] == ["stable", "unstable"]
    assert record.verdicts[1].reasons[0].code == "noisy-neighbour"
    assert record.verdicts[1].others_cpus == pytest.approx(1.0)


def test_delegates_are_configurations_of_their_own():
    slow = {**make_configuration(1, 1, scale=2.0), "delegate": "none"}
    record = make_record(configurations=[slow, make_configuration(1, 1)])
    assert headline_configuration(record).delegate == "xnnpack"
    builtin = Configuration(batch=1, threads=1, delegate="none")
    assert record.value("latency", "p50", builtin) > 2 * 1.2e6


def test_the_median_window_is_named():
    record = make_record(configurations=[make_configuration(1, 1)])
    medians = [np.median(latencies(1, 1, seed=index)) for index in range(5)]
    assert record.verdicts[0].median_window == int(np.argsort(medians)[2])


def test_clocks_are_read_between_the_first_and_the_last_state():
    configuration = make_configuration(1, 1)
    for window in configuration["windows"]:
        before, after = window["states"]
        idle = {"clocks_hz": [600_000_000] * 4}
        busy = {**before, "clocks_hz": [600_000_000, 1_500_000_000, 600_000_000, None]}
        window["states"] = [{**before, **idle}, busy, busy, {**after, **idle}]
    assert make_record(configurations=[configuration]).verdict.status == "stable"
    configuration["windows"][0]["states"][1]["clocks_hz"] = [1_000_000_000] * 4
    changed = make_record(configurations=[configuration]).verdicts[0]
    assert [reason.code for reason in changed.reasons] == ["clock-changed"]


def test_nothing_ran_nobody_judges():
    record = make_record(configurations=[{"batch": 1, "threads": 1, "unavailable": "no memory"}])
    assert record.verdict is None
    assert record.verdicts == []


def test_judging_again_by_the_same_rules_changes_nothing():
    configuration = make_configuration(1, 1, watts=4.0)
    sensor = {"name": "x", "driver": "hwmon", "covers": "all"}
    for record in (make_record(), make_record(configurations=[configuration], power_sensor=sensor)):
        assert rejudge(record) == record


def test_a_record_of_the_first_version_is_judged_by_todays_rules():
    old = parse_run_record(OLD.read_text(), source="old.json")
    judged = rejudge(old)
    assert old.verdict is None
    assert judged.verdict.status == "unstable"
    assert "1 window" in judged.verdict.reasons[0]
    place = Configuration(batch=1, threads=1)
    assert judged.value("latency", "p50", place) == old.value("latency", "p50", place)
    assert judged.find("latency", "p50", place).low is not None
    assert judged.value("peak_memory") == old.value("peak_memory")
    assert judged.value("quality_device") == old.value("quality_device")
    names = [metric.name for metric in judged.metrics if metric.configuration is None]
    assert names.count("energy_per_inference") == 1


def test_power_of_a_window_does_not_change_its_latency():
    with_power = make_record(
        configurations=[make_configuration(1, 1, watts=4.0)],
        power_sensor={"name": "x", "driver": "hwmon", "covers": "all"},
    )
    without = make_record(configurations=[make_configuration(1, 1)])
    assert with_power.find("latency", "p50") == without.find("latency", "p50")
    assert with_power.verdicts == without.verdicts
    assert make_power(1.0, 10**9)["average_w"] == 1.0


def test_one_window():
    record = make_record(
        configurations=[{**make_configuration(1, 1), "windows": [make_window(latencies(1, 1))]}]
    )
    assert [reason.code for reason in record.verdicts[0].reasons] == ["few-samples"]
    assert record.verdicts[0].drift_p_value is None
