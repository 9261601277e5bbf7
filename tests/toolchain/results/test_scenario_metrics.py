from __future__ import annotations

import pytest

from edgepack.toolchain.results.job_record import Configuration
from edgepack.toolchain.results.schema import UnavailableMetric
from tests.toolchain.records import make_configuration, make_record


def test_single_stream_is_p90_of_batch_1_with_its_best_threads():
    record = make_record()
    metric = record.find("single_stream_latency")
    assert metric.configuration == Configuration(batch=1, threads=4)
    assert metric.aggregation == "p90"
    assert metric.value == record.value("latency", "p90", metric.configuration)
    assert metric.low < metric.value < metric.high


def test_multi_stream_is_p99_of_batch_8():
    record = make_record(configurations=[make_configuration(8, threads) for threads in (1, 2)])
    metric = record.find("multi_stream_latency")
    assert (metric.configuration.batch, metric.configuration.threads, metric.aggregation) == (8, 2, "p99")
    assert metric.value == record.value("latency", "p99", metric.configuration)
    single = record.find("single_stream_latency")
    assert isinstance(single, UnavailableMetric)
    assert "batch 1 was not measured" in single.reason


def test_offline_is_the_best_throughput_of_all():
    record = make_record()
    metric = record.find("offline_throughput")
    throughputs = [m.value for m in record.metrics if m.name == "throughput" and not hasattr(m, "reason")]
    assert metric.value == max(throughputs)
    assert metric.configuration == Configuration(batch=4, threads=4)


@pytest.mark.parametrize(
    ("configurations", "reason"),
    [
        (None, "RESHAPE has a constant shape"),  # batch 8 could not run
        ([make_configuration(1, 1)], "batch 8 was not measured: add it to the batches of [bench]"),
    ],
)
def test_a_scenario_that_was_not_measured_says_why(configurations, reason):
    record = make_record(**({"configurations": configurations} if configurations else {}))
    assert record.find("multi_stream_latency").reason == reason


def test_nothing_ran():
    record = make_record(configurations=[{"batch": 1, "threads": 1, "unavailable": "no memory"}])
    for name in ("single_stream_latency", "offline_throughput"):
        assert record.find(name).reason == "no memory"
