"""The scenarios of MLPerf Inference, named as there, from the configurations that were measured.

| scenario | a query | metric |
| --- | --- | --- |
| SingleStream | 1 sample, the next as soon as the last is done | 90th percentile latency of a query |
| MultiStream | 8 samples, the next as soon as the last is done | 99th percentile latency of a query |
| Offline | all samples at once | throughput |

A query of 8 samples is one invocation of batch 8. MLPerf's own runs last 600 s and go through its
LoadGen: these figures carry its names so that a reader knows what they mean, they are no MLPerf results.

Source: MLCommons inference_policies, `inference_rules.adoc`, section "Scenarios".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgepack.toolchain.results.figures import missing
from edgepack.toolchain.results.schema import Metric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgepack.toolchain.results.figures import AnyMetric

SINGLE_STREAM, MULTI_STREAM, OFFLINE = "single_stream_latency", "multi_stream_latency", "offline_throughput"
NAMES = (SINGLE_STREAM, MULTI_STREAM, OFFLINE)
_MULTI_STREAM_SAMPLES = 8


def scenario_metrics(metrics: Sequence[AnyMetric]) -> list[AnyMetric]:
    """Return the three scenarios from the figures of all configurations, each with the one that did best."""
    return [
        _fastest(metrics, SINGLE_STREAM, batch=1, aggregation="p90"),
        _fastest(metrics, MULTI_STREAM, batch=_MULTI_STREAM_SAMPLES, aggregation="p99"),
        _offline(metrics),
    ]


def _fastest(metrics: Sequence[AnyMetric], name: str, *, batch: int, aggregation: str) -> AnyMetric:
    """Return the lowest latency that any thread count reaches with this batch."""
    of_batch = [
        m for m in metrics if m.name == "latency" and m.configuration and m.configuration.batch == batch
    ]
    measured = [m for m in of_batch if isinstance(m, Metric) and m.aggregation == aggregation]
    if measured:
        return _renamed(min(measured, key=lambda m: m.value), name)
    reasons = [
        m.reason for m in of_batch if not isinstance(m, Metric) and m.aggregation in (None, aggregation)
    ]
    reason = reasons[0] if reasons else f"batch {batch} was not measured: add it to the batches of [bench]"
    return missing(name, "ns", reason, aggregation=aggregation)


def _offline(metrics: Sequence[AnyMetric]) -> AnyMetric:
    found = [m for m in metrics if m.name == "throughput"]
    measured = [m for m in found if isinstance(m, Metric)]
    if measured:
        return _renamed(max(measured, key=lambda m: m.value), OFFLINE)
    reasons = [m.reason for m in found if not isinstance(m, Metric)]
    return missing(
        OFFLINE, "inferences/s", reasons[0] if reasons else "nothing was measured", aggregation="p50"
    )


def _renamed(metric: Metric, name: str) -> Metric:
    return metric.model_copy(update={"name": name})
