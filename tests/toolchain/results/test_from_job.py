from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from edgepack.toolchain.errors import AgentError
from edgepack.toolchain.results.from_job import RunContext, record_from_job
from edgepack.toolchain.results.job_record import Configuration, parse_job_record
from edgepack.toolchain.results.schema import Metric, UnavailableMetric
from tests.toolchain.records import (
    SAMPLES,
    TIME,
    latencies,
    make_configuration,
    make_job,
    make_manifest,
    make_record,
    make_window,
)

B1T1 = Configuration(batch=1, threads=1)


def test_latency_figures_are_those_of_the_samples():
    record = make_record()
    windows = sorted((latencies(1, 1, seed=index) for index in range(5)), key=np.median)
    samples = windows[2]
    for how, expected in (
        ("min", min(samples)),
        ("p50", np.median(samples)),
        ("p99", np.percentile(samples, 99)),
    ):
        metric = record.find("latency", how, B1T1)
        assert isinstance(metric, Metric)
        assert metric.value == pytest.approx(expected)
        assert (metric.unit, metric.samples) == ("ns", 200)
    kept = [window.samples_ns for window in record.configurations[0].windows]
    assert sorted(kept, key=np.median) == windows
    assert record.value("throughput", "p50", B1T1) == pytest.approx(1e9 / np.median(samples))
    assert record.value("cpu_use", configuration=Configuration(batch=1, threads=4)) == pytest.approx(
        4, rel=1e-3
    )
    assert record.value("load_time", configuration=B1T1) == 2_000_000
    assert record.value("warmup_runs", configuration=B1T1) == 12


def test_a_configuration_that_could_not_run_has_reasons_and_no_values():
    record = make_record()
    place = Configuration(batch=8, threads=1)
    for name in ("latency", "throughput", "load_time", "first_inference"):
        metric = record.find(name, configuration=place)
        assert isinstance(metric, UnavailableMetric)
        assert metric.reason == "RESHAPE has a constant shape"


def test_memory():
    record = make_record()
    assert record.value("peak_memory") == 43_000_000
    assert record.value("model_memory") == 4_000_000
    assert record.value("model_size") == 50_000
    tiny = make_record(memory={"peak_rss_bytes": 10, "baseline_rss_bytes": 11})
    assert tiny.value("model_memory") is None
    assert tiny.value("peak_memory") == 10
    without = make_record(memory={"unavailable": "no /proc"})
    assert without.find("peak_memory").reason == "no /proc"


def test_quality_on_the_device_from_raw_outputs():
    metric = make_record().find("quality_device")
    assert metric.value == pytest.approx((SAMPLES - 1) / SAMPLES)
    assert (metric.aggregation, metric.samples, metric.unit) == ("top1", SAMPLES, "ratio")
    assert metric.low < metric.value < metric.high
    assert make_record().value("quality_host") == 0.9
    assert make_record().value("quality_float") == 0.92


def test_quality_sees_real_values():
    from tests.toolchain import records

    seen = []

    def keep(outputs):
        seen.extend(outputs)
        return records.Score("top1", 0.0, None, None, SAMPLES)

    manifest = make_manifest()
    job = records.parse_job_record(records.json.dumps(make_job(manifest)).encode())
    context = records.RunContext("d", "ssh", emulated=False, time=records.TIME, tool_version="0")
    records.record_from_job(job, manifest, context, quality=keep)
    assert seen[0].dtype == np.float32
    assert set(np.unique(seen[0])) == {(-128 + 1) * 0.5, (127 + 1) * 0.5}


def test_no_evaluation_set():
    record = make_record(manifest=make_manifest(evaluation=False), evaluation={"unavailable": "not packed"})
    assert record.find("quality_device").reason == "not packed"
    assert "without an evaluation set" in record.find("quality_host").reason


def test_energy_is_never_zero():
    metric = make_record().find("energy_per_inference")
    assert isinstance(metric, UnavailableMetric)
    assert "no power sensor" in metric.reason


def test_the_median_window_is_reported_and_rejected_ones_do_not_count():
    levels = [1000, 1300, 1100, 1200, 10]
    windows = [
        make_window([level] * 20, inputs=index, rejected="throttled: under-voltage" if level == 10 else None)
        for index, level in enumerate(levels)
    ]
    assert with_windows(windows[:3]).value("latency", "p50") == 1100
    assert with_windows(windows).value("latency", "p50") == 1100  # of four, the lower one of the middle
    assert len(with_windows(windows).configurations[0].windows) == 5


def test_what_the_device_kept_of_a_detached_run_is_on_the_record():
    manifest = make_manifest()
    kept = {"tag": "nightly", "labels": {"room": "12"}, "stolen_from": "bob@pc", "steal_reason": "release"}
    job = parse_job_record(json.dumps(make_job(manifest, **kept)).encode())
    context = RunContext("pi4", "ssh", emulated=False, time=TIME, tool_version="0", labels={"room": "14"})
    record = record_from_job(job, manifest, context)
    assert (record.tag, record.labels) == ("nightly", {"room": "14"})
    assert (record.stolen_from, record.steal_reason) == ("bob@pc", "release")
    assert record_from_job(job, manifest, replace(context, tag="mine")).tag == "mine"


def with_windows(windows, **changes):
    """A record of one configuration with these windows."""
    configuration = {**make_configuration(1, 1), "windows": windows, **changes}
    return make_record(configurations=[configuration])


def test_few_samples_give_no_high_percentile():
    record = with_windows([make_window(list(range(1, 51)))])
    assert record.value("latency", "p90") is not None
    assert record.find("latency", "p99").reason == "needs 100 samples; there are 50"


def test_a_clock_that_stands_still():
    record = with_windows([make_window([0] * 5, window_ns=0, cpu_ns=None)])
    assert isinstance(record.find("throughput"), UnavailableMetric)
    assert isinstance(record.find("cpu_use"), UnavailableMetric)


def test_the_same_run_has_the_same_id_everywhere():
    assert make_record().run_id == make_record(minutes=5).run_id
    assert make_record().run_id != make_record(device="pi5").run_id
    assert make_record().run_id.startswith("20261122T081500-1a2b3c4d-")


def test_a_record_about_another_package_is_refused():
    with pytest.raises(AgentError, match="ran package"):
        make_record(package_id="0" * 64)


def test_outputs_of_another_shape_are_refused():
    output = {"name": "y", "dtype": "int8", "shape": [SAMPLES, 3], "base64": "A" * 160}
    with pytest.raises(AgentError, match="expected"):
        make_record(evaluation={"count": SAMPLES, "outputs": [output]})
