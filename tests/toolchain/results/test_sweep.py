from __future__ import annotations

from edgepack.toolchain.results.sweep import sweep_summary
from tests.toolchain.records import make_configuration, make_record, make_window


def with_latencies(table, delegate="xnnpack"):
    """Configurations of one thread from batch to latency in ms."""
    return [
        {**make_configuration(batch, 1), "delegate": delegate, "windows": [make_window([int(ms * 1e6)] * 20)]}
        for batch, ms in table.items()
    ]


def sentence(table):
    (summary,) = sweep_summary(make_record(configurations=with_latencies(table)))
    return summary.sentence


def test_the_knee_and_its_cost_in_a_sentence():
    assert sentence({1: 1.0, 2: 1.1, 4: 2.1}) == (
        "Batch 2 is the knee: 1.82 k/s with 1 thread, 95 % of the best throughput (1.9 k/s with 1 thread at "
        "batch 4). Against batch 1 it brings 1.8 times the throughput and costs 1.1 times the latency: an "
        "answer takes 1.1 ms instead of 1 ms."
    )


def test_batching_that_pays_little_or_nothing():
    assert sentence({1: 1.0, 2: 2.1}).startswith("Batching does not pay: batch 1 has the highest throughput")
    assert sentence({1: 1.0, 2: 1.9}).startswith("Batching hardly pays: batch 2 brings 5 % more than batch 1")


def test_one_summary_a_delegate():
    both = [*with_latencies({1: 1.0, 2: 1.1}), *with_latencies({1: 2.0, 2: 4.1}, "none")]
    summaries = sweep_summary(make_record(configurations=both))
    assert [summary.delegate for summary in summaries] == ["none", "xnnpack"]
    assert [summary.knee.knee.batch for summary in summaries] == [1, 2]


def test_a_run_without_a_sweep_has_none():
    assert sweep_summary(make_record(configurations=with_latencies({1: 1.0}))) == []
